"""The Python door: the numbers of the command line, checked values, regions from joint draws, and a way back."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import palpate as door
from palpate.errors import InputError
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.stiffness_posterior import StiffnessPosterior
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import recorded_warnings
from palpate.renamed import with_current_keys
from palpate.run_crate.names import CRATE, SIGNATURE
from palpate.solvers.inversion.prior.correlation import matern
from tests.conftest import CHECKOUT, run
from tests.solvers.inversion.small_fields import BAR, Case, softening, wave_field

BRIEF = {"samples": 40, "max_iterations": 3}
CASE = Case(BAR, softening, 0.03, 4)
AFFINE_MM = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wave-field folder as any other program could write it."""
    path = tmp_path_factory.mktemp("door") / "wavefield"
    path.mkdir()
    write_wave_field(path, wave_field(CASE))
    return path


@pytest.fixture(scope="module")
def posterior(folder: Path) -> StiffnessPosterior:
    (field,) = read_wave_fields(folder)
    return door.invert(field, BRIEF)


def test_names_are_there_before_anything_is_loaded() -> None:
    """`dir(palpate)` tells a newcomer what there is; importing must not pay for MPI, DOLFINx or even NumPy."""
    script = (
        "import sys, palpate; print(dir(palpate)); "
        "print([name for name in ('numpy', 'mpi4py', 'dolfinx', 'palpate.solvers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, loaded = map(ast.literal_eval, done.stdout.splitlines())
    public = {
        "WaveField",
        "read_wave_fields",
        "invert",
        "read_stiffness",
        "StiffnessPosterior",
        "calibrate",
        "forecast",
    }
    assert public <= set(names)
    assert loaded == []


def test_types_of_the_door_are_those_it_loads() -> None:
    """A type checker reads the stub, Python the table: both must name the same things in the same modules."""
    stub = ast.parse((CHECKOUT / "src" / "palpate" / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {name.name: one.module for one in stub.body if isinstance(one, ast.ImportFrom) for name in one.names}
    assert typed == {name: getattr(door, name).__module__ for name in door.__all__ if name != "__version__"}


def test_same_numbers_as_the_command_line(folder: Path, posterior: StiffnessPosterior, tmp_path: Path) -> None:
    """Two doors to one inversion: on one rank every stored value is the same, and so is the record but for times."""
    done = run("palpate", "invert", folder, "--settings", json.dumps(BRIEF), "--out", tmp_path / "cli")
    assert done.returncode == 0, done.stderr
    posterior.save(tmp_path / "door")
    names = {path.name for path in (tmp_path / "cli").iterdir()} - {CRATE, SIGNATURE}
    assert {path.name for path in (tmp_path / "door").iterdir()} == names
    for name in sorted(name for name in names if name.endswith(".nii.gz")):
        theirs, ours = (read_nifti(tmp_path / where / name) for where in ("cli", "door"))
        assert np.array_equal(theirs.values, ours.values, equal_nan=True), name
    theirs_read, ours_read = (door.read_stiffness(tmp_path / where) for where in ("cli", "door"))
    for modulus, draws in theirs_read.samples.moduli_kpa.items():
        assert np.array_equal(draws, ours_read.samples.moduli_kpa[modulus])
    same = {"seconds", "load_balance", "peak_memory_mb", "input_digests"}
    records = [{key: value for key, value in one.record.items() if key not in same} for one in (theirs_read, ours_read)]
    assert records[0] == records[1]


def test_a_saved_posterior_comes_back(posterior: StiffnessPosterior, tmp_path: Path) -> None:
    """Maps, draws, warnings and every figure of a region are the same after save, read, save and read."""
    region = np.zeros(posterior.mask.shape, dtype=bool)
    region[3:7, 1:4, 1:4] = True
    again = door.read_stiffness(posterior.save(tmp_path / "once"))
    twice = door.read_stiffness(again.save(tmp_path / "twice"))
    for other in (again, twice):
        for name in ("storage_kpa", "loss_kpa", "magnitude_kpa", "phase_angle_rad", "wave_speed_m_per_s"):
            ours, theirs = getattr(posterior, name), getattr(other, name)
            for part in ("mean", "std", "lower", "upper"):
                assert np.array_equal(getattr(ours, part), getattr(theirs, part), equal_nan=True)
            assert str(getattr(posterior.region(region), name)) == str(getattr(other.region(region), name))
        assert (other.label, other.frequency_hz, other.converged) == (
            posterior.label,
            posterior.frequency_hz,
            posterior.converged,
        )
        assert other.warnings == posterior.warnings
        assert np.array_equal(other.informed, posterior.informed)
    with pytest.raises(InputError, match="input stiffness"):
        again.save(tmp_path / "once")


def test_convergence_is_told(posterior: StiffnessPosterior) -> None:
    """Three steps are too few: a script that looks at nothing else must be able to see that."""
    assert not posterior.converged
    assert "not-converged" in {one.code for one in posterior.warnings}


def test_interval_of_a_voxel(posterior: StiffnessPosterior) -> None:
    """The 95 % interval is that of the maps, others nest around it, and outside the mask there is none."""
    storage = posterior.storage_kpa
    lower, upper = storage.interval(0.95)
    assert np.allclose(lower, storage.lower, rtol=1e-12)
    assert np.allclose(upper, storage.upper, rtol=1e-12)
    narrow = storage.interval(0.5)
    assert np.all((lower < narrow[0]) & (narrow[0] < narrow[1]) & (narrow[1] < upper))
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(InputError, match=r"Write 0\.95 for"):
            storage.interval(level)


def test_a_regions_figures_are_those_of_its_draws(posterior: StiffnessPosterior) -> None:
    """The average over the region of each draw; the spread of the averages is narrower than any voxel's."""
    region = np.zeros(posterior.mask.shape)
    region[2:5], region[5] = 1.0, 0.25
    found = posterior.region(region)
    weights = region[tuple(posterior.samples.voxels.T)]
    draws = posterior.samples.moduli_kpa["storagemodulus"] @ weights / weights.sum()
    assert found.storage_kpa.draws == BRIEF["samples"]
    assert found.storage_kpa.mean == pytest.approx(draws.mean(), rel=1e-6)
    assert found.storage_kpa.std == pytest.approx(draws.std(ddof=1), rel=1e-5)
    assert found.storage_kpa.lower < found.storage_kpa.mean < found.storage_kpa.upper
    assert found.covered_share == 1.0
    assert found.volume_ml == pytest.approx((3 + 0.25) * 25 * 8e-3)
    outside = np.zeros((7, 2, 2))
    for wrong in (outside, 2.0 * region, np.zeros_like(region)):
        with pytest.raises(InputError):
            posterior.region(wrong)


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975])
def test_monte_carlo_error_of_a_quantile(probability: float) -> None:
    """It is the spread of the quantile over repetitions: for 200 normal draws within 15 % of what 2000 sets show."""
    generator = np.random.default_rng(3)
    sets = generator.standard_normal((2000, 200))
    spread = np.quantile(sets, probability, axis=1, method="weibull").std()
    errors = [DrawSummary(one, "1").quantile_error(probability) for one in sets[:200]]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.15)


