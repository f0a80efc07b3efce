"""The in-silico tumour: a study that reads back, with a truth that the door does not know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.files.nifti import Volume, read_nifti
from palpate.imaging.phantom.study import write_sessions
from palpate.imaging.phantom.tumour_mre import measured_stiffness, true_stiffness
from palpate.imaging.phantom.tumour_scene import TumourScene, drug_days, fraction_days, tumour_scene
from palpate.imaging.phantom.tumour_study import Truth, write_tumour_patient
from palpate.imaging.tumour.history import NECROTIC, NON_ENHANCING
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.reading import TumourReading, read_tumour
from palpate.solvers import virtual_tumour
from palpate.solvers.virtual_tumour import grow

SMALL = LongitudinalSettings(half_edge_mm=36.0, truth_voxel_mm=2.5, truth_step_days=2.0, days_before_first_scan=90.0)

SLOWED = SMALL.model_copy(update={"stress_slowing": 60.0})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TumourScene, Truth]:
    """A coarse patient."""
    root = tmp_path_factory.mktemp("patient")
    scene = tumour_scene(SMALL, load_atlas())
    truth = grow(SMALL, scene)
    write_sessions(root, write_tumour_patient(root, SMALL, scene, truth))
    return root, scene, truth


@pytest.fixture(scope="module")
def reading(made: tuple[Path, TumourScene, Truth]) -> TumourReading:
    """What the door makes of it."""
    table = made[0] / "sessions.tsv"
    return read_tumour(read_study(table), "02", TumourSettings(), table=table, drugs={"temozolomide"})


@pytest.mark.long
def test_misplaced_dates_are_put_back(made: tuple[Path, TumourScene, Truth], reading: TumourReading) -> None:
    """Every date's head lay elsewhere; on the first scan's grid the cellularity must agree with the truth in place.

    The scanner's blur and noise leave 0.12 or so; a head left 3 mm off would add its own error at the tumour's edge.
    """
    _, scene, truth = made
    history = reading.history
    grid = TumourGrid(history.tissue.shape, history.affine_mm)  # type: ignore[arg-type]

    for day, scan in zip(SMALL.days, history.scans, strict=True):
        true = grid.interpolated(Volume(truth.densities[day], scene.grid.affine_mm))
        known = np.isfinite(scan.cellularity) & np.isfinite(true) & history.tissue
        error = (scan.cellularity - true)[known]
        assert known.sum() > 200
        assert abs(float(np.median(error))) < 0.05
        assert float(np.sqrt(np.mean(error**2))) < 0.2
    assert any("moved" in note for note in reading.notes)


@pytest.mark.long
def test_treatments_are_those_of_the_truth(reading: TumourReading) -> None:
    """Days, numbers and amounts survive the table; what is planned after the last scan is kept for the forecast."""
    history = reading.history
    assert tuple(one.day for one in history.irradiations) == fraction_days(SMALL)
    last = SMALL.beyond_days[-1]
    assert [(one.day, one.amount_mg) for one in history.drug_doses] == [(d, a) for d, a in drug_days(SMALL, last)]
    assert history.irradiations[0].dose_gy.max() == pytest.approx(SMALL.fraction_gy, rel=0.02)


@pytest.mark.long
def test_truth_is_kept_and_no_reader_needs_it(made: tuple[Path, TumourScene, Truth]) -> None:
    """Volumes beside the maps are those of the maps."""
    root, _, truth = made
    record = json.loads((root / "sub-02" / "truth" / "truth.json").read_text())
    for day in SMALL.beyond_days:
        volume = read_nifti(root / "sub-02" / "truth" / f"truth_density-day{day}.nii.gz")
        voxel_ml = abs(float(np.linalg.det(volume.affine_mm[:3, :3]))) / 1e3
        assert record["burden_ml"][str(day)] == pytest.approx(volume.values.sum() * voxel_ml, rel=1e-5)
        assert 0.0 <= truth.densities[day].min() <= truth.densities[day].max() <= 1.0


@pytest.mark.long
def test_treatment_holds_the_tumour_back(made: tuple[Path, TumourScene, Truth]) -> None:
    """Without its treatment the truth would be larger: events reach the model, in days and Gy."""
    _, scene, truth = made
    free = grow(SMALL.model_copy(update={"fractions": 0}), scene)
    day = SMALL.days[-1]
    assert truth.densities[day].sum() < 0.7 * free.densities[day].sum()


@pytest.fixture(scope="module")
def slowed(made: tuple[Path, TumourScene, Truth]) -> Truth:
    """The same patient whose stress slows invasion strongly."""
    return grow(SLOWED, made[1])


@pytest.mark.long
def test_stress_holds_the_truth_back(made: tuple[Path, TumourScene, Truth], slowed: Truth) -> None:
    """The cohort asks what mechanics is worth: its truth must have some, and say how much."""
    assert slowed.densities[SMALL.days[0]].sum() < 0.95 * made[2].densities[SMALL.days[0]].sum()
    assert slowed.slowed[SMALL.days[-1]] > 0.2
    assert not made[2].slowed
    assert made[2].storage_pa is None


@pytest.mark.long
def test_lack_of_oxygen_leaves_a_dead_core(
    made: tuple[Path, TumourScene, Truth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dead are in maps, outline and record; living and dead together fill less than cells that never die.

    Where oxygen is ample, the default, nothing of it is even made.
    """
    scene = made[1]
    starved = SMALL.model_copy(update={"oxygen": "limited", "hypoxic_death_1_day": 0.2, "days": (0,)})
    truth, day = grow(starved, scene), SMALL.beyond_days[-1]
    dead = truth.necrosis[0]
    worst = np.unravel_index(dead.argmax(), dead.shape)
    assert dead[worst] > 0.5 > truth.densities[0][worst]
    assert truth.filled(0).max() <= 1.0
    assert truth.filled(0).sum() < made[2].densities[0].sum()
    assert truth.necrosis[day].sum() > dead.sum()
    write_tumour_patient(tmp_path, starved, scene, truth)
    session = tmp_path / "sub-02" / "ses-01"
    roi, adc = (read_nifti(session / "growth" / f"{name}.nii.gz").values for name in ("roi", "adc"))
    assert np.count_nonzero(roi == NECROTIC) > 10
    assert np.median(adc[roi == NECROTIC]) > np.median(adc[roi == NON_ENHANCING])
    stored = read_nifti(session / "truth" / "truth_necrosis.nii.gz").values
    np.testing.assert_allclose(stored, dead, atol=1e-6)
    record = json.loads((tmp_path / "sub-02" / "truth" / "truth.json").read_text())
    voxel_ml = starved.truth_voxel_mm**3 / 1e3
    assert record["necrosis_ml"][str(day)] == pytest.approx(truth.necrosis[day].sum() * voxel_ml)

    monkeypatch.setattr(virtual_tumour, "OxygenLimitedGrowth", None)
    ample = grow(SMALL.model_copy(update={"days": (0,), "beyond_days": ()}), scene)
    np.testing.assert_array_equal(ample.densities[0], made[2].densities[0])
    assert not ample.necrosis


