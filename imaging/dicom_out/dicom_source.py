"""Scan behind a DICOM map: its identifiers as the record of ingest names them, and the header that refers to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID, MRImageStorage

from palpate.errors import InputError
from palpate.imaging.deidentify.key import Key


@dataclass(frozen=True, slots=True)
class DicomSource:
    """Scan that a map was computed from, as far as the map must name it.

    Attributes:
        study_instance_uid: the study that the map joins.
        frame_of_reference_uid: the frame of reference in which its positions hold.
        series_instance_uid: the series of the source image.
        sop_instance_uid: one image of that series.
        sop_class_uid: the class of that image.
        body_part: BodyPartExamined, such as "BRAIN"; empty where it is unknown.
    """

    study_instance_uid: str
    frame_of_reference_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = str(MRImageStorage)
    body_part: str = ""

    def __post_init__(self) -> None:
        """Refuse identifiers that DICOM would refuse.

        Raises:
            ValueError: naming the identifier that is not valid.
        """
        for name in ("study_instance_uid", "frame_of_reference_uid", "series_instance_uid", "sop_instance_uid"):
            if not UID(getattr(self, name), validation_mode=IGNORE).is_valid:
                raise ValueError(f"{name}: not a valid DICOM identifier")


def dicom_source(ingest: Mapping[str, Any], where: Path) -> DicomSource | None:
    """Return the scan named in the record of `palpate ingest`; None where the source was not DICOM.

    Args:
        ingest: the content of `<label>_ingest.json`.
        where: path of that file, for the error.

    Raises:
        InputError: a scan is named but an identifier is missing or not valid.
    """
    named = ingest.get("dicom")
    if not named:
        return None
    try:
        return DicomSource(
            study_instance_uid=str(named["StudyInstanceUID"]),
            frame_of_reference_uid=str(named["FrameOfReferenceUID"]),
            series_instance_uid=str(named["SeriesInstanceUID"]),
            sop_instance_uid=str(named["SOPInstanceUID"]),
            sop_class_uid=str(named.get("SOPClassUID", MRImageStorage)),
            body_part=str(named.get("BodyPartExamined") or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        told = {KeyError: f" (no {error.args[0]})", ValueError: f" ({error})"}.get(type(error), "")
        raise InputError(
            where,
            found=f"a DICOM source that cannot be referenced{told}",
            expected="StudyInstanceUID, FrameOfReferenceUID, SeriesInstanceUID and SOPInstanceUID under 'dicom'",
            advice="Run palpate ingest again.",
        ) from error


def pseudonymised_source(source: DicomSource, key: Key) -> DicomSource:
    """Return the scan under the pseudonyms that a key gives for its identifiers."""
    return replace(
        source,
        study_instance_uid=key.identifier(source.study_instance_uid),
        frame_of_reference_uid=key.identifier(source.frame_of_reference_uid),
        series_instance_uid=key.identifier(source.series_instance_uid),
        sop_instance_uid=key.identifier(source.sop_instance_uid),
    )


def source_image(source: DicomSource) -> Dataset:
    """Return the header of the source image as far as highdicom references it, of one frame or of several.

    Patient and study are empty: MapIdentity gives them to the finished map unchanged, without highdicom's checks.
    """
    image = Dataset()
    image.StudyInstanceUID = source.study_instance_uid
    image.SeriesInstanceUID = source.series_instance_uid
    image.SOPInstanceUID = source.sop_instance_uid
    image.SOPClassUID = source.sop_class_uid
    image.FrameOfReferenceUID = source.frame_of_reference_uid
    image.Modality = "MR"
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
    ):
        setattr(image, keyword, None)
    # Planes of the map are given, not taken from here; these say only that the source lies in patient coordinates.
    place, turn, size = Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = [0, 0, 0]
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    size.PixelSpacing, size.SliceThickness = [1, 1], 1
    if source.sop_class_uid == MRImageStorage:
        for stated in (place, turn, size):
            image.update(stated)
    else:
        shared, own = Dataset(), Dataset()
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turn], [size]
        own.PlanePositionSequence = [place]
        image.NumberOfFrames = 1
        image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], [own]
    image.Rows = image.Columns = 1
    return image
