"""What a wave-field folder states, settings state too, or is there twice: contradictions are refused, never ignored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.checks.complex_parts import demand_real_and_imaginary
from palpate.imaging.checks.stated_twice import believed_headers, settled_by_settings
from palpate.imaging.files.displacement_arrays import read_displacement_arrays
from palpate.imaging.files.wavefield_folder import read_wave_fields, write_wave_field
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import shear_waves

DOORS = ("folder", "arrays")
ARRAYS = IngestSettings.model_validate({"arrays": {"units": "um", "components": "world", "mask": "all"}})


def _write(home: Path, door: str, field: WaveField, sidecar: Mapping[str, object] | None = None) -> Path:
    """A wave-field folder, or a folder of arrays; several fields may go into one."""
    home.mkdir(exist_ok=True)
    if door == "folder":
        write_wave_field(home, field)
        path = home / f"{field.label}_acq-{field.frequency_hz:g}Hz_wavefield.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | dict(sidecar or {})))
        return home
    for part, values in (("re", field.displacement_m.real), ("im", field.displacement_m.imag)):
        image = nib.Nifti1Image((1e6 * values).astype(np.float32), field.affine_mm)
        nib.save(image, home / f"U01_{field.frequency_hz:g}Hz_disp_{part}.nii.gz")
    return home


def _read(home: Path, door: str) -> tuple[WaveField, ...]:
    return read_wave_fields(home) if door == "folder" else read_displacement_arrays(home, "sub-01", ARRAYS)


def _stored(values: np.ndarray) -> WaveField:
    return replace(shear_waves(), displacement_m=1e-6 * values)


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        ("exp(+i omega t)", "+"),
        ("exp(i*omega*t)", "+"),
        ("exp(+jwt)", "+"),
        ("exp(-i omega t)", "-"),
        ("exp(-j * w * t)", "-"),
        ("exp(-i\N{GREEK SMALL LETTER OMEGA}t)", "-"),
    ],
)
def test_the_stated_sign_of_time_is_obeyed(words: str, sign: str, tmp_path: Path) -> None:
    """A field that says exp(-i omega t) is the complex conjugate of the wave field, and its loss modulus negative."""
    field = shear_waves()
    given = replace(field, displacement_m=field.displacement_m.conj()) if sign == "-" else field
    (found,) = read_wave_fields(_write(tmp_path / "in", "folder", given, {"TimeConvention": words}))
    np.testing.assert_allclose(found.displacement_m, field.displacement_m, atol=1e-11)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TimeConvention", "backwards"),
        ("TimeConvention", -1),
        ("timeConvention", "exp(-i omega t)"),
        ("Noise_Std", 0.1),
        ("motionencodingknown", False),
    ],
)
def test_unknown_statements_are_refused_with_their_words(key: str, value: object, tmp_path: Path) -> None:
    """A statement that nobody reads changes the result by what it would have said."""
    with pytest.raises(InputError) as refused:
        read_wave_fields(_write(tmp_path / "in", "folder", shear_waves(), {key: value}))
    assert key in refused.value.found


def test_settings_that_contradict_the_waves_are_refused() -> None:
    """Whoever states 50 Hz beside waves of 60 Hz believes in another stiffness, by 44 %."""
    fields = (shear_waves(), shear_waves(frequency_hz=80.0))
    for given, told in (
        ({"frequency_hz": 50.0}, "frequency_hz of 50 Hz"),
        ({"density_kg_m3": 1060.0}, "density_kg_m3 of 1060"),
        ({"arrays": {"frequencies_hz": [50.0, 80.0]}}, "arrays.frequencies_hz of 50 Hz"),
    ):
        with pytest.raises(InputError) as refused:
            settled_by_settings(fields, IngestSettings.model_validate(given), "wave-field folder")
        assert told in refused.value.found


def test_settings_that_agree_or_know_more_are_taken() -> None:
    """A known density replaces an assumed one; what both state alike is kept."""
    fields = (shear_waves(), replace(shear_waves(), density_assumed=True))
    stated = IngestSettings(frequency_hz=60.0, density_kg_m3=1000.0)
    same, known = settled_by_settings(fields, stated, "wave-field folder")
    assert same is fields[0]
    assert not known.density_assumed
    (heavier,) = settled_by_settings(fields[1:], IngestSettings(density_kg_m3=1060.0), "wave-field folder")
    assert heavier.density_kg_m3 == 1060.0


@pytest.mark.parametrize("door", DOORS)
def test_one_array_at_two_frequencies_is_refused(door: str, tmp_path: Path) -> None:
    """Waves of another frequency are other waves; with equal ones G' would follow the square of a file's name."""
    for frequency_hz in (60.0, 80.0):
        home = _write(tmp_path / "in", door, replace(shear_waves(), frequency_hz=frequency_hz))
    with pytest.raises(InputError, match="the same displacement at 60 and at 80 Hz") as refused:
        _read(home, door)
    assert all(re.search(rf"{hz}Hz_\S+\.nii", str(refused.value)) for hz in (60, 80))


def _polar(waves: np.ndarray, unit: str) -> tuple[np.ndarray, np.ndarray]:
    angle = np.angle(waves)
    turned = {"radians": angle, "degrees": np.degrees(angle), "from 0": angle % (2.0 * np.pi)}[unit]
    return np.abs(waves), turned


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("unit", ["radians", "degrees", "from 0"])
@pytest.mark.parametrize("order", ["amplitude first", "phase first"])
def test_amplitude_and_phase_are_no_real_and_imaginary_part(order: str, unit: str, door: str, tmp_path: Path) -> None:
    """Exports often hold these two; taken for real and imaginary part they are a field with a wavelength of its own."""
    amplitude, phase = _polar(1e6 * shear_waves(noise=0.02).displacement_m, unit)
    stored = phase + 1j * amplitude if order == "phase first" else amplitude + 1j * phase
    home = _write(tmp_path / "in", door, replace(_stored(stored), noise_std_m=None))
    with pytest.raises(InputError) as refused:
        _read(home, door)
    assert "amplitude and phase in" in refused.value.found


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("unit", ["radians", "degrees", "from 0"])
@pytest.mark.parametrize("order", ["amplitude first", "phase first"])
def test_amplitude_and_phase_of_fewer_directions_are_refused(
    order: str, unit: str, components: int, tmp_path: Path
) -> None:
    """Nobody knows their divergence; a phase that goes round fills its turn, which no displacement does."""
    waves = shear_waves(noise=0.02)
    amplitude, phase = _polar(1e6 * waves.displacement_m[..., -components:], unit)
    stored = phase + 1j * amplitude if order == "phase first" else amplitude + 1j * phase
    polar = replace(waves, displacement_m=1e-6 * stored, directions=np.eye(3)[-components:], noise_std_m=None)
    with pytest.raises(InputError, match=r"amplitude and phase in (radians|degrees)"):
        read_wave_fields(_write(tmp_path / "in", "folder", polar))
    with pytest.raises(InputError, match="amplitude and phase"):
        demand_real_and_imaginary("Python", polar, 1e6 * polar.displacement_m)


@pytest.mark.parametrize("size", [0.03, 0.3, 1.0])
def test_waves_of_one_direction_that_happen_to_be_positive_are_read(size: float, tmp_path: Path) -> None:
    """As of three directions."""
    waves = 1e6 * size * shear_waves(noise=0.02).displacement_m[..., 2:]
    stored = replace(
        shear_waves(), displacement_m=1e-6 * (waves + 2.0 * np.abs(waves.real).max()), directions=np.eye(3)[2:]
    )
    (found,) = read_wave_fields(_write(tmp_path / "in", "folder", stored))
    assert found.displacement_m.real.min() > 0.0


@pytest.mark.parametrize("size", [0.03, 0.3])
def test_waves_that_happen_to_be_positive_are_read(size: float, tmp_path: Path) -> None:
    """A head that sways has a real part of one sign, and small waves an imaginary part within one turn."""
    waves = 1e6 * size * shear_waves(noise=0.02).displacement_m
    stored = waves + 2.0 * np.abs(waves.real).max()
    (found,) = _read(_write(tmp_path / "in", "folder", _stored(stored)), "folder")
    assert found.displacement_m.real.min() > 0.0


@pytest.mark.parametrize("degrees", [11.5, 5.0])
def test_nearly_parallel_directions_are_refused_with_their_angle(degrees: float, tmp_path: Path) -> None:
    """Noise of the component between them is multiplied by ten; 60 degrees apart is a usual scheme."""
    angle = np.radians(degrees)
    rows = [[1.0, 0.0, 0.0], [float(np.cos(angle)), float(np.sin(angle)), 0.0], [0.0, 0.0, 1.0]]
    with pytest.raises(InputError) as refused:
        read_wave_fields(_write(tmp_path / "in", "folder", shear_waves(), {"Directions": rows}))
    assert f"{degrees:.1f} degrees apart" in refused.value.found
    assert "condition number" in refused.value.found


@pytest.mark.parametrize("door", DOORS)
def test_errors_name_files_within_the_given_folder(door: str, tmp_path: Path) -> None:
    """Folders are named after patients, and what is printed stays in logs."""
    home = _write(tmp_path / "DOE^JOHN", door, shear_waves())
    next(home.glob("*real_wavefield*" if door == "folder" else "*disp_re*")).write_bytes(b"no image")
    with pytest.raises(InputError) as refused:
        _read(home, door)
    assert "DOE" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert refused.value.where.endswith(".nii.gz")


def test_headers_are_believed_aloud() -> None:
    """A frequency in the settings that nothing uses would let its reader believe that it was used."""
    assert believed_headers([50.0, 60.0], None) == ()
    assert believed_headers([50.0, 60.0], 60.0) == ()
    (warning,) = believed_headers([50.0], 60.0)
    assert warning.code == "frequency-of-settings"
    assert "60 Hz, the headers 50 Hz" in warning.sentence
