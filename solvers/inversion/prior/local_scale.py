"""Local scale of the prior, which widens it where tissue deviates by more than expected (scale-mixture prior).

The standard deviation for a whole organ follows from the many voxels of ordinary tissue. A lesion that is not labelled
may then be several standard deviations away: the Gaussian prior draws it towards its surroundings with a narrow
interval. A scale mixture of Gaussians has the heavier tail that tissue has. Given x, the local deviation, the amplitude
of its variation is, with as many degrees of freedom before the data as the neighbourhood has,

    A^2 = max(1, (1 + t^2) / 2),      t^2 = mean over the neighbourhood and both fields of (u_f - median u_f)^2 / v_f,

with u_f = x_f / s_f, its median over the organ, and v_f the variance of u_f around that mean under the prior.
The prior's standard deviation is multiplied by A. It is never narrowed: smooth tissue where waves resolve it implies
nothing certain about scales that they do not resolve (docs/theory/prior.md). The median of u is subtracted because data
do not distinguish it from the organ's own mean: in an organ of few correlation lengths much of what is common to all
voxels ends up in x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.solvers.inversion.prior.prior import MaternField

NEIGHBOURHOOD_MM = 3.0
"""Standard deviation of the Gaussian over which deviations are averaged, mm: a third of the waves' resolution."""

NOTABLE = 1.1
"""Largest amplitude below which another step of widening changes nothing that matters."""


def notable(amplitudes: NDArray[np.float64]) -> float:
    """Return the share of a new local scale that is applied: 1, or less where its largest amplitude is near NOTABLE.

    The share rises from 0 where the excess over one is half of NOTABLE's to 1 where it is one and a half of it: with a
    jump, rounding would choose between two priors that differ by a tenth.

    Args:
        amplitudes: amplitudes that `local_scale_of` returned, shape (N,).
    """
    return float(np.clip((amplitudes.max() - NOTABLE) / (NOTABLE - 1.0) + 0.5, 0.0, 1.0))


def local_scale_of(prior: MaternField, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factors on the prior's local standard deviation, at least 1, shape (N,).

    Args:
        prior: the present prior; the result replaces its local scale and does not multiply it.
        weights: weights w with x = C w at the present point, shape (2 N,).
    """
    deviation = prior.local_part(weights) * prior.local_scale / prior.local_std
    around = (deviation - np.median(deviation, axis=1, keepdims=True)) ** 2 / prior.variance_around_mean[:, None]
    squares = np.zeros(prior.mask.shape)
    squares[prior.mask] = around.mean(axis=0)
    width = NEIGHBOURHOOD_MM / prior.voxel_size_mm
    inside = ndimage.gaussian_filter(prior.mask.astype(np.float64), width)
    mean = ndimage.gaussian_filter(squares, width)[prior.mask] / inside[prior.mask]
    return np.asarray(np.sqrt(np.maximum(1.0, 0.5 * (1.0 + mean))))
