"""Planning image: the T1 as its own DICOM, on whose grid and in whose study objects for planning are written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import is_pseudonymised
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.anatomy import Anatomy, read_anatomy
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.persons import differing, person_of, same_person
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.slice_grid import slice_grid
from palpate.imaging.dicom.vocabulary import plain
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, pseudonym_of
from palpate.imaging.dicom_out.dicom_origin import scan_identity
from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.dicom_out.image_grid import ImageGrid, ImageReference
from palpate.imaging.files.maps import Map
from palpate.imaging.files.nifti import is_volume_file, same_grid

SPACE: Final = "T1w"
"""Label of the planning image's grid in file names."""
_POSITIONS: Final = ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")
_WHERE: Final = "--anatomy"
_ADVICE: Final = "Give the DICOM of the T1 that palpate ingest read (in sessions.tsv the column anatomy)."


class NoPlanningImageError(Exception):
    """Reason why nothing can be written on the planning image's grid, as a sentence for the user."""


def planning_dicom(anatomy: Path | None, copy: Map | None) -> Anatomy:
    """Read the DICOM of the T1, and prove that it is the image that the maps were laid on.

    Args:
        anatomy: folder or archive of the T1's DICOM; None where none was given.
        copy: the T1 as the wave-field folder holds it; None where it has none or nothing to compare is known.

    Raises:
        NoPlanningImageError: there is none, or it is no DICOM, so that there is no study to join.
        InputError: it cannot be read, or it is another image.
    """
    if anatomy is None:
        raise NoPlanningImageError(
            "The T1 was not given as DICOM (--anatomy; in sessions.tsv the column anatomy)."
            if copy is not None
            else "There is no planning image: the session has no T1."
        )
    if anatomy.is_file() and is_volume_file(anatomy):
        raise NoPlanningImageError(
            "The T1 is NIfTI: it has no study, no patient and no frame of reference that DICOM objects could join."
        )
    read = read_anatomy(anatomy)
    if not str(read.series.header.get("FrameOfReferenceUID") or ""):
        raise NoPlanningImageError("The T1's DICOM states no frame of reference, so that nothing can be laid on it.")
    if copy is not None and not _same_image(read, copy):
        raise InputError(
            _WHERE, found="another image than the T1 of the wave-field folder", expected="the same T1", advice=_ADVICE
        )
    return read


def planning_grid(read: Anatomy, anatomy: Path) -> ImageGrid:
    """Return the planning image's grid with the identity that its DICOM states, whole and unchanged.

    Args:
        read: the T1.
        anatomy: folder or archive that it was read from.

    Raises:
        InputError: images of its study disagree on whose they are.
    """
    return _grid(read, scan_identity(_source(read.series), anatomy, None), None)


def planning_grid_of_nobody(read: Anatomy, key: Key | None, subject: str) -> ImageGrid:
    """Return the planning image's grid with a pseudonym in place of its identity.

    Args:
        read: the T1.
        key: key that the session's pseudonyms follow from; None where nobody has it.
        subject: label of the subject, which stands in for name and number.

    Raises:
        NoPlanningImageError: the key is missing, without which the T1's identifiers would stay its own.
    """
    used = None if is_pseudonymised(read.series.header) else key
    if used is None and not is_pseudonymised(read.series.header):
        raise NoPlanningImageError(
            "The key of the session's pseudonyms is not at hand (--key), without which the T1 keeps its identifiers."
        )
    return _grid(read, pseudonym_of(_source(read.series), used, subject), used)


def demand_same_person(scan: MapIdentity, planning: MapIdentity) -> None:
    """Refuse a planning image of another person than the elastogram's: objects would name two patients.

    Raises:
        InputError: elements differ; the error names them and shows no content.
    """
    persons = [person_of(one.elements) for one in (scan, planning)]
    if not same_person(*persons):
        raise InputError(
            _WHERE,
            found=f"a T1 that differs from the scan in {', '.join(differing(*persons))}",
            expected="T1 and elastogram of one patient",
            advice="Give both as scanned or both as palpate deidentify wrote them, or set maps.identity to pseudonym.",
        )


def _same_image(read: Anatomy, copy: Map) -> bool:
    values = read.volume.values.astype(np.float32)
    fits = values.shape == copy.values.shape and same_grid(read.volume.affine_mm, copy.affine_mm, values.shape)
    return bool(fits and np.array_equal(values, copy.values))


def _source(series: Series) -> DicomSource:
    """Return the identifiers of the first image of the series.

    Raises:
        InputError: one of them is not valid.
    """
    named = series.references()
    try:
        return DicomSource(
            study_instance_uid=named["StudyInstanceUID"],
            frame_of_reference_uid=named["FrameOfReferenceUID"],
            series_instance_uid=named["SeriesInstanceUID"],
            sop_instance_uid=named["SOPInstanceUID"],
            sop_class_uid=named["SOPClassUID"],
            body_part=_body_part(named["BodyPartExamined"]),
        )
    except ValueError as error:
        raise InputError(
            _WHERE, found=f"a T1 that cannot be referenced ({error})", expected="valid identifiers", advice=_ADVICE
        ) from error


def _body_part(stated: str) -> str:
    """Return the part of the body where it is one that everybody's headers hold."""
    return str(plain("BodyPartExamined", stated) or "")


def _grid(read: Anatomy, identity: MapIdentity, key: Key | None) -> ImageGrid:
    """Return the grid, with identifiers of its slices as a key renames them; without a key as they are."""
    i, j, k = read.volume.values.shape
    slices = slice_grid(read.series.instances).by_slice(read.series.instances)
    images = tuple(_reference(one, key) for one, *_ in slices)
    position = str(read.series.header.get("PatientPosition") or "")
    position = position if position in _POSITIONS else ""
    return ImageGrid(identity, read.volume.affine_mm, (i, j, k), images, SPACE, position)


def _reference(instance: Instance, key: Key | None) -> ImageReference:
    uid = str(instance.header.SOPInstanceUID)
    frame = None if instance.frame is None else instance.frame + 1
    return ImageReference(str(instance.header.SOPClassUID), uid if key is None else key.identifier(uid), frame)
