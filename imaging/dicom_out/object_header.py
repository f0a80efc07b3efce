"""Common header of the DICOM objects that palpate writes: identity, equipment, times that a re-run does not change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

import palpate
from palpate.imaging.dicom.files import silence
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.moments import in_timezone_of

SCHEME: Final = "99PALPATE"
"""Private coding scheme of quantities for which DICOM has no code."""
MODEL: Final = "palpate (research software, not a medical device)"
"""Name of the equipment in headers."""
MANUFACTURER: Final = "palpate"
"""Manufacturer in headers."""


@dataclass(frozen=True, slots=True)
class ObjectText:
    """Words and identifiers of one object or series.

    Attributes:
        identity: patient, study and frame of reference.
        description: description of the series, of which 64 characters are kept.
        series_number: number of the series in the study.
        made: time at which its content was computed.
        uid_base: digest of what makes it itself and no other; its identifiers follow from it.
    """

    identity: MapIdentity
    description: str
    series_number: int
    made: datetime
    uid_base: str

    def uid(self, *parts: object) -> UID:
        """Return the identifier of a part, such as "series"."""
        return generate_uid(entropy_srcs=[self.uid_base, *map(str, parts)])

    def new(self, sop_class: UID, modality: str, instance: int = 1) -> Dataset:
        """Return a header with identity, series, equipment and times, without content.

        Args:
            sop_class: class of the object.
            modality: modality of its series.
            instance: number of the object in its series, from 1.
        """
        made = Dataset()
        made.SOPClassUID, made.Modality = sop_class, modality
        made.SOPInstanceUID, made.SeriesInstanceUID = self.uid("instance", instance), self.uid("series")
        made.StudyInstanceUID = self.identity.source.study_instance_uid
        made.FrameOfReferenceUID = self.identity.source.frame_of_reference_uid
        made.SeriesNumber, made.InstanceNumber = self.series_number, instance
        made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MODEL
        made.SoftwareVersions = made.DeviceSerialNumber = palpate.__version__
        self.complete(made)
        return made

    def complete(self, dataset: Dataset) -> None:
        """Put description, identity and times into a header, in place of whatever stands there."""
        dataset.SeriesDescription = self.description[:64]
        self.identity.give_to(dataset)
        made = in_timezone_of(self.made, self.identity)
        date, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
        dataset.InstanceCreationDate = dataset.ContentDate = date
        dataset.InstanceCreationTime = dataset.ContentTime = time
        if self.identity.is_pseudonym:
            dataset.TimezoneOffsetFromUTC = "+0000"
        for equipment in dataset.get("ContributingEquipmentSequence", []):
            equipment.ContributionDateTime = date + time


def state_body_part(dataset: Dataset, identity: MapIdentity) -> None:
    """State the part of the body in an image's header.

    Without a body part, DICOM asks for a laterality; an empty one says that it does not apply.
    """
    if identity.source.body_part:
        dataset.BodyPartExamined = identity.source.body_part
    else:
        dataset.Laterality = None


def settle_dimensions(dataset: Dataset, text: ObjectText) -> None:
    """Replace the random identifier of an image's dimensions by one that follows from its content."""
    organization = text.uid("dimensions")
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in dataset.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization


def coded(code: Code) -> Dataset:
    """Return the item of a sequence of codes."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def content_digest(*parts: object) -> str:
    """Return the digest of what makes an object itself; when it was written is no part of that.

    Args:
        parts: bytes, or values whose representation tells all of them.
    """
    total = sha256()
    for part in (*parts, palpate.__version__):
        total.update(part if isinstance(part, bytes) else repr(part).encode())
    return total.hexdigest()


def save(dataset: Dataset, path: Path) -> None:
    """Write an object as a DICOM file; the caller makes sure that no partial file is left.

    Odd values of the scan's identity are passed on as they are: an archive compares what it has.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with silence():
        FileDataset(path, dataset, file_meta=meta, preamble=bytes(128)).save_as(path, enforce_file_format=True)
