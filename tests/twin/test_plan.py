"""Plans: limits of organs, schedules, and answers that are no schedule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from palpate.config.limits import LimitsSettings, OrganLimit
from palpate.config.twin import LogNormal
from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.calibration_file import save_calibration
from palpate.twin.plan.candidates import Candidate, candidates
from palpate.twin.plan.choice import PlanAnswer, choose
from palpate.twin.plan.organ_dose import OrganDose, relative_at
from palpate.twin.plan.outcome import Waiting
from palpate.twin.plan.read import read_limits
from palpate.twin.plan.run import planned
from tests.conftest import Command
from tests.twin.drawn import drawn
from tests.twin.small import SHAPE, history

UNCERTAIN = LogNormal(median=3.0, log_std=0.3)
ORGAN = {"name": "brainstem", "mask": "organ.nii.gz", "alpha_beta_gy": 2.1, "eqd2_gy": 54.0}


def _organ(**changes: Any) -> OrganDose:  # noqa: ANN401 (settings of any kind)
    return OrganDose(OrganLimit.model_validate(ORGAN | changes), 0.9, 20.0)


@pytest.mark.parametrize("limit", [{"eqd2_gy": 54.0}, {"eqd2_gy": None, "bed_gy": 100.0}], ids=["eqd2", "bed"])
@pytest.mark.parametrize("dose_gy", [1.2, 2.0, 2.3, 5.0])
def test_the_chance_of_a_limit_is_that_of_fresh_draws(limit: dict[str, float], dose_gy: float) -> None:
    """The closed form is checked against a thousand draws of alpha / beta, to two standard errors."""
    organ = _organ(alpha_beta_gy=UNCERTAIN.model_dump(), **limit)
    ratios = 3.0 * np.exp(0.3 * np.random.default_rng(8).standard_normal(1000))
    for fractions in (10, 27, 30):
        x = 0.9 * dose_gy
        bed = fractions * x * (1.0 + x / ratios)
        held = (bed <= 100.0) if limit.get("bed_gy") else (bed / (1.0 + 2.0 / ratios) <= 54.0)
        chance = organ.chance(fractions, dose_gy)
        assert abs(held.mean() - chance) <= 2.5 * np.sqrt(max(chance * (1.0 - chance), 1e-4) / 1000)


@pytest.mark.parametrize("limit", [{"eqd2_gy": 54.0}, {"eqd2_gy": None, "bed_gy": 100.0}], ids=["eqd2", "bed"])
def test_a_load_is_one_where_the_limit_just_holds(limit: dict[str, float]) -> None:
    """Both say the same of the same schedule, or the front would show what the limits refuse."""
    organ = _organ(alpha_beta_gy=UNCERTAIN.model_dump(), **limit)
    for fractions in range(5, 60, 4):
        for dose_gy in (0.8, 1.8, 2.4, 6.0):
            assert (organ.load(fractions, dose_gy, 0.9) <= 1.0) == (organ.chance(fractions, dose_gy) >= 0.9)


def test_the_hottest_volume_is_left_out() -> None:
    """Three voxels of 0.1 mL: without 0.15 mL of the hottest, the second counts."""
    assert relative_at(np.array([0.2, 0.9, 0.5]), np.full(3, 0.1), 0.15) == 0.5
    assert relative_at(np.array([0.2, 0.9, 0.5]), np.full(3, 0.1), 0.0) == 0.9
    assert relative_at(np.array([0.2, 0.9, 0.5]), np.full(3, 0.1), 0.4) == 0.0


def test_fractions_lie_on_five_days_of_a_week() -> None:
    """Seven fractions from day 3 on end on the second day of the next week."""
    assert Candidate(7, 2.0, 3, 5, (1.0,), (0.1,)).days() == (3, 4, 5, 6, 7, 10, 11)


def _limits(**changes: Any) -> LimitsSettings:  # noqa: ANN401 (settings of any kind)
    return LimitsSettings.model_validate({"organs": [ORGAN]} | changes)


def test_limits_that_nothing_keeps_name_the_organ_that_binds() -> None:
    """An empty set of schedules must say which limit empties it."""
    organs = (_organ(), OrganDose(OrganLimit.model_validate(ORGAN | {"name": "chiasm", "eqd2_gy": 2.0}), 0.9, 1.0))
    with pytest.raises(InputError, match="chiasm binds"):
        candidates(_limits(), organs)


def _schedules(loads: Sequence[float]) -> tuple[Candidate, ...]:
    return tuple(Candidate(30, 2.0, at, 5, (float(load <= 1.0),), (load,)) for at, load in enumerate(loads))


def _choice(gains: Sequence[float], loads: Sequence[float], *, spread: float = 1.0, **known: bool) -> Any:  # noqa: ANN401
    """The answer where schedules gain some days over a first one of 100."""
    rng = np.random.default_rng(2)
    patient = 100.0 + np.array(gains)[:, None] + spread * rng.standard_normal((len(gains), 400))
    told = {"identified": True, "in_step": True} | known
    return choose(_schedules(loads), Waiting(patient, patient.copy()), 0.95, **told)


def test_a_gain_beyond_chance_is_named_and_one_within_is_nothing_to_gain() -> None:
    """A plan may not sell noise: the second schedule gains 0.5 days, the third 20 days with 400 days of spread."""
    assert _choice((0.0, 5.0), (0.9, 0.9)).answer is PlanAnswer.BETTER
    assert _choice((0.0, 0.5), (0.9, 0.9)).answer is PlanAnswer.NOTHING_TO_GAIN
    assert _choice((0.0, 20.0), (0.9, 0.9), spread=400.0).answer is PlanAnswer.NOTHING_TO_GAIN


def test_a_schedule_beyond_the_limits_is_never_named() -> None:
    """Neither as the best one nor on the front."""
    found = _choice((0.0, 5.0, 50.0), (0.9, 0.8, 1.2))
    assert found.personal == found.one_size == found.chosen == 1
    assert 2 not in found.front


def test_standard_care_beyond_the_limits_is_not_named() -> None:
    """Limits come first: the best schedule that keeps them is named although it loses days."""
    found = _choice((0.0, -5.0, -9.0), (1.1, 0.9, 0.8))
    assert (found.answer, found.chosen) == (PlanAnswer.WITHIN_LIMITS, 1)
    assert _choice((0.0, -5.0), (1.1, 0.9), identified=False).chosen == 1


def test_at_equal_load_a_heavier_schedule_does_not_count() -> None:
    """What more dose to organs buys is shown apart from what a schedule gains by itself."""
    found = _choice((0.0, 2.0, 9.0), (0.5, 0.4, 0.9))
    assert (found.personal, found.equal_load) == (2, 1)
    assert found.front == (1, 2)


def test_without_alpha_or_out_of_step_standard_care_is_named() -> None:
    """A personal optimum on a parameter that nobody knows, or by a twin that is wrong, would be a guess."""
    unknown, wrong = _choice((0.0, 50.0), (0.9, 0.9), identified=False), _choice((0.0, 50.0), (0.9, 0.9), in_step=False)
    assert (unknown.answer, unknown.chosen) == (PlanAnswer.UNIDENTIFIED, 0)
    assert (wrong.answer, wrong.chosen) == (PlanAnswer.OUT_OF_STEP, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration whose alpha is known, a dose that falls off from the tumour, and an organ beside it."""
    home = tmp_path_factory.mktemp("plan")
    _write_calibration(home / "calibration", 0.04)
    _write_calibration(home / "unknown", 1.0)
    affine = history().affine_mm
    distance = np.linalg.norm((np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2.0).T * 4.0, axis=0)
    write_nifti(home / "dose.nii.gz", (60.0 / (1.0 + np.exp((distance - 18.0) / 2.0))).astype(np.float32), affine)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[9:12, 4:8, 4:7] = 1
    write_nifti(home / "organ.nii.gz", mask, affine)
    return home


