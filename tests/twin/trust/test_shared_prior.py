"""File and commands of a population prior: what is shared comes back, and holds nothing of a patient."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.twin.calibration.calibrate import Calibration, calibrate
from palpate.twin.calibration_file import save_calibration
from palpate.twin.priors import ALPHA, PROLIFERATION
from palpate.twin.trust.population import Population
from palpate.twin.trust.shared_prior import population_of, population_text, read_population, settings_of
from tests.conftest import Outcome
from tests.twin.small import SETTINGS, history


@pytest.fixture(scope="module")
def patient() -> Calibration:
    """One calibrated tumour, of which others are made by moving its draws."""
    return calibrate(history(), SETTINGS.model_copy(update={"max_iterations": 1, "draws": 40}))


def moved(patient: Calibration, number: int) -> Calibration:
    """Another patient: narrow draws around a place of its own."""
    rng = np.random.default_rng(number)
    xi = 0.7 + 0.3 * rng.standard_normal(patient.draws.xi.shape[1]) + 0.1 * rng.standard_normal(patient.draws.xi.shape)
    draws = dataclasses.replace(patient.draws, xi=xi.astype(patient.draws.xi.dtype))
    return dataclasses.replace(patient, draws=draws)


def test_a_shift_of_all_patients_is_learnt(patient: Calibration) -> None:
    """Patients whose ln k lies 0.7 prior spreads above the configuration's prior move the median there."""
    found = population_of({str(number): moved(patient, number) for number in range(40)})
    unknown = patient.unknowns.single[patient.unknowns.names.index(PROLIFERATION)]
    learnt = found.mean[found.names.index(PROLIFERATION)]
    assert learnt == pytest.approx(unknown.mean + 0.7 * unknown.std, abs=0.2 * unknown.std)
    settings = settings_of(found)
    assert settings["proliferation_1_day"]["median"] == pytest.approx(float(np.exp(learnt)) * 86400.0)
    assert settings["drugs"]["temozolomide"]["kill_1_g"]["median"] > 0.0


def test_a_treatment_that_some_did_not_have_is_learnt_from_the_others(patient: Calibration) -> None:
    """A patient without radiotherapy says nothing of alpha, and must not be left out for that."""
    at = patient.unknowns.names.index(ALPHA)
    single = tuple(one for one in patient.unknowns.single if one.name != ALPHA)
    without = dataclasses.replace(
        moved(patient, 99),
        unknowns=dataclasses.replace(patient.unknowns, single=single),
        draws=dataclasses.replace(patient.draws, xi=np.delete(moved(patient, 99).draws.xi, at, axis=1)),
    )
    all_of_them = {str(number): moved(patient, number) for number in range(20)} | {"x": without}
    assert population_of(all_of_them).patients == 21


def test_different_priors_are_refused(patient: Calibration) -> None:
    """What was found under another prior cannot be taken out by this one."""
    first = dataclasses.replace(patient.unknowns.single[0], std=9.0)
    other = dataclasses.replace(
        patient, unknowns=dataclasses.replace(patient.unknowns, single=(first, *patient.unknowns.single[1:]))
    )
    with pytest.raises(InputError, match="another prior"):
        population_of({str(number): moved(patient, number) for number in range(12)} | {"x": other})


def test_file_comes_back_and_names_nobody(tmp_path: Path, patient: Calibration) -> None:
    """The file is all that leaves a hospital."""
    found = population_of({str(number): moved(patient, number) for number in range(12)})
    path = tmp_path / "ours.json"
    path.write_text(population_text(found))
    again = read_population(path)
    assert (again.names, again.patients) == (found.names, found.patients)
    assert np.array_equal(again.mean, found.mean)
    assert np.array_equal(again.covariance, found.covariance)
    assert patient.history.subject not in path.read_text()


@pytest.mark.parametrize("spoil", [{"format": "x"}, {"covariance": [[1]]}, {"mean": ["a"]}, {"patients": 3}])
def test_a_damaged_file_is_refused(tmp_path: Path, spoil: dict[str, object]) -> None:
    """A prior of nonsense would make a confident twin of nonsense."""
    population = Population((PROLIFERATION, ALPHA), 12, np.array([-14.0, -3.0]), np.diag([0.2, 0.4]))
    path = tmp_path / "prior.json"
    path.write_text(json.dumps(json.loads(population_text(population)) | spoil))
    with pytest.raises(InputError, match=r"prior\.json"):
        read_population(path)


def test_commands_learn_and_pool(tmp_path: Path, patient: Calibration, palpate_inside: Callable[..., Outcome]) -> None:
    """From a study's results to a prior of two hospitals, by the commands that a hospital runs."""
    for number in range(10):
        folder = tmp_path / "results" / f"sub-{number:02d}" / "twin" / "calibration"
        folder.mkdir(parents=True)
        save_calibration(moved(patient, number), folder / "calibration.h5")
    ours, both = tmp_path / "ours.json", tmp_path / "both.json"
    for words in (
        ["learn", str(tmp_path / "results"), "--out", str(ours)],
        ["pool", str(ours), str(ours), "--out", str(both)],
    ):
        assert palpate_inside("prior", *words).code == 0
    assert read_population(both).patients == 20
    refused = palpate_inside("prior", "learn", str(tmp_path), "--out", str(tmp_path / "x.json"))
    assert refused.code == 2
    assert "no calibration" in refused.printed
