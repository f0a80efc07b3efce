"""Treatment u of the small rungs: dated fractions, doses of drugs and operations, as scalars and by radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose
from palpate.twin.dynamics import Events

type Values = NDArray[np.float64]

RADIOTHERAPY: Final = "radiotherapy"
"""Name of the stream of fractions."""
CHEMOTHERAPY: Final = "chemotherapy"
"""Name of the stream of doses of drugs."""
SURGERY: Final = "surgery"
"""Name of the stream of operations."""
STREAMS: Final = (RADIOTHERAPY, CHEMOTHERAPY, SURGERY)
"""Streams of treatment whose dates can be wrong by a shift of their own."""


@dataclass(frozen=True, slots=True)
class DatedFraction:
    """Fraction of radiotherapy.

    Attributes:
        day: days since the first scan.
        dose_gy: mean dose d over the visible tumour, gray.
        radii_mm: radii at which the dose is known, ascending, mm; empty where all places get the mean dose.
        doses_gy: doses at these radii, gray, linear in between.
    """

    day: float
    dose_gy: float
    radii_mm: tuple[float, ...] = ()
    doses_gy: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no dose.

        Raises:
            InputError: a day or dose is not finite, a dose is negative, or radii do not ascend.
        """
        doses = np.array([self.dose_gy, *self.doses_gy])
        if not (np.isfinite(self.day) and np.isfinite(doses).all() and (doses >= 0.0).all()):
            _refuse("radiotherapy", self.day, f"a dose of {doses.min():g} Gy", "doses that are finite and not negative")
        if len(self.radii_mm) != len(self.doses_gy) or any(b <= a for a, b in pairwise(self.radii_mm)):
            _refuse("radiotherapy", self.day, f"radii {self.radii_mm}", "ascending radii, one for each dose")

    def at(self, radii_mm: Values) -> Values:
        """Return the dose at radii, gray, in their shape."""
        if not self.radii_mm:
            return np.full(radii_mm.shape, self.dose_gy)
        return np.asarray(np.interp(radii_mm, self.radii_mm, self.doses_gy))


@dataclass(frozen=True, slots=True)
class DatedOperation:
    """Resection.

    Attributes:
        day: days since the first scan.
        share: share of the tumour's cells that are removed, 0 to below 1.
        radius_mm: radius of the ball that is removed, mm, where a model knows places; None removes the share
            everywhere.
    """

    day: float
    share: float
    radius_mm: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no operation.

        Raises:
            InputError: the day is not finite, the share is not in [0, 1), or the radius is not positive.
        """
        if not (np.isfinite(self.day) and 0.0 <= self.share < 1.0):
            _refuse("surgery", self.day, f"a share of {self.share:g}", "a share from 0 to below 1: some cells stay")
        if self.radius_mm is not None and not 0.0 < self.radius_mm < np.inf:
            _refuse("surgery", self.day, f"a radius of {self.radius_mm:g} mm", "a positive radius")


@dataclass(frozen=True, slots=True)
class TreatmentPiece:
    """Time between two events.

    Attributes:
        start: first day, on which the events below take place before all else.
        end: last day.
        operations: operations on the first day.
        fractions: fractions on the first day, after the operations.
    """

    start: float
    end: float
    operations: tuple[DatedOperation, ...]
    fractions: tuple[DatedFraction, ...]


@dataclass(frozen=True, slots=True)
class Regimen:
    """All past and planned treatment of a tumour, in order of its days within each kind.

    Attributes:
        fractions: fractions of radiotherapy.
        drug_doses: doses of drugs.
        operations: resections.
    """

    fractions: tuple[DatedFraction, ...] = ()
    drug_doses: tuple[DrugDose, ...] = ()
    operations: tuple[DatedOperation, ...] = ()

    def __post_init__(self) -> None:
        """Refuse treatment out of order.

        Raises:
            InputError: dates of one kind that do not ascend, or an amount of a drug that is negative or not finite.
        """
        kinds = (
            [one.day for one in self.fractions],
            [one.day for one in self.drug_doses],
            [one.day for one in self.operations],
        )
        for name, days in zip(STREAMS, kinds, strict=True):
            for before, after in zip((-np.inf, *days), days, strict=False):
                if not before <= after < np.inf:
                    _refuse(name, after, f"day {after:g} after day {before:g}", "dates in order")
        for dose in self.drug_doses:
            if not 0.0 <= dose.amount_mg < np.inf:
                found = f"{dose.amount_mg:g} mg of {dose.drug}"
                _refuse("chemotherapy", dose.day, found, "an amount that is finite and not negative")

    @property
    def drugs(self) -> tuple[str, ...]:
        """Names of the drugs, in alphabetical order."""
        return tuple(sorted({one.drug for one in self.drug_doses}))

    def doses_of(self, drug: str) -> tuple[DrugDose, ...]:
        """Return the doses of one drug, in order of their days."""
        return tuple(one for one in self.drug_doses if one.drug == drug)

    def shifted(self, days: Mapping[str, float]) -> Regimen:
        """Return the treatment with the dates of some streams moved.

        Args:
            days: days by which each stream is moved, by its name (STREAMS); those not named stay.

        Raises:
            ValueError: a name is none of STREAMS.
        """
        by = _by(days)
        return Regimen(
            tuple(replace(one, day=one.day + by[RADIOTHERAPY]) for one in self.fractions),
            tuple(replace(one, day=one.day + by[CHEMOTHERAPY]) for one in self.drug_doses),
            tuple(replace(one, day=one.day + by[SURGERY]) for one in self.operations),
        )

    def pieces(self, t0: float, t1: float, cuts: tuple[float, ...] = ()) -> tuple[TreatmentPiece, ...]:
        """Return the pieces of a time with no event inside, in order.

        Args:
            t0: first day.
            t1: last day, after the first; its events belong to the time after it.
            cuts: further days at which pieces end.
        """
        events = {one.day for one in self.fractions} | {one.day for one in self.operations}
        days = sorted({t0, t1, *(day for day in (*events, *cuts) if t0 < day < t1)})
        return tuple(
            TreatmentPiece(
                first,
                last,
                tuple(one for one in self.operations if one.day == first),
                tuple(one for one in self.fractions if one.day == first),
            )
            for first, last in pairwise(days)
        )


def shifted_events(events: Events, days: Mapping[str, float]) -> Events:
    """Return the treatments of the lattice with the dates of some streams moved, as Regimen.shifted does.

    Args:
        events: treatments on the lattice.
        days: days by which each stream is moved, by its name (STREAMS); those not named stay.

    Raises:
        ValueError: a name is none of STREAMS.
    """
    by = _by(days)
    return Events(
        tuple(replace(one, day=one.day + by[RADIOTHERAPY]) for one in events.irradiations),
        tuple(replace(one, day=one.day + by[CHEMOTHERAPY]) for one in events.drug_doses),
        tuple(replace(one, day=one.day + by[SURGERY]) for one in events.surgeries),
    )


def _by(days: Mapping[str, float]) -> dict[str, float]:
    unknown = set(days) - set(STREAMS)
    if unknown:
        raise ValueError(f"expected streams among {', '.join(STREAMS)}, found {', '.join(sorted(unknown))}")
    return {name: float(days.get(name, 0.0)) for name in STREAMS}


def _refuse(kind: str, day: float, found: str, expected: str) -> None:
    raise InputError(
        f"{kind} on day {day:g}", found=found, expected=expected, advice="Correct the table of treatments."
    )
