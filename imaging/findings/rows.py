"""Findings as rows of tables and as a volume of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.findings.finding import Finding

type Row = dict[str, str | int | float | None]


def place_rows(findings: Sequence[Finding]) -> list[Row]:
    """Return one row for each finding: where it is, how large and how stiff, and how sure.

    Args:
        findings: findings of a map.
    """
    return [
        {
            "number": one.number,
            "kind": one.kind,
            "region": one.region,
            "side": one.side,
            **dict(zip(("centre_r_mm", "centre_a_mm", "centre_s_mm"), one.centre_mm.tolist(), strict=True)),
            "volume_ml": one.volume_ml,
            **_interval("extent_ml", one.extent_ml),
            "quantity": one.quantity,
            **_interval("mean_kpa", one.mean_kpa),
            **_interval("ratio", one.ratio),
            "probability_stiffer": one.probability_stiffer,
            "probability": one.probability,
            "informed_share": one.informed_share,
            "draws": one.draws,
            "calibrated": str(one.calibrated).lower(),
        }
        for one in findings
    ]


def region_rows(findings: Sequence[Finding], subject: str, session: str, frequency_hz: float) -> list[Row]:
    """Return rows with the columns of regions.tsv, one for each finding and quantity.

    Quantities are the stiffness that was compared, ratio_to_surroundings where there are surroundings, and extent.

    Args:
        findings: findings of a map.
        subject: label of the subject.
        session: label of the session.
        frequency_hz: frequency f of the vibration, hertz.
    """
    return [
        {
            "subject": subject,
            "session": session,
            "frequency_hz": frequency_hz,
            "region": one.name,
            "quantity": quantity,
            "unit": values.unit,
            "mean": values.mean,
            "std": values.std,
            "lower": values.lower,
            "upper": values.upper,
            "volume_ml": one.volume_ml,
            "informed_share": one.informed_share,
            "draws": one.draws,
        }
        for one in findings
        for quantity, values in _quantities(one)
    ]


def label_volume(findings: Sequence[Finding], shape: tuple[int, ...]) -> tuple[NDArray[np.uint16], dict[int, str]]:
    """Return a volume in which each finding's voxels have its number, and the names of the numbers.

    Args:
        findings: findings of a map; no two of them share a voxel.
        shape: shape (i, j, k) of the grid.

    Returns:
        Numbers, 0 for none, shape (i, j, k), and the names in ascending order of the numbers.
    """
    numbers = np.zeros(shape, dtype=np.uint16)
    for one in findings:
        numbers[one.mask] = one.number
    return numbers, {one.number: one.name for one in findings}


def _quantities(finding: Finding) -> Iterator[tuple[str, DrawSummary]]:
    yield finding.quantity, finding.mean_kpa
    if finding.ratio is not None:
        yield "ratio_to_surroundings", finding.ratio
    yield "extent", finding.extent_ml


def _interval(name: str, values: DrawSummary | None) -> Row:
    """Return mean, standard deviation and ends of the interval under a name; None where there are no values."""
    return {
        name: None if values is None else values.mean,
        f"{name}_std": None if values is None else values.std,
        f"{name}_lower": None if values is None else values.lower,
        f"{name}_upper": None if values is None else values.upper,
    }
