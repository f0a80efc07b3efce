"""Treatment of the small rungs from a tumour's history: doses and operations as its visible part meets them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import Irradiation, Surgery, TumourHistory
from palpate.twin.biology import effective_irradiations
from palpate.twin.lattice import visible
from palpate.twin.outline import signed_distance_mm
from palpate.twin.rungs.regimen import DatedFraction, DatedOperation, Regimen

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

MOST_REMOVED: Final = 0.999
"""Largest share of the tumour's cells that an operation removes: around what is visible some always stay."""


def regimen(history: TumourHistory, settings: TwinSettings | None = None) -> Regimen:
    """Return the treatment of a tumour as the small rungs take it.

    The visible tumour is that of the last scan until the event which shows any, else that of the first one which does.
    Its dose is the mean; by radius, it is the mean over the voxels of one distance from the outline, and the outline's
    own radius is that of a ball with the tumour's volume. Where cells are hypoxic, doses are those that act. An
    operation removes the share of the visible tumour that was in the resected region, or a ball with the volume of that
    region.

    Args:
        history: history of the tumour, on any grid.
        settings: settings of the twin, with the oxygen enhancement ratio; None for the defaults.
    """
    fractions, places = [], {}
    for one in effective_irradiations(history, settings or TwinSettings()):
        scan = _scan_before(history, one.day)
        if scan not in places:
            places[scan] = _place(history, scan)
        fractions.append(_fraction(history, one, *places[scan]))
    operations = tuple(_operation(history, one) for one in history.surgeries)
    return Regimen(tuple(fractions), history.drug_doses, operations)


def volume_ml(mask: Mask, edges_mm: Values) -> float:
    """Return the volume of a mask, ml.

    Args:
        mask: voxels, shape (i, j, k).
        edges_mm: edges of a voxel, mm, shape (3,).
    """
    return float(mask.sum() * np.prod(edges_mm)) * 1e-3


def ball_radius_mm(volume: float) -> float:
    """Return the radius of a ball, mm.

    Args:
        volume: volume of the ball, ml.
    """
    return float(np.cbrt(3e3 * volume / (4.0 * np.pi)))


def seen_on(history: TumourHistory, day: float) -> Mask:
    """Return the visible tumour of the last scan until a day that shows any, else of the first, shape (i, j, k).

    Args:
        history: history of the tumour, on any grid.
        day: days since the first scan.
    """
    return visible(history.scans[_scan_before(history, day)], history.edges_mm) & history.tissue


def _scan_before(history: TumourHistory, day: float) -> int:
    """Return the number of the scan whose visible tumour an event of that day meets."""
    shows = [bool((visible(scan, history.edges_mm) & history.tissue).any()) for scan in history.scans]
    before = [n for n, scan in enumerate(history.scans) if shows[n] and scan.day <= day]
    return before[-1] if before else shows.index(True)


def _place(history: TumourHistory, scan: int) -> tuple[Mask, Values]:
    """Return the visible tumour of a scan and the radius of each voxel, mm, shape (i, j, k) each."""
    seen = seen_on(history, history.scans[scan].day)
    radius_mm = ball_radius_mm(volume_ml(seen, history.edges_mm))
    return seen, signed_distance_mm(seen, history.edges_mm) + radius_mm


def _fraction(history: TumourHistory, one: Irradiation, seen: Mask, radii_mm: Values) -> DatedFraction:
    width_mm = float(history.edges_mm.max())
    shell = np.maximum(np.floor(radii_mm[history.tissue] / width_mm), 0.0).astype(np.int64)
    count = np.bincount(shell)
    total = np.bincount(shell, weights=one.dose_gy[history.tissue])
    there = np.flatnonzero(count)
    middles = (there + 0.5) * width_mm
    doses = total[there] / count[there]
    return DatedFraction(one.day, float(one.dose_gy[seen].mean()), tuple(map(float, middles)), tuple(map(float, doses)))


def _operation(history: TumourHistory, one: Surgery) -> DatedOperation:
    seen = seen_on(history, one.day)
    share = min(float((one.removed & seen).sum() / seen.sum()), MOST_REMOVED)
    removed_ml = volume_ml(one.removed & history.tissue, history.edges_mm)
    return DatedOperation(one.day, share, ball_radius_mm(removed_ml) if removed_ml > 0.0 else None)
