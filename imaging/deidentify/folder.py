"""Copy of a folder or zip of DICOM, as an archive exports it, without the patients' identities."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from palpate.errors import InputError
from palpate.imaging.deidentify.header import patient_of, without_identity
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import demand_key_apart, open_key
from palpate.imaging.dicom.files import UNREADABLE, Instance, read_instances, silence
from palpate.imaging.dicom.pixels import stored_values
from palpate.imaging.dicom.series import demand, numbers
from palpate.imaging.dicom.sorting import why_no_image
from palpate.imaging.files.plain_names import shown
from palpate.outputs import claim_folder
from palpate.progress import say, track
from palpate.provenance import versions

RECORD_NAME: Final = "deidentification.json"
"""Name of the record of a de-identified folder."""
_LABEL: Final = re.compile(r"[0-9A-Za-z]+")


def deidentify(source: Path, out: Path, key_path: Path, *, subject: str | None = None) -> int:
    """Write the MR images of a folder or zip without identity; an interrupted run leaves no partial result.

    Files are named by series and position; screen saves, objects that are no MR images and images that say that they
    hold burned-in text are left out. Faces in the pixels are not touched.

    Args:
        source: DICOM folder or zip.
        out: the folder to write: `<subject>/<study>/<series>/<number>.dcm` and a record without values.
        key_path: file of 32 random bytes, outside the output; where there is none it is made, readable by its owner
            only.
        subject: BIDS label that stands for the one patient; None takes a pseudonym from the key for each patient.

    Returns:
        The number of images written.

    Raises:
        InputError: nothing can be written, several patients under one label, damaged images, or the key is unfit.
    """
    if subject is not None and not _LABEL.fullmatch(subject):
        raise InputError(
            "--subject",
            found="a text of another kind",
            expected="letters and digits, without sub-",
            advice="Give the study's label of the subject, such as 01.",
        )
    target = claim_folder(out, "deidentify", {"source": source, "key": key_path})
    demand_key_apart(key_path, out, source)
    instances = read_instances(source)
    reasons = [why_no_image(one) for one in instances]
    taken = [one for one, reason in zip(instances, reasons, strict=True) if reason is None]
    left_out = Counter(reason for reason in reasons if reason is not None)
    _demand_some(source, taken, left_out)
    if subject is not None:
        _demand_one_patient(source, taken)
    key = open_key(key_path, away_from=out)
    with target.writing() as folder:
        written: set[str] = set()
        for instance in track(taken, "images", len(taken)):
            _write(folder, instance, key, subject, written)
        record = {
            "images": len(taken),
            "left_out": dict(left_out),
            "key_fingerprint": key.fingerprint,
            "dates": "shifted by a number of days for each patient that follows from the key",
            "identifiers": "2.25, pseudonymised by the key",
            "faces": "not removed",
            "versions": versions(),
        }
        (folder / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for reason, count in left_out.items():
        say(f"{count} left out: {reason}")
    say(f"{len(taken)} images written without identity; faces in the pixels, where there are any, remain")
    return len(taken)


def _demand_some(source: Path, taken: Sequence[Instance], left_out: Counter[str]) -> None:
    if not taken:
        raise InputError(
            shown(source),
            found="no MR image that may be kept: " + "; ".join(f"{n} x {why}" for why, n in left_out.items()),
            expected="MR images without burned-in text",
            advice="Point at the DICOM export of the MR series.",
        )


def _demand_one_patient(source: Path, taken: Sequence[Instance]) -> None:
    count = len({patient_of(one.header) for one in taken})
    if count > 1:
        raise InputError(
            shown(source),
            found=f"images of {count} patients",
            expected="one patient where --subject names one",
            advice="Leave --subject out to get a pseudonym for each, or give one patient's folder.",
        )


def _write(folder: Path, instance: Instance, key: Key, subject: str | None, written: set[str]) -> None:
    """Write one image below a folder under a name that tells nothing.

    Raises:
        InputError: it cannot be read, or another image has the same identifier.
    """
    header = instance.header
    name = key.pseudonym(patient_of(header)) if subject is None else f"sub-{subject}"
    series, number = (int(numbers(instance, one, 1)[0]) for one in ("SeriesNumber", "InstanceNumber"))
    for uid in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        demand(instance, uid)
    try:
        with silence():
            cleaned = without_identity(header, key, name)
            _add_pixels(cleaned, instance)
            content = _as_file(cleaned)
        # Six digits of each new identifier tell series and images apart.
        study, group, image = (
            str(cleaned[uid].value)[-6:] for uid in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
    except UNREADABLE as error:
        raise InputError(
            instance.place,
            found="a header or pixels that cannot be read to their end",
            expected="whole numbers of one colour, in a compression that can be read",
            advice="Copy the file from the scanner or archive again, without compression.",
        ) from error
    place = folder / name / f"study-{study}" / f"series-{series:03d}-{group}"
    place.mkdir(parents=True, exist_ok=True)
    if cleaned.SOPInstanceUID in written:
        raise InputError(
            instance.place,
            found="another image with the identifier of one before",
            expected="every identifier once",
            advice="Remove the image that does not belong there.",
        )
    written.add(str(cleaned.SOPInstanceUID))
    (place / f"{number:05d}-{image}.dcm").write_bytes(content)


def _as_file(cleaned: Dataset) -> bytes:
    """Return the bytes of a DICOM file, its meta information made anew."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = cleaned.SOPClassUID
    meta.MediaStorageSOPInstanceUID = cleaned.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content = io.BytesIO()
    FileDataset(content, cleaned, file_meta=meta, preamble=bytes(128)).save_as(content, enforce_file_format=True)
    return content.getvalue()


def _add_pixels(cleaned: Dataset, instance: Instance) -> None:
    """Put the pixels in plainly: decoded, nothing after them, and nothing in the bits above them.

    Compressed data may carry comments, and old overlays lie in unused bits.

    Raises:
        ValueError: they are no whole numbers, or the header contradicts itself; damaged data raise UNREADABLE.
    """
    values = stored_values(instance.content(), instance.place, instance.padding)
    bits, stored = int(cleaned.BitsAllocated), int(cleaned.BitsStored)
    if values.dtype.kind not in "iu" or not 1 <= stored <= bits:
        raise ValueError("no whole numbers")
    content = _only_stored_bits(values, stored).astype(values.dtype.newbyteorder("<")).tobytes()
    cleaned.PixelData = content + bytes(len(content) % 2)
    cleaned["PixelData"].VR = "OW" if bits > 8 else "OB"


def _only_stored_bits(values: NDArray[np.generic], stored: int) -> NDArray[np.generic]:
    """Pixel values with all bits above the stored ones as their sign says."""
    surplus = values.dtype.itemsize * 8 - stored
    return np.asarray(np.right_shift(np.left_shift(values, surplus), surplus))
