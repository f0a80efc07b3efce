"""Smoothing: what all measurements say of the state on each visit's day, those after it too.

Kalman filters smooth by Rauch, Tung and Striebel's recursion, z_k + C P^+ (smoothed - predicted), with the covariance C
of z before and after a transition. Ensembles update the earlier states of the same members with each measurement.
Particles hold their whole path.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.assimilation.assimilate import used_events
from palpate.twin.assimilation.belief import Belief, EnsembleBelief, GaussianBelief, ParticleBelief
from palpate.twin.assimilation.course import Look, Visit, course
from palpate.twin.assimilation.ensemble import EnsembleFilter
from palpate.twin.assimilation.filters import operations_of
from palpate.twin.assimilation.gaussian import GaussianFilter
from palpate.twin.assimilation.joint_state import JointModel
from palpate.twin.assimilation.record import LifelongRecord
from palpate.twin.assimilation.sequential import SequentialMonteCarlo
from palpate.twin.assimilation.setup import AssimilationSetup

type Values = NDArray[np.float64]
type Backward = tuple[GaussianBelief, GaussianBelief, Values]

RANK: Final = 1e-11
"""Smallest eigenvalue of a predicted correlation matrix that counts; a state may follow from the parameters alone."""


def smooth[U](setup: AssimilationSetup[U], record: LifelongRecord) -> tuple[Belief, ...]:
    """Return the beliefs on the days of the record's visits, by all its measurements.

    Args:
        setup: setup of the record's last assimilation.
        record: record.
    """
    joint = JointModel(setup)
    visits = course(setup, used_events(setup, record))
    if setup.filter.method == "ensemble":
        return _ensemble(EnsembleFilter(joint), joint, visits)
    if setup.filter.method in ("sequential", "refitted"):
        last = record.checkpoints[-1].belief if record.checkpoints else None
        return _paths(SequentialMonteCarlo(joint), last, visits) if isinstance(last, ParticleBelief) else ()
    return _gaussian(GaussianFilter(joint), visits)


def _gaussian[U](own: GaussianFilter[U], visits: tuple[Visit, ...]) -> tuple[GaussianBelief, ...]:
    belief, filtered, between = own.begin(), [], []
    for number, visit in enumerate(visits):
        steps: list[Backward] = []
        for operation in visit.operations:
            if isinstance(operation, Look):
                belief, _ = own.apply(belief, operation, ())
                continue
            before = belief
            belief, cross = own.moved(before, operation)
            steps.append((before, belief, cross))
        filtered.append(belief)
        between += [steps] if number else []
    smoothed = filtered[-1:]
    for steps in reversed(between):
        later = smoothed[0]
        for step in reversed(steps):
            later = _back(step, later)
        smoothed.insert(0, later)
    return tuple(smoothed)


def _back(step: Backward, later: GaussianBelief) -> GaussianBelief:
    """Return the smoothed belief before a transition, from the one after it."""
    before, after, cross = step
    scale = np.sqrt(np.maximum(np.diag(after.covariance), 0.0))
    scale[scale == 0.0] = 1.0
    values, vectors = np.linalg.eigh(after.covariance / np.outer(scale, scale))
    inverse = np.where(values > RANK * values[-1], 1.0 / np.maximum(values, RANK * values[-1]), 0.0)
    gain = (cross / scale) @ (vectors * inverse) @ vectors.T / scale
    covariance = before.covariance + gain @ (later.covariance - after.covariance) @ gain.T
    mean = before.mean + gain @ (later.mean - after.mean)
    return GaussianBelief(mean, 0.5 * (covariance + covariance.T), before.memory)


def _ensemble[U](own: EnsembleFilter[U], joint: JointModel[U], visits: tuple[Visit, ...]) -> tuple[EnsembleBelief, ...]:
    belief, earlier = own.begin(), list[EnsembleBelief]()
    for visit in visits:
        for operation in visit.operations:
            if isinstance(operation, Look):
                gain = own.gain(belief, operation)
                earlier = [EnsembleBelief(joint.within(gain.update(one.members)), one.memory) for one in earlier]
            belief, _ = own.apply(belief, operation, ())
        earlier.append(belief)
    return tuple(earlier)


def _paths[U](
    own: SequentialMonteCarlo[U], last: ParticleBelief, visits: tuple[Visit, ...]
) -> tuple[ParticleBelief, ...]:
    ends = [own.run(last.chances, operations_of(visits[: number + 1])) for number in range(len(visits))]
    return tuple(ParticleBelief(end.z, last.chances, last.log_weights, end.log_likelihood, end.memory) for end in ends)
