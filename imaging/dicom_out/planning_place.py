"""Place of the planning image beside an elastogram: whether maps may be laid on it, and the motion between frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from palpate.imaging.dicom_out.content import WrittenObject
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.image_grid import ImageGrid
from palpate.imaging.dicom_out.object_header import ObjectText, content_digest
from palpate.imaging.dicom_out.quantities import REGISTRATION_SERIES
from palpate.imaging.dicom_out.spatial_registration import write_spatial_registration
from palpate.imaging.registration.placement import Placement, placement_warnings
from palpate.quality_warning import QualityWarning

_UNKNOWN: Final = "The place of the T1 on the elastogram is not known: its registration failed."
_DIFFER: Final = "T1 and elastogram have different frames of reference, and no registration between them is recorded."
_ONE_FRAME: Final = "T1 and elastogram share a frame of reference: there is no motion between frames to state."


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of reference of an elastogram and of the planning image.

    Attributes:
        same: whether they are the same; None where the elastogram states none.
    """

    same: bool | None

    @classmethod
    def of(cls, scan: MapIdentity | None, planning: ImageGrid) -> Frames:
        """Return the relation of two frames, both as they are or both under pseudonyms."""
        if scan is None:
            return cls(None)
        return cls(scan.source.frame_of_reference_uid == planning.identity.source.frame_of_reference_uid)


def planning_place(placement: Placement, frames: Frames) -> tuple[str | None, tuple[QualityWarning, ...]]:
    """Return why maps cannot be laid on the planning image, and warnings where they can.

    Args:
        placement: recorded placement of the planning image on the run.
        frames: relation of their frames of reference.

    Returns:
        A sentence, or None where maps may be laid on it; warnings about the place.
    """
    if not placement.usable:
        return _UNKNOWN, ()
    if placement.status == "assumed" and frames.same is False:
        return _DIFFER, ()
    warnings = placement_warnings(placement)
    if placement.status == "assumed" and frames.same is None:
        warnings += (_unproved(),)
    return None, warnings


def _unproved() -> QualityWarning:
    sentence = "Nothing states that T1 and elastogram share coordinates: the wave field names no frame of reference."
    advice = "Compare the MR series with the T1 in a viewer before you rely on places."
    return QualityWarning("planning-place-unproved", sentence, advice)


def write_registration(
    folder: Path, label: str, scan: MapIdentity | None, planning: ImageGrid, placement: Placement, made_s: float
) -> WrittenObject | str:
    """Write the motion from the elastogram's frame of reference to the planning image's.

    Args:
        folder: folder to write in; the caller makes sure that no partial one is left.
        label: label of the run.
        scan: identity for objects on the elastogram's grid; None where it did not come as DICOM.
        planning: grid of the planning image.
        placement: recorded placement of the planning image on the run.
        made_s: time at which the stiffness was computed, seconds since 1970.

    Returns:
        The object, or the sentence why none is written.
    """
    reason, _ = planning_place(placement, Frames.of(scan, planning))
    if scan is None:
        return "The elastogram did not come from DICOM and has no frame of reference."
    if Frames.of(scan, planning).same:
        return _ONE_FRAME
    if reason is not None:
        return reason
    known = "" if placement.uncertainty_mm is None else f", known to {placement.uncertainty_mm:.2g} mm"
    comment = f"MRE to T1, mutual information, {placement.status}{known}"
    path = folder / f"{label}_from-MRE_to-{planning.space}_registration.dcm"
    frame = scan.source.frame_of_reference_uid
    base = content_digest(planning.identity.source, frame, placement.motion.matrix_mm.tobytes(), label)
    made = datetime.fromtimestamp(made_s, tz=UTC)
    text = ObjectText(planning.identity, f"MRE to T1 {label}", REGISTRATION_SERIES, made, base)
    write_spatial_registration(path, placement.motion.matrix_mm, frame, text, comment)
    return WrittenObject("registration", path, comment)
