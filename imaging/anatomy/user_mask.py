"""Mask that a user drew: taken as it is on the elastogram's grid, carried from another grid, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.persons import same_person
from palpate.imaging.files.nifti import Volume, demand_scanner_world
from palpate.imaging.regions.read import read_region
from palpate.imaging.regions.region import DrawnRegion, VoxelShape
from palpate.progress import say
from palpate.quality_warning import QualityWarning

_SIGNAL: Final = 0.1
"""Share of the magnitude's 90th percentile above which there is signal."""
_FEWEST_WITH_SIGNAL: Final = 0.5


def read_user_mask(
    path: Path, magnitude: Volume, frame_uid: str = "", key: Key | None = None, person: Sequence[str] | None = None
) -> tuple[NDArray[np.bool_], dict[str, object]]:
    """Read a mask in the elastogram's world coordinates.

    A voxel of the elastogram lies in the mask where its centre does.

    Args:
        path: mask: NIfTI of zeros and one other value, DICOM Segmentation, or RT Structure Set. Where the file holds
            several regions, the chosen one follows as `file#name` or `file#number`.
        magnitude: magnitude of the elastogram, shape (i, j, k).
        frame_uid: frame of reference of the elastogram; empty where its images state none.
        key: key by which a frame of reference or a patient may have been pseudonymised; None where nobody has it.
        person: number, name and birth date of the scan's patient, only ever compared; None compares no patients.

    Returns:
        The mask on the elastogram's grid, and its entry in the record of ingest: `kept_share`, the volume on that
        grid over the volume that was drawn, `share_with_signal`, and where it came from.

    Raises:
        InputError: the mask is unreadable, in another frame of reference, of another patient, empty, beside the
            elastogram, or mostly in voxels without signal.
    """
    shape = magnitude.values.shape
    region = read_region(path, magnitude.affine_mm)
    doubts = (*_demand_same_frame(region, frame_uid, key), *_demand_same_patient(region, frame_uid, key, person))
    on_grid = region.on_grid(magnitude.affine_mm, shape)
    if not on_grid and isinstance(region.shape, VoxelShape):
        demand_scanner_world(path, region.shape.volume, "mask")
    mask = region.inside(magnitude.affine_mm, shape)
    if not mask.any():
        raise InputError(
            region.where,
            found="a mask that touches no voxel of the elastogram",
            expected="a mask in the elastogram's world coordinates (RAS, mm)",
            advice="Draw it on the elastogram's magnitude, or check which scan it belongs to.",
        )
    signal = magnitude.values > _SIGNAL * np.percentile(magnitude.values, 90.0)
    with_signal = float(signal[mask].mean())
    if with_signal < _FEWEST_WITH_SIGNAL:
        raise InputError(
            region.where,
            found=f"a mask of which {100 * with_signal:.0f} % show any signal",
            expected="a mask of tissue that the elastogram shows",
            advice="Look at the mask on the magnitude; it may be inverted, shifted or flipped.",
        )
    kept = float(mask.sum() * abs(np.linalg.det(magnitude.affine_mm[:3, :3]))) / region.shape.volume_mm3
    _say(region, kept)
    entry: dict[str, object] = {
        "source": "user",
        "on_grid": on_grid,
        "kept_share": kept,
        "share_with_signal": with_signal,
        "kind": region.kind,
        "region_number": region.number,
        "region_name": region.name or None,
        **region.facts,
        "warnings": [one.as_record() for one in (*region.warnings, *doubts)],
    }
    return mask, entry


def _demand_same_frame(region: DrawnRegion, frame_uid: str, key: Key | None) -> tuple[QualityWarning, ...]:
    """Refuse a region whose coordinates are not the elastogram's; return a warning where that is unknown.

    Raises:
        InputError: the frames of reference differ, or the region's DICOM file states none.
    """
    if region.kind == "NIfTI" or same_identifier(region.frame_uid, frame_uid, key):
        return ()
    if not region.frame_uid or frame_uid:
        raise InputError(
            region.where,
            found="another frame of reference than the elastogram's" if region.frame_uid else "no frame of reference",
            expected="a region in the elastogram's frame of reference",
            advice="Draw it on images of the same examination, or carry it to them and export it from there; where one "
            "of the two was pseudonymised, do the same with the other.",
        )
    sentence = (
        "The elastogram states no frame of reference: nothing shows that the drawn region lies in its coordinates."
    )
    return (QualityWarning("region-frame-unknown", sentence, "Look at the region on the magnitude."),)


def _demand_same_patient(
    region: DrawnRegion, frame_uid: str, key: Key | None, person: Sequence[str] | None
) -> tuple[QualityWarning, ...]:
    """Refuse a region of another patient; return a warning where nothing tells whose it is.

    A copied image keeps its frame of reference, so that one frame alone does not prove one patient; a frame of which
    the key makes the other does.

    Raises:
        InputError: the patients differ. It repeats neither.
    """
    by_key = (
        bool(region.frame_uid) and region.frame_uid != frame_uid and same_identifier(region.frame_uid, frame_uid, key)
    )
    if region.kind == "NIfTI" or person is None or by_key:
        return ()
    same = _one_patient(region.person, person, key)
    if same is None:
        sentence = "Nothing shows that the file of the region is of the scan's patient: one of both states none."
        return (QualityWarning("region-patient-unknown", sentence, "Make sure whose it is."),)
    if not same:
        raise InputError(
            region.where,
            found="a region of another patient than the scan's",
            expected="a region of the scan's patient",
            advice="Check whose file it is; where one of the two was pseudonymised, do the same with the other.",
        )
    return ()


def _one_patient(first: Sequence[str], second: Sequence[str], key: Key | None) -> bool | None:
    """Return whether two files are of one patient, by numbers where both state one; None where that cannot be told."""
    if not any(one and other for one, other in zip(first, second, strict=False)):
        return None
    one, other = first[0], second[0]
    if not one or not other:
        return same_person(first, second)
    return one == other or (key is not None and (key.pseudonym(one) == other or key.pseudonym(other) == one))


def _say(region: DrawnRegion, kept: float) -> None:
    """Say which region was taken, and how it was carried to the elastogram."""
    number = "" if region.number is None else f" {region.number}"
    name = f" ({region.name})" if region.name else ""
    say(
        f"region: {region.kind}{number}{name}, {region.shape.volume_mm3 / 1000.0:.4g} ml as drawn, "
        f"{100 * kept:.0f} % of that on the elastogram's voxels"
    )
    if "contour_planes" in region.facts:
        apart = region.facts["contour_spacing_mm"]
        told = f" {apart:.3g} mm apart" if isinstance(apart, float) else ""
        say(
            f"region: contours on {region.facts['contour_planes']} planes{told}; each counts halfway to the next, "
            "and a voxel lies in the region where its centre does"
        )
    for warning in region.warnings:
        say(f"warning: {warning}")
