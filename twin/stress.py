"""Stress that slows invasion, fixed between renewals, and its dependence on the uncertain stiffness.

    ln D = ln D_0 - gamma lambda s_i(x) exp(sum_j S_ij(x) xi_j)         within interval i

s_i is the von Mises stress over lambda of the interval's mean density, on the most probable course found so far, and
S_ij the derivative of ln s_i along a field of ln G'. Those fields are combinations of the draws of the stiffness, those
that move the stress most where the tumour invades, so that xi_j ~ N(0, 1) spreads the stress as the draws do, to first
order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.head import inside_skull
from palpate.imaging.tumour.history import TumourHistory
from palpate.solvers.growth.mechanics.coupling import Mechanics, Pressure, mechanics, middles_m
from palpate.solvers.growth.mechanics.lattice import box_means, lattice
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import Voxels
from palpate.twin.front_correction import CorrectedCoupling, FrontCorrection
from palpate.twin.outline import apparent_density
from palpate.twin.stiffness import log_stiffness
from palpate.units import mm_to_m

type Values = NDArray[np.float64]

LAMBDA_PA: Final = 10e3
"""Pressure lambda of the elastic systems, Pa. Stresses are divided by it, so that any value serves; this one makes
them large beside Mechanics' smoothing of 1 Pa."""
MOMENTS: Final = (0.125, 0.375, 0.625, 0.875)
"""Moments at which the density is sampled for its mean, as shares of an interval."""
LEAST_SPREAD: Final = 1e-4
"""Smallest relative change of the stress by a field of the stiffness; fields with a smaller one are left out."""


@dataclass(frozen=True, slots=True)
class Stress:
    """Stiffness and stress of a calibration.

    Attributes:
        log_moduli: ln G' of the elastic boxes, G' in Pa, then the fields by which it may differ, shape (1 + r, b).
        patterns: s and S = d ln s of each interval between scans, at all tissue voxels, shape (intervals, 1 + r, n).
        explained: share of the stress's variance between draws that the fields explain.
        log_draws: some joint draws of ln G' in voxels inside the skull, with their level, for displacements, shape
            (draws, i, j, k).
    """

    log_moduli: Values
    patterns: Values
    explained: float
    log_draws: NDArray[np.float32]

    @property
    def modes(self) -> int:
        """Number of the stiffness' fields, r."""
        return len(self.log_moduli) - 1


def first_stress(history: TumourHistory, settings: TwinSettings, place: Voxels) -> tuple[Stress, Mechanics]:
    """Factorise at the draws' mean, choose fields, and compute the stress of densities that images suggest. Collective.

    Args:
        history: history on the lattice, with its stiffness or none.
        settings: settings of the twin.
        place: tissue voxels.
    """
    skull, edges_m = inside_skull(history.tissue, history.edges_mm), mm_to_m(history.edges_mm)
    box_m = float(mm_to_m(settings.elastic_box_mm))
    logs = log_stiffness(history, skull, settings)
    draws = np.stack([box_means(skull, edges_m, one, box_m) for one in logs])
    middle = draws.mean(axis=0)
    elastic_system = elastic(history, settings, place, middle)
    seen = [apparent_density(scan, history.tissue, history.edges_mm) for scan in history.scans]
    between = [0.5 * (one + other) for one, other in itertools.pairwise(seen)]
    densities = [place.from_volume(one) for one in between or seen]
    modes, explained = _leading(elastic_system, draws - middle, densities, settings.stiffness_modes)
    found = [pattern(elastic_system, one, modes) for one in densities[: len(between)]]
    shape = (len(between), 1 + len(modes), int(history.tissue.sum()))
    some = logs[: settings.displacement_stiffness_draws].astype(np.float32)
    return Stress(np.vstack([middle, modes]), np.reshape(found, shape), explained, some), elastic_system


