"""Forecasts of one patient under several schedules, and their paired differences.

Every schedule is met by the same draws and the same chances, so that the difference of a draw's two futures is what
the schedule does to it, and the interval of the difference is narrower than the difference of intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.predict import Forecast
from palpate.twin.products.figures import QUANTITIES, THRESHOLDS
from palpate.twin.scenario.effects import new_effects, under
from palpate.twin.scenario.schedule import Schedule

type Values = NDArray[np.float64]

AS_PLANNED: Final = "as_planned"
"""Name of the schedule that the history plans, with which the others are compared."""


@dataclass(frozen=True, slots=True)
class ScheduledPatient:
    """Patient under one schedule.

    Attributes:
        name: name of the schedule.
        calibration: the patient's calibration with the schedule in its history.
        from_prior: names of effects that come from priors alone, since the patient never had the treatment.
    """

    name: str
    calibration: Calibration
    from_prior: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Difference of one quantity on one day, a schedule less the planned one.

    Attributes:
        schedule: name of the schedule.
        day: days since the first scan.
        quantity: name of the quantity, such as "visible_ml".
        values: differences of the draws, in the quantity's unit, shape (draws,).
    """

    schedule: str
    day: float
    quantity: str
    values: Values


def courses_of(calibration: Calibration, schedules: Sequence[Schedule]) -> tuple[ScheduledPatient, ...]:
    """Return the patient as planned and under each schedule.

    Args:
        calibration: calibration of the tumour.
        schedules: schedules, each with a name of its own.

    Raises:
        InputError: two schedules have one name, or one cannot be applied.
    """
    names = [AS_PLANNED]
    found = [ScheduledPatient(AS_PLANNED, calibration)]
    for one in schedules:
        if one.name.casefold() in (name.casefold() for name in names):
            raise InputError(
                one.path,
                found=f"the name {one.name} again" if one.name != AS_PLANNED else f"the name {AS_PLANNED}",
                expected=f"a name of its own for each schedule; {AS_PLANNED} is the planned one's",
                advice="Rename the schedule.",
            )
        names.append(one.name)
        history = one.applied(calibration.history)
        found.append(ScheduledPatient(one.name, under(calibration, history), new_effects(calibration, history)))
    return tuple(found)


def differences(planned: Sequence[Forecast], others: Sequence[Forecast], schedule: str) -> tuple[PairedDifference, ...]:
    """Return the paired differences of a schedule from the planned one.

    Args:
        planned: forecasts of the days under the planned treatment.
        others: forecasts of the same days under the schedule, by the same draws.
        schedule: name of the schedule.
    """
    found = []
    for before, after in zip(planned, others, strict=True):
        for quantity in QUANTITIES:
            values = _values(after, quantity) - _values(before, quantity)
            found.append(PairedDifference(schedule, after.day, quantity, values))
    return tuple(found)


def _values(found: Forecast, quantity: str) -> Values:
    if quantity in THRESHOLDS:
        return found.volumes_ml(found.thresholds(THRESHOLDS[quantity]))
    return found.burdens_ml()
