"""Excess speed of a tumour's front on the twin's lattice, where voxels are wider than the front.

Ahead of the front the density obeys u' = k u + D (second difference of u). A tail exp(-s x / h) on voxels of edge h
then moves at v(s) = (h / s) (k + 2 D (cosh s - 1) / h^2), and the front settles at the least of these speeds. With
p = h^2 k / D the least is at p = 2 (s sinh s - cosh s + 1), where

    v / (2 sqrt(D k)) = sinh s / sqrt(p)        (about 1 + p / 24)

along an axis of the lattice. Averaged over directions the same holds with 0.6 p, to half a percent: the leading term
goes with the sum of the fourth powers of the direction's cosines, whose mean is 3/5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.quality_warning import QualityWarning
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import brownian, growth_parameters, kills_1_g, slowed
from palpate.twin.growth_field import growth_shapes
from palpate.twin.priors import drugs
from palpate.units import m_to_mm, mm_to_m

type Values = NDArray[np.float64]

TOO_FAST: Final = 0.2
"""Excess speed, as a share of 2 sqrt(D k), above which the page warns of the front."""
_DIRECTIONS: Final = 5.0
"""Reciprocal of the mean fourth power of a direction's cosine."""
_TAILS: Final = np.geomspace(1e-2, 12.0, 400)
_RATIOS: Final = 2.0 * (_TAILS * np.sinh(_TAILS) - np.cosh(_TAILS) + 1.0)
_EXCESSES: Final = np.sinh(_TAILS) / np.sqrt(_RATIOS) - 1.0


@dataclass(frozen=True, slots=True)
class FrontExcess:
    """Excess speed and width of the settled front of each draw at the last scan.

    Each is a mean over the voxels, weighted by u (1 - u), so that the front counts.

    Attributes:
        excess: excess of the front's speed over 2 sqrt(D k), over that speed, shape (draws,).
        widths_mm: width sqrt(D / k) of the front, millimetres, shape (draws,).
        voxel_mm: largest edge of the lattice's voxels, millimetres.
    """

    excess: Values
    widths_mm: Values
    voxel_mm: float


def settled_excess(ratio: Values) -> Values:
    """Return the excess speed of a settled front along an axis of the lattice over 2 sqrt(D k), over that speed.

    Args:
        ratio: p = h^2 k / D, any shape.
    """
    inside = np.clip(ratio, _RATIOS[0], _RATIOS[-1])
    return np.asarray(np.exp(np.interp(np.log(inside), np.log(_RATIOS), np.log(_EXCESSES))))


def front_excess(calibration: Calibration) -> FrontExcess:
    """Return the excess speed of each draw's front after the last scan.

    Args:
        calibration: calibration of the tumour.
    """
    history, settings, layout = calibration.history, calibration.settings, calibration.unknowns
    white, shapes = history.white[history.tissue], growth_shapes(history, settings)
    kill_1_g = kills_1_g(drugs(history), settings)
    drift = brownian([scan.day for scan in history.scans], settings)
    square_m2 = float(np.sum(mm_to_m(history.edges_mm) ** 2)) / _DIRECTIONS
    excess, widths_mm = [], []
    for xi, density in zip(calibration.draws.xi, calibration.draws.density.astype(np.float64), strict=True):
        last = float((drift @ xi[layout.drift_slice()])[-1]) if layout.drifts else 0.0
        found = growth_parameters(layout, xi, white, shapes, kill_1_g, last)
        log_d = found.log_diffusivity
        if calibration.stress is not None and len(calibration.stress.patterns):
            log_d = log_d - slowed(layout, xi, calibration.stress.patterns[-1])
        log_ratio = found.log_proliferation - log_d
        weights = np.clip(density * (1.0 - density), 1e-12, None)
        excess.append(np.average(settled_excess(square_m2 * np.exp(log_ratio)), weights=weights))
        widths_mm.append(m_to_mm(float(np.average(np.exp(-0.5 * log_ratio), weights=weights))))
    return FrontExcess(np.array(excess), np.array(widths_mm), float(history.edges_mm.max()))


def front_warnings(calibration: Calibration) -> tuple[QualityWarning, ...]:
    """Return a warning if the median draw's front is too fast by more than TOO_FAST.

    Args:
        calibration: calibration of the tumour.
    """
    found = front_excess(calibration)
    middle = float(np.median(found.excess))
    if middle <= TOO_FAST:
        return ()
    count = int(np.sum(found.excess > TOO_FAST))
    width_mm = float(np.median(found.widths_mm))
    sentence = (
        f"The front of this tumour is {width_mm:.1f} mm wide (the root of D over k), narrower than the twin's voxels "
        f"of {found.voxel_mm:.3g} mm. On them it advances up to {100.0 * middle:.0f} % faster than D and k imply "
        f"(median of {len(found.excess)} draws; more than {100.0 * TOO_FAST:.0f} % in {count})."
    )
    advice = (
        "Expect that D is too small, and that the front is too fast many months ahead; a smaller twin.voxel_mm "
        "reduces the error."
    )
    return (QualityWarning("front-under-resolved", sentence, advice),)
