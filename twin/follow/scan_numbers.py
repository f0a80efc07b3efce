"""Numbers of a scan that the small rungs compare: ln volumes, ln visible burden, centroid, each with its error.

The error of ln V is that of the observation model (palpate.twin.observation): with shares s of blocks, V = w^T s and
their covariance R = B + U U^T,

    Var(ln V) = w^T R w / V^2 + q^2 (t / 100 days) |w^T (g phi)|^2 / V^2 + ln((V + limit) / (V + LEAST_ML))^2,

with the front model error q of the time t since the first scan, which a ball cannot follow either, and the smallest
volume that a scan can show. It follows from this scan alone, so that a later scan changes no number of an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import ENHANCING, NECROTIC, TumourHistory, TumourScan
from palpate.twin.dynamics import CENTURY_DAYS
from palpate.twin.lattice import lattice, on_lattice, visible
from palpate.twin.observation.likelihood import Observations, observations
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE, unknowns
from palpate.twin.rungs.observed import (
    CENTROID,
    ENHANCING_VOLUME,
    FLAIR_VOLUME,
    LEAST_ML,
    VISIBLE_BURDEN,
    log_ml,
)
from palpate.twin.state_space.event import Event

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

LIMIT_ML: Final = 0.2
"""Volume that a scan may miss, ml: about that of a block of the twin."""
MEASURED: Final = 0.5
"""Smallest share of the visible tumour with cellularity from which a burden is told."""
UNMEASURED: Final = 0.9
"""Density of visible tumour without cellularity, such as necrosis, of which the small rungs know nothing."""
EDGE: Final = 0.3
"""Density at the edge of what is visible, over the mean within: the part of an error of its volume in its burden."""


def scan_events(history: TumourHistory, number: int, settings: TwinSettings) -> tuple[Event, ...]:
    """Return the measurements that a scan gives; none where it shows no regions and no cellularity.

    An enhancing volume of zero is told only where an earlier scan showed one: before that nobody may have drawn it.

    Args:
        history: history of the tumour, on any grid.
        number: number of the scan.
        settings: settings of the twin, with the errors.
    """
    scan, voxel_ml = history.scans[number], float(np.prod(history.edges_mm)) * 1e-3
    seen = (scan.tumour if scan.marked else visible(scan, history.edges_mm)) & history.tissue
    errors = _VolumeErrors.of(history, number, settings) if seen.any() else _VolumeErrors(None, scan.day, settings)
    found = []
    outline_variance = errors.variance(INFILTRATED_ABOVE, float(seen.sum()) * voxel_ml)
    if scan.marked:
        core = np.isin(scan.roi, (ENHANCING, NECROTIC)) & history.tissue
        if any(np.isin(one.roi, (ENHANCING, NECROTIC)).any() for one in history.scans[: number + 1]):
            core_ml = float(core.sum()) * voxel_ml
            found.append(_event(scan.day, ENHANCING_VOLUME, core_ml, errors.variance(ENHANCING_ABOVE, core_ml)))
        found.append(_event(scan.day, FLAIR_VOLUME, float(seen.sum()) * voxel_ml, outline_variance))
    burden = _burden(scan, seen, settings)
    if burden is not None:
        voxels, variance = burden
        variance += EDGE**2 * outline_variance
        found.append(_event(scan.day, VISIBLE_BURDEN, voxels * voxel_ml, variance))
    if seen.any():
        found.append(_centroid(history, scan, seen, settings))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _VolumeErrors:
    """Errors of the volumes of one scan by the observation model; None where nothing is visible."""

    seen: Observations | None
    day: float
    settings: TwinSettings

    @classmethod
    def of(cls, history: TumourHistory, number: int, settings: TwinSettings) -> _VolumeErrors:
        scan = history.scans[number]
        alone = replace(history, scans=(scan,), stiffness=None)
        grid = lattice(alone, settings.voxel_mm, settings.margin_mm)
        small = on_lattice(alone, grid)
        return cls(observations(small, unknowns(small, settings, 1), settings), scan.day, settings)

    def variance(self, kind: str, volume_ml: float) -> float:
        """Return the variance of ln V of what lies above a threshold."""
        limit = float(np.log((volume_ml + LIMIT_ML) / (volume_ml + LEAST_ML)) ** 2)
        if self.seen is None:
            return limit
        first = 0
        for one, slope in zip(self.seen.scans[0], self._slopes(), strict=True):
            rows = slice(first, first + len(one.values))
            first = rows.stop
            if one.kind == kind and float(one.voxels @ one.values) > 0.0:
                g = one.voxels / float(one.voxels @ one.values)
                errors = self.seen.errors(0.0)
                front = g @ (slope[:, None] * self.seen.field.at(one.points_mm))
                q = self.settings.front_error_mm**2 * self.day / CENTURY_DAYS
                own = float(g @ errors.blocks.part(rows).times(g[:, None])[:, 0])
                shared = g @ errors.columns[rows]
                return own + float(shared @ shared) + q * float(front @ front) + limit
        return limit

    def _slopes(self) -> list[Values]:
        assert self.seen is not None  # asked only where something is visible
        ends: NDArray[np.int64] = np.cumsum([len(one.values) for one in self.seen.scans[0]])[:-1]
        return np.split(self.seen.slopes[0], ends)


def _burden(scan: TumourScan, seen: Mask, settings: TwinSettings) -> tuple[float, float] | None:
    """Return the visible burden, in voxels, and the variance of its logarithm but for contours."""
    measured = seen & np.isfinite(scan.cellularity) & (scan.cellularity_std > 0.0) & (scan.roi != NECROTIC)
    if not seen.any() or measured.sum() < MEASURED * seen.sum():
        return None
    total = float(scan.cellularity[measured].sum()) + UNMEASURED * float((seen & ~measured).sum())
    if not total > 0.0:
        return None
    own = float((scan.cellularity_std[measured] ** 2).sum()) + (settings.shared_noise_std * float(seen.sum())) ** 2
    return total, own / total**2


def _event(day: float, stream: str, volume_ml: float, variance: float) -> Event:
    return Event(day, day, stream, log_ml(np.array([volume_ml])), np.array([[variance]]))


def _centroid(history: TumourHistory, scan: TumourScan, seen: Mask, settings: TwinSettings) -> Event:
    place = np.argwhere(seen).mean(axis=0) @ history.affine_mm[:3, :3].T + history.affine_mm[:3, 3]
    moved = scan.misplaced_mm if scan.misplaced_mm is not None else settings.registration_std_mm
    variance = settings.contour_std_mm**2 + (moved**2 if scan.day > 0.0 else 0.0)
    return Event(scan.day, scan.day, CENTROID, place, variance * np.eye(3))
