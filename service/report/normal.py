"""Values of healthy tissue beside a scan's own, with their source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from palpate.service.report.session import RunView

type Organ = Literal["brain", "liver"]


@dataclass(frozen=True, slots=True)
class NormalValues:
    """Published values of one organ.

    Attributes:
        organ: the organ.
        frequency_hz: frequency of the vibration, Hz.
        words: the values in a sentence.
        source: publication that they come from.
    """

    organ: Organ
    frequency_hz: float
    words: str
    source: str


NORMAL: Final = (
    NormalValues(
        organ="brain",
        frequency_hz=50.0,
        words=(
            "Healthy adult brain at 50 Hz: grey matter G′ 2.4 and G″ 0.9 kPa, white matter G′ 2.6 and G″ 1.2 kPa. The"
            " same place differs between healthy adults by 19 % (one standard deviation)."
        ),
        source="public atlas of 134 adults by nonlinear inversion (Hiscox et al. 2020, Hum Brain Mapp 41:5282)",
    ),
    NormalValues(
        organ="liver",
        frequency_hz=60.0,
        words=(
            "Healthy liver at 60 Hz: |G*| 1.5 to 2.9 kPa, 2.05 on average; 3.6 kPa or more goes with advanced fibrosis."
        ),
        source="published 2-D elastography (docs/normal-values.md)",
    ),
)
"""Values of healthy tissue."""
_PARTS: Final = {"BRAIN": "brain", "HEAD": "brain", "LIVER": "liver", "ABDOMEN": "liver"}
_SAME: Final = 0.05


def organ_of(run: RunView) -> Organ | None:
    """Return the organ that was scanned; None where no record tells.

    Args:
        run: results of the run.
    """
    dicom, mask = run.ingest.get("dicom"), run.ingest.get("mask")
    part = str(dicom.get("BodyPartExamined", "")).upper() if isinstance(dicom, dict) else ""
    if part in _PARTS:
        return "brain" if _PARTS[part] == "brain" else "liver"
    return "brain" if isinstance(mask, dict) and mask.get("source") == "atlas" else None


def normal_words(run: RunView) -> list[str]:
    """Return what is normal in the scanned organ, or in all known ones, each with its source and its limits.

    Args:
        run: results of the run.
    """
    organ = organ_of(run)
    chosen = [one for one in NORMAL if organ in (None, one.organ)]
    found = [f"{one.words} Source: {one.source}." for one in chosen]
    measured = run.stiffness.frequency_hz
    if any(abs(one.frequency_hz / measured - 1.0) > _SAME for one in chosen):
        found.append(f"This scan is at {measured:g} Hz: stiffness rises with frequency, so compare with care.")
    return found