def test_too_few_draws_give_no_interval() -> None:
    """An interval from a handful of draws would look like any other."""
    with pytest.raises(InputError, match="at least 20"):
        DrawSummary(np.ones(19), "kPa")


def test_another_prior_covariance_is_used_and_said() -> None:
    """The seam: a shorter correlation leaves voxels less well known, and the record tells whose prior it was."""
    field = wave_field(replace(CASE, noise=0.1))
    settings = BRIEF | {"fit_prior": False, "max_iterations": 1}
    usual = door.invert(field, settings)
    own = door.invert(field, settings, correlation=half_as_long)
    assert usual.record["prior"]["correlation"] == "matern"
    assert own.record["prior"]["correlation"] == "half_as_long"
    assert np.mean(np.log(own.storage_kpa.upper / own.storage_kpa.lower)) > np.mean(
        np.log(usual.storage_kpa.upper / usual.storage_kpa.lower)
    )


def half_as_long(
    distance_mm: NDArray[np.float64], length_mm: float, roughness: float, edge_mm: float
) -> NDArray[np.float64]:
    """Matern's correlation at half of the length."""
    return matern(distance_mm, 0.5 * length_mm, roughness, edge_mm)


def own_field(**changes: object) -> WaveField:
    """A user's own arrays, with what a case changes of them."""
    made = wave_field(CASE)
    arguments: dict[str, object] = {
        "displacement": 1e6 * made.displacement_m,
        "affine_mm": AFFINE_MM,
        "frequency_hz": 90.0,
        "mask": made.mask,
        "units": "um",
    }
    return WaveField(**(arguments | changes))  # type: ignore[call-overload, no-any-return]


