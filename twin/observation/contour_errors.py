"""Errors of drawn contours: a smooth field of the level at which they are drawn, and what each block has of its own.

    e_b = c_b lambda(x_b) + n_b,     lambda ~ GP(0, s^2 Matern 3/2 of length l),     n_b ~ N(0, f^2 + (o c_b)^2 + (v g_b)^2)

lambda is an error of the logit of the density at which a contour is drawn; one field a scan moves its contours of both
thresholds. c_b is the change of a block's share by the level: half the difference between levels s higher and s lower,
over s. g_b is the change of the share if the front moved, 1/mm. lambda / |grad logit u| displaces the edge, so that at a
front of 0.45/mm it lies s / 0.45 off, about 0.9 mm, over a length of l along the surface; where density is flat, as
after radiotherapy, it lies off by more.

The five constants are maxima of the likelihood of residuals y - F at true densities (benchmarks/contour_errors.py,
decision 0148).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.observation.block_covariance import BlockCovariance, DenseBlock
from palpate.twin.outline import matern

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ContourErrors:
    """Constants of the errors of contours.

    Attributes:
        level_std: standard deviation s of the logit of the density at which a contour is drawn.
        level_mm: correlation length l of that level, millimetres (Matern, smoothness 3/2).
        own_std: standard deviation o of the level of each block by itself, in the logit.
        voxel_mm: standard deviation v of the edge in each block, mm: contours go by whole voxels.
        floor: standard deviation f of a share where no contour is near.
    """

    level_std: float
    level_mm: float
    own_std: float
    voxel_mm: float
    floor: float

    def variances(self, level: Values, slope: Values) -> Values:
        """Return the variances of n, shape (m,).

        Args:
            level: change c of the shares by the logit of the level, shape (m,).
            slope: change g of the shares by the place of the front, 1/mm, shape (m,).
        """
        return np.asarray(self.floor**2 + (self.own_std * level) ** 2 + (self.voxel_mm * slope) ** 2)

    def near(self, level: Values) -> NDArray[np.bool_]:
        """Return where a contour is near: where its level's error exceeds half of the floor, shape (m,).

        Args:
            level: change c of the shares by the logit of the level, shape (m,).
        """
        return np.asarray(self.level_std * level > 0.5 * self.floor)

    def covariance(self, level: Values, points_mm: Values) -> Values:
        """Return the covariance of c lambda, shape (m, m).

        Args:
            level: change c of the shares by the logit of the level, shape (m,).
            points_mm: middles of the blocks, millimetres, shape (m, 3).
        """
        scaled = self.level_std * level
        return np.asarray(scaled[:, None] * scaled * matern(points_mm, points_mm, self.level_mm))


CONTOUR_ERRORS: Final = ContourErrors(level_std=0.41, level_mm=10.0, own_std=0.2, voxel_mm=0.35, floor=0.025)
"""Errors of contours as measured on in-silico patients whose density is known."""


def contour_covariance(
    diagonal: Values, levels: tuple[Values, ...], points_mm: tuple[Values, ...], errors: ContourErrors = CONTOUR_ERRORS
) -> BlockCovariance:
    """Return diag(d) plus the covariance of the level within each scan, where a contour is near.

    Args:
        diagonal: variances d of all rows, shape (m,).
        levels: change c of each scan's rows by the level, shape (m_i,); 0 for cellularity.
        points_mm: middles of the blocks of each scan's rows, millimetres, shape (m_i, 3).
        errors: constants of the errors.
    """
    blocks, first = [], 0
    for level, points in zip(levels, points_mm, strict=True):
        near = np.flatnonzero(errors.near(level))
        if len(near):
            rows = first + near
            covariance = errors.covariance(level[near], points[near]) + np.diag(diagonal[rows])
            blocks.append(DenseBlock(rows, np.linalg.cholesky(covariance)))
        first += len(level)
    return BlockCovariance(diagonal, tuple(blocks))
