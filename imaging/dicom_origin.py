"""Back from keyed identifiers to a scan's own: they are read from the scan again, and proved by the key."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.files import UNREADABLE, contents, shown, silence
from palpate.imaging.dicom.parsing import parse
from palpate.imaging.dicom_source import DicomSource
from palpate.imaging.input_limits import Budget

_TAGS: Final = ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID", "SOPInstanceUID")


def original_place(recorded: DicomSource, scan: Path, key: Key) -> DicomSource:
    """A recorded scan under its own identifiers: viewers look up the series that a map refers to, and lay it over that.

    Args:
        recorded: identifiers that the key gave for the scan's own.
        scan: the DICOM folder or zip that palpate ingest read; of its files nothing but four identifiers is looked at.
        key: of the record.

    Raises:
        InputError: there is no such path, or no image there whose keyed identifiers are the recorded ones.
    """
    if not scan.exists():
        advice = "Give the folder or zip that palpate ingest read."
        raise InputError(scan, found="no such file or folder", expected="the session's DICOM", advice=advice)
    wanted = (recorded.study_instance_uid, recorded.frame_of_reference_uid, recorded.series_instance_uid)
    for _, content in contents(scan):
        study, frame, series, image = _identifiers(content)
        if key.identifier(image) != recorded.sop_instance_uid:
            continue
        if (*map(key.identifier, (study, frame, series)),) == wanted:
            return replace(
                recorded,
                study_instance_uid=study,
                frame_of_reference_uid=frame,
                series_instance_uid=series,
                sop_instance_uid=image,
            )
    raise InputError(
        shown(scan),
        found="no image that the record of ingest stands for: another scan, or changed identifiers",
        expected="the DICOM folder or zip that palpate ingest read for this session",
        advice="Give that one (--scan; in sessions.tsv the column mre), or run palpate ingest again.",
    )


def _identifiers(content: bytes) -> tuple[str, ...]:
    """Study, frame of reference, series and image of a DICOM file; empty where it is none or does not say."""
    try:
        with silence():
            header = parse(io.BytesIO(content), len(content), Budget("a DICOM file of the scan"), tags=_TAGS)
            return tuple(str(header.get(name, "")) for name in _TAGS)
    except UNREADABLE:
        # Ingest refuses damaged images of the scan itself; what else lies beside it is of no concern here.
        return ("",) * len(_TAGS)
