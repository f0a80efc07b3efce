"""De-identification: nothing that was planted comes out, and nothing that elastography needs is lost."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from palpate.config.ingest import IngestSettings
from palpate.imaging.deidentify import allowed
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.deidentify.header import without_identity
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.philips_header import has_scale_slope
from palpate.imaging.dicom.series import Series
from palpate.imaging.ingest import ingest
from tests.conftest import Outcome
from tests.imaging.planting import IDENTIFIER, MARK, SECRETS, leaks, plant
from tests.imaging.scanner import FRAME, STUDY, Scan, edit, write_mre

SMALL = Scan(shape=(8, 6, 3), offsets=4)
NAMED = f"{MARK}_Erika"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan full of identifying text, in folders and files that are named after the patient."""
    folder = tmp_path_factory.mktemp("source") / NAMED
    write_mre(folder / NAMED, SMALL)
    for number, file in enumerate(sorted(folder.rglob("*.ima"))):
        edit(file, lambda image, number=number: plant(image, everywhere=number in (0, 12)))
        file.rename(file.with_name(f"{NAMED}.{file.name}"))
    return folder


@pytest.fixture(scope="module")
def cleaned(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That scan without identity."""
    home = tmp_path_factory.mktemp("cleaned")
    deidentify(planted, home / "out", home / "key", subject="01")
    return home / "out"


def _images(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(file) for file in sorted(folder.rglob("*.dcm"))]


def test_nothing_planted_comes_out(planted: Path, cleaned: Path) -> None:
    """Every text element of the standard, of every type, private and nested, file and folder names: none remains."""
    first = next(file for file in sorted(planted.rglob("*.ima"))).read_bytes()
    assert first.count(MARK.encode()) > 1500
    assert leaks(cleaned, (*SECRETS, IDENTIFIER, STUDY, FRAME, "1.2.3.4.3.")) == []
    assert len(_images(cleaned)) == 24


def test_nothing_planted_is_printed(planted: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Logs are kept longer than images, and are read by more people; a zip's member names count too."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for file in sorted(planted.rglob("*.ima"))[:3]:
            archive.write(file, file.relative_to(planted))
    outcome = palpate_inside("deidentify", tmp_path / "in.zip", "--out", tmp_path / "out", "--key", tmp_path / "key")
    assert outcome.code == 0, outcome.printed
    assert not [secret for secret in SECRETS if secret.lower() in outcome.printed.lower()]
    assert leaks(tmp_path / "out") == []


def test_elastography_is_untouched(cleaned: Path, tmp_path: Path) -> None:
    """A de-identified scan gives the very wave field of the scan itself, or nobody could work with it."""
    write_mre(tmp_path / "in", SMALL)
    field = ingest(tmp_path / "in", "sub-01", tmp_path / "a", anatomy=None, settings=IngestSettings())[0]
    again = ingest(cleaned, "sub-01", tmp_path / "b", anatomy=None, settings=IngestSettings())[0]
    np.testing.assert_array_equal(again.displacement_m, field.displacement_m)
    np.testing.assert_array_equal(again.affine_mm, field.affine_mm)
    np.testing.assert_array_equal(again.mask, field.mask)


def test_it_says_what_was_done(cleaned: Path) -> None:
    """Whoever gets the files must see from each of them that, and by which profile, identity was removed."""
    for image in _images(cleaned):
        assert image.PatientIdentityRemoved == "YES"
        assert image.LongitudinalTemporalInformationModified == "MODIFIED"
        codes = {item.CodeValue for item in image.DeidentificationMethodCodeSequence}
        assert {"113100", "113107", "113111"} <= codes
        assert image.PatientID == "sub-01"
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID


def test_only_allowed_private_elements_remain(cleaned: Path) -> None:
    """Private blocks are where vendors put what has no place elsewhere; what is not known to be a number goes."""
    image = _images(cleaned)[0]
    private = {int(element.tag): element.value for element in image.iterall() if element.tag.is_private}
    assert private == {
        0x00190010: "SIEMENS MR HEADER",
        0x0019100A: 3,
        0x00430010: "GEMS_PARM_01",
        0x00431082: "lineFreq=60.5",
    }


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr", "value", "kept"),
    [
        (0x0019, "GEMS_ACQU_01", 0x9C, "LO", "/home/erika/epimre", "epimre"),
        (0x0019, "GEMS_ACQU_01", 0x9C, "LO", "MR-Touch erika", "MR-Touch"),
        (0x0019, "GEMS_ACQU_01", 0x9C, "LO", "epimre_iron", "epimre_iron"),
        (0x0019, "GEMS_ACQU_01", 0xBC, "DS", "60.5", 60.5),
        (0x0043, "GEMS_PARM_01", 0xA2, "DS", ["60", "4"], [60.0, 4.0]),
        (0x2005, "Philips MR Imaging DD 001", 0x0E, "FL", 0.5, 0.5),
        (0x0029, "SIEMENS CSA HEADER", 0x10, "OB", b"SV10 Erika Mustermann", None),
        (0x0021, "GEMS_RELA_01", 0x4F, "SS", 12, 12),
        (0x0043, "GEMS_PARM_01", 0x82, "LO", ["erika", "lineFreq=60.5 erika"], "lineFreq=60.5"),
        (0x0043, "GEMS_PARM_01", 0x2F, "SS", 1, 1),
        (0x2001, "Philips Imaging DD 001", 0x18, "SL", 9, 9),
        (0x2005, "Philips MR Imaging DD 001", 0x11, "CS", "P", "P"),
        (0x2005, "Philips MR Imaging DD 001", 0x11, "CS", "ERIKA", None),
        (0x2001, "Philips Imaging DD 001", 0x81, "LO", "7", None),
        (0x0019, "SIEMENS MR HEADER", 0x0A, "UN", b"ERIKA1", None),
    ],
)
def test_what_other_vendors_need_is_kept(
    group: int, creator: str, element: int, vr: str, value: object, kept: object
) -> None:
    """Readers of GE and Philips find frequency and kind of image in private elements, and nothing else of them."""
    header = pydicom.Dataset()
    header.PatientID = "MUSTER77"
    header.private_block(group, creator, create=True).add_new(element, vr, value)
    cleaned = without_identity(header, Key(bytes(32)), "sub-01")
    found = [one.value for one in cleaned if one.tag.is_private and not one.tag.is_private_creator]
    assert found == ([] if kept is None else [kept])


def test_frames_keep_philips_scale_and_nothing_beside_it() -> None:
    """Scale slope and kind stand in a private sequence of each frame, among what else Philips repeats there."""
    inner, frame, header = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    block = inner.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0E, "FL", 0.25)
    block.add_new(0x20, "LO", "Erika")
    inner.PatientName = "Mustermann^Erika"
    frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", [inner])
    header.PatientID, header.PerFrameFunctionalGroupsSequence, header.NumberOfFrames = "MUSTER77", [frame], 1
    cleaned = without_identity(header, Key(bytes(32)), "sub-01")
    (kept,) = cleaned.PerFrameFunctionalGroupsSequence[0][0x2005, 0x100F].value
    assert [element.value for element in kept] == ["Philips MR Imaging DD 001", 0.25]
    (flat,) = with_frames(Series(1, (Instance(cleaned, Path("scan"), "1.dcm"),))).instances
    assert has_scale_slope(flat)


def test_frames_of_enhanced_images_keep_place_and_vibration() -> None:
    """Enhanced images state place, scale and vibration in nested sequences, where text hides as well."""
    frame = pydicom.Dataset()
    frame.PlanePositionSequence, frame.FrameContentSequence = [pydicom.Dataset()], [pydicom.Dataset()]
    frame.PlanePositionSequence[0].ImagePositionPatient = [1.0, 2.0, 3.5]
    frame.FrameContentSequence[0].FrameComments = "MRE: fI[0]dI[0]az[0]po[0]tI[1]VP[20000]"
    frame.FrameContentSequence[0].FrameAcquisitionDateTime = "20240229101530.5"
    frame.FrameContentSequence[0].FrameLabel = "Erika"
    other = pydicom.Dataset()
    other.FrameContentSequence = [pydicom.Dataset()]
    other.FrameContentSequence[0].FrameComments = "Erika Mustermann"
    header = pydicom.Dataset()
    header.PatientID, header.PerFrameFunctionalGroupsSequence = "MUSTER77", [frame, other]
    one, two = without_identity(header, Key(bytes(32)), "sub-01").PerFrameFunctionalGroupsSequence
    assert one.PlanePositionSequence == frame.PlanePositionSequence
    content = one.FrameContentSequence[0]
    assert content.FrameComments == frame.FrameContentSequence[0].FrameComments
    assert str(content.FrameAcquisitionDateTime).endswith("101530.5")
    assert not str(content.FrameAcquisitionDateTime).startswith("20240229")
    assert "FrameLabel" not in content
    assert len(two.FrameContentSequence[0]) == 0


def _write_study(folder: Path, day: str, study: str, patient: str = "MUSTER77") -> None:
    """One image a day."""
    extra = {"StudyDate": day, "StudyTime": "101530", "StudyInstanceUID": study, "PatientID": patient}
    write_mre(folder / study, Scan(shape=(8, 6, 3), offsets=3, seed=int(study[-1]), extra=extra))


def test_time_between_studies_is_kept_and_dates_are_not(tmp_path: Path) -> None:
    """Growth needs the interval between scans; the dates themselves find a patient in a hospital's calendar."""
    _write_study(tmp_path / "in", "20240229", "1.2.1")
    _write_study(tmp_path / "in", "20240311", "1.2.2")
    _write_study(tmp_path / "in", "20240229", "1.2.3", patient="OTHER")
    deidentify(tmp_path / "in", tmp_path / "out", tmp_path / "key")
    days: dict[str, set[str]] = {}
    for image in _images(tmp_path / "out"):
        days.setdefault(str(image.PatientID), set()).add(image.StudyDate)
        assert image.StudyTime == "101530"
    (one, other), (alone,) = (sorted(found) for found in sorted(days.values(), key=len, reverse=True))
    assert (pydicom.valuerep.DA(other) - pydicom.valuerep.DA(one)).days == 11
    assert not {one, other, alone} & {"20240229", "20240311"}
    assert alone != one


def test_same_key_same_study(tmp_path: Path) -> None:
    """A second delivery of the same patient must join the first; with another key nothing may join."""
    write_mre(tmp_path / "in", Scan(shape=(8, 6, 3), offsets=3))
    for out, key in (("a", "key"), ("b", "key"), ("c", "other")):
        deidentify(tmp_path / "in", tmp_path / out, tmp_path / key)
    first, second, third = (_images(tmp_path / out) for out in "abc")
    assert len(first) == 18
    for one, two, three in zip(first, second, third, strict=True):
        assert one == two
        assert one.file_meta.MediaStorageSOPInstanceUID == two.file_meta.MediaStorageSOPInstanceUID
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "PatientID"):
            assert getattr(one, name) != getattr(three, name)
        assert one.StudyInstanceUID.is_valid
        assert one.StudyInstanceUID.startswith("2.25.")
    assert len({image.SOPInstanceUID for image in first}) == 18


