"""Damaged bytes: whatever a copy, a network or a disk did to a file, it is read correctly or refused in one sentence.

An ordinary run tries a few hundred variants; PALPATE_FUZZ=2400 tries that many. A variant is its kind and its number,
so that a failure can be had again.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import nibabel as nib
import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from palpate.imaging.labels import read_classes, read_regions
from palpate.imaging.wavefield_folder import read_wave_fields
from tests.imaging.scanner import Scan, write_mre, write_t1

TOTAL = int(os.environ.get("PALPATE_FUZZ", "240"))
SECONDS = 20.0
"""Of processor time, for one variant; a healthy one takes a tenth of a second."""

STEM = "sub-01_ses-01"
SMALL = Scan(shape=(6, 4, 2), offsets=3)
SHAPE = (6, 5, 4)
AFFINE_MM = np.diag([2.0, 2.0, 2.0, 1.0])

type Reader = Callable[[Path, Path], object]


class _TooLong(BaseException):
    """No Exception, so that no reader takes it for damage."""


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TooLong


@contextmanager
def _time_limit() -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _damaged(content: bytes, rng: np.random.Generator, reach: int) -> bytes:
    """The content with one kind of damage, most of it within the first `reach` bytes, where formats are fragile."""
    some = bytearray(content)
    end = min(len(some), reach) if rng.random() < 0.8 else len(some)
    place = int(rng.integers(end)) if end else 0
    length = int(rng.integers(1, 9))
    kind = rng.integers(7)
    if kind == 0:
        return bytes(some[:place])
    if kind == 1:
        some[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        some[place : place + length] = rng.bytes(len(some[place : place + length]))
    elif kind == 3:
        some[place : place + length] = bytes([int(rng.choice([0, 0xFF, 0x7F, 0x30]))]) * length
    elif kind == 4:
        del some[place : place + length]
    elif kind == 5:
        some[place:place] = rng.bytes(length)
    else:
        for _ in range(length):
            some[int(rng.integers(end))] = int(rng.integers(256))
    return bytes(some)


def _dicom(home: Path) -> None:
    write_mre(home, SMALL)


def _zip(home: Path) -> None:
    write_mre(home / "raw", SMALL)
    with zipfile.ZipFile(home / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((home / "raw").rglob("*.ima")):
            archive.write(file, file.relative_to(home / "raw"))
    shutil.rmtree(home / "raw")


def _t1(home: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4000, size=(5, 4, 3)).astype(np.uint16)
    write_t1(home / "t1", values, SMALL, (1.0, 1.0, 1.5))


def _field(home: Path) -> None:
    """A wave-field folder, each file once compressed and once not."""
    rng = np.random.default_rng(0)
    for name in ("real.nii", "imag.nii.gz"):
        values = rng.normal(size=(*SHAPE, 3)).astype(np.float32)
        _save(home / f"{STEM}_acq-50Hz_part-{name[:4]}_wavefield{name[4:]}", values)
    _save(home / f"{STEM}_mask.nii.gz", np.ones(SHAPE, np.uint8))
    _save(home / f"{STEM}_magnitude.nii.gz", np.ones(SHAPE, np.float32))
    sidecar = {"MechanicalFrequency": 50.0, "Units": "um", "NoiseStd": 0.1, "Density": 1000.0, "DriftStd": 0.01}
    (home / f"{STEM}_acq-50Hz_wavefield.json").write_text(json.dumps(sidecar))


def _table(home: Path) -> None:
    lines = ["subject\tsession\tmre\tanatomy\tlabels\tdate", "01\t01\tmre\tmre\t\t2024-02-29", "01\t02\tmre\t\tn/a\t"]
    (home / "sessions.tsv").write_text("\n".join(lines) + "\n")
    (home / "mre").mkdir()


def _labels(home: Path) -> None:
    _save(home / "labels.nii.gz", np.random.default_rng(0).integers(0, 4, size=SHAPE).astype(np.int16))
    _save(home / "t1.nii.gz", np.random.default_rng(1).normal(100.0, 30.0, size=SHAPE).astype(np.float32))


def _save(path: Path, values: np.ndarray) -> None:
    image = nib.Nifti1Image(values, AFFINE_MM)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _ingest(given: Path, out: Path) -> object:
    return ingest(given, STEM, out, anatomy=None, settings=IngestSettings())


def _regions(given: Path, _: Path) -> object:
    mask = np.ones(SHAPE, bool)
    read_classes(given / "t1.nii.gz", mask, AFFINE_MM)
    return read_regions(given / "labels.nii.gz", mask, AFFINE_MM)


# What is written, which files are damaged, how far into them most damage goes, what reads them, share of variants.
KINDS: dict[str, tuple[Callable[[Path], None], str, int, Reader, float]] = {
    "DICOM": (_dicom, "*.ima", 1600, lambda given, _: read_acquisitions(given), 0.16),
    "DICOM of an anatomy": (_t1, "*.dcm", 1200, lambda given, _: read_anatomy(given), 0.2),
    "DICOM to de-identify": (
        _dicom, "*.ima", 1600, lambda given, out: deidentify(given, out, out.parent / "key"), 0.04,
    ),
    "zip": (_zip, "*.zip", 10**6, lambda given, _: read_acquisitions(given / "in.zip"), 0.08),
    "NIfTI": (_field, "*.nii*", 400, lambda given, _: read_wave_fields(given), 0.12),
    "NIfTI through ingest": (_field, "*.nii*", 400, _ingest, 0.04),
    "sidecar": (_field, "*.json", 10**6, lambda given, _: read_wave_fields(given), 0.08),
    "sessions.tsv": (_table, "*.tsv", 10**6, lambda given, _: read_study(given / "sessions.tsv"), 0.1),
    "segmentation": (_labels, "*.nii.gz", 400, _regions, 0.18),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(kind: str, tmp_path: Path) -> None:
    """A crash, a hang or half an output would each cost a user more than the file did."""
    write, pattern, reach, read, share = KINDS[kind]
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    write(given)
    read(given, out)
    files = sorted(given.rglob(pattern))
    failures, refused, count = [], 0, round(TOTAL * share)
    for number in range(count):
        shutil.rmtree(out, ignore_errors=True)
        rng = np.random.default_rng([number, *kind.encode()])
        file = files[int(rng.integers(len(files)))]
        whole = file.read_bytes()
        if file.suffix == ".gz" and rng.random() < 0.7:
            file.write_bytes(gzip.compress(_damaged(gzip.decompress(whole), rng, reach)))
        else:
            file.write_bytes(_damaged(whole, rng, reach))
        failure, was_refused = _outcome(lambda: read(given, out), out)
        failures += [f"{kind} {number}: {failure}"] if failure else []
        refused += was_refused
        file.write_bytes(whole)
    assert not failures, "\n".join(failures)
    assert refused > count / 5, f"only {refused} of {count} were refused: is the damage done?"


def _outcome(read: Callable[[], object], out: Path) -> tuple[str, bool]:
    """What went wrong, or nothing, and whether the variant was refused."""
    refused = False
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except InputError as error:
        refused = True
        if "\n" in str(error):
            return f"several lines: {error}", refused
    except _TooLong:
        return f"more than {SECONDS} s", refused
    except Exception:  # noqa: BLE001 - this is what is looked for
        return traceback.format_exc(limit=-3), refused
    if list(out.parent.glob(".partial*")) or (refused and out.exists()):
        return "half an output", refused
    return "", refused
