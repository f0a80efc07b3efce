"""The wave-field folder is the door for other laboratories: what is in order passes, what is doubtful does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields, relative_noise, write_wave_field
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import shear_waves

_TURNED = np.linalg.qr(np.array([[-1.9, 0.3, 0.2], [0.3, 1.9, -0.4], [0.1, 0.4, 3.9]]))[0]
AFFINE = np.vstack([np.column_stack([_TURNED * [1.9, 2.0, 3.9], [40, -30, 12]]), [0, 0, 0, 1.0]])


def _field(label: str = "sub-01_ses-01", frequency_hz: float = 50.0, seed: int = 0) -> WaveField:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(2, 5, 4, 3, 3)).astype(np.float32) * 1e-6
    mask = np.ones((5, 4, 3), dtype=bool)
    mask[0] = False
    return WaveField(
        displacement_m=values[0] + 1j * values[1],
        mask=mask,
        affine_mm=AFFINE,
        frequency_hz=frequency_hz,
        noise_std_m=3e-8,
        density_kg_m3=1040.0,
        label=label,
    )


@pytest.mark.parametrize("frequency_hz", [50.0, 62.5, 33.333])
def test_round_trip(frequency_hz: float, tmp_path: Path) -> None:
    """What one step writes the next must read unchanged, on an oblique anisotropic grid and at any frequency."""
    field = replace(_field(frequency_hz=frequency_hz), density_assumed=frequency_hz == 50.0)
    write_wave_field(tmp_path, field)
    (again,) = read_wave_fields(tmp_path)
    # float32 on disk in micrometres: one rounding.
    np.testing.assert_allclose(again.displacement_m, field.displacement_m, rtol=1e-6, atol=1e-13)
    np.testing.assert_array_equal(again.mask, field.mask)
    np.testing.assert_allclose(again.affine_mm, field.affine_mm, atol=1e-5)
    assert again.frequency_hz == frequency_hz
    assert again.noise_std_m == pytest.approx(field.noise_std_m)
    assert (again.density_kg_m3, again.density_assumed) == (field.density_kg_m3, field.density_assumed)
    assert again.label == field.label


def test_runs_and_frequencies_come_in_order(tmp_path: Path) -> None:
    """Later steps number their results by this order, so it must not depend on the file system or on text order."""
    for label, frequency_hz in (("sub-01_run-2", 30.0), ("sub-01_run-1", 100.0), ("sub-01_run-1", 30.0)):
        write_wave_field(tmp_path, _field(label, frequency_hz, seed=round(frequency_hz)))
    found = [(field.label, field.frequency_hz) for field in read_wave_fields(tmp_path)]
    assert found == [("sub-01_run-1", 30.0), ("sub-01_run-1", 100.0), ("sub-01_run-2", 30.0)]


def test_stated_zero_noise_is_no_measurement(tmp_path: Path) -> None:
    """Taken at its word, a noise of zero would make infinitely narrow intervals."""
    write_wave_field(tmp_path, _field())
    _change_sidecar(tmp_path, NoiseStd=0.0)
    (found,) = read_wave_fields(tmp_path)
    assert found.noise_std_m is None
    assert relative_noise(found) is None


def test_relative_noise_is_of_the_whole_vector() -> None:
    """Published noise levels are in percent of mean |u|; |u| of one component would state them too large."""
    field = replace(_field(), displacement_m=np.full((5, 4, 3, 3), 3e-6 + 4e-6j), noise_std_m=1e-7)
    assert relative_noise(field) == pytest.approx(1e-7 / (5e-6 * np.sqrt(3)))


def _change_sidecar(folder: Path, **changes: object) -> None:
    path = folder / "sub-01_ses-01_acq-50Hz_wavefield.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _real(folder: Path) -> Path:
    return folder / "sub-01_ses-01_acq-50Hz_part-real_wavefield.nii.gz"


def _rewrite(folder: Path, change: Callable[[nib.Nifti1Image], nib.Nifti1Image]) -> None:
    image = nib.load(_real(folder))
    nib.save(change(nib.Nifti1Image(image.get_fdata(), image.affine, image.header)), _real(folder))


def _in_metres(image: nib.Nifti1Image) -> nib.Nifti1Image:
    image.header.set_xyzt_units("meter")
    return image


def _nowhere(image: nib.Nifti1Image) -> nib.Nifti1Image:
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    return image


def _second_name(folder: Path) -> None:
    for part in ("real", "imag"):
        old = folder / f"sub-01_ses-01_acq-50Hz_part-{part}_wavefield.nii.gz"
        (folder / old.name.replace("50Hz", "50.0Hz")).write_bytes(old.read_bytes())
    old = folder / "sub-01_ses-01_acq-50Hz_wavefield.json"
    (folder / old.name.replace("50Hz", "50.0Hz")).write_bytes(old.read_bytes())


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "positions in metres": (lambda path: _rewrite(path, _in_metres), "millimetres"),
    "no position": (lambda path: _rewrite(path, _nowhere), "neither sform nor qform"),
    "complex voxels": (
        lambda path: _rewrite(path, lambda image: nib.Nifti1Image(image.get_fdata() * 1j, image.affine)),
        "real numbers",
    ),
    "unknown file name": (lambda path: _real(path).rename(path / "wave_wavefield.nii.gz"), "file name"),
    "same field twice": (_second_name, "two wave fields"),
    "both .nii and .nii.gz": (lambda path: nib.save(nib.load(_real(path)), str(_real(path))[:-3]), "twice"),
    "mask with labels": (
        lambda path: nib.save(
            nib.Nifti1Image(np.full((5, 4, 3), 2, np.uint8), AFFINE), path / "sub-01_ses-01_mask.nii.gz"
        ),
        "other than 0 and 1",
    ),
    "two foreign masks": (
        lambda path: (
            [
                (path / f"{name}_mask.nii.gz").write_bytes((path / "sub-01_ses-01_mask.nii.gz").read_bytes())
                for name in "ab"
            ]
            and (path / "sub-01_ses-01_mask.nii.gz").unlink()
        ),
        "2 masks",
    ),
    "true as a number": (lambda path: _change_sidecar(path, Density=True), "Density"),
    "a word for a flag": (lambda path: _change_sidecar(path, DensityAssumed="no"), "DensityAssumed"),
    "infinite noise": (lambda path: _change_sidecar(path, NoiseStd=float("inf")), "NoiseStd"),
    "nothing moves": (
        lambda path: [
            nib.save(
                nib.Nifti1Image(np.zeros((5, 4, 3, 3), np.float32), AFFINE),
                path / _real(path).name.replace("real", part),
            )
            for part in ("real", "imag")
        ],
        "no displacement",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_doubtful_folder_is_refused(what: str, tmp_path: Path) -> None:
    """Each of these can be read somehow; reading it somehow is how wrong maps are made."""
    write_wave_field(tmp_path, _field())
    spoil, mentioned = SPOILT[what]
    spoil(tmp_path)
    with pytest.raises(InputError, match=mentioned):
        read_wave_fields(tmp_path)


def test_only_mask_of_a_folder_serves_all(tmp_path: Path) -> None:
    """Other laboratories write one mask for several runs; it need not bear a run's name."""
    write_wave_field(tmp_path, _field())
    (tmp_path / "sub-01_ses-01_mask.nii.gz").rename(tmp_path / "brain_mask.nii.gz")
    assert read_wave_fields(tmp_path)[0].mask.sum() == 48


