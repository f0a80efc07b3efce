"""Start of a small rung from a calibration: its rates, and its tumour on the day of the last scan that it used.

Each parameter becomes a normal number, after its transform, with mean and spread of the calibration's draws. What the
draws know of two numbers together is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import brownian
from palpate.twin.forecast.predict import share_above
from palpate.twin.lattice import nearest_in
from palpate.twin.priors import (
    DIFFUSIVITY,
    ENHANCING_ABOVE,
    INFILTRATED_ABOVE,
    PLATEAU,
    PROLIFERATION,
    WHITE_TO_GREY,
    Unknown,
)
from palpate.twin.rungs.from_history import seen_on
from palpate.twin.rungs.logistic import ENHANCING_RATIO, FLAIR_RATIO, START_ML
from palpate.twin.rungs.radial import RADIUS_MM

type Values = NDArray[np.float64]

LEAST_STD: Final = 0.02
"""Least spread that is taken from draws."""
_DENSEST: Final = 0.95
"""Quantile of the visible tumour's densities that counts as its plateau."""
_LEAST_ML: Final = 1e-3


def calibrated_parameters(
    parameters: tuple[Unknown, ...], calibration: Calibration, history: TumourHistory
) -> tuple[Unknown, ...]:
    """Return the parameters of a small rung as a calibration has them on the day of its last scan.

    Args:
        parameters: parameters with their priors.
        calibration: calibration of the tumour.
        history: history of the tumour on the images' grid, for the tissue around it.
    """
    known = dict(_transformed(calibration, history))
    return tuple(_as_drawn(one, known[one.name]) if one.name in known else one for one in parameters)


def _as_drawn(one: Unknown, draws: Values) -> Unknown:
    return replace(one, mean=float(draws.mean()), std=max(float(draws.std(ddof=1)), LEAST_STD))


def _transformed(calibration: Calibration, history: TumourHistory) -> Iterator[tuple[str, Values]]:
    """Yield names and transformed numbers of all draws."""
    unknown, xi = calibration.unknowns, calibration.draws.xi
    q = {one.name: one.mean + one.std * xi[:, at] for at, one in enumerate(unknown.single)}
    lattice = calibration.history
    if unknown.drifts:
        days = [scan.day for scan in lattice.scans]
        q[PROLIFERATION] = q[PROLIFERATION] + xi[:, unknown.drift_slice()] @ brownian(days, calibration.settings)[-1]
    white = float(history.white[seen_on(history, lattice.scans[-1].day)].mean())
    q[DIFFUSIVITY] = q[DIFFUSIVITY] - (1.0 - white) * q[WHITE_TO_GREY]
    voxel_ml, nearest = float(np.prod(lattice.edges_mm)) * 1e-3, nearest_in(lattice.tissue)
    burden, plateau = [], []
    seen: dict[str, list[float]] = {ENHANCING_ABOVE: [], INFILTRATED_ABOVE: []}
    for draw, density in enumerate(calibration.draws.density.astype(np.float64)):
        burden.append(float(density.sum()) * voxel_ml)
        for name, found in seen.items():
            share = share_above(density, unknown.natural(xi[draw], name), lattice.tissue, nearest)
            found.append(float(share.sum()) * voxel_ml)
        inside = np.sort(density)[::-1][: max(1, round(seen[INFILTRATED_ABOVE][-1] / voxel_ml))]
        plateau.append(float(np.clip(np.quantile(inside, _DENSEST), 0.01, 0.99)))
    u, p = np.array(burden), np.array(plateau)
    enhancing, flair = (np.maximum(np.array(found), _LEAST_ML) for found in seen.values())
    q[START_ML], q[ENHANCING_RATIO], q[FLAIR_RATIO] = np.log(u), np.log(enhancing / u), np.log(flair / u)
    q[RADIUS_MM] = np.log(np.cbrt(3e3 * flair / (4.0 * np.pi)))
    q[PLATEAU] = np.log(p / (1.0 - p))
    yield from q.items()