def test_hidden_bits_of_pixels_go(tmp_path: Path) -> None:
    """Old overlays lie in the bits above the stored ones; the image itself must not change."""
    write_mre(tmp_path / "in", Scan(shape=(8, 6, 3), offsets=3))
    before = {}
    for file in sorted((tmp_path / "in").rglob("*.ima")):
        image = pydicom.dcmread(file)
        before[image.SeriesNumber, image.InstanceNumber] = image.pixel_array & 0xFFF
        image.PixelData = (image.pixel_array | 0xA000).astype("<u2").tobytes()
        image.save_as(file)
    deidentify(tmp_path / "in", tmp_path / "out", tmp_path / "key")
    for image in _images(tmp_path / "out"):
        np.testing.assert_array_equal(image.pixel_array, before[image.SeriesNumber, image.InstanceNumber])


LEFT_OUT: dict[str, Callable[[pydicom.Dataset], object]] = {
    "burned-in": lambda image: setattr(image, "BurnedInAnnotation", "YES"),
    "screen save": lambda image: setattr(image, "ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"]),
    "secondary capture": lambda image: setattr(image, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
    "colour": lambda image: setattr(image, "PhotometricInterpretation", "RGB"),
    "another modality": lambda image: setattr(image, "Modality", "CT"),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_images_that_may_show_text_are_left_out(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No header tells what is written in the pixels, so that kinds of images in which people write stay out."""
    write_mre(tmp_path / "in", Scan(shape=(8, 6, 3), offsets=3))
    edit(tmp_path / "in" / "s45" / "0003.ima", LEFT_OUT[what])
    assert deidentify(tmp_path / "in", tmp_path / "out", tmp_path / "key") == 17
    assert "1 left out" in capsys.readouterr().err


def _all(change: Callable[[pydicom.Dataset], object]) -> Callable[[Path], object]:
    return lambda folder: [edit(file, change) for file in sorted(folder.rglob("*.ima"))]


def _one(change: Callable[[pydicom.Dataset], object]) -> Callable[[Path], object]:
    return lambda folder: edit(folder / "s45" / "0003.ima", change)


SOURCES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "two patients under one label": (_one(lambda image: setattr(image, "PatientID", "OTHER99")), ("--subject", "01")),
    "label with the name of somebody": (lambda _: None, ("--subject", "Erika Mustermann")),
    "only screen saves": (_all(LEFT_OUT["screen save"]), ()),
    "only burned-in text": (_all(LEFT_OUT["burned-in"]), ()),
    "truncated pixels": (_one(lambda image: setattr(image, "PixelData", image.PixelData[:50])), ()),
    "no pixels": (_one(lambda image: image.__delitem__("PixelData")), ()),
    "one identifier on two images": (_one(lambda image: setattr(image, "SOPInstanceUID", "1.2.9")), ("twice",)),
    "no images": (lambda folder: [file.unlink() for file in folder.rglob("*.ima")], ()),
    "more bits than there are": (_one(lambda image: setattr(image, "BitsStored", 40)), ()),
}


@pytest.mark.parametrize("what", SOURCES)
def test_unusable_source_is_refused(what: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """One sentence, exit code 2, no output and no name, whatever is wrong."""
    source, out = tmp_path / NAMED, tmp_path / "out"
    write_mre(source, Scan(shape=(8, 6, 3), offsets=3))
    spoil, arguments = SOURCES[what]
    spoil(source)
    if arguments == ("twice",):
        edit(source / "s46" / "0003.ima", lambda image: setattr(image, "SOPInstanceUID", "1.2.9"))
        arguments = ()
    outcome = palpate_inside("deidentify", source, "--out", out, "--key", tmp_path / "key", *arguments)
    assert outcome.code == 2, outcome.printed
    assert len([line for line in outcome.printed.splitlines() if line.startswith("palpate: ")]) == 1
    assert not [secret for secret in (*SECRETS, "OTHER99") if secret.lower() in outcome.printed.lower()]
    assert not out.exists()
    assert not list(tmp_path.glob(".partial*"))


def test_lists_name_elements_that_exist() -> None:
    """A misspelt keyword would silently drop an element that a reader needs."""
    listed = (allowed.NUMBERS, allowed.DATES, allowed.TIMES, allowed.MOMENTS, allowed.IDENTIFIERS, allowed.CLASSES)
    for keyword in set().union(*listed, allowed.SEQUENCES, allowed.EMPTIED):
        assert tag_for_keyword(keyword) is not None, keyword
