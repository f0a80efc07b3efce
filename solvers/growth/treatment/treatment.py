"""Treatment of a tumour: fractions of radiotherapy, courses of drugs, resections; values are checked at construction.

Immediately after a fraction of dose d, the share S = exp(-alpha (1 + sum_c x_c C_c) d - alpha d^2 / (alpha/beta)) of
the cells is alive (linear-quadratic law). A resection removes all cells in a region and leaves a cavity full of fluid,
through whose walls nothing diffuses. Times are seconds since the beginning of the forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse, ordered
from palpate.units import s_to_days

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fraction:
    """Fraction of radiotherapy.

    Attributes:
        time_s: time of the fraction, seconds.
        dose_gy: dose d of every own control volume, gray, shape (n,), or () where all get the same.
    """

    time_s: float
    dose_gy: Values

    def __post_init__(self) -> None:
        """Refuse values that are no doses.

        Raises:
            InputError: a dose is negative or not finite.
        """
        dose = np.asarray(self.dose_gy)
        if not (np.isfinite(dose).all() and (dose >= 0.0).all()):
            raise InputError(
                f"radiotherapy on day {s_to_days(self.time_s):g}",
                found=f"a dose of {float(np.min(dose)):g} Gy",
                expected="doses that are finite and not negative",
                advice="Correct the dose in the table of treatments or the dose grid.",
            )


@dataclass(frozen=True, slots=True)
class Resection:
    """Removal of a region by surgery.

    Attributes:
        time_s: time of the surgery, seconds.
        removed: whether each own control volume is removed, shape (n,).
    """

    time_s: float
    removed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Treatment:
    """All past and planned treatment of a tumour.

    Attributes:
        fractions: fractions of radiotherapy in order of time.
        courses: courses of drugs; each has a sensitivity of its own.
        resections: resections in order of time.
    """

    fractions: tuple[Fraction, ...] = ()
    courses: tuple[DrugCourse, ...] = ()
    resections: tuple[Resection, ...] = ()

    def __post_init__(self) -> None:
        """Refuse events out of order and several courses of one drug.

        Raises:
            InputError: dates out of order, or two courses of one name.
        """
        ordered("radiotherapy", [fraction.time_s for fraction in self.fractions])
        ordered("surgery", [resection.time_s for resection in self.resections])
        names = [course.drug for course in self.courses]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    "chemotherapy",
                    found=f"{names.count(name)} courses of {name}",
                    expected="one course a drug, with all its doses",
                    advice="Join the doses of a drug.",
                )

    @property
    def event_times_s(self) -> tuple[float, ...]:
        """Times of all events, including doses of drugs, ascending, seconds."""
        instants = [one.time_s for one in self.fractions] + [one.time_s for one in self.resections]
        return tuple(sorted({*instants, *(time_s for course in self.courses for time_s in course.times_s)}))

    def demand_within(self, start_s: float, end_s: float) -> None:
        """Refuse events outside the forecast.

        A drug may have been given before the forecast; its remaining concentration acts.

        Raises:
            InputError: an event lies outside.
        """
        lasting = {time_s for course in self.courses for time_s in course.times_s if time_s < start_s}
        for time_s in self.event_times_s:
            if not (start_s <= time_s <= end_s or time_s in lasting):
                raise InputError(
                    "treatment",
                    found=f"an event on day {s_to_days(time_s):g}",
                    expected=f"events from day {s_to_days(start_s):g} to day {s_to_days(end_s):g} of the forecast",
                    advice="Lengthen the forecast or leave the event out.",
                )


def log_survival(dose_gy: Values, alpha_1_gy: float, alpha_beta_gy: float, sensitisation: float = 0.0) -> Values:
    """Return the logarithm of S, the surviving share after one fraction, in the shape of the dose.

    Args:
        dose_gy: dose d, gray.
        alpha_1_gy: radiosensitivity alpha, 1/Gy.
        alpha_beta_gy: ratio alpha / beta, gray.
        sensitisation: sum over drugs of x_c C_c at the time of the fraction.
    """
    return -alpha_1_gy * dose_gy * (1.0 + sensitisation + dose_gy / alpha_beta_gy)
