"""Search for the scan behind a record of ingest: its image that a map refers to, and the identity that it states."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.files import UNREADABLE, contents, silence
from palpate.imaging.dicom.parsing import parse
from palpate.imaging.dicom_out.dicom_identity import (
    CHARACTERS,
    PATIENT,
    PLACE_AND_TIME,
    STUDY,
    MapIdentity,
    identity_of,
)
from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget
from palpate.progress import say

_UIDS: Final = ("SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID")
_READ: Final = [*_UIDS, "SOPClassUID", CHARACTERS, *PATIENT, *STUDY, *PLACE_AND_TIME]
_PERSON: Final = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
_OF_STUDY: Final = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription")
REMEDIES: Final = (
    "Give the scan where it lies now (--scan; in sessions.tsv the column mre),"
    " or set maps.identity to pseudonym for maps under a pseudonym."
)
"""Advice where the scan of the record is not found."""


def scan_identity(recorded: DicomSource, scan: Path, key: Key | None) -> MapIdentity:
    """Return the identity of the scan behind a record, read from the scan again.

    Viewers look up the series that a map refers to, so that the very image of the record is found, whether the record
    holds its identifiers, the key's pseudonyms for them, or the other way round where a de-identified copy is given.

    Args:
        recorded: the scan as the record of ingest names it.
        scan: the DICOM folder or zip that palpate ingest read.
        key: key of the record; None where its identifiers are not pseudonyms.

    Raises:
        InputError: there is no such path, no image there that the record stands for, or images of its study disagree
            on whose they are.
    """
    if not scan.exists():
        raise InputError(scan, found="no such file or folder", expected="the session's DICOM", advice=REMEDIES)
    wanted = (
        recorded.sop_instance_uid,
        recorded.study_instance_uid,
        recorded.frame_of_reference_uid,
        recorded.series_instance_uid,
    )
    found: Dataset | None = None
    headers: list[Dataset] = []
    for header in _headers(scan):
        headers.append(header)
        own = [str(header.get(name, "")) for name in _UIDS]
        if found is None and all(same_identifier(*pair, key) for pair in zip(own, wanted, strict=True)):
            found = header
    if found is None:
        raise InputError(
            shown(scan),
            found="no image that the record of ingest stands for: another scan, or changed identifiers",
            expected="the DICOM folder or zip that palpate ingest read for this session",
            advice=REMEDIES,
        )
    _demand_one_person(scan, [one for one in headers if one.get("StudyInstanceUID") == found.StudyInstanceUID])
    image, study, frame, series = (str(found[name].value) for name in _UIDS)
    own_source = replace(
        recorded,
        study_instance_uid=study,
        frame_of_reference_uid=frame,
        series_instance_uid=series,
        sop_instance_uid=image,
    )
    return identity_of(found, own_source)


def _headers(scan: Path) -> Iterator[Dataset]:
    """Yield identity and identifiers of every DICOM file; what cannot be read is passed over.

    Ingest has refused damaged images of the scan itself; what else lies beside it is of no concern here.
    """
    for _, content in contents(scan):
        try:
            with silence():
                header = parse(io.BytesIO(content), len(content), Budget("a DICOM file of the scan"), tags=_READ)
                for element in header:
                    _ = str(element.value)
                header.remove_private_tags()
        except UNREADABLE:
            continue
        if header.get("SOPInstanceUID") and header.get("StudyInstanceUID"):
            yield header


def _demand_one_person(scan: Path, headers: list[Dataset]) -> None:
    """Refuse a study whose images state different persons; say where they state different studies.

    An image that leaves an element empty contradicts nobody, nor does another way to write the same name.

    Raises:
        InputError: which elements differ; what they hold is not shown.
    """
    differing = [name for name in _PERSON if len(_stated(headers, name)) > 1]
    if differing:
        raise InputError(
            shown(scan),
            found=f"images of one study that differ in {', '.join(map(dictionary_description, differing))}",
            expected="one patient in one study, whose identity the maps can carry",
            advice="Remove the images that do not belong there, or set maps.identity to pseudonym.",
        )
    for name in _OF_STUDY:
        if len(_stated(headers, name)) > 1:
            holder = "the image that the maps refer to"
            say(f"images of the scan's study differ in {dictionary_description(name)}; maps carry that of {holder}")


def _stated(headers: list[Dataset], name: str) -> set[str]:
    """Return the different values that headers state, punctuation, spaces and case aside."""
    texts = (re.sub(r"[\W_]+", "", str(header.get(name, "") or "")).casefold() for header in headers)
    return {text for text in texts if text}