@pytest.mark.long
def test_finite_strain_is_chosen_by_its_setting(made: tuple[Path, TumourScene, Truth]) -> None:
    """With a lambda at which tissue strains much, stress over lambda falls by some tenths and slows invasion less."""
    brief = SLOWED.model_copy(
        update={
            "days_before_first_scan": 0.0,
            "days": (0,),
            "beyond_days": (10,),
            "elastic_box_mm": 12.0,
            "tumour_pressure_pa": 80e3,
        }
    )
    small, finite = (grow(brief.model_copy(update={"strain": law}), made[1]) for law in ("small", "finite"))
    assert 0.5 * small.slowed[10] < finite.slowed[10] < 0.95 * small.slowed[10]
    assert finite.densities[10].sum() > small.densities[10].sum()


@pytest.mark.long
def test_displacement_goes_with_lambda_over_stiffness_at_rest(made: tuple[Path, TumourScene, Truth]) -> None:
    """The cohort's patients differ in it; nothing else of a patient may know, or old seeds would be other patients."""
    changes = {"days_before_first_scan": 0.0, "days": (0,), "beyond_days": (10,), "elastic_box_mm": 10.0}
    brief = SLOWED.model_copy(update=changes)
    plain, softer = (grow(brief.model_copy(update={"rest_stiffness": s}), made[1]) for s in (1.0, 0.5))
    for day, density in plain.densities.items():
        np.testing.assert_array_equal(softer.densities[day], density)
    assert softer.slowed == plain.slowed
    for day in (0, 10):
        one, other = plain.displaced[0][day], softer.displaced[0][day]
        assert 0.0 < one.mean_mm < one.largest_mm
        assert other.mean_mm == pytest.approx(2.0 * one.mean_mm)
        assert other.largest_mm == pytest.approx(2.0 * one.largest_mm)


