"""Volumes of a tumour day by day: the model's own past between scans, and its forecast.

Between two scans lie weeks of treatment in which a tumour shrinks and grows again; values of the scans' days alone do
not tell of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import Dynamics, dynamics
from palpate.twin.forecast.predict import Forecast, predict_days, present, shares_above
from palpate.twin.growth_field import growth_shapes
from palpate.twin.lattice import nearest_in
from palpate.twin.outline import outline
from palpate.twin.products.figures import THRESHOLDS, intervals
from palpate.units import days_to_s, mm_to_m

type Values = NDArray[np.float64]

MOST: Final = 200
"""Largest number of days of the past or of the forecast; longer times have every second, third, ... day."""


@dataclass
class VolumeCurve:
    """Volumes and burden of draws on some days.

    Attributes:
        calibration: calibration whose draws are followed.
        of_day: volumes of each day by their names, one for each draw looked at, mL.
    """

    calibration: Calibration
    of_day: dict[float, dict[str, list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare what every day needs."""
        history = self.calibration.history
        self._nearest = nearest_in(history.tissue)
        self._voxel_ml = float(np.prod(history.edges_mm)) / 1e3

    def look(self, number: int, day: float, density: Values) -> None:
        """Keep the volumes of one draw on one day.

        Args:
            number: number of the draw.
            day: days since the first scan.
            density: density u at tissue voxels, shape (n,).
        """
        own = self.calibration
        above = [own.unknowns.natural(own.draws.xi[number], kind) for kind in THRESHOLDS.values()]
        shares = shares_above(density, above, own.history.tissue, self._nearest)
        kept = self.of_day.setdefault(day, {name: [] for name in (*THRESHOLDS, "burden_ml")})
        for name, share in zip(THRESHOLDS, shares, strict=True):
            kept[name].append(float(share.sum()) * self._voxel_ml)
        kept["burden_ml"].append(float(density.sum()) * self._voxel_ml)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of intervals for each day, ascending."""
        return [
            {"day": day} | {name: intervals(np.array(values)) for name, values in of.items()}
            for day, of in sorted(self.of_day.items())
        ]


def days_between(first: float, last: float, others: Sequence[float] = ()) -> list[float]:
    """Return whole days from the first on until before the last, and others in between; at most about MOST.

    Args:
        first: first day, which is left out.
        last: last day, which is left out.
        others: days that must be among them.
    """
    step = max(1, int(np.ceil((last - first) / MOST)))
    whole = {float(day) for day in range(int(np.floor(first)) + 1, int(np.ceil(last)), step)}
    return sorted(day for day in whole | set(others) if first < day < last)


def past_curve(calibration: Calibration) -> list[dict[str, Any]]:
    """Return the model's volumes day by day from the first scan to the last, without the front model error.

    Args:
        calibration: calibration of the tumour.
    """
    found = VolumeCurve(calibration)
    model = _dynamics(calibration)
    days = [scan.day for scan in calibration.history.scans]
    inside = days_between(days[0], days[-1], days)
    for number in calibration.draws.looked_at:
        xi = calibration.draws.xi[number]
        state, _ = model.start(xi)
        found.look(int(number), days[0], state)
        for interval, (first, last) in enumerate(pairwise(days)):
            stops = [*(day for day in inside if first < day < last), last]
            seconds = tuple(days_to_s(day - first) for day in stops)
            followed = replace(model.models[interval], observations_s=seconds)
            states = followed.forecast(model.parameters(xi, interval), state).states
            for day, one in zip(stops, states, strict=True):
                found.look(int(number), day, one)
            state = states[-1]
    return found.rows()


def forecast_with_curve(calibration: Calibration, days: Sequence[float]) -> tuple[list[Forecast], list[dict[str, Any]]]:
    """Forecast some days, and volumes day by day from the last scan to the last of them.

    Args:
        calibration: calibration of the tumour.
        days: days to forecast, days since the first scan, ascending.

    Returns:
        The forecast of each day, and the rows of the curve, the first of which is the day of the last scan.
    """
    found = VolumeCurve(calibration)
    now = present(calibration)
    for number, density in enumerate(now.densities):
        found.look(number, now.day, density.astype(np.float64))
    between = [day for first, last in pairwise((now.day, *days)) for day in days_between(first, last)]
    ahead = predict_days(calibration, days, on_the_way=between, look=found.look)
    return list(ahead), found.rows()


def _dynamics(calibration: Calibration) -> Dynamics:
    """Return the model that was calibrated, from the first scan on, under the stress that was found."""
    history, settings = calibration.history, calibration.settings
    place = voxels(history.tissue, mm_to_m(history.edges_mm))
    edge, rates = outline(history, settings), growth_shapes(history, settings)
    model = dynamics(history, edge, rates, calibration.unknowns, settings, place)
    return model if calibration.stress is None else model.with_stress(calibration.stress.patterns)
