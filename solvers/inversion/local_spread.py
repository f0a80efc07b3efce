"""How much stiffness varies here: the prior's spread as a field of its own, learned from the data.

Tissue is nearly uniform over centimetres and then falls to fluid within a voxel. One spread for both is too wide for
the one and too narrow for the other. The spread that maximises the marginal likelihood obeys, for every patch a,

    sum_a x w = sum_a gamma,    x = C w the posterior mean, gamma the share of freedom that data take from the prior,

summed over both fields, and is found by MacKay's fixed point s^2 <- s^2 (sum_a x w) / (sum_a gamma), damped. Patches
are Gaussian weights, and a few pseudo-parameters hold the ratio at one where data say little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from palpate.solvers.inversion.prior import FIELDS

PATCH_MM = 6.0
"""Standard deviation of the Gaussian patch; about the correlation length of tissue."""

PSEUDO_PARAMETERS = 2.0
"""Weight of keeping the spread, in well-determined parameters per patch."""

LARGEST_FACTOR = 2.0
"""Most that a spread changes in one update."""

DAMPING = 0.9
"""Share of the fixed-point step that is taken, in the logarithm."""

RELATIVE_BOUNDS = (0.15, 4.0)
"""Bounds of the spread relative to the organ's."""


def update_relative_spread(
    relative: NDArray[np.float64],
    energy: NDArray[np.float64],
    gains: NDArray[np.float64],
    mask: NDArray[np.bool_],
    voxel_size_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """One fixed-point update.

    Args:
        relative: spread relative to the organ's, shape (N,).
        energy: x w of every parameter, without the part of the unknown means, shape (2 N,).
        gains: gamma of every parameter, shape (2 N,).
        mask: shape (i, j, k).
        voxel_size_mm: shape (3,).
    """
    sigma = PATCH_MM / voxel_size_mm
    voxels_per_patch = float(np.prod(np.sqrt(2.0 * np.pi) * sigma))

    def patches(values: NDArray[np.float64]) -> NDArray[np.float64]:
        volume = np.zeros(mask.shape)
        volume[mask] = values
        return np.asarray(gaussian_filter(volume, sigma, mode="constant")[mask] * voxels_per_patch)

    found = np.maximum(patches(energy.reshape(FIELDS, -1).sum(axis=0)) + PSEUDO_PARAMETERS, 0.0)
    freedom = np.maximum(patches(gains.reshape(FIELDS, -1).sum(axis=0)), 0.0) + PSEUDO_PARAMETERS
    ratio = np.clip(found / freedom, LARGEST_FACTOR**-2, LARGEST_FACTOR**2)
    return np.clip(relative * ratio ** (0.5 * DAMPING), *RELATIVE_BOUNDS)
