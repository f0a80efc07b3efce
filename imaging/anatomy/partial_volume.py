"""Brightness of pure tissues in an anatomical image most of whose voxels hold two of them.

The mean of a class of voxels is not the brightness of its tissue: most voxels classified as fluid in a T1-weighted
brain hold fluid and cortex, half as dark as fluid. So the histogram is taken as a mixture of three pure tissues and
of voxels that two neighbours in brightness share in equally probable proportions, all with the same noise,

    p(s) = sum_k w_k N(s; m_k, sigma^2) + sum_k v_k (Phi((s - m_k) / sigma) - Phi((s - m_k+1) / sigma)) / (m_k+1 - m_k),

after Santago and Gage (IEEE Trans. Med. Imaging 12 (1993) 566), and fitted by maximum likelihood.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr
from skimage.filters import threshold_multiotsu

TISSUES: Final = 3
"""Number of pure tissues: fluid, grey and white matter in a T1-weighted brain."""

_BINS: Final = 200
_WEIGHT_STEPS: Final = 60
"""Number of steps of expectation maximisation; the weights are a convex problem."""

_LEAST_DISTANCE: Final = 0.02
"""Least distance of two tissues over the histogram's range; closer ones are not told apart."""

_MOST_EVALUATIONS: Final = 800


def pure_intensities(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the brightness of the dark, the middle and the bright tissue in voxels of one tissue.

    Args:
        values: intensities of brain and its fluid, shape (n,); more than three different ones.

    Returns:
        The brightness m of each tissue, ascending.
    """
    counts, edges = np.histogram(values, _BINS)
    centres = (edges[1:] + edges[:-1]) / 2.0
    fraction = counts / counts.sum()
    lowest, extent = float(edges[0]), float(edges[-1] - edges[0])

    def cost(parameters: NDArray[np.float64]) -> float:
        means, noise = _natural(parameters)
        densities = _densities((centres - lowest) / extent, means, noise)
        return -float(fraction @ np.log(_weights(densities, fraction) @ densities + np.finfo(float).tiny))

    number = np.digitize(values, threshold_multiotsu(values, classes=TISSUES))
    classes = (np.array([values[number == k].mean() for k in range(TISSUES)]) - lowest) / extent
    start = np.array([classes[0], *np.log(np.maximum(np.diff(classes) - _LEAST_DISTANCE, 1e-3)), np.log(0.05)])
    simplex = np.vstack([start, start + np.diag([-0.1, 0.3, 0.3, 0.3])])
    options = {"initial_simplex": simplex, "maxfev": _MOST_EVALUATIONS, "xatol": 1e-3, "fatol": 1e-6}
    found = minimize(cost, start, method="Nelder-Mead", options=options)
    dark, middle, bright = lowest + extent * _natural(found.x)[0]
    return float(dark), float(middle), float(bright)


def _natural(parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return means and noise, of the histogram's range: distances are positive, noise is wider than a bin."""
    distances = _LEAST_DISTANCE + np.exp(parameters[1:3])
    return np.cumsum([parameters[0], *distances]), float(1.0 / _BINS + np.exp(parameters[3]))


def _densities(at: NDArray[np.float64], means: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Return densities of three pure tissues and of two pairs that share voxels, shape (5, bins)."""
    standard = (at - means[:, None]) / noise
    pure = np.exp(-(standard**2) / 2.0) / (np.sqrt(2.0 * np.pi) * noise)
    shared = (ndtr(standard[:-1]) - ndtr(standard[1:])) / np.diff(means)[:, None]
    return np.concatenate([pure, shared])


def _weights(densities: NDArray[np.float64], fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the likeliest weights of components of known density, shape (5,)."""
    weights = np.full(len(densities), 1.0 / len(densities))
    for _ in range(_WEIGHT_STEPS):
        of_each = weights[:, None] * densities
        weights = of_each @ (fraction / (of_each.sum(axis=0) + np.finfo(float).tiny))
    return np.asarray(weights / weights.sum())
