"""One number of a stream, in days since the first scan of the tumour, as a history keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class StreamValue:
    """A measured number.

    Attributes:
        stream: name of the stream, such as "mgmt_level"; one name has one unit.
        unit: unit of value and error as UCUM writes it, "1" for a ratio.
        acquired: day on which it was measured, since the first scan of the tumour; negative before that.
        available: day from which it was known, not before `acquired`.
        value: the number, in its unit.
        error: standard deviation of its error, in its unit; None where nobody stated one.
    """

    stream: str
    unit: str
    acquired: float
    available: float
    value: float
    error: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no measurement.

        Raises:
            ValueError: a number is not finite, the error is not positive, or it was known before it was measured.
        """
        if not np.isfinite([self.acquired, self.available, self.value]).all():
            raise ValueError(f"{self.stream}: a day or value that is not a finite number")
        if self.error is not None and not 0.0 < self.error < np.inf:
            raise ValueError(f"{self.stream}: an error of {self.error}, expected a positive number")
        if self.available < self.acquired:
            raise ValueError(f"{self.stream}: known on day {self.available:g}, measured on day {self.acquired:g}")