def elastic(history: TumourHistory, settings: TwinSettings, place: Voxels, log_moduli: Values) -> Mechanics:
    """Return the elastic system of known moduli, without slowing of invasion. Collective.

    Args:
        history: history on the lattice.
        settings: settings of the twin, with the edge of the boxes.
        place: tissue voxels.
        log_moduli: ln G' of the boxes, shape (b,).
    """
    skull, edges_m = inside_skull(history.tissue, history.edges_mm), mm_to_m(history.edges_mm)
    boxes = lattice(skull, edges_m, np.ones(skull.shape), float(mm_to_m(settings.elastic_box_mm)))
    boxes = replace(boxes, storage_pa=np.exp(log_moduli))
    return mechanics(place.space, middles_m(place, edges_m), boxes, Pressure(LAMBDA_PA, 0.0))


def pattern(elastic_system: Mechanics, density: Values, modes: Values) -> Values:
    """Compute the stress s and S of a density, at all tissue voxels, on every rank, shape (1 + r, n). Collective.

    Args:
        elastic_system: elastic system of the tissue.
        density: density u at this rank's voxels, shape (n,).
        modes: fields of ln G' of the boxes, shape (r, b).
    """
    stress, by = elastic_system.stress_by_stiffness_pa(density, modes.T)
    # As a factor: a sum could become negative far from the mode, and D without bound.
    by = np.divide(by, stress[:, None], where=stress[:, None] > 0.0, out=np.zeros_like(by))
    return np.asarray(elastic_system.space.halo.gathered(np.column_stack([stress / LAMBDA_PA, by])).T)


def followed(
    elastic_system: Mechanics,
    slowing: float,
    model: GrowthModel,
    parameters: Parameters,
    density: Values,
    fronts: FrontCorrection,
) -> tuple[Values, Values]:
    """Grow through an interval with stress renewed on the way; return the mean density and the last. Collective.

    Args:
        elastic_system: elastic system of the tissue.
        slowing: slowing gamma lambda of invasion.
        model: growth model of the interval.
        parameters: parameters of growth without stress and correction of fronts, with D_0.
        density: density u at the beginning, at this rank's voxels, shape (n,).
        fronts: correction of ln D for the width of voxels.
    """
    end = model.observations_s[-1]
    plain = replace(elastic_system, pressure=Pressure(LAMBDA_PA, slowing / LAMBDA_PA))
    coupling = CorrectedCoupling(plain, fronts, parameters)
    moments = (*(share * end for share in MOMENTS), end)
    states = replace(model, observations_s=moments, coupling=coupling).forecast(parameters, density).states
    return np.mean(states[:-1], axis=0), states[-1]


def _leading(
    elastic_system: Mechanics, deviations: Values, densities: Sequence[Values], most: int
) -> tuple[Values, float]:
    """Return fields of ln G' that spread the stress as draws do, where densities have fronts, (r, b), and their share.

    With K deviations and their stresses D, shape (K, n), A of D D^T = A diag(v) A^T combines draws: the fields
    a_j^T deviations / sqrt(K - 1) have the stresses whose outer products add up to the draws' covariance.
    """
    count = len(deviations)
    inner, size = np.zeros((count, count)), 0.0
    gathered = elastic_system.space.halo.gathered
    for density in densities:
        stress, by = elastic_system.stress_by_stiffness_pa(density, deviations.T)
        weights = gathered(density * (1.0 - density))
        by = gathered(by)
        inner += by.T @ (weights[:, None] * by)
        size += float(weights @ gathered(stress) ** 2)
    values, vectors = np.linalg.eigh(inner)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = min(most, int(np.sum(values / (count - 1) > LEAST_SPREAD**2 * size)))
    # A vector's sign is chance.
    signs = np.sign(vectors[np.argmax(np.abs(vectors), axis=0), np.arange(count)])
    fields = (vectors * signs)[:, :kept].T @ deviations / np.sqrt(count - 1.0)
    explained = float(values[:kept].sum() / values.sum()) if kept else 0.0
    # Ranks must agree to the last bit.
    fields, explained = elastic_system.space.halo.comm.bcast((fields, explained), root=0)
    return fields, explained
