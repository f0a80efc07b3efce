"""Value of a further scan: how much of a forecast's variance it is expected to remove, from the forecast's own draws.

Draws tell the volumes of the day of a scan and the volume of a later day jointly. With y the logarithms of what the
scan would show, E the covariance of its errors and t the logarithm of the later volume, the best linear estimate of t
leaves the expected variance

    var(t | scan) = var(t) - c^T (S + E)^-1 c,        S = cov(y), c = cov(y, t),

which no outcome of the scan has to be guessed for, and which costs no run of the model. It is exact where all are
normal; elsewhere the best estimate of any kind leaves at most that much. n draws fit noise, too: the share removed is
adjusted for the number p of numbers, 1 - (1 - R^2) (n - 1) / (n - p - 1).

The error of a drawn volume is that of an edge which is off by the same distance s everywhere, d ln V = 3 s / r for a
ball: errors of contours that vary along the edge make less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

AFTER_DAYS: Final = (14.0, 28.0, 56.0)
"""Days after the last scan on which a further scan is considered."""
FEWEST: Final = 20
"""Least number of draws from which a variance is split."""
_LEAST_ML: Final = 0.1
"""Volume that is added before a logarithm is taken, mL: about what a scan still shows."""


@dataclass(frozen=True, slots=True)
class NextScan:
    """Expected value of one further scan.

    Attributes:
        day: day of the scan, days since the first.
        target_day: day of the forecast.
        variance_removed: expected share of the variance of the forecast's ln visible volume that the scan removes.
    """

    day: float
    target_day: float
    variance_removed: float

    def as_record(self) -> dict[str, Any]:
        """Return the entry of `next_scan` in forecast.json."""
        return asdict(self)


def variance_removed(target: Values, seen: Values, errors: Values) -> float:
    """Return the expected share of a number's variance that measurements remove, 0 to 1.

    Args:
        target: number t of each draw, shape (n,).
        seen: numbers y that would be measured, shape (n, p).
        errors: covariance E of their errors, shape (p, p).
    """
    n, p = seen.shape
    variance = float(target.var(ddof=1))
    if variance <= 0.0 or n - p - 1 < 1:
        return 0.0
    away = seen - seen.mean(axis=0)
    covariance = away.T @ away / (n - 1) + errors
    with_target = away.T @ (target - target.mean()) / (n - 1)
    explained = float(with_target @ np.linalg.solve(covariance, with_target)) / variance
    return float(np.clip(1.0 - (1.0 - explained) * (n - 1) / (n - p - 1), 0.0, 1.0))


def next_scans(
    of_day: Mapping[float, Mapping[str, Values]], last_scan: float, contour_std_mm: float
) -> tuple[NextScan, ...]:
    """Return the value of a scan on each day of AFTER_DAYS before the forecast's last day.

    Args:
        of_day: volumes of each day by their names, mL, shape (draws,) each: "visible_ml" and "enhancing_ml".
        last_scan: day of the last scan.
        contour_std_mm: standard deviation s of the position of a drawn edge, mm.
    """
    target_day = max(of_day)
    target = np.log(of_day[target_day]["visible_ml"] + _LEAST_ML)
    if len(target) < FEWEST:
        return ()
    found = []
    for day in (last_scan + after for after in AFTER_DAYS):
        if day in of_day and day < target_day:
            volumes = [of_day[day]["visible_ml"], of_day[day]["enhancing_ml"]]
            seen = np.stack([np.log(one + _LEAST_ML) for one in volumes], axis=1)
            found.append(NextScan(day, target_day, variance_removed(target, seen, _errors(volumes, contour_std_mm))))
    return tuple(found)


def _errors(volumes_ml: Sequence[Values], contour_std_mm: float) -> Values:
    """Return the covariance of the errors of ln volumes at their medians, which are independent of each other."""
    medians = np.array([float(np.median(one)) for one in volumes_ml]) + _LEAST_ML
    radii_mm = np.cbrt(3e3 * medians / (4.0 * np.pi))
    return np.diag((3.0 * contour_std_mm / radii_mm) ** 2)