# What a scanner did, as a folder may say it.


def _with_sidecar(folder: Path, **facts: object) -> None:
    (path,) = folder.glob("*_wavefield.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def _encoded(folder: Path, field: WaveField, axes: np.ndarray) -> None:
    """Write a folder whose components lie along other axes, shape (n, 3)."""
    folder.mkdir(parents=True)
    write_wave_field(folder, field)
    for part, values in (("real", field.displacement_m.real), ("imag", field.displacement_m.imag)):
        (path,) = folder.glob(f"*_part-{part}_wavefield.nii.gz")
        write_nifti(path, np.asarray(1e6 * values @ axes.T, dtype=np.float32), field.affine_mm)
    _with_sidecar(folder, Directions=axes.tolist())


TILTED = np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.6, 0.8]])


def test_three_directions_become_right_anterior_superior(tmp_path: Path) -> None:
    """Oblique and not orthogonal, as encodings are; the noise along them becomes that along the world's axes."""
    field = shear_waves(noise=0.02)
    _encoded(tmp_path / "in", field, TILTED)
    (found,) = read_wave_fields(tmp_path / "in")
    size = np.abs(field.displacement_m).max()
    assert np.abs(found.displacement_m - field.displacement_m).max() < 1e-6 * size
    assert field.noise_std_m is not None
    expected = np.sqrt(np.sum(np.linalg.inv(TILTED) ** 2) / 3) * field.noise_std_m
    assert found.noise_std_m == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2])
