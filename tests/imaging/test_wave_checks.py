"""What a wave field says against itself, on every door: wrong units and conventions are refused or named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.ingest import ingest
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import OBLIQUE, shear_waves

SHAPE = (18, 16, 8)


def _codes(field: WaveField) -> list[str]:
    return [one.code for one in wave_warnings(field)]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("seed", range(6))
def test_sound_waves_raise_nothing(seed: int, noise: float) -> None:
    """A flag that is often up is no flag."""
    assert _codes(shear_waves(OBLIQUE, noise=noise, seed=seed)) == []


def _wrong(change: Callable[[WaveField], WaveField], code: str, cause: str) -> tuple[object, str, str]:
    return change, code, cause


FAULTS = {
    "conjugate": _wrong(lambda f: replace(f, displacement_m=f.displacement_m.conj()), "sign-of-time", "sign of time"),
    "rad/s for Hz": _wrong(
        lambda f: replace(f, frequency_hz=377.0), "implausible-modulus", "377 rad/s are 60 Hz), it is"
    ),
    "Hz over 2 pi": _wrong(lambda f: replace(f, frequency_hz=9.549), "implausible-modulus", "the frequency is 60 Hz"),
    "voxels in centimetres": _wrong(
        lambda f: replace(f, affine_mm=np.diag([0.1, 0.1, 0.1, 1.0]) @ f.affine_mm),
        "implausible-modulus",
        "in centimetres instead of millimetres",
    ),
    "millimetres for um": _wrong(
        lambda f: replace(f, displacement_m=1e-3 * f.displacement_m, noise_std_m=1e-3 * (f.noise_std_m or 0.0)),
        "small-displacement",
        "in millimetres, it is",
    ),
    "reversed": _wrong(
        lambda f: replace(f, displacement_m=f.displacement_m * [1, -1, 1]), "component-axes", "component A reversed"
    ),
    "exchanged": _wrong(
        lambda f: replace(f, displacement_m=f.displacement_m[..., [2, 1, 0]]),
        "component-axes",
        "component R and S exchanged",
    ),
    "mask over air": _wrong(
        lambda f: replace(f, displacement_m=f.displacement_m * (np.arange(18) < 16)[:, None, None, None]),
        "mask-without-data",
        "11.1 %",
    ),
    "interpolated": _wrong(lambda f: replace(f, acquired_matrix=(9, 16)), "interpolated-images", "9 x 16"),
    "noise overstated": _wrong(
        lambda f: replace(f, noise_std_m=4 * (f.noise_std_m or 0.0)), "correlated-noise", "overstated"
    ),
}


@pytest.mark.parametrize("noise", [0.01, 0.03])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str, noise: float) -> None:
    """The warning names the cause, and no other warning comes with it."""
    change, code, cause = FAULTS[fault]
    (warning,) = wave_warnings(change(shear_waves(noise=noise)))
    assert warning.code == code
    assert cause in warning.sentence


@pytest.mark.parametrize(("spacing_mm", "codes"), [(12.0, []), (40.0, ["slices-far-apart"])])
def test_slices_that_no_wave_can_be_followed_across(spacing_mm: float, codes: list[str]) -> None:
    """Waves of 30 mm are followed in steps of 12 mm, not of 40; one component alone is not checked for divergence."""
    field = shear_waves(np.diag([2.0, 2.0, spacing_mm, 1.0]))
    one = replace(field, displacement_m=field.displacement_m[..., 2:], directions=np.eye(3)[2:])
    assert _codes(one) == ["fewer-directions", *codes]


def test_several_faults_are_all_named() -> None:
    """One warning does not hide another."""
    field = shear_waves()
    both = replace(field, displacement_m=field.displacement_m.conj() * [1, 1, -1])
    assert set(_codes(both)) == {"sign-of-time", "component-axes"}


# The same faults through the doors: a wave-field folder and arrays of another laboratory.


def _folder(path: Path, field: WaveField, **sidecar: object) -> Path:
    path.mkdir(parents=True)
    write_wave_field(path, field)
    (file,) = path.glob("*_wavefield.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | sidecar))
    return path


def _arrays(path: Path, field: WaveField) -> Path:
    path.mkdir(parents=True)
    for part, values in (("re", field.displacement_m.real), ("im", field.displacement_m.imag)):
        image = nib.Nifti1Image((1e6 * values).astype(np.float32), field.affine_mm)
        image.header.set_xyzt_units("mm")
        nib.save(image, path / f"U01_{field.frequency_hz:g}Hz_disp_{part}.nii.gz")
    return path


ARRAYS = {"units": "um", "components": "world", "mask": "all"}


def _record(source: Path, out: Path, **settings: object) -> dict:
    chosen = IngestSettings.model_validate({"identifiers": "retained", "arrays": ARRAYS, **settings})
    ingest(source, "sub-01_ses-01", out, anatomy=None, settings=chosen)
    (record,) = out.glob("*_ingest.json")
    return json.loads(record.read_text())["frequencies"][0]


@pytest.mark.parametrize("fault", ["conjugate", "rad/s for Hz", "reversed", "exchanged"])
@pytest.mark.parametrize("door", ["folder", "arrays"])
def test_faults_stand_in_the_record_of_every_door(
    door: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Record and log say the cause, whichever way the waves came in."""
    change, code, cause = FAULTS[fault]
    faulty = change(shear_waves())
    source = _folder(tmp_path / "in", faulty) if door == "folder" else _arrays(tmp_path / "in", faulty)
    (warning,) = _record(source, tmp_path / "out")["warnings"]
    assert warning["code"] == code
    assert cause in warning["sentence"]
    assert cause in capsys.readouterr().err


