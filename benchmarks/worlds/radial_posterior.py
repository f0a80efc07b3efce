"""Draws of parameters and shift together for a simulated patient, by sequential Monte Carlo as on the lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.calibration.draws import ACCEPTED, FIRST_STEP, MOVES, power_of, systematic
from palpate.twin.clocks.mixture import Component, Mixture
from palpate.twin.clocks.shift import Shift
from palpate.twin.clocks.state_space import DatedRecord

type Values = NDArray[np.float64]

SHIFTS: Final = 16
"""Number of shifts among the draws beside that as dated, drawn by their probability."""


@dataclass(frozen=True, slots=True, eq=False)
class RadialDraws:
    """Equally probable draws.

    Attributes:
        shifts: shift of every draw.
        xi: unknowns, shape (draws, size).
    """

    shifts: tuple[Shift, ...]
    xi: Values


def radial_draws(record: DatedRecord[Any], mixture: Mixture, count: int, rng: np.random.Generator) -> RadialDraws:
    """Draw from the posterior.

    Args:
        record: record of the patient.
        mixture: Gaussians under every shift, with their probabilities.
        count: number of draws, even.
        rng: generator of random numbers.
    """
    parts, log_base = _parts(mixture, rng)
    at = np.array([0] * (count // 2) + [1 + i % (len(parts) - 1) for i in range(count // 2)])
    xi = np.stack([parts[i].mode + parts[i].half @ rng.standard_normal(len(parts[i].mode)) for i in at])
    weights = log_base[at] + _log_weights(record, parts, at, xi)
    power, step = 0.0, FIRST_STEP
    while power < 1.0:
        added = min(1.0 - power, power_of(weights))
        power += added
        chosen = systematic(added * weights, rng)
        at, xi, weights = at[chosen], xi[chosen], weights[chosen]
        for _ in range(MOVES if power < 1.0 else 2 * MOVES):
            modes = np.stack([parts[i].mode for i in at])
            fresh = np.stack([parts[i].half @ rng.standard_normal(xi.shape[1]) for i in at])
            ahead = modes + np.sqrt(1.0 - step**2) * (xi - modes) + step * fresh
            there = log_base[at] + _log_weights(record, parts, at, ahead)
            taken = np.log(rng.random(count)) < power * (there - weights)
            xi, weights = np.where(taken[:, None], ahead, xi), np.where(taken, there, weights)
            step = float(np.clip(step * np.exp(taken.mean() - ACCEPTED), 0.02, 1.0))
    return RadialDraws(tuple(parts[i].shift for i in at), xi)


def _parts(mixture: Mixture, rng: np.random.Generator) -> tuple[list[Component], Values]:
    """Return that as dated and some shifts, and ln of prior over the share of draws that begin with each."""
    own = mixture.posterior
    shares = own.probabilities[1:] / own.probabilities[1:].sum()
    chosen = np.searchsorted(np.cumsum(shares), (np.arange(SHIFTS) + rng.random()) / SHIFTS)
    chosen = np.minimum(chosen, len(shares) - 1)
    parts = [mixture.component(own.hypotheses[i]) for i in (0, *(chosen + 1))]
    base = [own.log_priors[0], *(own.log_priors[chosen + 1] - np.log(shares[chosen]))]
    return parts, np.array(base)


def _log_weights(record: DatedRecord[Any], parts: list[Component], at: NDArray[np.int64], xi: Values) -> Values:
    found = np.empty(len(xi))
    for i in set(at.tolist()):
        mine = at == i
        residual = record.residual(xi[mine], parts[i].shift)
        phi = 0.5 * ((residual**2).sum(axis=1) + (xi[mine] ** 2).sum(axis=1))
        found[mine] = -phi - np.array([parts[i].log_density(one) for one in xi[mine]])
    return np.where(np.isfinite(found), found, -1e9)
