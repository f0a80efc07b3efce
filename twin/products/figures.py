"""Volumes and burdens with intervals, and parameters in a user's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.tumour.history import ENHANCING, NECROTIC, TumourScan
from palpate.twin.calibration.calibrate import NORMAL_95, UNIDENTIFIED, Calibration
from palpate.twin.priors import DIFFUSIVITY, ENHANCING_ABOVE, INFILTRATED_ABOVE, KILL, PROLIFERATION, Unknown
from palpate.units import m2_s_to_mm2_day, per_s_to_per_day

type Values = NDArray[np.float64]

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals."""
QUANTITIES: Final = ("enhancing_ml", "visible_ml", "burden_ml")
"""Names of the volume that takes up contrast agent, of all visible volume and of the integral of the density."""
DISPLACEMENTS: Final = ("displacement_mm", "largest_displacement_mm", "additional_displacement_mm")
"""Names of displacements of the brain around the tumour: mean length, the length that 99 % of it do not exceed, and the
growth of the mean since the last scan."""
THRESHOLDS: Final = {"enhancing_ml": ENHANCING_ABOVE, "visible_ml": INFILTRATED_ABOVE}
"""Names of the volumes, and of the unknown densities above which images show them."""
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    PROLIFERATION: ("1/day", per_s_to_per_day(1.0)),
    DIFFUSIVITY: ("mm2/day", m2_s_to_mm2_day(1.0)),
    "alpha": ("1/Gy", 1.0),
    "outline_offset": ("mm", 1.0),
    "radius_mm": ("mm", 1.0),
    "burden_ml": ("mL", 1.0),
    "room_ml": ("mL", 1.0),
}


def intervals(draws: Values) -> dict[str, object]:
    """Return median, mean, standard deviation and central intervals of equally probable draws, as plain JSON values.

    Args:
        draws: values of the draws, shape (n,).
    """
    found: dict[str, object] = {"median": float(np.median(draws)), "mean": float(draws.mean())}
    found["std"] = float(draws.std(ddof=1)) if len(draws) > 1 else 0.0
    for level in LEVELS:
        ends = np.quantile(draws, [0.5 - level / 2.0, 0.5 + level / 2.0])
        found[f"{100 * level:g}"] = [float(ends[0]), float(ends[1])]
    return found


def observed(scans: Sequence[TumourScan], voxel_ml: float) -> list[dict[str, float | None]]:
    """Return the volumes and burden that the images themselves show; None where a scan has no regions.

    The burden is that within the visible tumour.

    Args:
        scans: scans on one grid.
        voxel_ml: volume of a voxel, millilitres.
    """
    found: list[dict[str, float | None]] = []
    for scan in scans:
        marked, every = scan.marked, scan.tumour
        inside = np.isin(scan.roi, (ENHANCING, NECROTIC))
        counted = every & np.isfinite(scan.cellularity) if marked else np.isfinite(scan.cellularity)
        known = counted.any() or (marked and not every.any())
        burden = float(scan.cellularity[counted].sum()) * voxel_ml if known else None
        found.append(
            {
                "day": scan.day,
                "enhancing_ml": float(inside.sum()) * voxel_ml if marked else None,
                "visible_ml": float(every.sum()) * voxel_ml if marked else None,
                "burden_ml": burden,
            }
        )
    return found


def parameters(calibration: Calibration) -> list[dict[str, object]]:
    """Return prior and posterior of every single unknown in a user's units: median and 95 % bounds.

    Args:
        calibration: calibration of the tumour.
    """
    rows: list[dict[str, object]] = []
    for at, one in enumerate(calibration.unknowns.single):
        unit, factor = unit_of(one)
        lower, median, upper = calibration.bounds[:, at]
        ends = one.natural(one.mean + one.std * np.array([median, lower, upper])) * factor
        rows.append(
            {
                "name": one.name,
                "unit": unit,
                "prior": _bounds(one, factor),
                "posterior": [float(value) for value in ends],
                "identified": bool(upper - lower < UNIDENTIFIED * 2.0 * NORMAL_95),
            }
        )
    return rows


def unit_of(one: Unknown) -> tuple[str, float]:
    """Return the unit in which a user reads a number, and the factor from the inner one.

    Args:
        one: unknown number.
    """
    if one.name.startswith(KILL):
        return "1/g", 1.0
    return _UNITS.get(one.name, ("", 1.0))


def _bounds(one: Unknown, factor: float) -> list[float]:
    """Median, lower and upper 95 % bound of the prior."""
    ends = one.mean + one.std * np.array([0.0, -NORMAL_95, NORMAL_95])
    return [float(value) for value in one.natural(ends) * factor]
