"""Size of a zone's waves: the scale of their prior of greatest evidence.

The evidence of the scale s is greatest where MacKay's fixed point (1992) rests,

    s U^H Q_1 U = 2 gamma,    gamma = sum chi - tr(S_d^-1 chi^-1),

with U the fitted wave and gamma the number of directions that data determine; each evaluation is one factorisation of
the zone. The residual r(ln s) = ln(2 gamma / U^H Q_1 U) - ln s is nearly straight around its root, so that secants need
two or three evaluations. Where no wave stands out of the noise it has no root, and the search goes to a quiet prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium
from palpate.solvers.inversion.zone.likelihood import Linearised, WavePrior, ZoneData

ROUNDS: Final = 4
"""Largest number of evaluations in a zone whose scale is not known; one more follows from a scale found before."""

FIRST: Final = 0.03
"""Precision, over that of a displacement as large as the data, at which the search begins: equilibrium lets few of a
node's motions be its own."""

QUIETEST: Final = 1e4
"""Largest precision, over that of a displacement as large as the data: a zone in which no wave stands out."""

SETTLED: Final = 0.2
"""Change of ln s below which the search ends: twice and half of the scale are hardly less probable."""

USUAL_SLOPE: Final = -0.7
"""Slope of r(ln s) before two evaluations show it."""

FLATTEST: Final = -0.1
"""Slope of r(ln s) that is used where it is flatter or rises, as where data hold no wave."""

LONGEST: Final = float(np.log(30.0))
"""Longest step in ln s."""


@dataclass(frozen=True, slots=True)
class ScaledZone:
    """Zone under the prior of waves of greatest evidence.

    Attributes:
        data: data with that prior, without the determinant.
        fitted: likelihood of these data around the moduli; to be closed by its user.
    """

    data: ZoneData
    fitted: Linearised


def at_greatest_evidence(
    data: ZoneData, energy: sparse.csr_matrix, equilibrium: WaveEquilibrium, parameters: NDArray[np.float64]
) -> ScaledZone:
    """Return a zone under the scale of greatest evidence around some moduli.

    Args:
        data: data of the zone; of a prior that they have already, the scale is where the search begins.
        energy: matrix Q_1 of the waves' energy, shape (3 M, 3 M).
        equilibrium: equations of the zone.
        parameters: parameters m = (ln G'/g, ln G''/g), shape (2 n,).
    """
    as_data = _scale_of_data(data)
    largest = float(np.log(QUIETEST * as_data))
    known = data.wave_prior
    place = min(float(np.log(FIRST * as_data if known is None else known.scale)), largest)
    rounds = ROUNDS if known is None else 2
    slope, last = USUAL_SLOPE, None
    for number in range(rounds):
        scaled = _with_scale(data, energy, float(np.exp(place)), parameters)
        fitted = Linearised(scaled, equilibrium, parameters)
        residual = _residual(scaled, energy, fitted, place)
        if last is not None and place != last[0]:
            slope = min((residual - last[1]) / (place - last[0]), FLATTEST)
        target = min(place + float(np.clip(-residual / slope, -LONGEST, LONGEST)), largest)
        if abs(target - place) < SETTLED or number == rounds - 1:
            return ScaledZone(scaled, fitted)
        fitted.close()
        last, place = (place, residual), target
    raise AssertionError("the search has at least one round")


def _with_scale(data: ZoneData, energy: sparse.csr_matrix, scale: float, parameters: NDArray[np.float64]) -> ZoneData:
    """The data with a prior of this scale, without the determinant."""
    plain = WavePrior(sparse.csr_matrix(scale * energy), scale, np.zeros_like(parameters), parameters, 0.0)
    return replace(data, wave_prior=plain)


def _scale_of_data(data: ZoneData) -> float:
    """Scale at which a node alone would move as far as the data do on average."""
    weight = data.precision
    return float(2.0 * weight.sum() / (weight @ np.abs(data.displacement) ** 2))


def _residual(data: ZoneData, energy: sparse.csr_matrix, fitted: Linearised, place: float) -> float:
    """The residual r(ln s), in which the fitted wave is compared with the directions that data determine."""
    own = float(np.vdot(fitted.displacement, energy @ fitted.displacement).real)
    determined = 2.0 * float(data.zone.weight.sum()) * data.components - fitted.expected_misfit
    return float(np.log(max(determined, 1.0) / own)) - place if own > 0.0 else 0.0
