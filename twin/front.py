"""Error of a tumour's front on the twin's lattice, where voxels are wider than the front, and what remains of it.

Ahead of the front the density obeys u' = k u + D (second difference of u). A tail exp(-s x / h) on voxels of edge h
then moves at v(s) = (h / s) (k + 2 D (cosh s - 1) / h^2), and the front settles at the least of these speeds. With
p = h^2 k / D the least is at p = 2 (s sinh s - cosh s + 1), where

    v / (2 sqrt(D k)) = sinh s / sqrt(p)        (about 1 + p / 24)

along an axis of the lattice. Averaged over directions the same holds with q = 0.6 p, to half a percent: the leading
term goes with the sum of the fourth powers of the direction's cosines, whose mean is 3/5. The twin lowers D for it
(twin.front_correction). The error that remains in the first months is a displacement of the front with the standard
deviation 0.0085 h sqrt(q), from day 75 on in proportion to time (benchmarks/front_speed.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.quality_warning import QualityWarning
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import brownian, growth_parameters, kills_1_g, slowed
from palpate.twin.front_correction import DIRECTIONS, front_correction
from palpate.twin.growth_field import growth_shapes
from palpate.twin.priors import drugs
from palpate.units import m_to_mm

type Values = NDArray[np.float64]

NARROWEST: Final = 0.05
"""Width sqrt(D / k) of a front over the voxels' edge below which the correction was not compared with a solution."""
UNRESOLVED: Final = 0.0085
"""Standard deviation of the front's displacement by voxels after the correction, over h sqrt(q)."""
UNRESOLVED_DAYS: Final = 75.0
"""Time from which on that displacement grows in proportion to time, days."""
_TAILS: Final = np.geomspace(1e-2, 12.0, 400)
_RATIOS: Final = 2.0 * (_TAILS * np.sinh(_TAILS) - np.cosh(_TAILS) + 1.0)
_EXCESSES: Final = np.sinh(_TAILS) / np.sqrt(_RATIOS) - 1.0


@dataclass(frozen=True, slots=True)
class FrontError:
    """Width of each draw's front at the last scan, and what the voxels do to it in spite of the correction.

    Each is a mean over the voxels, weighted by u (1 - u), so that the front counts.

    Attributes:
        excess: excess of the settled front's speed over 2 sqrt(D k), over that speed, shape (draws,).
        widths_mm: width sqrt(D / k) of the front, millimetres, shape (draws,).
        unresolved_mm: standard deviation of the front's displacement in the first months, millimetres, shape (draws,).
        voxel_mm: largest edge of the lattice's voxels, millimetres.
    """

    excess: Values
    widths_mm: Values
    unresolved_mm: Values
    voxel_mm: float


def settled_excess(ratio: Values) -> Values:
    """Return the excess speed of a settled front along an axis of the lattice over 2 sqrt(D k), over that speed.

    Args:
        ratio: p = h^2 k / D, any shape.
    """
    inside = np.clip(ratio, _RATIOS[0], _RATIOS[-1])
    return np.asarray(np.exp(np.interp(np.log(inside), np.log(_RATIOS), np.log(_EXCESSES))))


def unresolved_growth(days: Values) -> Values:
    """Return the factor by which the displacement by voxels has grown after some days.

    Args:
        days: days after the start of the forecast, any shape.
    """
    return np.maximum(1.0, days / UNRESOLVED_DAYS)


def front_error(calibration: Calibration) -> FrontError:
    """Return the error of each draw's front after the last scan.

    Args:
        calibration: calibration of the tumour.
    """
    history, settings, layout = calibration.history, calibration.settings, calibration.unknowns
    white, shapes = history.white[history.tissue], growth_shapes(history, settings)
    kill_1_g = kills_1_g(drugs(history), settings)
    drift = brownian([scan.day for scan in history.scans], settings)
    fronts = front_correction(history.edges_mm)
    excess, widths_mm, unresolved_mm = [], [], []
    for xi, density in zip(calibration.draws.xi, calibration.draws.density.astype(np.float64), strict=True):
        last = float((drift @ xi[layout.drift_slice()])[-1]) if layout.drifts else 0.0
        found = growth_parameters(layout, xi, white, shapes, kill_1_g, last)
        if calibration.stress is not None and len(calibration.stress.patterns):
            log_d = found.log_diffusivity - slowed(layout, xi, calibration.stress.patterns[-1])
            found = replace(found, log_diffusivity=log_d)
        lowered, weights = fronts.log_change(found), np.clip(density * (1.0 - density), 1e-12, None)
        ratio = fronts.ratio(found)
        speed = np.exp(0.5 * lowered) * (1.0 + settled_excess(ratio * np.exp(-lowered)))
        width_m = float(np.average(np.sqrt(fronts.square_m2 / ratio), weights=weights))
        by_voxels_m = UNRESOLVED * float(
            np.average(np.sqrt(DIRECTIONS / 3.0 * fronts.square_m2 * ratio), weights=weights)
        )
        excess.append(np.average(speed, weights=weights) - 1.0)
        widths_mm.append(m_to_mm(width_m))
        unresolved_mm.append(m_to_mm(by_voxels_m))
    edge_mm = float(history.edges_mm.max())
    return FrontError(np.array(excess), np.array(widths_mm), np.array(unresolved_mm), edge_mm)


def front_warnings(calibration: Calibration) -> tuple[QualityWarning, ...]:
    """Return a warning if the median draw's front is narrower than NARROWEST of a voxel.

    Args:
        calibration: calibration of the tumour.
    """
    found = front_error(calibration)
    width_mm = float(np.median(found.widths_mm))
    if width_mm >= NARROWEST * found.voxel_mm:
        return ()
    count = int(np.sum(found.widths_mm < NARROWEST * found.voxel_mm))
    sentence = (
        f"The front of this tumour is {width_mm:.2g} mm wide (the root of D over k; median of {len(found.widths_mm)} "
        f"draws, in {count} less than {100.0 * NARROWEST:.0f} % of the twin's voxels of {found.voxel_mm:.3g} mm). The "
        "correction of its speed on voxels was never compared with a finer solution for such fronts."
    )
    advice = "Do not rely on where the front is many months ahead; a smaller twin.voxel_mm reduces the error."
    return (QualityWarning("front-under-resolved", sentence, advice),)
