"""Twenty and more ways to hand palpate something unusable; each ends in one sentence, exit code 2 and no output."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.conftest import Outcome

STEM = "sub-01_ses-01"
REAL = f"{STEM}_acq-50Hz_part-real_wavefield.nii.gz"
IMAG = f"{STEM}_acq-50Hz_part-imag_wavefield.nii.gz"
SIDECAR = f"{STEM}_acq-50Hz_wavefield.json"
MASK = f"{STEM}_mask.nii.gz"
SHAPE = (6, 5, 4)

type Inside = Callable[..., Outcome]
type Spoiler = Callable[[Path], object]


def _save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine), path)


def _field(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*SHAPE, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small wave-field folder that is in order."""
    path = tmp_path / "given"
    path.mkdir()
    _save(path / REAL, _field(1))
    _save(path / IMAG, _field(2))
    _save(path / MASK, np.ones(SHAPE, np.uint8))
    _sidecar()(path)
    return path


def _sidecar(**changes: object) -> Spoiler:
    content = {"MechanicalFrequency": 50.0, "Units": "um", "NoiseStd": 0.1, "Density": 1000.0} | changes
    return lambda path: (path / SIDECAR).write_text(json.dumps(content))


def _one_value(value: float) -> Spoiler:
    values = _field(1)
    values[2, 2, 2, 1] = value
    return lambda path: _save(path / REAL, values)


def _truncate(name: str) -> Spoiler:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:200])


def _last_voxel_behind_the_checksum(path: Path) -> None:
    """One value changed and the checksum not: nothing but the checksum can tell."""
    name = path / IMAG
    content = bytearray(gzip.decompress(name.read_bytes()))
    stored = bytearray(gzip.compress(bytes(content), compresslevel=0))
    stored[stored.rfind(bytes(content[-64:])) + 60] ^= 1
    name.write_bytes(bytes(stored))


WAVE_FIELDS: dict[str, Spoiler] = {
    "value that its checksum denies": _last_voxel_behind_the_checksum,
    "no real part": lambda path: (path / REAL).unlink(),
    "no imaginary part": lambda path: (path / IMAG).unlink(),
    "no sidecar": lambda path: (path / SIDECAR).unlink(),
    "no mask": lambda path: (path / MASK).unlink(),
    "NaN": _one_value(np.nan),
    "infinity": _one_value(np.inf),
    "truncated file": _truncate(REAL),
    "not NIfTI": lambda path: (path / REAL).write_bytes(gzip.compress(b"hello")),
    "two components": lambda path: _save(path / REAL, _field(1)[..., :2]),
    "other shape": lambda path: _save(path / IMAG, _field(2)[:-1]),
    "other affine": lambda path: _save(path / IMAG, _field(2), np.diag([3.0, 2.0, 2.0, 1.0])),
    "empty mask": lambda path: _save(path / MASK, np.zeros(SHAPE, np.uint8)),
    "mask of other shape": lambda path: _save(path / MASK, np.ones((2, 2, 2), np.uint8)),
    "zero frequency": _sidecar(MechanicalFrequency=0.0),
    "negative frequency": _sidecar(MechanicalFrequency=-50.0),
    "frequency other than in the name": _sidecar(MechanicalFrequency=60.0),
    "frequency in words": _sidecar(MechanicalFrequency="fifty"),
    "unknown unit": _sidecar(Units="furlong"),
    "unit of a modulus": _sidecar(Units="kPa"),
    "negative noise": _sidecar(NoiseStd=-0.1),
    "zero density": _sidecar(Density=0.0),
    "sidecar is no JSON": lambda path: (path / SIDECAR).write_text("{"),
    "sidecar is a list": lambda path: (path / SIDECAR).write_text("[]"),
}


def _refused(outcome: Outcome, out: Path) -> None:
    """The one way in which bad input may end."""
    assert outcome.code == 2, outcome.printed
    sentences = [line for line in outcome.printed.splitlines() if line.startswith("palpate: ")]
    assert len(sentences) == 1
    assert "expected" in sentences[0]
    assert "Traceback" not in outcome.printed
    assert not out.exists()
    assert not list(out.parent.glob(".partial*"))


@pytest.mark.parametrize("what", WAVE_FIELDS)
def test_spoilt_wave_field_is_refused(what: str, folder: Path, palpate_inside: Inside) -> None:
    """A wave field that another laboratory made is where most mistakes enter; none may become a plausible map."""
    out = folder.parent / "out"
    WAVE_FIELDS[what](folder)
    _refused(palpate_inside("ingest", folder, "--label", STEM, "--out", out), out)


@pytest.mark.parametrize("command", ["mesh", "invert"])
def test_later_steps_refuse_it_too(command: str, folder: Path, palpate_inside: Inside) -> None:
    """Each step can be called by itself, so none may rely on an earlier one having looked."""
    out = folder.parent / "out"
    WAVE_FIELDS["NaN"](folder)
    _refused(palpate_inside(command, folder, "--out", out), out)


def _zip_of(name: str, content: bytes) -> Spoiler:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)

    return write


def _folder_of(name: str, content: bytes) -> Spoiler:
    def write(path: Path) -> None:
        path.mkdir()
        (path / name).write_bytes(content)

    return write


SOURCES: dict[str, Spoiler] = {
    "nothing there": lambda _: None,
    "empty folder": lambda path: path.mkdir(),
    "folder without DICOM": _folder_of("notes.txt", b"no images here"),
    "zip without DICOM": _zip_of("notes.txt", b"no images here"),
    "broken zip": lambda path: path.write_bytes(b"PK\x03\x04 and nothing more"),
    "file that is neither": lambda path: path.write_text("hello"),
    "DICOM preamble and nothing after": _folder_of("IM0001", b"\0" * 128 + b"DICM"),
}


@pytest.mark.parametrize("what", SOURCES)
def test_source_without_scan_is_refused(what: str, tmp_path: Path, palpate_inside: Inside) -> None:
    """The wrong path in the table of sessions must be told from a scan that is broken."""
    given, out = tmp_path / "given", tmp_path / "out"
    SOURCES[what](given)
    _refused(palpate_inside("ingest", given, "--label", STEM, "--out", out), out)
