"""Calibration over a cohort: it passes a posterior that is right and fails one that is not, by voxel and by region."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from palpate.config.study import Session
from palpate.errors import InputError
from palpate.imaging.files.stiffness_folder import MODULI
from palpate.service.calibration import CalibrationScores, Ranks, calibrate_cohort
from palpate.service.calibration_page import calibration_table, render
from tests.conftest import Outcome
from tests.service.conftest import write_session

type Inside = Callable[..., Outcome]

PATIENTS = 12


def _cohort(folder: Path, spread_factor: float, patients: int = PATIENTS) -> tuple[Session, ...]:
    """Sessions whose truths are one more draw of the posterior, whose stated spread is off by a factor."""
    sessions = []
    for number in range(patients):
        session = Session(f"{number:02d}", "01", truth=folder / f"truth-{number}")
        assert session.truth is not None
        write_session(
            folder / "results" / session.folder, session.truth, spread_factor=spread_factor, seed=100 + number
        )
        sessions.append(session)
    return tuple(sessions)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> CalibrationScores:
    folder = tmp_path_factory.mktemp("honest")
    return calibrate_cohort(folder / "results", _cohort(folder, 1.0))


@pytest.fixture(scope="module")
def overconfident(tmp_path_factory: pytest.TempPathFactory) -> CalibrationScores:
    folder = tmp_path_factory.mktemp("overconfident")
    return calibrate_cohort(folder / "results", _cohort(folder, 0.5))


def test_a_right_posterior_passes_by_voxel_and_by_region(honest: CalibrationScores) -> None:
    """Within four standard errors between patients at every level and for every kind of thing.

    Regions pass only if the joint draws carry the correlation of the errors: spreads of single voxels put together
    would make intervals of 24 mm cubes several times too narrow.
    """
    for modulus in MODULI:
        for kind, ranks in honest.ranks[modulus].items():
            for level in (0.5, 0.8, 0.95):
                share, error = ranks.coverage(level)
                assert abs(share - level) < 4 * max(error, 0.5 / np.sqrt(ranks.pooled.size)), (modulus, kind, level)


def test_an_overconfident_posterior_fails_everywhere(
    overconfident: CalibrationScores, honest: CalibrationScores
) -> None:
    """With half the spread a 95 % interval holds 67 %; the expected calibration error sees it too."""
    for modulus in MODULI:
        for kind in ("voxels", "regions of 6 mm", "regions of 10 mm"):
            share, error = overconfident.ranks[modulus][kind].coverage(0.95)
            assert share + 4 * error < 0.95
        wrong, right = (c.ranks[modulus]["voxels"].calibration_error for c in (overconfident, honest))
        assert wrong > 0.1 > 3 * right


def test_standard_error_knows_that_voxels_of_a_patient_err_together() -> None:
    """A thousand copies of each of 50 independent ranks know the coverage as well as 50 ranks do."""
    ranks = Ranks(tuple(np.full(1000, u) for u in np.random.default_rng(1).uniform(size=50)))
    assert ranks.coverage(0.5)[1] == pytest.approx(np.sqrt(0.25 / 50), rel=0.3)


def test_resampled_errors_tell_chance_from_a_wrong_posterior() -> None:
    """Few patients leave a right posterior an error: the range has to cover it, and must not excuse a wrong one."""
    generator = np.random.default_rng(2)
    of_patients = generator.normal(0.0, 0.3, 20)
    right = Ranks(tuple(norm.cdf(generator.standard_normal(500) * np.exp(s)) for s in of_patients - 0.3**2))
    wrong = Ranks(tuple(norm.cdf(2.0 * generator.standard_normal(500) * np.exp(s)) for s in of_patients))
    low, high = right.resampled_error
    assert low < right.calibration_error < high
    assert right.resampled_error[1] < wrong.resampled_error[0]


def test_posterior_beats_the_prior_alone(honest: CalibrationScores) -> None:
    """Sharpness is reported against doing nothing; a sign or unit mixed up there would flatter every posterior."""
    for modulus in MODULI:
        assert honest.sharpness[modulus].crps_kpa < honest.sharpness[modulus].prior_crps_kpa


def test_page_and_table_say_the_same(honest: CalibrationScores) -> None:
    """People read the page, programs the JSON; they come from one object and must not drift apart."""
    content = honest.to_json()
    share = content["storagemodulus"]["voxels"]["coverage"]["0.95"]["share"]
    assert f"{share:.1%}" in calibration_table(honest)
    page = render(honest)
    assert f"{share:.1%}" in page
    assert "not a medical device" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_command_writes_page_and_figures_or_says_what_is_missing(tmp_path: Path, palpate_inside: Inside) -> None:
    """A study without truth is the likely mistake; one sentence, exit 2, no page."""
    sessions = _cohort(tmp_path, 1.0, patients=2)
    table = tmp_path / "sessions.tsv"
    rows = [f"{s.subject}\t{s.session}\t\t{s.truth}" for s in sessions]
    table.write_text("\n".join(["subject\tsession\tmre\ttruth", *rows]) + "\n")
    done = palpate_inside("verify", "calibration", tmp_path / "results", "--sessions", table)
    assert done.code == 0, done.printed
    assert json.loads((tmp_path / "results" / "calibration.json").read_text())["patients"] == 2
    page = tmp_path / "other.html"
    table.write_text("subject\tsession\tmre\n01\t01\t\n")
    done = palpate_inside("verify", "calibration", tmp_path / "results", "--sessions", table, "--out", page)
    assert done.code == 2
    assert "no session with a truth" in done.printed
    assert not page.exists()


def test_missing_results_are_named(tmp_path: Path) -> None:
    """A patient whose inversion failed must not silently leave the statistics: failures are what coverage is about."""
    with pytest.raises(InputError, match="palpate invert"):
        calibrate_cohort(tmp_path, [Session("01", "01", truth=tmp_path)])
