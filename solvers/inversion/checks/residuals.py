"""Residuals of a fit compared with those of noise alone, as a check of the model.

The residual of a fit is never white: equilibrium explains the smooth part of any noise. So the measured residual is
compared with that of a probe of unit white noise, sent through the same solves. If both have the same size and the same
correlation between neighbours, nothing but noise is left.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.inversion.checks.slice_timing import SlicePhaseErrors, slice_phase_errors
from palpate.solvers.inversion.steps.gauss_newton import Fit
from palpate.solvers.inversion.steps.linearisation import InversionProblem


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals at one frequency, over all zones.

    Attributes:
        size: root mean square over components of (d - U - Z c) / sigma, over that of the probe, averaged over voxels;
            shape (N,); 1 on average where only noise is left. NaN at voxels that no zone covers.
        correlation: correlation of the measured residual between neighbouring voxels, along each axis.
        expected_correlation: correlation of the probe's residual between neighbouring voxels, along each axis.
        ratio: mean square of the measured residual over that of the probe.
        misfit_ratio: misfit over the misfit of noise alone, at the stated noise.
        inflations: every zone's factor on the noise variance, ascending; above 1 where the model cannot explain the
            waves at the stated noise.
        phase_errors: phase errors of slices.
    """

    size: NDArray[np.float64]
    correlation: tuple[float, ...]
    expected_correlation: tuple[float, ...]
    ratio: float
    misfit_ratio: float
    inflations: tuple[float, ...]
    phase_errors: SlicePhaseErrors

    def noise_factor(self, quantile: float) -> float:
        """Return the factor on the noise that a share `quantile` of the zones does not exceed."""
        return float(np.sqrt(np.quantile(self.inflations, quantile)))


def join_residuals(problem: InversionProblem, fit: Fit, frequency: int) -> Residuals:
    """Return the residuals at one frequency, averaged over zones by their weights of the data.

    Args:
        problem: problem that was fitted.
        fit: end of its iterations.
        frequency: position of the frequency in the run.
    """
    zones = [
        (solver, state)
        for solver, state in zip(problem.solvers, fit.zones, strict=True)
        if solver.dispersion.frequency == frequency
    ]
    joined = np.zeros((3, problem.voxels, problem.components), dtype=np.complex128)
    covered = np.zeros(problem.voxels)
    inflations = problem.comm.allgather([state.inflation for _, state in zones])
    for solver, state in zones:
        weight = solver.data.zone.weight
        fitted = solver.data.displacement - state.residual
        # In units of each datum's own noise, or the few of little weight would outweigh all others.
        scale = 1.0 if solver.data.weights is None else np.sqrt(solver.data.weights)
        for row, values in enumerate((scale * state.residual, scale * state.probe_residual, fitted)):
            joined[row, solver.voxels] += weight[:, None] * values.reshape(-1, problem.components)
        covered[solver.voxels] += weight
    problem.comm.Allreduce(MPI.IN_PLACE, joined)
    problem.comm.Allreduce(MPI.IN_PLACE, covered)
    inside = covered > 0.5
    measured, probe, wave = joined
    power = np.mean(np.abs(probe[inside]) ** 2)
    size = np.full(problem.voxels, np.nan)
    size[inside] = np.sqrt(np.mean(np.abs(measured[inside]) ** 2, axis=1) / power)
    return Residuals(
        size=size,
        correlation=_neighbour_correlation(measured, problem.mask),
        expected_correlation=_neighbour_correlation(probe, problem.mask),
        ratio=float(np.mean(np.abs(measured[inside]) ** 2) / power),
        misfit_ratio=_total(problem, [s.misfit for _, s in zones])
        / _total(problem, [s.noise_misfit for _, s in zones]),
        inflations=tuple(sorted(itertools.chain.from_iterable(inflations))),
        phase_errors=slice_phase_errors(wave, measured, probe, problem.mask),
    )


def _total(problem: InversionProblem, own: list[float]) -> float:
    return float(problem.comm.allreduce(sum(own)))


def _neighbour_correlation(values: NDArray[np.complex128], mask: NDArray[np.bool_]) -> tuple[float, ...]:
    volume = np.zeros((*mask.shape, values.shape[-1]), dtype=np.complex128)
    volume[mask] = values
    found = []
    for axis in range(3):
        moved, inside = np.moveaxis(volume, axis, 0), np.moveaxis(mask, axis, 0)
        both = inside[1:] & inside[:-1]
        a, b = moved[1:][both], moved[:-1][both]
        scale = np.sqrt(np.sum(np.abs(a) ** 2) * np.sum(np.abs(b) ** 2))
        found.append(float(np.vdot(a, b).real / scale) if scale > 0 else 0.0)
    return tuple(found)
