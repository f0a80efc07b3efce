"""Position of the head at each date, from registration of later T1 images to the first one.

Dates without T1 images are taken as aligned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import ALIGNED_MM, ALIGNED_SIGMAS, AnatomyImage, settled
from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.register import overlap, register
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.progress import say

_COARSE_MM: Final = 3.0
"""Approximate edge of the voxels to which the first T1 is averaged, mm; a registration then takes seconds."""
_LEAST_VOXELS: Final = 500


@dataclass(frozen=True, slots=True)
class Movement:
    """Position of a date's world relative to the first scan's.

    Attributes:
        motion: motion from the first scan's world to this date's; None where they are the same.
        uncertainty_mm: uncertainty of the motion, mm; None where it was not measured.
        note: result or assumption, in a sentence.
    """

    motion: Rigid | None
    uncertainty_mm: float | None
    note: str


def movement(
    first: AnatomyImage | None,
    later: AnatomyImage | None,
    grid: TumourGrid,
    tissue: NDArray[np.bool_],
    registration: Literal["auto", "never"],
) -> Movement:
    """Find the position of a date's world relative to the first scan's.

    Args:
        first: T1 of the first date.
        later: T1 of the other date.
        grid: voxels of the history.
        tissue: brain on the grid, shape (i, j, k).
        registration: whether images are registered at all ("auto") or dates are taken as aligned ("never").

    Raises:
        InputError: the T1 images show nothing in common, or frames of reference differ and they cannot be registered.
    """
    if first is None or later is None:
        return Movement(None, None, "taken as aligned with the first scan, because not both dates have a T1")
    if registration == "never":
        return Movement(None, None, "taken as aligned with the first scan, as the configuration says")
    target = _coarse(first.volume, grid, tissue)
    if target is None:
        return Movement(None, None, "taken as aligned with the first scan: too little brain to register")
    image, brain = target
    points_mm = np.argwhere(brain) @ image.affine_mm[:3, :3].T + image.affine_mm[:3, 3]
    if overlap(later.volume, points_mm) == 0.0:
        raise InputError(
            later.where,
            found="a T1 that shows nothing of the first scan's brain",
            expected="the same part of the same head in world coordinates (RAS, mm)",
            advice="Check whose image it is; otherwise shift it onto the first date's T1.",
        )
    found = settled(register(image, brain, later.volume), None)
    if found.status == "assumed":
        say(f"T1 images could not be registered: {' '.join(found.warnings)}")
        return Movement(None, None, f"taken as aligned with the first scan: {' '.join(found.warnings)}")
    known = f"known to {found.uncertainty_mm:.2g} mm"
    if found.status == "aligned":
        limit = f"less than {ALIGNED_SIGMAS:g} times its uncertainty or {ALIGNED_MM:g} mm"
        return Movement(None, found.uncertainty_mm, f"aligned with the first scan, {known} (movement {limit})")
    return Movement(found.motion, found.uncertainty_mm, f"moved {found.figures['moved_mm']:.1f} mm, {known}")


def _coarse(image: Volume, grid: TumourGrid, tissue: NDArray[np.bool_]) -> tuple[Volume, NDArray[np.bool_]] | None:
    """Return the image and the brain on a coarser copy of the grid; None where hardly any is left."""
    edges_mm = np.linalg.norm(grid.affine_mm[:3, :3], axis=0)
    every = np.maximum(np.floor(_COARSE_MM / edges_mm + 1e-3), 1).astype(int)
    counts = np.array(grid.shape) // every
    affine = grid.affine_mm.copy()
    affine[:3, 3] += affine[:3, :3] @ ((every - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * every
    if counts.min() < 4:
        return None
    coarse = TumourGrid((int(counts[0]), int(counts[1]), int(counts[2])), affine)
    values = coarse.interpolated(image, outside=0.0)
    brain = coarse.nearest(Volume(tissue.astype(np.float64), grid.affine_mm)) > 0.5
    if np.count_nonzero(brain & (values > 0)) < _LEAST_VOXELS or np.ptp(values) == 0.0:
        return None
    return Volume(values, affine), brain
