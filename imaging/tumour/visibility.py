"""Checks that the dates of a tumour show it, and that scans without visible tumour image the place where it is.

A scan without visible tumour is data: the density is below what images show, near the place where the tumour was or
will be. It is no data if the scan shows another place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.files.nifti import voxel_indices
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.history import TumourScan
from palpate.imaging.tumour.onto_grid import TumourGrid

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

SEEN: Final = 0.3
"""Least cellularity that counts as tumour where there are no regions."""
LEAST_ML: Final = 0.3
"""Least volume above SEEN that counts as tumour, ml; less is noise."""
SIGMA_MM: Final = 3.0
"""Standard deviation of the Gaussian under which cellularity is averaged before it is compared with SEEN, mm."""
_LEAST_INSIDE: Final = 0.5
"""Least share of a tumour that must lie in the brain and on the grid; less means another place or another head."""
_LEAST_LOOKED: Final = 0.9
"""Least share of the tumour of other dates that a scan without tumour must have imaged."""


def smoothed(cellularity: Values, edges_mm: Values) -> Values:
    """Return the mean of measured cellularity under a Gaussian of 3 mm, shape (i, j, k); 0 where nothing was measured.

    Args:
        cellularity: density of cells over the capacity, shape (i, j, k); NaN where it was not measured.
        edges_mm: edges of a voxel, mm, shape (3,).
    """
    return weighted_mean(cellularity, np.isfinite(cellularity).astype(np.float64), SIGMA_MM / edges_mm)


def weighted_mean(values: Values, weights: Values, sigmas: Values) -> Values:
    """Return the mean under a Gaussian and weights, shape (i, j, k); 0 where the weight is 0.

    Args:
        values: values to average, shape (i, j, k); arbitrary where the weight is 0.
        weights: weights of the voxels, not negative, same shape.
        sigmas: standard deviations of the Gaussian along the axes, voxels, shape (3,).
    """
    known = weights > 0.0
    total = ndimage.gaussian_filter(weights * np.where(known, values, 0.0), sigmas, mode="constant")
    weight = ndimage.gaussian_filter(weights, sigmas, mode="constant")
    return np.where(known & (weight > 0.0), total / np.where(weight > 0.0, weight, 1.0), 0.0)


def shown(scan: TumourScan, edges_mm: Values) -> Mask:
    """Return the voxels in which a date shows tumour, by its regions if they were drawn, else by its cellularity.

    The result has shape (i, j, k).

    Args:
        scan: scan of one date.
        edges_mm: edges of a voxel, mm, shape (3,).
    """
    return scan.tumour if scan.marked else np.asarray(smoothed(scan.cellularity, edges_mm) > SEEN)


def demand_tumour(subject: str, places: Sequence[str], seen: Sequence[Mask], tissue: Mask) -> None:
    """Refuse tumours that lie outside the brain, and a history that shows none at all.

    Args:
        subject: name of the subject, for errors.
        places: folder of each date, for errors.
        seen: voxels in which each date shows tumour, shape (i, j, k) each.
        tissue: brain, shape (i, j, k).

    Raises:
        InputError: a tumour lies outside the brain, or no date shows one.
    """
    if not np.any(seen):
        raise InputError(
            subject,
            found=f"no tumour in any of {len(seen)} scans: no region of one, and no cellularity above {SEEN:g}",
            expected="a tumour that is visible in at least one of them",
            advice="Check regions and cellularity, or leave the column growth empty.",
        )
    for place, where in zip(places, seen, strict=True):
        if where.any() and float(tissue[where].mean()) < _LEAST_INSIDE:
            raise InputError(
                place,
                found=f"a tumour of which {float(tissue[where].mean()):.0%} lies in brain tissue",
                expected=f"at least {_LEAST_INSIDE:.0%}",
                advice="Check that maps and anatomy are of the same head and place (RAS, mm), and left is left.",
            )


def demand_looked(places: Sequence[str], seen: Sequence[Mask], looked: Sequence[Mask], tissue: Mask) -> None:
    """Refuse scans without tumour that do not show where other dates have it.

    Args:
        places: folder of each date, for errors.
        seen: voxels in which each date shows tumour, shape (i, j, k) each; at least one date shows it in tissue.
        looked: voxels that each date images, shape (i, j, k) each.
        tissue: brain, shape (i, j, k).

    Raises:
        InputError: a scan without tumour does not show a place where another date has it.
    """
    anywhere = np.any(seen, axis=0) & tissue
    for place, own, field in zip(places, seen, looked, strict=True):
        share = float(field[anywhere].mean())
        if not own.any() and share < _LEAST_LOOKED:
            raise InputError(
                place,
                found=f"no tumour, in maps that show {share:.0%} of where other dates have it",
                expected=f"at least {_LEAST_LOOKED:.0%}, for a tumour to be taken as gone or not there yet",
                advice="Give maps of the whole region (RAS, mm); check the position of this date.",
            )


def demand_on_grid(place: str, roi: Mask, affine_mm: Values, motion: Rigid | None, grid: TumourGrid) -> None:
    """Refuse a tumour of which much lies beyond the grid of the first scan, where it would be cut off.

    Args:
        place: folder of the date, for errors.
        roi: regions of tumour on the date's own grid, shape (a, b, c).
        affine_mm: voxel indices of that grid to world RAS millimetres, shape (4, 4).
        motion: motion from the first scan's world to this date's; None where they are the same.
        grid: grid of the first scan.

    Raises:
        InputError: more of the tumour than allowed lies beyond the grid.
    """
    points = np.argwhere(roi) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    if not len(points):
        return
    if motion is not None:
        back = np.linalg.inv(motion.matrix_mm)
        points = points @ back[:3, :3].T + back[:3, 3]
    index = voxel_indices(grid.affine_mm, points)
    inside = float(np.all((index >= -0.5) & (index <= np.array(grid.shape) - 0.5), axis=-1).mean())
    if inside < _LEAST_INSIDE:
        raise InputError(
            place,
            found=f"a tumour of which {inside:.0%} lies in what the first scan shows",
            expected=f"at least {_LEAST_INSIDE:.0%}",
            advice="Give a first scan that covers the place of the tumour, or register the dates (RAS, mm).",
        )