@pytest.mark.long
def test_truth_keeps_displacement_around_every_scan(made: tuple[Path, TumourScene, Truth]) -> None:
    """A forecast from any of the scans is compared around the tumour that this one showed; without stress as well."""
    record = json.loads((made[0] / "sub-02" / "truth" / "truth.json").read_text())
    for name in ("displacement_mm", "largest_displacement_mm"):
        assert set(record[name]) == {str(day) for day in SMALL.days}
        assert all(set(one) == {str(day) for day in record["days"]} for one in record[name].values())
    mean = record["displacement_mm"][str(SMALL.days[-1])]
    assert mean[str(SMALL.beyond_days[0])] == made[2].displaced[SMALL.days[-1]][SMALL.beyond_days[0]].mean_mm
    assert mean[str(SMALL.beyond_days[-1])] > mean["0"]


@pytest.mark.long
def test_elastogram_is_an_honest_posterior(
    made: tuple[Path, TumourScene, Truth], slowed: Truth, reading: TumourReading
) -> None:
    """Draws scatter around their mean as their mean around the truth, or the cohort would blame the twin for it.

    The truth is compared as blurred as the elastogram shows it; errors are alike over 8 mm, so that a block of 60 mm
    holds some hundred independent ones.
    """
    scene, history = made[1], reading.history
    draws = np.log(measured_stiffness(SLOWED, scene, slowed, history).draws_pa)
    measured = np.isfinite(draws).all(axis=0)
    assert measured.sum() > 1000
    assert not measured[~history.tissue].any()
    exact = SLOWED.model_copy(update={"mre_log_std": 1e-6})
    true = np.log(measured_stiffness(exact, scene, slowed, history).draws_pa[0])[measured]
    error = (draws.mean(axis=0)[measured] - true).std()
    spread = draws.std(axis=0, ddof=1)[measured].mean()
    assert error == pytest.approx(SLOWED.mre_log_std, rel=0.35)
    assert spread == pytest.approx(SLOWED.mre_log_std, rel=0.15)
    core = slowed.densities[0] > 0.8
    contrast = np.log(slowed.storage_pa / scene.storage_pa)[core].mean()  # type: ignore[operator]
    assert contrast == pytest.approx(SLOWED.tumour_log_stiffness, rel=0.15)


@pytest.mark.long
def test_true_stiffness_has_no_error(
    made: tuple[Path, TumourScene, Truth], slowed: Truth, reading: TumourReading
) -> None:
    """The ceiling of any elastogram: all tissue is known, draws are alike, and the tumour's contrast is not blurred."""
    scene, history = made[1], reading.history
    one, other = np.log(true_stiffness(scene, slowed, history).draws_pa)
    assert np.array_equal(one, other, equal_nan=True)
    assert np.array_equal(np.isfinite(one), history.tissue)
    grid = TumourGrid(history.tissue.shape, history.affine_mm)  # type: ignore[arg-type]
    true = grid.nearest(Volume(np.log(slowed.storage_pa), scene.grid.affine_mm))  # type: ignore[arg-type]
    inside = grid.nearest(Volume(scene.tissue.astype(np.float64), scene.grid.affine_mm)) * history.tissue > 0.0
    assert np.abs((one - true)[inside]).max() < 0.3
    assert (one - true)[inside].std() < 0.03


def test_seed_outside_white_matter_is_refused() -> None:
    """A tumour in a ventricle would not grow and nobody would see why."""
    settings = SMALL.model_copy(update={"centre_mm": (0.0, 10.0, 80.0)})
    with pytest.raises(InputError, match="white matter"):
        tumour_scene(settings, load_atlas())