def _write_calibration(out: Path, variance: float) -> None:
    twin: Calibration = drawn(12)
    out.mkdir()
    save_calibration(replace(twin, covariance=variance * twin.covariance), out / "calibration.h5")
    (out / "calibration.json").write_text(json.dumps({"warnings": []}))


QUICK = {
    "dose": {"file": "dose.nii.gz", "prescribed_gy": 60.0},
    "fractions": [10, 30],
    "dose_gy": [1.0, 2.0],
    "days": [0, 14],
    "until_day": 90,
    "patients": 20,
}


def _write_limits(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 (settings of any kind)
    path = folder / "limits.yaml"
    path.write_text(yaml.safe_dump({"organs": [ORGAN]} | QUICK | changes))
    return path


@pytest.mark.parametrize("model", ["logistic", "radial"])
def test_more_dose_and_an_earlier_start_wait_longer(folder: Path, model: str) -> None:
    """On both rungs: what a plan compares must follow what treatment does."""
    limits = read_limits(_write_limits(folder, model=model))
    found = planned(folder / "calibration", limits, folder)
    mean = {one.name: float(found.times.patient[at].mean()) for at, one in enumerate(found.schedules)}
    assert mean["30x2-day0"] > mean["10x1-day0"]
    assert mean["30x2-day0"] >= mean["30x2-day14"]
    assert 0.05 < found.organs[0].relative < 0.95


def test_a_deeper_response_never_counts_against_a_schedule(folder: Path) -> None:
    """Regrowth is measured from the last scan: above the nadir, 3 Gy in place of 1.5 came out three days worse."""
    limits = read_limits(_write_limits(folder, fractions=[20], dose_gy=[1.5, 3.0], days=[0], until_day=200))
    times = planned(folder / "calibration", limits, folder).times.patient
    assert (times[2] >= times[1]).all()


def test_the_same_plan_is_the_same_bytes(folder: Path, palpate: Command) -> None:
    """A plan that is killed and run again must give the same bits, and carries the same name."""
    limits = _write_limits(folder)
    for name in ("one", "two"):
        done = palpate("plan", folder / "calibration", "--limits", limits, "--out", folder / name)
        assert done.returncode == 0, done.stderr
    for file in ("plan.json", "schedules.tsv", "plan.html"):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()
    page = (folder / "one" / "plan.html").read_text()
    assert "Pareto" not in page
    assert "brainstem" in page


def test_a_plan_without_alpha_says_population(folder: Path) -> None:
    """Gains under a prior are labelled so, and no schedule but standard care is named."""
    found = planned(folder / "unknown", read_limits(_write_limits(folder)), folder)
    assert found.choice.answer is PlanAnswer.UNIDENTIFIED


def test_a_scan_that_was_not_as_predicted_forbids_a_plan(folder: Path) -> None:
    """The warning of the calibration is the guard of the plan."""
    sound = (folder / "calibration" / "calibration.json").read_text()
    warning = {"code": "scan-not-as-predicted", "sentence": "The regions lie elsewhere.", "advice": "Look."}
    (folder / "calibration" / "calibration.json").write_text(json.dumps({"warnings": [warning]}))
    try:
        found = planned(folder / "calibration", read_limits(_write_limits(folder)), folder)
    finally:
        (folder / "calibration" / "calibration.json").write_text(sound)
    assert found.choice.answer is PlanAnswer.OUT_OF_STEP
    assert found.reasons == ("The regions lie elsewhere.",)


BAD = {
    "an organ that the dose does not hold": ({"organs": [ORGAN | {"mask": "far.nii.gz"}]}, "dose in all of an organ"),
    "no dose at all": ({"dose": None}, "no planned fraction|dose in all of an organ"),
    "a course that outlasts the follow-up": ({"until_day": 35}, "a day after every course"),
    "limits that nothing keeps": ({"organs": [ORGAN | {"eqd2_gy": 0.1}]}, "brainstem binds"),
    "no ratio": ({"organs": [ORGAN | {"alpha_beta_gy": 0.0}]}, "alpha_beta_gy"),
    "a negative ratio": ({"organs": [ORGAN | {"alpha_beta_gy": -3.0}]}, "alpha_beta_gy"),
    "two limits": ({"organs": [ORGAN | {"bed_gy": 100.0}]}, "either bed_gy or eqd2_gy"),
    "no limit": ({"organs": [{key: ORGAN[key] for key in ("name", "mask", "alpha_beta_gy")}]}, "either bed_gy"),
    "no place": ({"organs": [{key: ORGAN[key] for key in ("name", "eqd2_gy", "alpha_beta_gy")}]}, "mask or contour"),
    "an organ twice": ({"organs": [ORGAN, ORGAN | {"name": "Brainstem"}]}, "twice"),
    "no organ": ({"organs": []}, "organs"),
    "a mistyped dose": ({"dose_gy": [200.0]}, "dose_gy"),
    "a fraction of nothing": ({"dose_gy": [0.0]}, "dose_gy"),
    "too many fractions": ({"fractions": [400]}, "fractions"),
    "a chance of one": ({"chance": 1.0}, "chance"),
    "a horizon beyond what was compared": ({"until_day": 4000}, "until_day"),
    "an unknown key": ({"organ": []}, "organ"),
    "a dose that is not there": ({"dose": {"file": "nowhere.nii.gz", "prescribed_gy": 60.0}}, "nowhere.nii.gz"),
    "a prescription of nothing": ({"dose": {"file": "dose.nii.gz", "prescribed_gy": 0.0}}, "prescribed_gy"),
    "thousands of schedules": (
        {"fractions": list(range(1, 41)), "days": list(range(20))},
        "at most 600 schedules",
    ),
}


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_bad_limits_are_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    """Each gets a sentence that names what was found and what to do."""
    far = np.zeros(SHAPE, dtype=np.uint8)
    far[4:7, 4:7, 4:7] = 1
    moved = history().affine_mm.copy()
    moved[:3, 3] += 500.0
    write_nifti(folder / "far.nii.gz", far, moved)
    with pytest.raises(InputError, match=f"(?i){said}"):
        planned(folder / "calibration", read_limits(_write_limits(folder, **changes)), folder)
