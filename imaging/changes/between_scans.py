"""Variation of stiffness between two scans of one person whose tissue has not changed (the physiological term).

Hydration, perfusion, meals, temperature, the fit of the actuator and the position of the body change stiffness a little
from scan to scan. Published test-retest studies state it as a coefficient of variation (CV) within a person or as a
repeatability coefficient RC = 1.96 sqrt(2) CV, the difference that two scans exceed in 5 of 100 pairs:

    whole brain    CV 3.8 to 4.3 %       regions of the brain    CV 4 to 12.8 %       liver    RC 19 % (QIBA)

They hold the error of the method that was used as well, so that they are upper bounds of what tissue does. Which CV in
a range holds for a region is unknown: every one is taken as equally probable. In ln (B / A) the term is a normal error
of standard deviation sqrt(2) CV, around 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

type Organ = Literal["brain", "liver", "other"]
type Kind = Literal["whole brain", "brain region", "liver", "other organ"]

NORMAL_95: Final = 1.959963984540054
"""Standard deviations of a normal distribution within which 95 % lie."""
LIVER_PERCENT: Final = 19.0
"""Change of a liver's stiffness from which on it counts as real (QIBA), percent."""
BRAIN_KPA: Final = 0.14
"""Change of a brain's stiffness from which on it counts as real, kPa."""
WHOLE_BRAIN_ML: Final = 500.0
"""Volume from which on a region of a brain counts as the whole, mL: no single structure is as large."""
_NODES: Final = 5


@dataclass(frozen=True, slots=True)
class BetweenScans:
    """Variation between two scans of one person, for one kind of region.

    Attributes:
        kind: kind of region.
        cv_percent: lowest and highest published coefficient of variation between scans, percent.
        source: published figure, in words.
    """

    kind: Kind
    cv_percent: tuple[float, float]
    source: str

    @property
    def log_stds(self) -> NDArray[np.float64]:
        """Equally probable standard deviations of ln (B / A), shape (5,): midpoints of five parts of the range."""
        low, high = self.cv_percent
        middles = low + (high - low) * (np.arange(_NODES) + 0.5) / _NODES
        return np.asarray(np.sqrt(2.0) * middles / 100.0)

    @property
    def repeatability_percent(self) -> float:
        """Repeatability coefficient, percent: two scans of unchanged tissue differ by less in 95 of 100 pairs."""
        return 100.0 * NORMAL_95 * float(np.sqrt(np.mean(self.log_stds**2)))


_LIVER_CV: Final = LIVER_PERCENT / (NORMAL_95 * float(np.sqrt(2.0)))
_REGION_CV: Final = (4.0, 12.8)

TERMS: Final[Mapping[Kind, BetweenScans]] = {
    one.kind: one
    for one in (
        BetweenScans("whole brain", (3.8, 4.3), "CV of whole brains between scans, 3.8 to 4.3 %"),
        BetweenScans("brain region", _REGION_CV, "CV of regions of the brain between scans, 4 to 12.8 %"),
        BetweenScans("liver", (_LIVER_CV, _LIVER_CV), "repeatability coefficient of the liver, 19 % (QIBA)"),
        BetweenScans(
            "other organ",
            _REGION_CV,
            "no figure for this organ; CV of regions of the brain between scans, 4 to 12.8 %, in its place",
        ),
    )
}
"""Published variation between scans by kind of region."""


def kind_of(organ: Organ, volume_ml: float) -> Kind:
    """Return the kind of a region.

    Args:
        organ: organ of the session.
        volume_ml: volume of the region, mL.
    """
    if organ == "brain":
        return "whole brain" if volume_ml >= WHOLE_BRAIN_ML else "brain region"
    return "liver" if organ == "liver" else "other organ"


def rule_of(kind: Kind, quantity: str) -> str:
    """Return the published rule beside which a change is judged, such as "19 %"; empty where there is none.

    Args:
        kind: kind of region.
        quantity: quantity; rules are stated for stiffness, storage modulus or magnitude.
    """
    if quantity not in ("storage_modulus", "magnitude"):
        return ""
    if kind == "liver":
        return f"{LIVER_PERCENT:g} %"
    return f"{BRAIN_KPA:g} kPa" if kind in ("whole brain", "brain region") else ""


def changed_by_rule(rule: str, difference_kpa: float, ratio: float) -> bool | None:
    """Return whether a change counts as real by a published rule, which knows no interval; None without a rule.

    Args:
        rule: rule as `rule_of` gives it.
        difference_kpa: difference of the means, kPa.
        ratio: ratio of the second to the first session.
    """
    if rule.endswith("%"):
        return abs(ratio - 1.0) >= LIVER_PERCENT / 100.0
    return abs(difference_kpa) >= BRAIN_KPA if rule else None