def test_missing_directions_are_told_truly(count: int, tmp_path: Path) -> None:
    """One or two directions are a valid statement: each component stays along its own, none is filled with zeros."""
    _encoded(tmp_path / "in", shear_waves(), np.eye(3)[-count:])
    (field,) = read_wave_fields(tmp_path / "in")
    assert field.directions is not None
    assert np.array_equal(field.directions, np.eye(3)[-count:])
    assert field.displacement_m.shape[-1] == count


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"Directions": [[1, 0, 0], [0, 1, 0]]}, "Directions"),
        ({"Directions": [[1, 0, 0], [0, 1, 0], [0, 0, 2]]}, "unit vectors"),
        ({"Directions": [[1, 0, 0], [0, 1, 0], [0, 1, 0]]}, "independent"),
        ({"Directions": "RAS"}, "Directions: 'RAS'"),
        ({"SliceThicknessMm": 0}, "SliceThicknessMm"),
        ({"AcquiredMatrix": [64]}, "AcquiredMatrix"),
        ({"AcquiredMatrix": [64.5, 64]}, "AcquiredMatrix"),
        ({"NoiseCorrelation": [0.5]}, "NoiseCorrelation"),
        ({"NoiseCorrelation": [0.5, 1.0]}, "NoiseCorrelation"),
    ],
)
def test_what_a_scanner_did_is_checked(facts: dict[str, object], told: str, tmp_path: Path) -> None:
    """A statement that cannot be true is refused with its key, not passed over."""
    write_wave_field(tmp_path, shear_waves())
    _with_sidecar(tmp_path, **facts)
    with pytest.raises(InputError) as refused:
        read_wave_fields(tmp_path)
    assert told in str(refused.value)


def _spoil_real(change: Callable[[np.ndarray], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        (path,) = folder.glob("*_part-real_wavefield.nii.gz")
        image = nib.load(path)
        values = image.get_fdata(dtype=np.float32)
        change(values)
        nib.save(nib.Nifti1Image(values, image.affine, image.header), path)

    return spoil


NO_PAIRS: dict[str, tuple[Callable[[Path], object], str]] = {
    "parallel": (lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, 1, 0]]), "closest two 0.0 degrees"),
    "antiparallel": (lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, -1, 0]]), "closest two 0.0 degrees"),
    "nearly parallel": (
        lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, 0.98, 0.199]]),
        "closest two 11.5 degrees",
    ),
    "not of unit length": (lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, 0, 0.5]]), "unit vectors"),
    "no direction": (lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, 0, 0]]), "unit vectors"),
    "not a number": (lambda path: _with_sidecar(path, Directions=[[0, 1, 0], [0, 0, np.nan]]), "unit vectors"),
    "one too many": (lambda path: _with_sidecar(path, Directions=np.eye(3).tolist()), "2 independent unit vectors"),
    "a value that is none": (_spoil_real(lambda values: values.__setitem__((4, 4, 4, 1), np.nan)), "not finite"),
    "a silent component": (_spoil_real(lambda values: values[..., 1].fill(0.0)), "component 2: the real part is zero"),
}


