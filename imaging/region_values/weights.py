"""Share of each voxel of a posterior that lies inside a region, by sub-sampling.

A voxel counts by the share of 4 x 4 x 4 points spread evenly through it that lie inside, so that the edge of a region
may cross it. Where the region lies in another world that is known to within some error, the shares under displaced
motions are kept as well, from 8 points of a low-discrepancy sequence (Roberts, "The unreasonable effectiveness of
quasirandom sequences", 2018): on an even lattice an edge parallel to it would meet none or all of its points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.imaging.files.nifti import voxel_volume_ml
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.motion import Motion, UncertainMotion
from palpate.imaging.regions.region import DrawnRegion, Shape
from palpate.imaging.regions.sphere import SphereShape

LATTICE: Final = np.array(list(product((-3.0, -1.0, 1.0, 3.0), repeat=3))) / 8.0
"""Points at which a voxel is asked whether it lies inside, in voxels from its centre, shape (64, 3)."""
_ROOT: Final = 1.2207440846057596
"""Real root of x^4 = x + 1, whose powers make the low-discrepancy sequence in three dimensions."""
SCATTERED: Final = (np.outer(np.arange(1, 9), _ROOT ** -np.arange(1.0, 4.0)) + 0.5) % 1.0 - 0.5
"""Points at which a voxel is asked under a displaced motion, in voxels from its centre, shape (8, 3)."""
_CHUNK: Final = 2_000
"""Number of voxels whose points are asked at a time: 3 MB of points, so that memory stays bounded."""
_CORNERS: Final = np.array(list(product((-0.5, 0.5), repeat=3)))


class PosteriorVoxels(Protocol):
    """PosteriorVoxels with joint draws."""

    @property
    def voxels(self) -> NDArray[np.int32]:
        """Indices of the N voxels, shape (N, 3)."""
        ...


@dataclass(frozen=True, slots=True)
class WeightedRegion:
    """Region on the voxels of a posterior.

    Attributes:
        name: name of the region.
        number: number of its label, segment or ROI; None where it has none.
        shares: share of each voxel that lies inside, 0 to 1, shape (N,).
        volume_ml: volume of the region as it was drawn, millilitres.
        covered_ml: volume of its part on voxels with draws, millilitres.
        voxel_ml: volume of a voxel, millilitres.
        displaced: shares under the motion of an UncertainMotion and under its displaced motions, from fewer points,
            shape (1 + 2 p, N), p directions of the error; None where the place of the region is exact, or its error is
            not known.
        centred: whether the error of the place widens the interval alone and leaves the mean.
    """

    name: str
    number: int | None
    shares: NDArray[np.float64]
    volume_ml: float
    covered_ml: float
    voxel_ml: float
    displaced: sparse.csr_array | None = None
    centred: bool = False

    @property
    def covered_share(self) -> float:
        """Share of the region that lies on voxels with draws, 0 to 1."""
        return min(1.0, self.covered_ml / self.volume_ml) if self.volume_ml > 0.0 else 0.0


def weighted(
    region: DrawnRegion, run: StiffnessMaps, draws: PosteriorVoxels, carry: Motion | None = None
) -> WeightedRegion:
    """Return the share of each voxel of a posterior in a region.

    Args:
        region: region as it was drawn.
        run: posterior of one run.
        draws: its joint draws.
        carry: motion from the elastogram's world to the region's; None where they are the same. The error of an
            UncertainMotion widens the intervals of the region's values.
    """
    shares = _shares(region.shape, run.affine_mm, draws.voxels, carry, LATTICE)
    around = carry.displaced if isinstance(carry, UncertainMotion) else ()
    places = (carry, *around) if around else ()
    moved = [sparse.csr_array(_shares(region.shape, run.affine_mm, draws.voxels, one, SCATTERED)) for one in places]
    voxel_ml = voxel_volume_ml(run.affine_mm)
    return WeightedRegion(
        name=region.name,
        number=region.number,
        shares=shares,
        volume_ml=region.shape.volume_mm3 / 1e3,
        covered_ml=float(shares.sum()) * voxel_ml,
        voxel_ml=voxel_ml,
        displaced=_stacked(moved) if moved else None,
        centred=isinstance(carry, UncertainMotion) and carry.centred,
    )


def weighted_voxels(name: str, mask: NDArray[np.bool_], run: StiffnessMaps, draws: PosteriorVoxels) -> WeightedRegion:
    """Return whole voxels of a posterior's grid as a region.

    Args:
        name: name of the region.
        mask: voxels of the region, shape (i, j, k).
        run: posterior of one run.
        draws: its joint draws.
    """
    shares = mask[tuple(draws.voxels.T)].astype(np.float64)
    voxel_ml = voxel_volume_ml(run.affine_mm)
    return WeightedRegion(name, None, shares, float(mask.sum()) * voxel_ml, float(shares.sum()) * voxel_ml, voxel_ml)


def _stacked(rows: Sequence[sparse.csr_array]) -> sparse.csr_array:
    return sparse.csr_array(sparse.vstack([one.reshape(1, -1) for one in rows], format="csr"))


def _shares(
    shape: Shape,
    affine_mm: NDArray[np.float64],
    voxels: NDArray[np.int32],
    motion: Motion | None,
    offsets: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the share of each voxel in a shape under a motion, shape (N,)."""
    found = np.zeros(len(voxels))
    for near in _near(shape, affine_mm, voxels, motion):
        chosen = near
        if isinstance(shape, SphereShape) and motion is None:
            centres_mm = _moved_mm(voxels[near].astype(np.float64), affine_mm, motion)
            settled = shape.settled(centres_mm, float(np.linalg.norm(affine_mm[:3, :3] @ _CORNERS.T, axis=0).max()))
            found[near] = np.where(settled > 0.0, 1.0, 0.0)
            chosen = near[np.isnan(settled)]
        if len(chosen):
            points_mm = _points_mm(voxels[chosen], affine_mm, motion, offsets)
            found[chosen] = shape.shares(points_mm).mean(axis=1)
    return found


def _points_mm(
    voxels: NDArray[np.int32], affine_mm: NDArray[np.float64], motion: Motion | None, offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the points of voxels in the region's world, shape (n, m, 3): one sum each, faster than a product each."""
    centres_mm = _moved_mm(voxels.astype(np.float64), affine_mm, None)
    points_mm = centres_mm[:, None, :] + offsets @ affine_mm[:3, :3].T
    return points_mm if motion is None else motion.moved(points_mm)


def _near(
    shape: Shape, affine_mm: NDArray[np.float64], voxels: NDArray[np.int32], motion: Motion | None
) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers of the voxels that may touch the box around a shape, some at a time."""
    low, high = shape.box_mm
    corners_mm = _moved_mm(voxels[:1] + np.concatenate([np.zeros((1, 3)), _CORNERS]), affine_mm, motion)
    reach = 1.01 * np.abs(corners_mm[1:] - corners_mm[0]).max(axis=0)
    centres_mm = _moved_mm(voxels.astype(np.float64), affine_mm, motion)
    near = np.flatnonzero(np.all((centres_mm >= low - reach) & (centres_mm <= high + reach), axis=1))
    for first in range(0, len(near), _CHUNK):
        yield near[first : first + _CHUNK]


def _moved_mm(index: NDArray[np.float64], affine_mm: NDArray[np.float64], motion: Motion | None) -> NDArray[np.float64]:
    """Return points of the region's world for positions in voxels, shape (..., 3)."""
    points_mm = np.asarray(index @ affine_mm[:3, :3].T + affine_mm[:3, 3])
    return points_mm if motion is None else motion.moved(points_mm)
