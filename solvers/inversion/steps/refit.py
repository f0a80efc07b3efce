"""The prior learned anew at a point: hyper-parameters by evidence, and looser where tissue surprises it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from palpate.solvers.inversion.prior.empirical_bayes import ZoneEvidence, fit_prior, join_frequencies
from palpate.solvers.inversion.prior.hyperparameters import Hypotheses
from palpate.solvers.inversion.prior.local_scale import loosened, notable
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.prior.region_scales import fit_factors
from palpate.solvers.inversion.steps.linearisation import Point, Problem, information_of, posterior_of, zone_information

EVIDENCE_ZONES = 6
"""How many zones, spread over the organ, set the prior's hyper-parameters."""

LOOSENINGS = 2
"""How often the last prior is loosened where tissue deviates from what it expects."""


def _evidence_zones(problem: Problem) -> set[int]:
    """Numbers of zones spread over the organ, without the slivers at its surface."""
    own = [(solver.number, len(solver.voxels)) for solver in problem.solvers]
    sizes = dict(itertools.chain.from_iterable(problem.comm.allgather(own)))
    large = sorted(number for number, size in sizes.items() if 2 * size >= max(sizes.values()))
    places = np.linspace(0, len(large) - 1, min(EVIDENCE_ZONES, len(large))).round().astype(int)
    return {large[place] for place in places}


def refitted(problem: Problem, point: Point, prior: MaternField, *, rounds: int) -> Hypotheses:
    """The prior's hyper-parameters from the data of zones spread over the organ, its two halves in turn. Collective.

    Args:
        problem: zones and ranks.
        point: where the zones are linearised.
        prior: whose hyper-parameters are where to start.
        rounds: how often standard deviations and regions' factors are fitted in turn.
    """
    chosen = _evidence_zones(problem)
    parts = [
        ZoneEvidence(
            solver.data.zone.ijk,
            problem.regions.shares[solver.voxels],
            state.tempered_half_hessian,
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
        hypotheses = fit_factors(zones, problem.voxel_size_mm, hypotheses, problem.regions.variability, problem.comm)
    return hypotheses


def loosened_prior(problem: Problem, point: Point, prior: MaternField) -> MaternField:
    """The prior loosened where its maximum surprises it; the zones' linearisation at the point serves for every prior.

    What an earlier prior was loosened by is forgotten: looser tissue deviates more, and would be loosened on and on.
    Collective.

    Args:
        problem: zones and ranks.
        point: where the zones are linearised.
        prior: with the hyper-parameters that it is to have.
    """
    information = information_of(problem, point)
    prior = replace(prior, loosening=np.ones(problem.voxels))
    for _ in range(LOOSENINGS):
        _, w = posterior_of(problem, point, prior).improve(information)
        amplitudes = loosened(prior, w)
        share = notable(amplitudes)
        if share == 0.0:
            break
        prior = replace(prior, loosening=(1.0 - share) * prior.loosening + share * amplitudes)
    return prior
