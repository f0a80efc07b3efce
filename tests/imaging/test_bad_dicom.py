"""Unusable scans: each must end with exit code 2 and one sentence that names the file, and leave nothing behind."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.conftest import Outcome
from tests.imaging.scanner import PATIENT, Scan, edit, write_mre, write_t1

STEM = "sub-01_ses-01"
SMALL = Scan(shape=(8, 6, 3), slice_time_ms=(0.0, 213.0, 107.0))

type Spoiler = Callable[[Path], object]


def _every(folder: str, change: Callable[[pydicom.Dataset], object]) -> Spoiler:
    def spoil(path: Path) -> None:
        for file in sorted((path / folder).glob("*.ima")):
            edit(file, change)

    return spoil


def _one(change: Callable[[pydicom.Dataset], object], name: str = "s46/0011.ima") -> Spoiler:
    return lambda path: edit(path / name, change)


def _set(**values: object) -> Callable[[pydicom.Dataset], object]:
    def change(image: pydicom.Dataset) -> None:
        for name, value in values.items():
            setattr(image, name, value)

    return change


def _without(name: str) -> Callable[[pydicom.Dataset], object]:
    return lambda image: delattr(image, name)


def _comment(old: str, new: str) -> Callable[[pydicom.Dataset], object]:
    return lambda image: setattr(image, "ImageComments", image.ImageComments.replace(old, new))


def _private(element: int, value: object) -> Callable[[pydicom.Dataset], object]:
    return lambda image: setattr(image.private_block(0x0019, "SIEMENS MR HEADER")[element], "value", value)


def _blank_slice(image: pydicom.Dataset) -> None:
    pixels = image.pixel_array.copy()
    pixels[: image.Rows // 2, image.Columns // 2 :] = 0
    image.PixelData = pixels.tobytes()


def _cut(name: str, share: float) -> Spoiler:
    def spoil(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[: int(len(content) * share)])

    return spoil


def _inserted(name: str, place: int) -> Spoiler:
    """Four bytes more: all pixels after them are moved, and as many are read as before."""

    def spoil(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:place] + b"\x01\x02\x03\x04" + content[place:])

    return spoil


def _shorten(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])


def _garbled(path: Path) -> None:
    """Bytes within the class that a file announces first of all: whether it is an image is no longer known."""
    file = path / "s46" / "0011.ima"
    _inserted("s46/0011.ima", file.read_bytes().index(b"1.2.840.10008.5.1.4.1.1.4") + 15)(path)


# What is spoilt, how, and what the sentence must mention so that a user finds it.
SCANS: dict[str, tuple[Spoiler, str]] = {
    "not DICOM": (lambda path: (path / "s46" / "0011.ima").write_text("hello"), "0011.ima"),
    "truncated pixels": (_cut("s46/0011.ima", 0.9), "0011.ima"),
    "bytes inserted into pixels": (_inserted("s46/0011.ima", -200), "0011.ima"),
    "class garbled": (_garbled, "0011.ima"),
    "hardly begun": (lambda path: _shorten(path / "s46" / "0011.ima", 170), "0011.ima"),
    "truncated header": (_cut("s46/0011.ima", 0.3), "0011.ima"),
    "phase file missing": (lambda path: (path / "s46" / "0011.ima").unlink(), "11"),
    "magnitude file missing": (lambda path: (path / "s45" / "0011.ima").unlink(), "11"),
    "offset missing in both": (
        lambda path: [(path / s / "0011.ima").unlink() for s in ("s45", "s46")],
        "direction 1, offset 2",
    ),
    "direction missing": (
        lambda path: [(path / s / f"{n:04d}.ima").unlink() for s in ("s45", "s46") for n in range(17, 25)],
        "2 encoding directions",
    ),
    "offset twice": (_one(_comment("tI[2]", "tI[1]")), "0011.ima"),
    "phase without magnitude": (lambda path: shutil.rmtree(path / "s45"), "series 46"),
    "magnitude without phase": (lambda path: shutil.rmtree(path / "s46"), "no MRE phase"),
    "two patients": (_one(_set(PatientID="OTHER99")), "Patient ID"),
    "two birth dates": (_one(_set(PatientBirthDate="19991231")), "Birth Date"),
    "two studies": (_one(_set(StudyInstanceUID="1.2.3.4.99")), "Study"),
    "zero period": (_every("s46", _comment("VP[20000]", "VP[0]")), "period"),
    "two frequencies": (_one(_comment("VP[20000]", "VP[25000]")), "0011.ima"),
    "period in words": (_one(_comment("VP[20000]", "VP[fast]")), "VP"),
    "no encoding angle": (_one(_comment("az[270]", "")), "az"),
    "axis changes within a direction": (_one(_comment("az[270]", "az[90]")), "0011.ima"),
    "axes in one plane": (_every("s46", _comment("az[180]po[90]", "az[90]po[90]")), "one plane"),
    "zero motion encoding": (_every("s46", _comment("ME[4]", "ME[0]")), "motion encoding"),
    "slice missing in one image": (_one(_private(0x0A, 2)), "0011.ima"),
    "slice without signal": (_one(_blank_slice, "s45/0011.ima"), "slice 2 of 3"),
    "slice times missing in one image": (_one(lambda image: image.__delitem__((0x0019, 0x1029))), "0011.ima"),
    "other slice times in the first image": (_one(_private(0x29, [0.0, 107.0, 213.0]), "s46/0001.ima"), "0001.ima"),
    "no number of slices": (_every("s46", lambda image: image.__delitem__((0x0019, 0x100A))), "slice"),
    "mosaic of odd size": (_every("s46", _private(0x0A, 50)), "50 slices"),
    "no slice distance": (_every("s46", _without("SpacingBetweenSlices")), "Spacing Between Slices"),
    "negative pixel spacing": (_every("s46", _set(PixelSpacing=[-2.0, 2.0])), "Pixel Spacing"),
    "no orientation": (_every("s46", _without("ImageOrientationPatient")), "Image Orientation"),
    "skewed orientation": (_every("s46", _set(ImageOrientationPatient=[1, 0, 0, 1, 0, 0])), "Orientation"),
    "one image moved": (_one(_set(ImagePositionPatient=[0, 0, 99])), "0011.ima"),
    "no rescale slope": (_one(_without("RescaleSlope")), "Rescale Slope"),
    "half slope in one image": (_one(_set(RescaleSlope=1)), "0011.ima"),
    "slope of 0": (_one(_set(RescaleSlope=0)), "Rescale Slope of 0"),
    "phase beyond pi": (_one(_set(RescaleSlope=9)), "0011.ima"),
    "patient on the side": (_every("s46", _set(PatientPosition="HFDR")), "HFDR"),
    "another vendor": (_every("s46", _set(Manufacturer="ACME")), "no MRE phase"),
    "no tissue": (_every("s45", lambda image: setattr(image, "PixelData", _speck(image))), "voxels of tissue"),
}


def _speck(image: pydicom.Dataset) -> bytes:
    pixels = np.zeros((image.Rows, image.Columns), dtype=np.uint16)
    pixels[:: image.Rows // 2, :: image.Columns // 2] = 900
    # No slice is in the last tile.
    pixels[image.Rows // 2 :, image.Columns // 2 :] = 0
    return pixels.tobytes()


def _refused(outcome: Outcome, out: Path) -> str:
    """Check the one way in which bad input may end; the sentence."""
    assert outcome.code == 2, outcome.printed
    sentences = [line for line in outcome.printed.splitlines() if line.startswith("palpate: ")]
    assert len(sentences) == 1
    assert "Traceback" not in outcome.printed
    assert not out.exists()
    assert not list(out.parent.glob(".partial*"))
    for secret in (*PATIENT.split("^"), "MUSTER77", "OTHER99", "19600102", "19991231"):
        assert secret not in outcome.printed
    return sentences[0]


@pytest.mark.parametrize("what", SCANS)
def test_spoilt_scan_is_refused(what: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A scan with a piece missing can still give a plausible wave field; the sentence must name the piece."""
    given, out = tmp_path / "given", tmp_path / "out"
    write_mre(given, SMALL)
    spoil, mentioned = SCANS[what]
    spoil(given)
    assert mentioned in _refused(palpate_inside("ingest", given, "--label", STEM, "--out", out), out)


