"""How far figures of findings can be trusted: measured on simulated patients by benchmarks/findings.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from palpate.config.findings import FindingsSettings

RECORD: Final = "measured.json"
"""File beside this module that holds the measured figures; benchmarks/findings.py writes it."""
HELD: Final = 0.9
"""Least share of 95 % intervals of the ratio that must hold the truth."""
FEWEST: Final = 30
"""Least number of findings from which that share is judged."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of findings in patients whose truth is known.

    Attributes:
        population: the patients in words.
        patients: number of patients.
        findings: number of findings with surroundings.
        ratio_held: number of these whose 95 % interval of the ratio holds the truth.
        mean_held: number of these whose 95 % interval of the mean holds the truth.
        false: number of findings whose voxels are in truth, on average, not beyond the threshold.
        overstated_percent: median over findings of the error of the mean away from the reference, percent: stiff
            regions too stiff, soft ones too soft. That regions were chosen for their values makes it larger.
        settings: settings with which they were found.
    """

    population: str
    patients: int
    findings: int
    ratio_held: int
    mean_held: int
    false: int
    overstated_percent: float
    settings: FindingsSettings

    @property
    def calibrated(self) -> bool:
        """Whether enough intervals of the ratio hold the truth, in enough findings."""
        return self.findings >= FEWEST and self.ratio_held >= HELD * self.findings

    def sentence(self, settings: FindingsSettings) -> str:
        """Return how far figures found with some settings can be trusted.

        Args:
            settings: settings of the search.
        """
        if self.findings == 0:
            return f"{_word(calibrated=False)}: the figures of findings have not been measured yet."
        share, mean = (round(100.0 * held / self.findings) for held in (self.ratio_held, self.mean_held))
        strong = "strong" if self.overstated_percent >= 0.0 else "weak"
        measured = (
            f"{_word(calibrated=self.holds_for(settings))}: of {self.findings} findings in {self.patients} "
            f"{self.population}, {share} % of the 95 % intervals of the ratio and {mean} % of those of the mean held "
            f"the truth. In the median, means were {abs(self.overstated_percent):.1f} % too {strong}; "
            f"{self.false / self.patients:.2g} findings a patient were false."
        )
        return measured if self._measured_with(settings) else f"{measured} The settings were others."

    def holds_for(self, settings: FindingsSettings) -> bool:
        """Return whether figures found with some settings count as calibrated."""
        return self.calibrated and self._measured_with(settings)

    def _measured_with(self, settings: FindingsSettings) -> bool:
        return settings == self.settings


@cache
def measured() -> Measured:
    """Return the measured figures that ship with palpate."""
    return from_record(json.loads(files(__package__).joinpath(RECORD).read_text(encoding="utf-8")))


def from_record(record: Mapping[str, Any]) -> Measured:
    """Return the figures of a record.

    Args:
        record: keys of Measured, and further ones that tell where they come from.
    """
    own = {key: record[key] for key in Measured.__slots__ if key != "settings"}
    return Measured(**own, settings=FindingsSettings.model_validate(record["settings"]))


def _word(*, calibrated: bool) -> str:
    return "Calibrated" if calibrated else "Not calibrated"
