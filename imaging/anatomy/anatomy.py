"""Anatomical image beside a wave field: read, checked, kept in its own grid, and placed on each run's elastogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import is_pseudonymised, same_identifier
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import demand_one_patient
from palpate.imaging.dicom.sorting import SeriesRow, anatomy_row
from palpate.imaging.files.nifti import (
    Volume,
    demand_box_voxels,
    is_volume_file,
    read_nifti,
    read_volume,
    same_grid,
    write_nifti,
)
from palpate.imaging.registration.placement import Placement, not_moved, placement_warnings, write_placement
from palpate.imaging.registration.register import overlap, register
from palpate.imaging.registration.rigid import at_rest
from palpate.progress import say
from palpate.quality_warning import QualityWarning

ALIGNED_SIGMAS: Final = 2.0
"""Movement over its uncertainty up to which it counts as none, where the files state no movement."""
ALIGNED_MM: Final = 0.25
"""Movement below which it counts as none, mm: interpolation alone can simulate it (decision 0045)."""
_FEWEST_ALONG_AXIS: Final = 4
"""Least number of voxels along each axis: thinner images cannot be blurred, nor told from their neighbours."""


@dataclass(frozen=True, slots=True)
class AnatomyImage:
    """Anatomical image as it was read.

    Attributes:
        where: file or folder, for messages.
        volume: finite intensities, shape (i, j, k).
        facts: entry of the image in the record of ingest.
        same_frame: whether it shares the elastogram's frame of reference; None where the files do not state it.
        rows: lines of the image in the table of series; none where it is no DICOM.
        warnings: warnings about its DICOM series.
        frame_uid: frame of reference as the files state it; empty where they state none.
        series_uid: series as the files state it; empty where they state none.
        pseudonymised: whether palpate deidentify wrote the files.
    """

    where: Path
    volume: Volume
    facts: dict[str, object]
    same_frame: bool | None
    rows: tuple[SeriesRow, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()
    frame_uid: str = field(default="", repr=False)
    series_uid: str = field(default="", repr=False)
    pseudonymised: bool = False


def read_anatomy_image(anatomy: Path, mre: Sequence[Instance]) -> AnatomyImage:
    """Read a T1-weighted image.

    Args:
        anatomy: DICOM folder or archive, NIfTI or .mgz.
        mre: DICOM images of the elastogram, for comparison of patient and frame of reference; may be empty.

    Raises:
        InputError: the image is unreadable, not one volume, not finite, without contrast, or of another patient.
    """
    if anatomy.is_file() and is_volume_file(anatomy):
        volume = read_volume(anatomy)
        _demand_image(anatomy, volume)
        demand_box_voxels(anatomy, volume.affine_mm, "anatomy")
        # A template's coordinates are another frame: only a registration can tell where the image lies.
        same_world = False if volume.of_template else None
        return AnatomyImage(anatomy, volume, {"source": "NIfTI", "same_frame_of_reference": same_world}, same_world)
    read = read_anatomy(anatomy)
    _demand_image(anatomy, read.volume)
    same: bool | None = None
    if mre:
        demand_one_patient((mre[0], *read.series.instances))
        frames = [str(one.header.get("FrameOfReferenceUID", "")) for one in (mre[0], read.series.instances[0])]
        # Both as their files have them; what is written is pseudonymised afterwards.
        same = same_identifier(frames[0], frames[1], None) if all(frames) else None
        if same is False:
            say("the anatomy has another frame of reference than the MRE: the patient may have moved between them")
    say(f"anatomy: {' x '.join(str(n) for n in read.volume.values.shape)} voxels")
    facts = {"source": "DICOM", "series_number": read.series.number, "same_frame_of_reference": same}
    rows, header = (*read.passed, anatomy_row(read.series)), read.series.header
    frame, uid = (str(header.get(name) or "") for name in ("FrameOfReferenceUID", "SeriesInstanceUID"))
    return AnatomyImage(anatomy, read.volume, facts, same, rows, read.warnings, frame, uid, is_pseudonymised(header))


def write_anatomy(image: AnatomyImage, label: str, folder: Path) -> None:
    """Write the image on its own grid, as `<label>_T1w.nii.gz`."""
    write_nifti(folder / f"{label}_T1w.nii.gz", image.volume.values.astype(np.float32), image.volume.affine_mm)


def place_anatomy(
    image: AnatomyImage, run: str, folder: Path, *, registration: Literal["auto", "never"]
) -> dict[str, object]:
    """Find the placement of the image on a run's elastogram, and write it beside the image.

    Args:
        image: anatomical image.
        run: label of the run, whose mask, and magnitude if there is one, are in the folder.
        folder: wave-field folder.
        registration: whether the image is registered ("auto") or its file's own placement is kept ("never").

    Returns:
        Entry of the placement in the record of ingest.

    Raises:
        InputError: the image shows nothing of the elastogram.
    """
    placement = _placement(image, run, folder, registration)
    write_placement(folder, run, placement)
    known = "" if placement.uncertainty_mm is None else f", known to {placement.uncertainty_mm:.2g} mm"
    say(f"{run}: anatomy {placement.status}{known}")
    for warning in placement.warnings:
        say(f"{run}: {warning}")
    return {
        **image.facts,
        "registration": {
            "status": placement.status,
            "uncertainty_mm": placement.uncertainty_mm,
            "warnings": [one.as_record() for one in placement_warnings(placement)],
        },
    }


def settled(found: Placement, same_frame: bool | None) -> Placement:  # noqa: FBT001 - the answer to one question
    """Return the placement to use, from a registration and the frames of reference that the files state.

    Unless the files state another frame of reference, their own placement holds, until a registration shows a movement
    beyond its own uncertainty; where the registration failed it holds with a warning. With another frame of reference
    there is no other placement to fall back on.

    Args:
        found: outcome of the registration.
        same_frame: whether both images share a frame of reference; None where the files do not state it.
    """
    if same_frame is False:
        if found.usable:
            return found
        return replace(found, warnings=(*found.warnings, "The frames of reference differ, so the anatomy is not used."))
    if not found.usable:
        told = "The anatomy is left where its file says."
        return replace(not_moved("assumed", *found.warnings, told), figures=found.figures)
    assert found.uncertainty_mm is not None
    moved_mm = found.figures["moved_mm"]
    assert isinstance(moved_mm, float)
    if moved_mm <= max(ALIGNED_SIGMAS * found.uncertainty_mm, ALIGNED_MM):
        return replace(found, status="aligned", motion=at_rest(found.motion.centre_mm))
    return replace(found, warnings=(f"The anatomy lay {moved_mm:.1f} mm off the elastogram and was moved.",))


def _placement(image: AnatomyImage, run: str, folder: Path, registration: Literal["auto", "never"]) -> Placement:
    mask = read_nifti(folder / f"{run}_mask.nii.gz")
    tissue = mask.values > 0.5
    points_mm = np.argwhere(np.ones_like(tissue)) @ mask.affine_mm[:3, :3].T + mask.affine_mm[:3, 3]
    if overlap(image.volume, points_mm) == 0.0:
        raise InputError(
            image.where,
            found="an image that shows nothing of the elastogram",
            expected="the same part of the same head in world coordinates (RAS, mm)",
            advice="Give the T1 of this visit, or leave the anatomy out.",
        )
    other = ("The frames of reference differ: the patient may have moved.",) if image.same_frame is False else ()
    if registration == "never":
        return not_moved("assumed", *other)
    magnitude = _magnitude(folder / f"{run}_magnitude.nii.gz", mask)
    if magnitude is None:
        return not_moved("assumed", "There is no magnitude image to register the anatomy to.")
    if min(image.volume.values.shape) < _FEWEST_ALONG_AXIS:
        return not_moved("assumed", "The anatomy is too thin to be registered.")
    return settled(register(magnitude, tissue, image.volume), image.same_frame)


def _magnitude(path: Path, mask: Volume) -> Volume | None:
    """Return the elastogram's magnitude, where there is one that fits its mask and shows anything."""
    if not path.exists():
        return None
    volume = read_nifti(path)
    fits = volume.values.shape == mask.values.shape and same_grid(volume.affine_mm, mask.affine_mm, mask.values.shape)
    return volume if fits and np.all(np.isfinite(volume.values)) and np.ptp(volume.values) > 0 else None


def _demand_image(where: Path, volume: Volume) -> None:
    if volume.values.ndim != 3:
        raise InputError(
            where,
            found=f"an array of shape {volume.values.shape}",
            expected="one volume, shape (i, j, k)",
            advice="Give a single T1-weighted volume.",
        )
    unusable = int(np.sum(~np.isfinite(volume.values)))
    if unusable or np.ptp(volume.values) == 0.0:
        raise InputError(
            where,
            found=f"{unusable} voxels that are not finite" if unusable else "the same intensity everywhere",
            expected="a T1-weighted image with contrast",
            advice="Export or convert the image again, or leave the anatomy out.",
        )