def test_file_names_that_carry_the_patient_are_not_repeated(
    tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """Scanners' exports name files after the patient; an error must point at the file without saying who it is."""
    given, out = tmp_path / "given", tmp_path / "out"
    write_mre(given, SMALL)
    _one(_without("RescaleSlope"))(given)
    (given / "s46" / "0011.ima").rename(given / "s46" / "MUSTERMANN_ERIKA.MR.0046.0011.ima")
    outcome = palpate_inside("ingest", given, "--label", STEM, "--out", out)
    assert "mustermann" not in outcome.printed.lower()
    assert "instance 11" in _refused(outcome, out)


def _gap(path: Path) -> None:
    (path / "002.dcm").unlink()


ANATOMIES: dict[str, tuple[Spoiler, str]] = {
    "slice missing": (_gap, "slice is missing"),
    "slice twice": (lambda path: edit(path / "002.dcm", lambda image: _onto(image, path / "003.dcm")), "one place"),
    "slice truncated": (_cut("002.dcm", 0.8), "002.dcm"),
    "slice tilted": (lambda path: edit(path / "002.dcm", _set(ImageOrientationPatient=[0, 1, 0, -1, 0, 0])), "002.dcm"),
    "burned-in text": (
        lambda path: [edit(file, _set(BurnedInAnnotation="YES")) for file in path.glob("*.dcm")],
        "burned-in text",
    ),
    "screen saves": (
        lambda path: [
            edit(file, _set(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])) for file in path.glob("*.dcm")
        ],
        "screen save",
    ),
    "of another person": (
        lambda path: [edit(file, _set(PatientID="OTHER99")) for file in path.glob("*.dcm")],
        "Patient ID",
    ),
    "slice with burned-in text": (lambda path: edit(path / "005.dcm", _set(BurnedInAnnotation="YES")), "no part of it"),
    "two series": (
        lambda path: [
            edit(path / name, _set(SeriesInstanceUID="9.9", SeriesNumber=8)) for name in ("002.dcm", "003.dcm")
        ],
        "2 series",
    ),
}


