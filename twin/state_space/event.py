"""A dated measurement: when it was acquired, when it became available, and what it says with which error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

SYMMETRY: Final = 1e-9
"""Largest asymmetry of a covariance, over its largest entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Measurement of one stream.

    Attributes:
        acquired: day of the measurement, counted from the first scan.
        available: day from which it may be used, not before `acquired`.
        stream: name of its stream (Observation.stream).
        value: numbers y, shape (m,).
        error: covariance of their errors v, shape (m, m).
    """

    acquired: float
    available: float
    stream: str
    value: Values
    error: Values

    def __post_init__(self) -> None:
        """Refuse what cannot be a measurement.

        Raises:
            ValueError: a day or number is not finite, it was available before it was acquired, or the covariance of
                its errors is not symmetric and positive definite.
        """
        if not (np.isfinite(self.acquired) and np.isfinite(self.available)):
            raise ValueError(f"{self.stream}: expected days, found {self.acquired} and {self.available}")
        if self.available < self.acquired:
            raise ValueError(
                f"{self.stream}: available on day {self.available:g}, before it was acquired on {self.acquired:g}"
            )
        m = len(self.value)
        if self.value.shape != (m,) or self.error.shape != (m, m):
            raise ValueError(f"{self.stream}: value of shape {self.value.shape} with errors of {self.error.shape}")
        if not (np.isfinite(self.value).all() and np.isfinite(self.error).all()):
            raise ValueError(f"{self.stream}: a value or error on day {self.acquired:g} is not a finite number")
        if np.abs(self.error - self.error.T).max() > SYMMETRY * np.abs(self.error).max():
            raise ValueError(f"{self.stream}: the covariance of errors on day {self.acquired:g} is not symmetric")
        try:
            np.linalg.cholesky(self.error)
        except np.linalg.LinAlgError:
            message = f"{self.stream}: the covariance of errors on day {self.acquired:g} is not positive definite"
            raise ValueError(message) from None


def standing(events: tuple[Event, ...], day: float = np.inf) -> tuple[Event, ...]:
    """Return what is known on a day, in the order of acquisition; of results for one time the last available counts.

    Args:
        events: measurements in any order.
        day: day on which one asks; results that become available later are left out.

    Raises:
        ValueError: two values of one stream for one time became available on the same day.
    """
    newest: dict[tuple[float, str], Event] = {}
    for one in sorted(events, key=lambda event: (event.acquired, event.stream, event.available)):
        if one.available > day:
            continue
        before = newest.get((one.acquired, one.stream))
        if before is not None and before.available == one.available:
            raise ValueError(
                f"{one.stream}: two values for day {one.acquired:g}, both available on day {one.available:g}"
            )
        newest[one.acquired, one.stream] = one
    return tuple(newest.values())
