"""A derivative is right when the Taylor remainder falls at the order that mathematics promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def rates(errors: Sequence[float], steps: Sequence[float]) -> NDArray[np.float64]:
    """Observed orders q of errors ~ steps^q between neighbouring steps."""
    return np.diff(np.log(errors)) / np.diff(np.log(steps))


def gradient_remainders(
    function: Callable[[NDArray[np.float64]], float],
    gradient: NDArray[np.float64],
    at: NDArray[np.float64],
    direction: NDArray[np.float64],
    steps: Sequence[float],
) -> list[float]:
    """|f(m + h v) - f(m) - h g v|, of order h^2 when g is the gradient of f at m.

    Args:
        function: f.
        gradient: g, shape (n,).
        at: m, shape (n,).
        direction: v, shape (n,).
        steps: h.
    """
    here, slope = function(at), float(gradient @ direction)
    return [abs(function(at + h * direction) - here - h * slope) for h in steps]


def hessian_remainders(
    gradient: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    action: NDArray[np.float64],
    at: NDArray[np.float64],
    direction: NDArray[np.float64],
    steps: Sequence[float],
) -> list[float]:
    """|(g(m + h v) - g(m - h v)) / 2 h - H v|, of order h^2 when H v is the Hessian's action.

    Args:
        gradient: g.
        action: H v, shape (n,).
        at: m, shape (n,).
        direction: v, shape (n,).
        steps: h.
    """
    return [
        float(np.linalg.norm((gradient(at + h * direction) - gradient(at - h * direction)) / (2 * h) - action))
        for h in steps
    ]