def test_own_arrays_in_any_unit() -> None:
    """Micrometres, millimetres and metres of one wave are one wave field."""
    made = wave_field(CASE)
    for unit, size in (("um", 1e6), ("mm", 1e3), ("m", 1.0)):
        field = own_field(displacement=size * made.displacement_m, units=unit, noise=0.1 * size * 1e-6)
        assert np.allclose(field.displacement_m, made.displacement_m, rtol=1e-12)
        assert field.noise_std_m == pytest.approx(1e-7)
    assert field.density_assumed


def test_own_components_along_other_directions() -> None:
    """Three oblique components are turned into R, A, S; fewer are kept along their own."""
    made = wave_field(CASE)
    turn = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    whole = own_field(displacement=1e6 * made.displacement_m @ turn.T, directions=turn)
    assert np.allclose(whole.displacement_m, made.displacement_m, rtol=1e-9, atol=1e-15)
    one = own_field(displacement=1e6 * made.displacement_m[..., 2:], directions=[[0, 0, 1]], noise=0.1)
    assert one.displacement_m.shape == (*BAR, 1)


def test_few_directions_and_a_noise_map_survive_the_folder(tmp_path: Path) -> None:
    """What the door carries, the folder carries too."""
    made = wave_field(CASE)
    noise = np.random.default_rng(0).uniform(0.1, 0.2, size=(*BAR, 2))
    field = own_field(
        displacement=1e6 * made.displacement_m[..., 1:],
        directions=[[0, 1, 0], [0, 0, 1]],
        noise=noise,
        slice_thickness_mm=1.5,
        acquired_matrix=(11, 5),
    )
    write_wave_field(tmp_path, field)
    (again,) = read_wave_fields(tmp_path)
    assert again.directions is not None
    assert np.array_equal(again.directions, [[0, 1, 0], [0, 0, 1]])
    assert np.allclose(again.displacement_m, field.displacement_m, rtol=1e-6)
    assert again.noise_map_m == pytest.approx(1e-6 * noise, rel=1e-6)
    assert again.noise_std_m == pytest.approx(field.noise_std_m, rel=1e-6)
    assert (again.slice_thickness_mm, again.acquired_matrix) == (1.5, (11, 5))


