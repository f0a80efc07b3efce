"""Volumes of a tumour day by day: the model's own past between scans, and its forecast.

Between two scans lie weeks of treatment in which a tumour shrinks and grows again; values of the scans' days alone do
not tell of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.dealt import dealt
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.clocks.shift import Shift
from palpate.twin.dynamics import Dynamics, dynamics
from palpate.twin.forecast.next_scan import AFTER_DAYS, NextScan, next_scans
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
        of_day: volumes of each day, mL, by the number of the draw looked at and their names.
    """

    calibration: Calibration
    of_day: dict[float, dict[int, dict[str, float]]] = field(default_factory=dict)

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
        volumes = {name: float(one.sum()) * self._voxel_ml for name, one in zip(THRESHOLDS, shares, strict=True)}
        burden = {"burden_ml": float(density.sum()) * self._voxel_ml}
        self.of_day.setdefault(day, {})[number] = volumes | burden

    def rows(self, comm: MPI.Comm = MPI.COMM_SELF) -> list[dict[str, Any]]:
        """Return a row of intervals for each day, ascending, on every rank. Collective.

        Args:
            comm: ranks that looked at draws of their own.
        """
        every = self.gathered(comm)
        return [{"day": day} | {name: intervals(one) for name, one in of.items()} for day, of in every.items()]

    def gathered(self, comm: MPI.Comm = MPI.COMM_SELF) -> dict[float, dict[str, Values]]:
        """Return the volumes of all draws in their order, by day, ascending, and name, on every rank. Collective.

        Args:
            comm: ranks that looked at draws of their own.
        """
        parts = comm.allgather(self.of_day)
        every = {day: {number: one for part in parts for number, one in part.get(day, {}).items()} for day in parts[0]}
        return {day: _by_name([of[number] for number in sorted(of)]) for day, of in sorted(every.items())}


def _by_name(volumes: Sequence[dict[str, float]]) -> dict[str, Values]:
    """Return each volume of all draws."""
    return {name: np.array([one[name] for one in volumes]) for name in volumes[0]}


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


def past_curve(calibration: Calibration, comm: MPI.Comm = MPI.COMM_SELF) -> list[dict[str, Any]]:
    """Return the model's volumes day by day from the first scan to the last, without front model error. Collective.

    Args:
        calibration: calibration of the tumour.
        comm: ranks to share the draws.
    """
    found = VolumeCurve(calibration)
    of_dates = lru_cache(maxsize=None)(partial(_dynamics, calibration))
    days = [scan.day for scan in calibration.history.scans]
    inside = days_between(days[0], days[-1], days)
    for number in dealt(calibration.draws.looked_at.tolist(), comm):
        xi, model = calibration.draws.xi[number], of_dates(calibration.dates_of(number))
        state, _ = model.start(xi)
        found.look(number, days[0], state)
        for interval, (first, last) in enumerate(pairwise(days)):
            stops = [*(day for day in inside if first < day < last), last]
            seconds = tuple(days_to_s(day - first) for day in stops)
            followed = replace(model.models[interval], observations_s=seconds)
            states = followed.forecast(model.parameters(xi, interval), state).states
            for day, one in zip(stops, states, strict=True):
                found.look(number, day, one)
            state = states[-1]
    return found.rows(comm)


@dataclass(frozen=True, slots=True)
class ForecastCurve:
    """Forecast of some days, and volumes day by day from the last scan to the last of them.

    Attributes:
        ahead: forecast of each day.
        rows: intervals of the volumes of each day, the first of which is that of the last scan.
        volumes_ml: volumes of all draws, mL, by day and name, shape (draws,) each.
        next_scans: expected value of a further scan on some days.
    """

    ahead: list[Forecast]
    rows: list[dict[str, Any]]
    volumes_ml: dict[float, dict[str, Values]]
    next_scans: tuple[NextScan, ...]


def forecast_with_curve(
    calibration: Calibration, days: Sequence[float], comm: MPI.Comm = MPI.COMM_SELF
) -> ForecastCurve:
    """Forecast some days, and volumes day by day from the last scan to the last of them. Collective.

    Args:
        calibration: calibration of the tumour.
        days: days to forecast, days since the first scan, ascending.
        comm: ranks to share the draws.
    """
    found = VolumeCurve(calibration)
    now = present(calibration)
    for number in dealt(range(len(now.densities)), comm):
        found.look(number, now.day, now.densities[number].astype(np.float64))
    scans = [now.day + after for after in AFTER_DAYS]
    between = [day for first, last in pairwise((now.day, *days)) for day in days_between(first, last, scans)]
    ahead = predict_days(calibration, days, comm, on_the_way=between, look=found.look)
    volumes = found.gathered(comm)
    told = next_scans(volumes, now.day, calibration.settings.contour_std_mm)
    return ForecastCurve(list(ahead), found.rows(comm), volumes, told)


def _dynamics(calibration: Calibration, dates: Shift) -> Dynamics:
    """Return the model that was calibrated, from the first scan on, under the stress that was found.

    Args:
        calibration: calibration of the tumour.
        dates: shift of the dates of a kind of treatment.
    """
    history, settings = calibration.dated(dates), calibration.settings
    place = voxels(history.tissue, mm_to_m(history.edges_mm))
    edge, rates = outline(history, settings), growth_shapes(history, settings)
    model = dynamics(history, edge, rates, calibration.unknowns, settings, place)
    return model if calibration.stress is None else model.with_stress(calibration.stress.patterns)
