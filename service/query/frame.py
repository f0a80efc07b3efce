"""World in which a region of a query lies, and the way from the elastogram to it.

A sphere lies in the elastogram's world. A mask on the voxels of the T1 was drawn on the T1, and another one lies where
its own world coordinates say. Segments and contours state a frame of reference, which must be the elastogram's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import recorded_identifiers, same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.files.nifti import demand_scanner_world, read_stored
from palpate.imaging.region_values.motion import UncertainMotion, motion_to_anatomy
from palpate.imaging.regions.region import DrawnRegion, VoxelShape
from palpate.imaging.registration.placement import Placement, placement_warnings, read_placement
from palpate.quality_warning import QualityWarning
from palpate.service.query.answer import RegistrationState
from palpate.service.query.session import OpenRun
from palpate.system_files import matching

_OTHER: Final = (
    "Draw the region on images of the same examination, or carry it to them and export it from there; a region of "
    "another patient's scan has no place here. Where one of the two was pseudonymised, do the same with the other."
)

type Way = tuple[UncertainMotion | None, RegistrationState, tuple[QualityWarning, ...]]
"""Motion from the elastogram's world to the region's (None where they are the same), its state, and warnings."""


def way_to(region: DrawnRegion, run: OpenRun, key: Path | None) -> Way:
    """Return the way from the elastogram of a run to the world of a region.

    Args:
        region: region as it was drawn.
        run: run that is asked.
        key: file of the key by which the record's identifiers were made; None takes the user's own.

    Raises:
        InputError: the region lies in another frame of reference, or on a T1 whose place is not known.
    """
    if region.kind == "sphere":
        return None, RegistrationState("none needed"), ()
    stiffness = run.stiffness
    if region.on_grid(stiffness.affine_mm, stiffness.informed.shape):
        return None, RegistrationState("none needed"), ()
    if _on_anatomy(region, run):
        return _by_anatomy(region, read_placement(run.wavefield, stiffness.label))
    # Nothing shows whether it was drawn on the T1: where that was moved, its warnings say by how much.
    moved = placement_warnings(read_placement(run.wavefield, stiffness.label))
    if region.kind == "NIfTI":
        if isinstance(region.shape, VoxelShape):
            demand_scanner_world(Path(region.where), region.shape.volume, "mask")
        return None, RegistrationState("none needed"), moved
    return None, RegistrationState("none needed"), (*_same_frame(region, run, key), *moved)


def _on_anatomy(region: DrawnRegion, run: OpenRun) -> bool:
    """Return whether a region is drawn on the voxels of the session's T1."""
    if not isinstance(region.shape, VoxelShape):
        return False
    images = matching(run.wavefield, "*_T1w.nii.gz") if run.wavefield.is_dir() else []
    found = (read_stored(one) for one in images)
    return any(region.on_grid(one.affine_mm, one.values.shape) for one in found)


def _by_anatomy(region: DrawnRegion, placement: Placement) -> Way:
    """Return the recorded way to the T1."""
    if not placement.usable:
        raise InputError(
            region.where,
            found="a region drawn on the T1, whose place on the elastogram is not known",
            expected="a region with a way to the elastogram",
            advice="Draw the region on the elastogram's magnitude, or give a T1 that can be registered.",
        )
    warnings = placement_warnings(placement)
    if placement.status == "assumed":
        return motion_to_anatomy(placement), RegistrationState("not registered"), warnings
    return motion_to_anatomy(placement), RegistrationState("recorded", placement.uncertainty_mm), warnings


def _same_frame(region: DrawnRegion, run: OpenRun, key: Path | None) -> tuple[QualityWarning, ...]:
    """Refuse segments and contours of another frame of reference; return a warning where that is unknown.

    Raises:
        InputError: the frames differ, the region states none, or the key to compare them is missing.
    """
    named = run.ingest.get("dicom")
    frame = str(named.get("FrameOfReferenceUID") or "") if isinstance(named, dict) else ""
    known = _key(run, key)
    if same_identifier(region.frame_uid, frame, known):
        return ()
    if region.frame_uid and not frame:
        sentence = "The elastogram states no frame of reference: nothing shows that the region lies in its coordinates."
        return (QualityWarning("region-frame-unknown", sentence, "Look at the region on the magnitude."),)
    found = "another frame of reference than the elastogram's" if region.frame_uid else "no frame of reference"
    unknown = recorded_identifiers(run.ingest).status == "pseudonymised" and known is None
    if unknown:
        found = "a frame of reference that cannot be compared: the key of the record's pseudonyms is not at hand"
    raise InputError(
        region.where,
        found=found,
        expected="a region in the elastogram's frame of reference",
        advice="Give the key that palpate ingest used with --key." if unknown else _OTHER,
    )


def _key(run: OpenRun, key: Path | None) -> Key | None:
    """Return the key of a record's pseudonyms; None where nobody has it."""
    identifiers = recorded_identifiers(run.ingest)
    found = known_key(key)
    fits = found is not None and identifiers.key_fingerprint in ("", found.fingerprint)
    return found if fits else None
