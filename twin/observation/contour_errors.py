"""Errors of drawn contours: a smooth field of the level at which they are drawn, and what each block has of its own.

    e_b = c_b lambda(x_b) / s + n_b,     lambda ~ GP(0, s^2 Matern 3/2 of length l),
    n_b ~ N(0, f^2 + (o c_b / s)^2 + (v g_b)^2 + m_b)

lambda is an error of the logit of the density at which a contour is drawn. A scan's contours of two thresholds have
fields of correlation k, those of two scans are independent. c_b is the standard deviation of a block's share under that
error, by a five-point rule, since shares are not linear in it. g_b is the change of the share if the front moved, 1/mm.
lambda / |grad logit u| displaces the edge: at a front of 0.45/mm by s / 0.45, about 0.75 mm, alike over a length of l
along the surface; where density is flat, as after radiotherapy, by more. m_b stands for voxels at the edge of tissue
that hold tumour but are drawn as fluid.

The seven constants are maxima of the likelihood of residuals y - F at true densities (decision 0148).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.observation.block_covariance import BlockCovariance, DenseBlock
from palpate.twin.outline import matern

type Values = NDArray[np.float64]
type Kinds = NDArray[np.int64]

NEAR: Final = 0.01
"""Error of a share by the level, one standard deviation, from which on a contour counts as near."""
LEVELS: Final = (0.0, 1.355626, -1.355626, 2.856970, -2.856970)
"""Levels of the five-point Gauss-Hermite rule, in standard deviations."""
WEIGHTS: Final = (8.0 / 15.0, 0.222076, 0.222076, 0.011257, 0.011257)
"""Weights of those levels."""


SHARE_STD: Final = 0.03
"""Standard deviation of a block's share in a region, far from its edge, where errors are taken as independent."""
EDGE_MM: Final = 1.2
"""Standard deviation of the edge of a region from voxel to voxel, mm, where errors are taken as independent."""
LEVEL: Final = 0.4
"""Standard deviation of the logit of the density at which an edge is drawn, where errors are taken as independent."""
ALIKE: Final = 4.0
"""Factor on these variances, since blocks of 6 mm are not independent (decision 0053)."""


def inflated_variances(slope: Values, by_threshold: Values) -> Values:
    """Return variances of shares taken as independent, with a factor for what neighbours share, shape (m,).

    Args:
        slope: change g of the shares by the place of the front, 1/mm, shape (m,).
        by_threshold: change of the shares by the logit of the threshold, shape (m,).
    """
    return np.asarray(ALIKE * (SHARE_STD**2 + (EDGE_MM * slope) ** 2 + (LEVEL * by_threshold) ** 2))


@dataclass(frozen=True, slots=True)
class ContourErrors:
    """Constants of the errors of contours.

    Attributes:
        level_std: standard deviation s of the logit of the density at which a contour is drawn; smooth.
        level_mm: correlation length l of that level, millimetres (Matern, smoothness 3/2).
        between_kinds: correlation k of the levels of a scan's two contours.
        own_std: standard deviation o of the level of each block by itself, in the logit.
        voxel_mm: standard deviation v of the edge in each block, mm: contours go by whole voxels.
        floor: standard deviation f of a share where no contour is near.
        missed: probability that a voxel at the edge of tissue is drawn as no tumour where there is one.
    """

    level_std: float
    level_mm: float
    between_kinds: float
    own_std: float
    voxel_mm: float
    floor: float
    missed: float

    def variances(self, level: Values, slope: Values, rim: Values) -> Values:
        """Return the variances of n, shape (m,).

        Args:
            level: standard deviation c of the shares by the level, shape (m,).
            slope: change g of the shares by the place of the front, 1/mm, shape (m,).
            rim: sum over the block's voxels at the edge of tissue of their share times their squared weight,
                shape (m,).
        """
        own = (self.own_std / self.level_std * level) ** 2
        return np.asarray(self.floor**2 + own + (self.voxel_mm * slope) ** 2 + self.missed * rim)

    def near(self, level: Values) -> NDArray[np.bool_]:
        """Return where a contour is near: where its level's error exceeds NEAR, shape (m,).

        Args:
            level: standard deviation c of the shares by the level, shape (m,).
        """
        return np.asarray(level > NEAR)

    def covariance(self, level: Values, points_mm: Values, kinds: Kinds) -> Values:
        """Return the covariance of c lambda / s, shape (m, m).

        Args:
            level: standard deviation c of the shares by the level, shape (m,).
            points_mm: middles of the blocks, millimetres, shape (m, 3).
            kinds: numbers of the contours, shape (m,).
        """
        alike = np.where(kinds[:, None] == kinds, 1.0, self.between_kinds)
        return np.asarray(level[:, None] * level * alike * matern(points_mm, points_mm, self.level_mm))


CONTOUR_ERRORS: Final = ContourErrors(
    level_std=0.34, level_mm=7.2, between_kinds=0.5, own_std=0.09, voxel_mm=0.43, floor=0.016, missed=0.13
)
"""Errors of contours as measured on in-silico patients whose density is known."""


def contour_covariance(
    diagonal: Values,
    levels: tuple[Values, ...],
    points_mm: tuple[Values, ...],
    kinds: tuple[Kinds, ...],
    errors: ContourErrors = CONTOUR_ERRORS,
) -> BlockCovariance:
    """Return diag(d) plus the covariance of the level within each scan, where a contour is near.

    Args:
        diagonal: variances d of all rows, shape (m,).
        levels: standard deviation c of each scan's rows by the level, shape (m_i,); 0 for cellularity.
        points_mm: middles of the blocks of each scan's rows, millimetres, shape (m_i, 3).
        kinds: number of the contour of each scan's rows, shape (m_i,).
        errors: constants of the errors.
    """
    blocks, first = [], 0
    for level, points, kind in zip(levels, points_mm, kinds, strict=True):
        near = np.flatnonzero(errors.near(level))
        if len(near):
            rows = first + near
            covariance = errors.covariance(level[near], points[near], kind[near]) + np.diag(diagonal[rows])
            blocks.append(DenseBlock(rows, np.linalg.cholesky(covariance)))
        first += len(level)
    return BlockCovariance(diagonal, tuple(blocks))