@pytest.mark.parametrize("door", ["folder", "arrays"])
def test_every_door_gives_picture_snr_and_gate(door: str, tmp_path: Path) -> None:
    """Waves that came without phase images are judged like those of a scanner."""
    field = shear_waves(noise=0.02)
    source = _folder(tmp_path / "in", field) if door == "folder" else _arrays(tmp_path / "in", field)
    found = _record(source, tmp_path / "out")
    assert found["warnings"] == []
    assert found["oss_snr"] > 3.0
    assert found["waves_strong_enough"]
    assert found["divergence_over_curl"] < 0.1
    assert list((tmp_path / "out").glob("*_quality.png"))
    assert list((tmp_path / "out").glob("*_desc-osssnr_map.nii.gz"))
    with pytest.raises(InputError, match="octahedral-shear-strain SNR"):
        _record(source, tmp_path / "refused", least_oss_snr=1e6, weak_waves="refuse")


@pytest.mark.parametrize(
    ("sidecar", "told"),
    [
        ({"Density": 1.0}, "Density of 1 kg/m3"),
        ({"Density": 1e6}, "Density of 1e"),
        ({"Units": "m"}, "largest displacement"),
        ({"Units": "nm", "NoiseStd": None}, "largest displacement"),
    ],
)
def test_numbers_in_another_unit_are_refused_in_a_folder(sidecar: dict[str, object], told: str, tmp_path: Path) -> None:
    """The file and the key that hold the number are named."""
    field = replace(shear_waves(), displacement_m=1e-2 * shear_waves().displacement_m)
    source = _folder(tmp_path / "in", field if sidecar.get("Units") == "nm" else shear_waves(), **sidecar)
    with pytest.raises(InputError) as refused:
        read_wave_fields(source)
    assert told in refused.value.found
    assert refused.value.where.endswith(("_wavefield.json", "part-real_wavefield.nii.gz"))


def test_an_arbitrary_unit_has_no_range(tmp_path: Path) -> None:
    """Where nobody knows the motion encoding the displacement has no unit, and the waves are as good."""
    assert read_wave_fields(_folder(tmp_path / "in", shear_waves(), Units="m", MotionEncodingKnown=False))


@pytest.mark.parametrize("door", ["folder", "arrays"])
@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (lambda u: u * [1, 1, 0], "component S zero"),
        (lambda u: u * [1, 0, 1] + [0, 1e-6 + 2e-6j, 0], "component A the same"),
        (lambda u: u[..., [0, 0, 2]], "components R and A"),
        (lambda u: u[..., [0, 1, 0]] * [1, 1, -1], "components R and S"),
        (lambda u: u.real, "component R: the imaginary part is zero"),
        (lambda u: 1j * u.imag, "component R: the real part is zero"),
        (lambda u: u.real * (1 + 1j), "component R: real and imaginary part are the same"),
        (lambda u: np.where([False, False, True], u.imag * (1 - 1j), u), "component S: real and imaginary part"),
    ],
)
def test_a_component_that_nobody_measured_is_refused(
    door: str, fill: Callable[[np.ndarray], np.ndarray], told: str, tmp_path: Path
) -> None:
    """Zeros, a constant and a copy, of a component or of one of its parts, look like data to an inversion."""
    field = shear_waves()
    faulty = replace(field, displacement_m=fill(field.displacement_m).astype(np.complex128))
    source = _folder(tmp_path / "in", faulty) if door == "folder" else _arrays(tmp_path / "in", faulty)
    with pytest.raises(InputError) as refused:
        _record(source, tmp_path / "out")
    assert told in refused.value.found


@pytest.mark.parametrize("settings", [{"frequency_hz": 0.05}, {"frequency_hz": 16667.0}, {"density_kg_m3": 1.0}])
def test_settings_in_another_unit_are_refused(settings: dict[str, object], tmp_path: Path) -> None:
    """One limit for headers, sidecars, names and settings."""
    with pytest.raises(InputError, match="ingest settings"):
        _record(_arrays(tmp_path / "in", shear_waves()), tmp_path / "out", **settings)


@pytest.mark.parametrize(
    "change",
    [
        {"frequency_hz": 50000.0},
        {"density_kg_m3": 1.06},
        {"affine_mm": np.diag([2e-3, 2e-3, 2e-3, 1.0])},
    ],
)
def test_no_wave_field_is_born_with_another_unit(change: dict[str, object]) -> None:
    """Whoever makes a wave field in Python meets the same limits."""
    with pytest.raises(InputError):
        replace(shear_waves(), **change)


def test_values_inside_the_mask_are_finite() -> None:
    """A value that is not finite spreads over the whole map; outside the mask nobody looks."""
    field = shear_waves()
    holed = field.displacement_m.copy()
    holed[3, 3, 3, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        replace(field, displacement_m=holed)
    mask = field.mask.copy()
    mask[3, 3, 3] = False
    replace(field, displacement_m=holed, mask=mask)
