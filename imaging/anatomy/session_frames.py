"""Frames of reference of a finished session, from its wave-field folder: those of the elastogram and of the T1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpate.imaging.anatomy.foreign_frame import FixedImage, ForeignFrame, GivenRegistration, KnownFrame
from palpate.imaging.anatomy.way_between import way_between
from palpate.imaging.registration.placement import placement_warnings, read_placement
from palpate.imaging.registration.way import FrameWay, placement_way, same_frame
from palpate.system_files import matching


@dataclass(frozen=True, slots=True)
class SessionFrames:
    """Frames of reference of one run of a session.

    Attributes:
        known: frames of reference: that of the T1 first, where there is one whose place is known, then that of the
            elastogram.
        image: file of the image in the first of them, to which a CT may be registered; None where there is none.
    """

    known: tuple[KnownFrame, ...]
    image: Path | None

    def way_to(self, foreign: ForeignFrame, given: GivenRegistration) -> FrameWay:
        """Return the way from the elastogram to the frame of reference in which a region was drawn.

        Args:
            foreign: its frame of reference. NIfTI names none, and needs a way that the user names.
            given: registration or CT that the user names to carry it.

        Raises:
            InputError: there is no way, the file that the user names holds none, or it is of another patient.
        """
        fixed = None if self.image is None else FixedImage(self.image, self.known[0])
        return way_between(self.known, foreign, given, fixed)


def session_frames(wavefield: Path, label: str, record: Mapping[str, Any]) -> SessionFrames:
    """Return the frames of reference of a run.

    Args:
        wavefield: folder that palpate ingest wrote; it need not exist.
        label: label of the run.
        record: record of ingest; empty where the wave field was made elsewhere.
    """
    elastogram = KnownFrame("the elastogram", _uid(record.get("dicom")), same_frame())
    magnitude = wavefield / f"{label}_magnitude.nii.gz"
    images = matching(wavefield, "*_T1w.nii.gz") if wavefield.is_dir() else []
    placement = read_placement(wavefield, label)
    if not images or not placement.usable:
        return SessionFrames((elastogram,), magnitude if magnitude.exists() else None)
    anatomy = record.get("anatomy")
    of_t1 = anatomy if isinstance(anatomy, Mapping) else {}
    # Records of earlier versions state only whether both share one.
    shared = elastogram.frame_uid if of_t1.get("same_frame_of_reference") is True else ""
    way = placement_way(placement, placement_warnings(placement))
    return SessionFrames((KnownFrame("the T1", _uid(of_t1.get("dicom")) or shared, way), elastogram), images[0])


def _uid(references: object) -> str:
    """Return the frame of reference among the identifiers of a record; empty where there is none."""
    return str(references.get("FrameOfReferenceUID") or "") if isinstance(references, Mapping) else ""