@pytest.mark.parametrize("what", NO_PAIRS)
def test_two_components_that_are_no_pair_are_refused(what: str, tmp_path: Path) -> None:
    """Each would put noise, or one direction's motion, into the other."""
    _encoded(tmp_path / "in", shear_waves(), np.eye(3)[1:])
    spoil, told = NO_PAIRS[what]
    spoil(tmp_path / "in")
    with pytest.raises(InputError) as refused:
        read_wave_fields(tmp_path / "in")
    assert told in str(refused.value)


@pytest.mark.parametrize("degrees", [20.0, 80.0, 100.0])
def test_two_components_at_any_angle_stay_what_they_are(degrees: float, tmp_path: Path) -> None:
    """They are neither turned to right angles nor scaled; lengths that were rounded are made exact."""
    angle = np.radians(degrees)
    axes = np.array([[0.0, 0.0, 1.0], [0.0, np.sin(angle), np.cos(angle)]])
    field = shear_waves()
    _encoded(tmp_path / "in", field, axes)
    _with_sidecar(tmp_path / "in", Directions=(1.004 * axes).round(4).tolist())
    (found,) = read_wave_fields(tmp_path / "in")
    assert found.directions == pytest.approx(axes, abs=1e-3)
    assert found.displacement_m == pytest.approx(field.displacement_m @ axes.T, rel=1e-5, abs=1e-12)


def test_directions_are_asked_for_where_components_are_missing(tmp_path: Path) -> None:
    """Nobody can know which of three components two are."""
    _encoded(tmp_path / "in", shear_waves(), np.eye(3)[:2])
    _with_sidecar(tmp_path / "in", Directions=None)
    with pytest.raises(InputError, match="Directions"):
        read_wave_fields(tmp_path / "in")


def test_what_a_scanner_did_survives_the_way_through_a_folder(tmp_path: Path) -> None:
    """Thickness, acquired matrix and an arbitrary unit are read as they were written."""
    field = replace(
        shear_waves(), slice_thickness_mm=1.5, acquired_matrix=(9, 16), motion_encoding_known=False, noise_std_m=1e-7
    )
    write_wave_field(tmp_path, field)
    (found,) = read_wave_fields(tmp_path)
    kept = ("slice_thickness_mm", "acquired_matrix", "motion_encoding_known")
    assert [getattr(found, name) for name in kept] == [1.5, (9, 16), False]


def test_a_key_with_another_name_is_read_under_either(tmp_path: Path) -> None:
    """Folders of earlier versions go on working; one that says two things is refused, and spelling is checked."""
    write_wave_field(tmp_path, replace(shear_waves(), noise_std_m=1e-7, linear_phase_error_std_m=2e-8))
    sidecar = next(tmp_path.glob("*_wavefield.json"))
    written = json.loads(sidecar.read_text())
    assert written["DriftStd"] == written["LinearPhaseErrorStd"] == pytest.approx(0.02)
    for dropped in ("DriftStd", "LinearPhaseErrorStd"):
        sidecar.write_text(json.dumps({name: value for name, value in written.items() if name != dropped}))
        assert read_wave_fields(tmp_path)[0].linear_phase_error_std_m == pytest.approx(2e-8)
    for wrong in ({"DriftStd": 0.5}, {"driftStd": 0.02}, {"Linear_Phase_Error_Std": 0.02}):
        sidecar.write_text(json.dumps(written | wrong))
        with pytest.raises(InputError, match=r"LinearPhaseErrorStd|DriftStd"):
            read_wave_fields(tmp_path)


def _noise_map(change: Callable[[np.ndarray], object], turn: np.ndarray = AFFINE) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        values = np.full((5, 4, 3, 3), 0.1, np.float32)
        change(values)
        write_nifti(folder / "sub-01_ses-01_acq-50Hz_desc-noise_map.nii.gz", values, turn)

    return write


