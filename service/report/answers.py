"""First screen of the page: where, how stiff, how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.findings.finding import Finding
from palpate.imaging.region_values.values import RegionValue
from palpate.service.report.content import Number, Table, TableRow, kpa, percent, plain
from palpate.service.report.session import RunView

_MODULI: Final = {"storage_modulus": "storagemodulus", "loss_modulus": "lossmodulus", "magnitude": "complexmodulus"}
_MOST: Final = 3
"""Number of findings on the first screen; the table further down has all."""


@dataclass(frozen=True, slots=True)
class MeanAndEnds:
    """Mean with its 95 % interval, in kPa."""

    mean: Number
    lower: Number
    upper: Number


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Finding in words.

    Attributes:
        name: kind and side, such as "Stiff, right".
        place: centre in words.
        place_mm: centre for the viewer, "R A S" in millimetres.
        volume: volume in words.
        mean: mean stiffness with its interval, in words.
        ratio: mean over that of the surroundings, with its interval, in words.
        surer: probability that it is stiffer than its surroundings, in words.
    """

    name: str
    place: str
    place_mm: str
    volume: str
    mean: str
    ratio: str
    surer: str


def interval(value: RegionValue) -> MeanAndEnds:
    """Return the mean over a region with its interval.

    Args:
        value: value of the region, in kPa.
    """
    key = f"{_MODULI[value.quantity.key]}_mean_kpa"
    ends = (("value", value.mean), ("lower", value.lower), ("upper", value.upper))
    return MeanAndEnds(*(kpa(f"{key}_{end}", number) for end, number in ends))


def finding_rows(findings: Sequence[Finding]) -> list[FindingRow]:
    """Return findings in words, in their order.

    Args:
        findings: findings of a run.
    """
    return [_row(one) for one in findings]


def first_sentence(findings: Sequence[Finding]) -> str:
    """Return the largest finding in a sentence.

    Args:
        findings: findings, one at least.
    """
    one = findings[0]
    where = f" in {one.region}" if one.region else ""
    ratio = "" if one.ratio is None else f", {_ranged(one.ratio, '')} times the tissue around it"
    return (
        f"{one.kind.capitalize()} region{where}, {_side(one)}, {_volume(one.volume_ml)} at "
        f"{place_words(one.centre_mm)}: "
        f"{_symbol(one)} {_ranged(one.mean_kpa, ' kPa', '95 % interval ')}{ratio}."
    )


def findings_table(findings: Sequence[Finding]) -> Table:
    """Return all findings with every figure.

    Args:
        findings: findings of a run.
    """
    head = (
        "", "centre, mm", "volume", "mean, 95 % interval", "over its surroundings", "P(stiffer)", "P(all beyond)",
        "informed",
    )  # fmt: skip
    rows = []
    for one, row in zip(findings, finding_rows(findings), strict=True):
        cells = (row.place, row.volume, row.mean, row.ratio, row.surer, f"{one.probability:.2f}")
        informed = percent("", one.informed_share, 0)
        rows.append(TableRow(row.name, (*map(plain, cells), informed)))
    caption = (
        "Regions whose voxels all lie beyond the threshold with the stated probability P(all beyond); "
        "P(stiffer): the mean exceeds that of the surroundings."
    )
    return Table(tuple(rows), head=head, caption=caption)


def shown_first(rows: Sequence[FindingRow]) -> Sequence[FindingRow]:
    """Return the findings of the first screen."""
    return rows[:_MOST]


def place_words(point_mm: NDArray[np.float64]) -> str:
    """Return a point in words, such as "33 mm R, 16 mm P, 30 mm S".

    Args:
        point_mm: point, R A S millimetres, shape (3,).
    """
    sides = zip(point_mm, ("RL", "AP", "SI"), strict=True)
    return ", ".join(f"{abs(value):.0f} mm {pair[0] if value >= 0.0 else pair[1]}" for value, pair in sides)


def informed_values(run: RunView) -> dict[str, MeanAndEnds]:
    """Return the means over the informed voxels by the names of the moduli; empty where there are none.

    Args:
        run: results of the run.
    """
    return {_MODULI[one.quantity.key]: interval(one) for one in run.informed_values}


def _row(one: Finding) -> FindingRow:
    stiffer = one.probability_stiffer
    return FindingRow(
        name=f"{one.kind.capitalize()}, {_side(one)}" + (f", {one.region}" if one.region else ""),
        place=place_words(one.centre_mm),
        place_mm=" ".join(f"{value:.2f}" for value in one.place_mm),
        volume=_volume(one.volume_ml),
        mean=f"{_symbol(one)} {_ranged(one.mean_kpa, ' kPa')}",
        ratio="no surroundings" if one.ratio is None else f"{_ranged(one.ratio, '')} times",
        surer="–" if stiffer is None else f"{stiffer:.2f}",
    )


def _side(one: Finding) -> str:
    return "side unknown" if one.side == "unknown" else one.side


def _symbol(one: Finding) -> str:
    return "G′" if one.quantity == "storage_modulus" else "|G*|"


def _volume(volume_ml: float) -> str:
    return f"{volume_ml:.1f} mL" if volume_ml < 10.0 else f"{volume_ml:.0f} mL"


def _ranged(drawn: DrawSummary, unit: str, words: str = "") -> str:
    """Return a mean with its 95 % interval in brackets."""
    middle, low, high = (kpa("", one).text.removesuffix(" kPa") for one in (drawn.mean, drawn.lower, drawn.upper))
    return f"{middle}{unit} ({words}{low} to {high})"
