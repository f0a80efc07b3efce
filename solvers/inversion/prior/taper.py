"""Weights that fall from one to zero around a threshold, so that rounding does not choose as it would with a cut.

Processors, their BLAS kernels and numbers of ranks round differently, so that an eigenvalue beside a threshold is above
it here and below it there. A weight that passes continuously from zero to one makes results differ by no more than
their inputs do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BAND: Final = 2.0
"""Ratio of the value at which the weight is one to the value at which it is zero; the threshold is their geometric
mean."""


def foot(threshold: float) -> float:
    """Return the value up to which the weight is zero.

    Args:
        threshold: value in the middle of the band.
    """
    return threshold / float(np.sqrt(BAND))


def root_weight(values: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return roots of weights in [0, 1], linear in the logarithm of the value, in the shape of the values.

    The root multiplies a column of Y in H = Y Y^T; draws are linear in it, so that it must not be steep.

    Args:
        values: numbers, any shape; those that are not positive get the weight zero.
        threshold: value in the middle of the band, where the root is 1/2.
    """
    least = foot(threshold)
    return np.asarray(np.clip(np.log(np.maximum(values, least) / least) / np.log(BAND), 0.0, 1.0))