def _onto(image: pydicom.Dataset, other: Path) -> None:
    image.ImagePositionPatient = pydicom.dcmread(other).ImagePositionPatient


@pytest.mark.parametrize("what", ANATOMIES)
def test_spoilt_anatomy_is_refused(what: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """The anatomy is what a planner sees under the stiffness; a gap in it shifts one against the other."""
    given, out = tmp_path / "given", tmp_path / "out"
    write_mre(given, SMALL)
    values = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 6)).astype(np.uint16)
    write_t1(tmp_path / "t1", values, SMALL, (1.0, 1.0, 1.5))
    spoil, mentioned = ANATOMIES[what]
    spoil(tmp_path / "t1")
    outcome = palpate_inside("ingest", given, "--label", STEM, "--out", out, "--anatomy", tmp_path / "t1")
    assert mentioned in _refused(outcome, out)


def test_truncated_zip_is_refused(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Archives break in transfer; half a study must not be taken for a whole one."""
    write_mre(tmp_path / "mre", SMALL)
    archive, out = tmp_path / "mre.zip", tmp_path / "out"
    with zipfile.ZipFile(archive, "w") as whole:
        for file in sorted((tmp_path / "mre").rglob("*.ima")):
            whole.write(file, file.relative_to(tmp_path))
    archive.write_bytes(archive.read_bytes()[:-3000])
    _refused(palpate_inside("ingest", archive, "--label", STEM, "--out", out), out)


def test_older_result_survives_a_refusal(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A re-run that fails must leave the last good result as it was."""
    write_mre(tmp_path / "mre", SMALL)
    out = tmp_path / "out"
    assert palpate_inside("ingest", tmp_path / "mre", "--label", STEM, "--out", out).code == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    (tmp_path / "mre" / "s46" / "0011.ima").unlink()
    assert palpate_inside("ingest", tmp_path / "mre", "--label", STEM, "--out", out).code == 2
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
