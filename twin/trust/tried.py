"""Applicability domain: the ranges over which the twin was tried, and which facts of a patient lie outside.

The ranges are those of the patients whose forecasts were compared with a truth (validated.json beside this module,
written by benchmarks/validated_domain.py from the cohorts). A range of another record, such as that of the front alone,
counts as tried in part. What no cohort had, such as a resection, lies outside; what no record states, such as age, is
named as unknown. Inside a range nothing is proved of a single patient; outside, coverage was never measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Literal

from palpate.errors import InputError
from palpate.quality_warning import QualityWarning

type Status = Literal["inside", "in part", "outside"]

CODE: Final = "outside-validated-domain"
"""Code of the warning of a patient outside the ranges."""
_ROUNDING: Final = 0.02
"""Share of a range's ends by which a value may lie beyond: doses and volumes are stored with some rounding."""
_AT_LEAST: Final = ("scans",)
"""Facts of which more than was tried is not outside: further scans add data and change nothing else."""
_AT_MOST: Final = ("horizon_days", "fraction_gy", "voxel_mm")
"""Facts of which less than was tried is not outside: a nearer day is passed on the way to a further one, at the edge of
every dose there is less of it, and finer images are averaged over the lattice's voxels."""


@dataclass(frozen=True, slots=True)
class TriedRange:
    """Range of a number in the patients of one record.

    Attributes:
        record: name of the benchmark.
        low: least value.
        high: largest value.
        part: the only part of a forecast that was tried over this range; empty where all of it was.
    """

    record: str
    low: float
    high: float
    part: str = ""

    def holds(self, name: str, value: float) -> bool:
        """Return whether a value lies in the range, but for rounding.

        Args:
            name: name of the fact, which tells whether both ends count.
            value: value of a patient.
        """
        above = name in _AT_MOST or value >= self.low * (1.0 - _ROUNDING)
        below = name in _AT_LEAST or value <= self.high * (1.0 + _ROUNDING)
        return above and below


@dataclass(frozen=True, slots=True)
class DomainFact:
    """One fact of a patient beside what was tried.

    Attributes:
        name: name of the fact.
        words: the fact in words.
        value: its value; None for a fact that is no number, such as a kind of treatment.
        unit: unit of the value.
        tried: ranges of the records; none where no record had it.
        status: whether it lies inside, in the range of a part, or outside.
    """

    name: str
    words: str
    value: float | None
    unit: str
    tried: tuple[TriedRange, ...]
    status: Status

    def sentence(self) -> str:
        """Return the fact and what was tried, for a person."""
        unit = f" {self.unit}" if self.unit else ""
        if self.value is None:
            return f"{self.words} (not tried)" if self.status == "outside" else self.words
        ranges = "; ".join(
            f"{_span(one)}{unit}{f' for {one.part}' if one.part else ''}, {one.record}" for one in self.tried
        )
        return f"{self.words} {self.value:.3g}{unit} (tried {ranges})"


@dataclass(frozen=True, slots=True)
class Domain:
    """Facts of a patient beside the ranges over which the twin was tried.

    Attributes:
        facts: every fact.
        not_recorded: facts that no record states.
    """

    facts: tuple[DomainFact, ...]
    not_recorded: tuple[str, ...]

    @property
    def outside(self) -> tuple[DomainFact, ...]:
        """Facts outside every range."""
        return tuple(one for one in self.facts if one.status == "outside")

    def sentence(self) -> str:
        """Return the domain in one sentence, for a page."""
        in_part = [one.sentence() for one in self.facts if one.status == "in part"]
        unknown = f"no record states {', '.join(self.not_recorded)}"
        if self.outside:
            listed = "; ".join(one.sentence() for one in self.outside)
            return f"Outside what the twin was tried on: {listed}; {unknown}."
        told = f", in part for {'; '.join(in_part)}" if in_part else ""
        return f"Within what the twin was tried on in simulated patients{told}; {unknown}."

    def warnings(self) -> tuple[QualityWarning, ...]:
        """Return a warning where facts lie outside, with each of them."""
        if not self.outside:
            return ()
        listed = "; ".join(one.sentence() for one in self.outside)
        sentence = f"The twin was never tried on such a patient: {listed}. Coverage of its intervals is unknown here."
        advice = "Do not rely on the intervals; test the twin on your own patients (palpate verify heldout)."
        return (QualityWarning("outside-validated-domain", sentence, advice),)

    def as_record(self) -> dict[str, Any]:
        """Return the object `domain` of a record."""
        return {
            "inside": not self.outside,
            "sentence": self.sentence(),
            "facts": [
                {
                    "fact": one.name,
                    "value": one.value,
                    "unit": one.unit,
                    "status": one.status,
                    "tried": [{"record": r.record, "low": r.low, "high": r.high, "part": r.part} for r in one.tried],
                }
                for one in self.facts
            ],
            "not_recorded": list(self.not_recorded),
        }


def joined(domains: Iterable[Domain]) -> Domain:
    """Return the facts of several forecasts of one patient, each once.

    Args:
        domains: domains of at least one forecast.
    """
    every = tuple(domains)
    return Domain(tuple(dict.fromkeys(fact for one in every for fact in one.facts)), every[0].not_recorded)


def demand_tried_horizon(after_days: Sequence[float]) -> None:
    """Refuse days that lie further ahead than any record.

    Args:
        after_days: days after the last scan.

    Raises:
        InputError: a day is beyond what was validated.
    """
    furthest = max(one.high for one in tried_ranges("horizon_days"))
    if max(after_days) > furthest:
        raise InputError(
            "days after the last scan",
            found=f"{max(after_days):g}, a horizon beyond what was validated",
            expected=f"at most {furthest:g} days, as far as forecasts or fronts were ever compared with a truth",
            advice="Compare schedules within that time; a forecast without --do goes further, with a warning.",
        )


def tried_ranges(name: str) -> tuple[TriedRange, ...]:
    """Return the ranges of one number in the records.

    Args:
        name: name of the fact, such as "horizon_days".
    """
    tried = validated()["numbers"][name]["tried"]
    return tuple(TriedRange(one["record"], one["low"], one["high"], one.get("of", "")) for one in tried)


@lru_cache(maxsize=1)
def validated() -> dict[str, Any]:
    """Return the content of validated.json."""
    return dict(json.loads(files("palpate.twin.trust").joinpath("validated.json").read_text(encoding="utf-8")))


def number_fact(name: str, value: float) -> DomainFact:
    """Return a number of a patient beside what was tried.

    Args:
        name: name of the fact.
        value: its value.
    """
    about, tried = validated()["numbers"][name], tried_ranges(name)
    holding = [one for one in tried if one.holds(name, value)]
    whole = any(not one.part for one in holding)
    status: Status = "inside" if whole else "in part" if holding else "outside"
    return DomainFact(name, about["words"], value, about["unit"], tried, status)


def kind_fact(words: str) -> DomainFact:
    """Return a kind of treatment or of knowledge beside those that the cohorts had.

    Args:
        words: the kind, such as "surgery".
    """
    status: Status = "inside" if words in validated()["treatments"] else "outside"
    return DomainFact(words, words, None, "", (), status)


def _span(one: TriedRange) -> str:
    return f"{one.low:.3g}" if one.low == one.high else f"{one.low:.3g} to {one.high:.3g}"
