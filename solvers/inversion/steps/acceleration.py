"""Anderson acceleration of Gauss-Newton, which damps steps that overshoot and come back.

Where the model is far from linear - stiffness that the waves hardly determine, fluid - Gauss-Newton underestimates the
curvature along a few directions and oscillates about the maximum. From the last points x_i and the steps f_i = target_i
- x_i that Gauss-Newton proposed there, the combination with the smallest step is found,

    min over gamma of |f_k - sum_i gamma_i df_i|,   next = x_k + f_k - sum_i gamma_i (dx_i + df_i),

in the norm of the prior's energy, f^T C^-1 f, for which the weights w = C^-1 x are known (Anderson 1965; Walker and
Ni 2011). It costs no solve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEPTH = 4
"""Number of earlier points that are kept."""

RIDGE = 1e-8
"""Regularisation of the small least-squares problem, whose diagonal is 1."""

type Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Pair of x and w with x = C w, each of shape (2 N,)."""


class Acceleration:
    """Points and steps of the iterations under one prior."""

    def __init__(self) -> None:
        self._points: list[Pair] = []
        self._steps: list[Pair] = []

    def to_array(self, size: int) -> NDArray[np.float64]:
        """Return the points and steps, shape (2, count, 2, size), each as x and w of 2 N = size values."""
        return np.array([self._points, self._steps]).reshape(2, len(self._points), 2, size)

    @classmethod
    def from_array(cls, remembered: NDArray[np.float64]) -> Acceleration:
        """Restore points and steps from the array that to_array returned."""
        restored = cls()
        restored._points, restored._steps = ([(x, w) for x, w in pairs] for pairs in remembered)
        return restored

    def forget(self) -> None:
        """Discard all points and steps, because the prior changed."""
        self._points.clear()
        self._steps.clear()

    def aim(self, point: Pair, target: Pair) -> Pair:
        """Return the accelerated target of a step; at the first point the target of Gauss-Newton itself.

        Args:
            point: (x, w) at the present point.
            target: (x, w) at the end of the Gauss-Newton step.
        """
        step = (target[0] - point[0], target[1] - point[1])
        self._points = [*self._points[-DEPTH:], point]
        self._steps = [*self._steps[-DEPTH:], step]
        if len(self._steps) == 1:
            return target
        moved = [_minus(later, earlier) for earlier, later in zip(self._points, self._points[1:], strict=False)]
        turned = [_minus(later, earlier) for earlier, later in zip(self._steps, self._steps[1:], strict=False)]
        inner = np.array([[a[0] @ b[1] for b in turned] for a in turned])
        size = np.sqrt(np.maximum(np.diag(inner), np.finfo(float).tiny))  # later steps are much shorter
        inner = inner / np.outer(size, size) + RIDGE * np.eye(len(inner))
        gamma = np.linalg.solve(inner, [a[0] @ step[1] for a in turned] / size) / size
        x, w = (
            target[part] - sum(g * (a[part] + b[part]) for g, a, b in zip(gamma, moved, turned, strict=True))
            for part in (0, 1)
        )
        return x, w


def _minus(a: Pair, b: Pair) -> Pair:
    return a[0] - b[0], a[1] - b[1]
