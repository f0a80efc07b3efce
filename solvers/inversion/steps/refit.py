"""Refit of the prior at a point: hyperparameters by evidence, and local scale where tissue deviates from the prior."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from palpate.solvers.inversion.prior.empirical_bayes import ZoneEvidence, fit_prior, join_frequencies
from palpate.solvers.inversion.prior.hyperparameters import HyperparameterMixture
from palpate.solvers.inversion.prior.local_scale import local_scale_of, notable
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.prior.region_scales import fit_region_scales
from palpate.solvers.inversion.steps.linearisation import (
    InversionProblem,
    Linearisation,
    information_of,
    posterior_of,
    zone_information,
)

EVIDENCE_ZONES = 6
"""Number of zones, spread over the organ, from which the prior's hyperparameters are fitted."""

LOCAL_SCALE_ROUNDS = 2
"""Largest number of times that the last prior's local scale is computed."""


def _evidence_zones(problem: InversionProblem) -> set[int]:
    """Return numbers of zones spread over the organ, without the slivers at its surface."""
    own = [(solver.number, len(solver.voxels)) for solver in problem.solvers]
    sizes = dict(itertools.chain.from_iterable(problem.comm.allgather(own)))
    large = sorted(number for number, size in sizes.items() if 2 * size >= max(sizes.values()))
    places = np.linspace(0, len(large) - 1, min(EVIDENCE_ZONES, len(large))).round().astype(int)
    return {large[place] for place in places}


def refitted(
    problem: InversionProblem, point: Linearisation, prior: MaternField, *, rounds: int
) -> HyperparameterMixture:
    """Return the hyperparameters fitted to the data of zones spread over the organ. Collective.

    Standard deviations (with length, roughness and cross-correlation) and regions' scales are fitted in turn.

    Args:
        problem: zones and ranks.
        point: point at which the zones are linearised.
        prior: prior whose hyperparameters are the start of the fit.
        rounds: number of times that standard deviations and regions' scales are fitted in turn.
    """
    chosen = _evidence_zones(problem)
    parts = [
        ZoneEvidence(
            solver.data.zone.ijk,
            problem.regions.fractions[solver.voxels],
            state.tempered_hessian_factor,
            zone_information(solver, state, point.x),
            number=solver.number,
        )
        for solver, state in zip(problem.solvers, point.states, strict=True)
        if solver.number in chosen
    ]
    zones = [zone.decisive(problem.voxel_size_mm) for zone in join_frequencies(parts, problem.comm)]
    hypotheses = prior.hypotheses
    for _ in range(rounds):
        hypotheses = fit_prior(zones, problem.voxel_size_mm, hypotheses, problem.comm)
        hypotheses = fit_region_scales(
            zones, problem.voxel_size_mm, hypotheses, problem.regions.variability, problem.comm
        )
    return hypotheses


def with_local_scale(problem: InversionProblem, point: Linearisation, prior: MaternField) -> MaternField:
    """Return the prior with a local scale, wider where the maximum deviates more than the prior expects. Collective.

    The zones' linearisation at the point is valid for every prior. An earlier local scale is discarded: under a wider
    prior tissue deviates more, so that its scale would grow without end.

    Args:
        problem: zones and ranks.
        point: point at which the zones are linearised.
        prior: prior with the hyperparameters of the result.
    """
    information = information_of(problem, point)
    prior = replace(prior, local_scale=np.ones(problem.voxels))
    for _ in range(LOCAL_SCALE_ROUNDS):
        _, w = posterior_of(problem, point, prior).improve(information)
        amplitudes = local_scale_of(prior, w)
        weight = notable(amplitudes)
        if weight == 0.0:
            break
        prior = replace(prior, local_scale=(1.0 - weight) * prior.local_scale + weight * amplitudes)
    return prior
