"""One set of moduli and the linearised likelihoods of all zones there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.anatomy.labels import Regions
from palpate.solvers.inversion.posterior.joint import JointPosterior, ZoneCurvature
from palpate.solvers.inversion.prior.hyperparameters import FIELDS
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.stages import zone_cost
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.time_left import StepClock
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver, ZoneState

WAITING = "waiting for other ranks' zones"
"""Name of the phase of waiting in the record of seconds."""


@dataclass(frozen=True, slots=True)
class InversionProblem:
    """Problem of an inversion: zones with their data, mask and ranks.

    Attributes:
        solvers: solvers of this rank's zones, one for each zone and frequency.
        mask: mask of N voxels, shape (i, j, k).
        voxel_size_mm: edges of a voxel, mm, shape (3,).
        regions: R regions of the anatomy; R may be 0.
        centre: prior means of ln G'/g and ln G''/g, shape (2,).
        comm: communicator of the ranks.
        counter: counter of the work.
        checkpoint: store of finished zones and steps.
        clock: clock that shows progress and estimates the remaining time.
        components: number C of measured displacement components.
        complete: whether the data of all zones are the displacement of their nodes, which then needs no prior.
    """

    solvers: Sequence[ZoneSolver]
    mask: NDArray[np.bool_]
    voxel_size_mm: NDArray[np.float64]
    regions: Regions
    centre: NDArray[np.float64]
    comm: MPI.Comm
    counter: WorkCounter
    checkpoint: Checkpoint
    clock: StepClock = field(default_factory=StepClock)
    components: int = 3
    complete: bool = True

    @property
    def voxels(self) -> int:
        """Number N of voxels in the mask."""
        return int(np.count_nonzero(self.mask))

    def local(self, solver: ZoneSolver, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return m on a zone's voxels, shape (2 n,), from the deviation x on all voxels, shape (2 N,)."""
        fields = x.reshape(FIELDS, -1)[:, solver.voxels] + self.centre[:, None]
        return np.asarray(fields.ravel())


@dataclass(frozen=True, slots=True)
class Linearisation:
    """One set of moduli and the states of all zones there, at the stated noise.

    Attributes:
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, shape (2 N,), so that the prior energy is x w / 2.
        states: states of this rank's zones.
        misfit: sum of the misfits of all zones on all ranks.
    """

    x: NDArray[np.float64]
    w: NDArray[np.float64]
    states: tuple[ZoneState, ...]
    misfit: float

    def without_hessians(self) -> Linearisation:
        """Return the point without Hessians, which is enough to compare objectives."""
        return replace(self, states=tuple(state.without_hessian() for state in self.states))


def evaluate(problem: InversionProblem, x: NDArray[np.float64], w: NDArray[np.float64]) -> Linearisation:
    """Evaluate all zones at a point, or read the states that an interrupted run kept of this point. Collective.

    Args:
        problem: zones and ranks.
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, shape (2 N,).
    """
    x, w = problem.checkpoint.begin(x, w)
    fresh = {solver.name for solver in problem.solvers if solver.cache is None}
    known = problem.counter.counts["factorisations"]

    def solved(solver: ZoneSolver) -> tuple[float, bool] | None:
        """Return the cost of a zone, and whether it was solved for the first time; None where it was not solved."""
        nonlocal known
        before, known = known, problem.counter.counts["factorisations"]
        return None if known == before else (zone_cost(solver.data.zone.work), solver.name in fresh)

    solvers = problem.clock.zones(problem.solvers, solved)
    states = tuple(problem.checkpoint.evaluate(solver, problem.local(solver, x)) for solver in solvers)
    began = time.perf_counter()
    misfit = problem.comm.allreduce(sum(state.misfit for state in states))
    problem.counter.timed(WAITING, began)
    return Linearisation(x, w, states, float(misfit))


def objective_of(problem: InversionProblem, point: Linearisation, reference: Linearisation) -> float:
    """Return the negative log posterior, each zone's noise factor at its most probable value, up to a constant.

    The reference's misfits of noise stand for the numbers of data, equal for all points that are compared.
    """
    zones = zip(point.states, reference.states, strict=True)
    data = sum(here.negative_log_likelihood(there.tolerated_misfit) for here, there in zones)
    return float(problem.comm.allreduce(data)) + 0.5 * float(point.x @ point.w)


def posterior_of(problem: InversionProblem, point: Linearisation, prior: MaternField) -> JointPosterior:
    """Return the Gaussian posterior by the zones' Hessians at a point. Collective.

    Args:
        problem: zones and ranks.
        point: point of linearisation; every zone is taken at its inflated noise.
        prior: prior with covariance C.
    """
    zones = [
        ZoneCurvature(
            solver.voxels, solver.data.zone.ijk, state.hessian_factor, state.inflation, solver.dispersion.frequency
        )
        for solver, state in zip(problem.solvers, point.states, strict=True)
    ]
    return JointPosterior(prior, zones, problem.comm)


def zone_information(solver: ZoneSolver, state: ZoneState, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vector b = H x - gradient of one zone, at its inflated noise, shape (2 n,)."""
    own, half = x.reshape(FIELDS, -1)[:, solver.voxels].ravel(), state.hessian_factor
    return np.asarray(half @ (half.T @ own) - state.gradient) / state.inflation


def information_of(problem: InversionProblem, point: Linearisation) -> NDArray[np.float64]:
    """Return the vector b = H x - gradient of all zones, shape (2 N,). Collective."""
    total = np.zeros((FIELDS, problem.voxels))
    for solver, state in zip(problem.solvers, point.states, strict=True):
        total[:, solver.voxels] += zone_information(solver, state, point.x).reshape(FIELDS, -1)
    problem.comm.Allreduce(MPI.IN_PLACE, total)
    return total.ravel()


def sums_by_shares(
    problem: InversionProblem, parts: Iterable[tuple[ZoneSolver, NDArray[np.float64], NDArray[np.float64]]], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums over all zones of values times shares, (frequencies, N, C), and of shares, (frequencies, N, 1).

    Collective.

    Args:
        problem: zones and ranks.
        parts: each solver of this rank with its shares of the voxels, shape (n,), and their values, shape (n, C).
        count: number of frequencies.
    """
    total = np.zeros((count, problem.voxels, problem.components))
    covered = np.zeros((count, problem.voxels, 1))
    for solver, share, values in parts:
        at = (solver.dispersion.frequency, solver.voxels)
        total[at] += share[:, None] * values
        covered[at] += share[:, None]
    problem.comm.Allreduce(MPI.IN_PLACE, total)
    problem.comm.Allreduce(MPI.IN_PLACE, covered)
    return total, covered