def _with_zeros(displacement: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.concatenate([displacement[..., :2], np.zeros((*BAR, 1))], axis=-1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"displacement": np.ones((*BAR, 3))}, "complex amplitudes"),
        ({"displacement": np.ones(BAR, dtype=complex)}, "shape \\(i, j, k, 3\\)"),
        ({"displacement": _with_zeros(1e6 * wave_field(CASE).displacement_m)}, "component S zero"),
        ({"displacement": 1e6 * wave_field(CASE).displacement_m[..., :2]}, "directions: 2"),
        ({"units": "km"}, "one of nm, um, mm, m"),
        ({"units": "m"}, "Correct units"),
        ({"mask": np.zeros(BAR, dtype=bool)}, "an empty mask"),
        ({"mask": np.arange(np.prod(BAR)).reshape(BAR) == 60}, "a mask of 1 voxel; expected at least the 27"),
        ({"mask": np.full(BAR, 0.5)}, "tissue = 1 or True"),
        ({"mask": np.ones((2, 2, 2), dtype=bool)}, "a mask of shape"),
        ({"mask": np.full(BAR, 255)}, "values from 255"),
        ({"label": None}, "letters, digits"),
        ({"slice_thickness_mm": 0.002}, "times the distance"),
        ({"mask": None}, "all four of them"),
        ({"frequency_hz": 90e3}, "hertz"),
        ({"affine_mm": np.diag([2e-3, 2e-3, 2e-3, 1.0])}, "millimetres"),
        ({"affine_mm": np.eye(3)}, "\\(4, 4\\) matrix"),
        ({"affine_mm": AFFINE_MM + np.eye(4, k=1)}, "right angles"),
        ({"noise": -1.0}, "below 0"),
        ({"noise": np.ones(BAR)}, "noise of shape"),
        ({"density_kg_m3": 1.0}, "1000"),
        ({"directions": [[1, 0, 0], [1, 0, 0], [0, 0, 1]]}, "independent"),
        ({"label": "Smith, John"}, "letters, digits"),
        ({"slice_thickness_mm": -1.0}, "above 0 mm"),
        ({"acquired_matrix": (3.5, 2)}, "whole numbers"),
    ],
)
def test_wrong_arrays_are_refused_at_birth(changes: dict[str, object], said: str) -> None:
    """Nothing that a folder would be refused for comes in by the other door; the error names argument and remedy."""
    with pytest.raises(InputError, match=said):
        own_field(**changes)


def test_values_that_are_not_finite_count_inside_the_mask_only() -> None:
    """Outside it nothing is used, so that arrays with NaN background need no repair."""
    made = wave_field(CASE)
    displacement, mask = 1e6 * made.displacement_m, made.mask.copy()
    displacement[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        own_field(displacement=displacement)
    mask[0, 0, 0] = False
    assert np.all(np.isfinite(own_field(displacement=displacement, mask=mask).displacement_m))


@pytest.mark.parametrize("hidden", ["displacement", "mask"])
def test_what_a_masked_array_hides_is_no_datum(hidden: str) -> None:
    """NumPy drops the mask of a masked array without a word, and its owner left those values out."""
    shape = (5, 5, 5)
    hides = np.zeros(shape, dtype=bool)
    hides[2, 2, 2] = True
    values = np.full((*shape, 3), 1.0 + 1.0j)
    mask = np.ones(shape)
    displacement = (
        np.ma.array(values, mask=np.repeat(hides[..., None], 3, axis=3)) if hidden == "displacement" else values
    )
    tissue = np.ma.array(mask, mask=hides) if hidden == "mask" else mask
    with pytest.raises(InputError, match="not finite" if hidden == "displacement" else "a mask with values"):
        door.WaveField(displacement, AFFINE_MM, 50.0, mask=tissue)


def test_amplitude_and_phase_are_refused(folder: Path) -> None:
    """A folder of these is refused; in Python only the divergence, which invert looks at first, gives them away."""
    (field,) = read_wave_fields(folder)
    micrometres = 1e6 * field.displacement_m
    polar = np.abs(micrometres) + 1j * np.angle(micrometres)
    with pytest.raises(InputError, match="amplitude and phase"):
        door.invert(door.WaveField(polar, field.affine_mm, field.frequency_hz, mask=field.mask), BRIEF)


def test_unknown_settings_and_methods_are_refused() -> None:
    """A misspelt setting must not silently become the default, in Python as on the command line."""
    field = wave_field(CASE)
    with pytest.raises(InputError, match="unknown key nonsense"):
        door.invert(field, {"nonsense": 1})
    with pytest.raises(InputError, match="one with a posterior"):
        door.invert(field, {"method": "direct"})


def test_warnings_of_earlier_versions() -> None:
    """Folders that knew sentences only must not look as if nothing had been said."""
    (one,) = recorded_warnings(with_current_keys("inversion", {"doubts": ["Slices are off their time."]}))
    assert (one.code, one.sentence) == ("older-record", "Slices are off their time.")
    both = {"warnings": [one.as_record()], "doubts": [one.sentence, str(one)]}
    assert recorded_warnings(with_current_keys("inversion", both)) == (one,)
