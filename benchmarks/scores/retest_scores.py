"""Scores of simulated pairs of sessions: false changes, power against its promise, and intervals of the ratio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.stats
from harness.record import Row
from numpy.typing import NDArray

BASELINE: Final = "19 % rule"
KPA_BASELINE: Final = "0.14 kPa rule"
NORMAL_95: Final = 1.959963984540054
_DRIVES: Final = ("first", "other_drive", "same_drive")
DENSITY_STD: Final = 0.04
"""Standard deviation of ln rho of a stated density, as `palpate invert` assumes it."""


@dataclass(frozen=True, slots=True)
class RegionScore:
    """Change of G' in one region of one pair.

    Attributes:
        region: name of the region.
        true_ratio: true mean of session B over that of session A.
        ratio: most probable ratio.
        log_std: standard deviation of its logarithm.
        lower: lower end of the 95 % interval.
        upper: upper end.
        changed: whether it is called changed.
        difference_kpa: mean difference, kPa.
    """

    region: str
    true_ratio: float
    ratio: float
    log_std: float
    lower: float
    upper: float
    changed: bool
    difference_kpa: float

    @property
    def held(self) -> bool:
        """Whether the interval holds the true ratio."""
        return self.lower <= self.true_ratio <= self.upper

    @property
    def promised(self) -> float:
        """Probability to be called changed, as the interval's width promises it for the true ratio."""
        away = abs(np.log(self.true_ratio)) / self.log_std
        return float(scipy.stats.norm.sf(NORMAL_95 - away) + scipy.stats.norm.cdf(-NORMAL_95 - away))


@dataclass(frozen=True, slots=True)
class PairScore:
    """One pair of sessions.

    Attributes:
        number: number of the pair.
        physiology: whether tissue differed between the scans as in a person who is scanned twice, and the intervals
            allow for it.
        factor: true change of the lesion; 1 where it did not change.
        regions: scores of its regions.
        cpu_s: seconds of processor time of both inversions and of everything else.
    """

    number: int
    physiology: bool
    factor: float
    regions: tuple[RegionScore, ...]
    cpu_s: float


@dataclass(frozen=True, slots=True)
class FibreScore:
    """One person with fibres: errors of ln G' over the field in three sessions.

    Attributes:
        number: number of the person.
        excess: excess of the shear modulus in planes along the fibres.
        first: error of the first session.
        other_drive: error of a session with another drive.
        same_drive: error of a session with the first drive, in another position.
    """

    number: int
    excess: float
    first: float
    other_drive: float
    same_drive: float


def fibre_rows(people: Sequence[FibreScore]) -> list[Row]:
    """Return what two sessions have in common of the error that fibres cause; nothing without people."""
    if not people:
        return []
    first, other, same = (np.array([getattr(one, name) for one in people]) for name in _DRIVES)
    excess = np.array([one.excess for one in people])
    around = [errors / excess - np.mean(errors / excess) for errors in (first, other, same)]
    return [
        Row(f"error of ln G' by fibres, root mean square ({len(people)})", "%", 100.0 * _size(first), None),
        Row("its part in common with another drive", "%", 100.0 * _in_common(first, other), None),
        Row("its part in common with the same drive", "%", 100.0 * _in_common(first, same), None),
        Row(
            "the same of what is left by its mean in proportion to the excess, another drive",
            "%",
            100.0 * _in_common(around[0], around[1]),
            None,
        ),
        Row("and with the same drive", "%", 100.0 * _in_common(around[0], around[2]), None),
    ]


def _in_common(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def _size(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def rows_of(pairs: Sequence[PairScore]) -> list[Row]:
    """Return the figures over all pairs; None where no pair of a kind is there."""
    rows = []
    for on, words in ((False, "term off"), (True, "term on, physiology simulated")):
        own = [pair for pair in pairs if pair.physiology is on]
        same = [one for pair in own for one in pair.regions if pair.factor == 1.0 or one.region != "lesion"]
        other = [one for pair in own for one in pair.regions if pair.factor != 1.0 and one.region == "lesion"]
        found, promised = _percent(other, lambda one: one.changed), _percent(other, lambda one: one.promised)
        over = None if found is None or promised is None else found - promised
        rows += [
            Row(
                f"{words}: unchanged regions called changed ({len(same)})",
                "%",
                _percent(same, lambda one: one.changed),
                None,
                _rules(same),
                "<= 7",
            ),
            Row(f"{words}: changes found less promised ({len(other)})", "points", over, None, goal="-10..10"),
            Row(
                f"{words}: changes found ({len(other)})",
                "%",
                found,
                None,
                _rules(other),
                ">= 80",
            ),
            Row(f"{words}: changes that the intervals promise to find", "%", promised, None),
        ]
    every = [one for pair in pairs for one in pair.regions]
    exact = [one for pair in pairs if not pair.physiology for one in pair.regions]
    width = _middle(exact, lambda one: NORMAL_95 * one.log_std)
    beside = _middle(exact, lambda one: NORMAL_95 * float(np.hypot(one.log_std, np.sqrt(2.0) * DENSITY_STD)))
    lesions = [one for one in every if one.region == "lesion"]
    return [
        *rows,
        Row("95 % intervals of the ratio that hold the true one", "%", _percent(every, lambda o: o.held), None),
        Row("term off: half width of the ratio's interval, median", "%", width, None, {"density not common": beside}),
        Row(
            "bias of ln ratio in lesions that changed, over the true ln ratio, median",
            "%",
            _middle(
                [one for one in lesions if abs(np.log(one.true_ratio)) > 0.2],
                lambda one: float(np.log(one.ratio) / np.log(one.true_ratio) - 1.0),
            ),
            None,
        ),
        Row("processor time of a pair", "s", float(np.mean([pair.cpu_s for pair in pairs])), None),
    ]


def _rules(scores: Sequence[RegionScore]) -> dict[str, float]:
    """Return what published rules call changed, percent."""
    by_ratio = _percent(scores, lambda one: abs(one.ratio - 1.0) >= 0.19)
    by_kpa = _percent(scores, lambda one: abs(one.difference_kpa) >= 0.14)
    return {} if by_ratio is None or by_kpa is None else {BASELINE: by_ratio, KPA_BASELINE: by_kpa}


def _percent(scores: Sequence[RegionScore], of: Callable[[RegionScore], float]) -> float | None:
    return 100.0 * float(np.mean([of(one) for one in scores])) if scores else None


def _middle(scores: Sequence[RegionScore], of: Callable[[RegionScore], float]) -> float | None:
    return 100.0 * float(np.median([of(one) for one in scores])) if scores else None
