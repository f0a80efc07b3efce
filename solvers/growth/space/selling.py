"""Selling's formula: a diffusion tensor as a sum of steps between lattice points with weights that are not negative.

    D = sum_k weight_k e_k e_k^T,   weight_k >= 0,   e_k integer vectors, six of them in three dimensions.

Finite differences along e_k are then monotone however strong the anisotropy is (Selling 1874; Fehrenbach and Mirebeau,
J. Math. Imaging Vis. 49:123, 2014). With a superbase b_0..b_3 (integer, sum zero, |det| 1) that is obtuse,
b_i . D b_j <= 0, the weights are -b_i . D b_j and e the cross product of the other two.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

PAIRS: Final = tuple(combinations(range(4), 2))
"""Pairs of the four vectors of a superbase."""
_START: Final = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])
_MOST_TURNS: Final = 200


def decompose(tensors: Values) -> tuple[Values, NDArray[np.int64]]:
    """Decompose tensors by Selling's formula.

    Args:
        tensors: symmetric positive definite tensors, in units of lattice spacings, shape (n, 3, 3).

    Returns:
        Weights, shape (n, 6), none below zero, and steps, shape (n, 6, 3).

    Raises:
        ValueError: a tensor is not positive definite, or so nearly singular that no superbase was found.
    """
    if len(tensors) and not (np.linalg.eigvalsh(tensors)[:, 0] > 0).all():
        raise ValueError("diffusion tensors must be symmetric positive definite")
    base = np.broadcast_to(_START, (len(tensors), 4, 3)).copy()
    scale = np.trace(tensors, axis1=1, axis2=2)
    for _ in range(_MOST_TURNS):
        products = np.einsum("nia,nab,njb->nij", base, tensors, base)
        upper = np.stack([products[:, i, j] for i, j in PAIRS], axis=1) / scale[:, None]
        acute = np.flatnonzero((upper > 1e-14).any(axis=1))
        if not len(acute):
            weights = np.maximum(-upper * scale[:, None], 0.0)
            return weights, np.stack([_complement(base, i, j) for i, j in PAIRS], axis=1)
        _turn(base, acute, upper[acute].argmax(axis=1))
    raise ValueError("a diffusion tensor is too nearly singular")


def _turn(base: NDArray[np.int64], which: NDArray[np.int64], worst: NDArray[np.int64]) -> None:
    """Replace (b_i, b_j, b_k, b_l) by (-b_i, b_j, b_k + b_i, b_l + b_i) where b_i and b_j are acute."""
    for number, (i, j) in enumerate(PAIRS):
        rows = which[worst == number]
        first = base[rows, i].copy()
        base[rows, i] = -first
        for other in set(range(4)) - {i, j}:
            base[rows, other] += first


def _complement(base: NDArray[np.int64], i: int, j: int) -> NDArray[np.int64]:
    k, other = sorted(set(range(4)) - {i, j})
    return np.cross(base[:, k], base[:, other])