BAD_MAPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "infinite": (_noise_map(lambda values: values.__setitem__((2, 2, 2, 0), np.inf)), "1 values in the mask"),
    "nan": (_noise_map(lambda values: values.__setitem__((2, 2, 2, 0), np.nan)), "1 values in the mask"),
    "another grid": (_noise_map(np.copy, AFFINE @ np.diag([-1.0, 1.0, 1.0, 1.0])), "another affine"),
    "a silent direction": (_noise_map(lambda values: values[..., 1].fill(0.0)), "along direction 2"),
}


@pytest.mark.parametrize("stated", [0.0, 0.03])
@pytest.mark.parametrize("what", BAD_MAPS)
def test_a_doubtful_noise_map_is_refused(what: str, stated: float, tmp_path: Path) -> None:
    """Whether or not the sidecar states the noise too: the map is written on, and later steps read it."""
    write_wave_field(tmp_path, _field())
    _change_sidecar(tmp_path, NoiseStd=stated)
    spoil, found = BAD_MAPS[what]
    spoil(tmp_path)
    with pytest.raises(InputError) as refused:
        read_wave_fields(tmp_path)
    assert found in refused.value.found
    assert refused.value.where.endswith("_desc-noise_map.nii.gz")


def test_a_noise_map_need_not_be_compressed(tmp_path: Path) -> None:
    """As every other file of the folder; outside the mask it may hold anything."""
    write_wave_field(tmp_path, _field())
    _change_sidecar(tmp_path, NoiseStd=0.0)
    _noise_map(lambda values: values[0].fill(np.nan))(tmp_path)
    (path,) = tmp_path.glob("*_desc-noise_map.nii.gz")
    nib.save(nib.load(path), str(path)[:-3])
    with pytest.raises(InputError, match="same map twice"):
        read_wave_fields(tmp_path)
    path.unlink()
    (found,) = read_wave_fields(tmp_path)
    assert found.noise_std_m == pytest.approx(1e-7)


def test_a_noise_map_states_the_noise(tmp_path: Path) -> None:
    """Where no NoiseStd is given: its root mean square over voxels and directions, turned as the components are."""
    field = shear_waves()
    _encoded(tmp_path / "in", field, TILTED)
    generator = np.random.default_rng(2)
    noise_um = generator.uniform(0.1, 0.3, size=(*field.mask.shape, 3))
    path = tmp_path / "in" / "sub-01_ses-01_acq-60Hz_desc-noise_map.nii.gz"
    write_nifti(path, noise_um.astype(np.float32), field.affine_mm)
    (found,) = read_wave_fields(tmp_path / "in")
    expected = np.sqrt(np.mean(noise_um**2 @ (np.linalg.inv(TILTED) ** 2).T))
    assert found.noise_std_m == pytest.approx(1e-6 * expected, rel=1e-5)
    assert found.noise_map_m == pytest.approx(1e-6 * np.sqrt(noise_um**2 @ (np.linalg.inv(TILTED) ** 2).T), rel=1e-5)
    write_nifti(path, noise_um[..., 0].astype(np.float32), field.affine_mm)
    with pytest.raises(InputError, match="by voxel and direction"):
        read_wave_fields(tmp_path / "in")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"affine_mm": np.array([[2.0, 0.2, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])}, "voxel axes that meet"),
        ({"slice_thickness_mm": 200.0}, "slices of 200 mm at a distance of 2 mm"),
        (
            {"noise_map_m": np.full((5, 5, 5, 3), 1e-12), "noise_std_m": 1e-7},
            "noise map of 1e-06 um beside a noise of 0.1",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_by_every_door(changes: dict[str, object], said: str) -> None:
    """WaveField is the one door behind all readers: cells are boxes, slices are as thick as they can be."""
    sound: dict[str, object] = {
        "displacement_m": np.full((5, 5, 5, 3), 1e-6 + 1e-6j),
        "mask": np.ones((5, 5, 5), dtype=bool),
        "affine_mm": np.diag([2.0, 2.0, 2.0, 1.0]),
        "frequency_hz": 50.0,
        "noise_std_m": 1e-7,
        "density_kg_m3": 1000.0,
        "label": "sub-01",
    }
    WaveField(**sound)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=said):
        WaveField(**sound | changes)  # type: ignore[call-overload]
