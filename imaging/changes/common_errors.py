"""Errors of a region's draws that both sessions of one person have in common, and which therefore cancel.

Density: every draw is a ratio that waves determine times a density. One tissue has one density, so that draws are
compared per density.

Fibres: every draw of a brain holds a random field for the error that fibres cause (`palpate.imaging.fibre_error`). The
part of its variance that both sessions share is taken out of the draws of a region's value by shrinking the deviations
of their logarithm,

    d -> d sqrt(1 - c v / s^2),

with s^2 the variance of the logarithm over the draws, v that of the fibres' error of the region, and c the common share
of v. Draws do not hold the field apart from the rest, and a smaller deviation of the same shape has the right variance.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.changes.pairing import SessionDraws
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.fibre_error import fibre_covariances, fibre_variance_of_mean
from palpate.imaging.region_values.quantities import RegionQuantity
from palpate.imaging.region_values.values import RegionValue

FIBRES_IN_COMMON: Final = 0.5
"""Share c of the variance of the fibres' error that two sessions of one person have in common: 0.5 by two drives, 0.6
by one drive, on six simulated people (docs/decisions/0130)."""
_LEAST: Final = 0.01
"""Least value of a draw over the mean of all: the effect of a misplacement is added to draws and knows no sign."""
_STEP: Final = 1e-3
_MODULI: Final = ("storage_modulus", "loss_modulus", "magnitude", "shear_stiffness")
"""Quantities that are proportional to the density that a draw assumes."""


def fibre_percent(session: ComparedSession) -> float:
    """Return the standard deviation of ln G' that a session's draws hold because of fibres, percent."""
    stated = session.run.inversion.get("anisotropy_percent")
    known = isinstance(stated, int | float) and not isinstance(stated, bool) and 0.0 <= stated < np.inf
    return float(stated) if known and stated is not None else 0.0


def common_fibre_percent(first: ComparedSession, second: ComparedSession) -> float:
    """Return the standard deviation of the fibres' error of ln G' that both sessions have in common, percent."""
    return float(np.sqrt(FIBRES_IN_COMMON)) * min(fibre_percent(first), fibre_percent(second))


def common_fibre_variances(percent: float) -> NDArray[np.float64]:
    """Return the variance of the fibres' common error in one voxel, of ln G' and ln G'', shape (2,).

    Args:
        percent: standard deviation of the common error of ln G', percent.
    """
    return np.asarray(np.diagonal(fibre_covariances(percent), axis1=1, axis2=2).sum(axis=0))


def compared_draws(
    value: RegionValue, session: ComparedSession, medium: Medium, moduli_kpa: tuple[float, float], percent: float
) -> SessionDraws:
    """Return the draws of a region's value without what both sessions have in common.

    Args:
        value: value of the region in the session.
        session: the session.
        medium: frequency and density of its draws.
        moduli_kpa: means of G' and G'' over the region, kPa.
        percent: standard deviation of the common error of ln G' because of fibres, percent.
    """
    kept = session.draws.density_kg_m3
    density = np.ones(session.draws.count)
    if kept is not None and value.quantity.key in _MODULI:
        density = kept
    draws = np.maximum(value.draws, _LEAST * float(np.mean(value.draws))) / density
    if percent == 0.0:
        return SessionDraws(draws, density)
    covariance = fibre_variance_of_mean(_box(value, session), _voxel_mm(session), percent)
    slope = _slope(value.quantity, medium, moduli_kpa)
    return SessionDraws(shrunk(draws, float(slope @ covariance @ slope)), density)


def shrunk(draws: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """Return positive draws with less spread and the same mean of their logarithm.

    Args:
        draws: draws, shape (n,).
        variance: variance that is taken from their logarithm's; where it has no more, nothing is left.
    """
    logs = np.log(draws)
    whole = float(np.var(logs, ddof=1))
    if whole <= 0.0:
        return draws
    left = np.sqrt(max(0.0, 1.0 - variance / whole))
    return np.asarray(np.exp(logs.mean() + left * (logs - logs.mean())))


def _slope(quantity: RegionQuantity, medium: Medium, moduli_kpa: tuple[float, float]) -> NDArray[np.float64]:
    """Return the change of the quantity's logarithm with ln G' and ln G'', shape (2,)."""
    here = Medium(medium.frequency_hz, float(np.mean(medium.density_kg_m3)))
    storage, loss = (np.array([one]) for one in moduli_kpa)
    steps = ((np.exp(_STEP), 1.0), (1.0, np.exp(_STEP)))
    moved = [float(quantity.of(storage * one, loss * other, here)[0]) for one, other in steps]
    return np.log(np.array(moved) / float(quantity.of(storage, loss, here)[0])) / _STEP


def _box(value: RegionValue, session: ComparedSession) -> NDArray[np.float64]:
    """Return the region's shares in the box around it, shape (i, j, k)."""
    voxels = session.draws.voxels[value.region.shares > 0.0]
    low = voxels.min(axis=0)
    found = np.zeros(voxels.max(axis=0) - low + 1)
    found[tuple((voxels - low).T)] = value.region.shares[value.region.shares > 0.0]
    return found


def _voxel_mm(session: ComparedSession) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(session.run.affine_mm[:3, :3], axis=0))
