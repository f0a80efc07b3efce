"""What linear maps owe each other: adjointness, symmetry, positivity and order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""Relative error that sums of some thousand rounded products may leave."""

type Action = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def assert_adjoint(
    forward: Action, backward: Action, x: NDArray[np.float64], y: NDArray[np.float64], tolerance: float = ROUNDING
) -> None:
    """<A x, y> = <x, B y>: the dot-product test for B = A^T.

    Args:
        forward: A, on columns.
        backward: B, on columns.
        x: shape (n, 1).
        y: shape (m, 1).
        tolerance: share of the vectors' sizes.
    """
    image, pullback = forward(x), backward(y)
    scale = np.linalg.norm(image) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(pullback)
    assert abs(np.vdot(image, y) - np.vdot(x, pullback)) <= tolerance * scale


def assert_symmetric(matrix: NDArray[np.float64] | NDArray[np.complex128], tolerance: float = ROUNDING) -> None:
    """A = A^T (for complex matrices without conjugation)."""
    assert np.abs(matrix - matrix.T).max() <= tolerance * np.abs(matrix).max()


def assert_positive(matrix: NDArray[np.float64], tolerance: float = ROUNDING) -> None:
    """No eigenvalue of a symmetric matrix is below zero by more than `tolerance` of the largest."""
    values = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))
    assert values[0] >= -tolerance * abs(values[-1]), f"smallest {values[0]:.3g}, largest {values[-1]:.3g}"


def assert_not_above(small: NDArray[np.float64], large: NDArray[np.float64], tolerance: float) -> None:
    """x^T A x <= x^T B x for every x, in units of B's largest eigenvalue."""
    values = np.linalg.eigvalsh(large - small)
    scale = np.linalg.eigvalsh(large)[-1]
    assert values[0] >= -tolerance * scale, f"B - A has an eigenvalue of {values[0]:.3g}, B one of {scale:.3g}"
