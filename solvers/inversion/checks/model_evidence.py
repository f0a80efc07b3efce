"""Log marginal likelihood of the data under a model, from its fit, to compare models of the same data.

By Laplace's method around the maximum, with hyperparameters and noise factors theta_z at their fit,

    ln Z = -sum_z (misfit_z / theta_z + n_z ln theta_z) / 2 - x^T C^-1 x / 2 - ln det(I + Y^T C Y) / 2,

up to constants of the data alone. The count n_z must be the same for every model, or differences of the
count would enter the comparison; it is computed independently of all models, in uniform tissue with the direct
inversion's medians (docs/theory/rheology.md).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.steps.gauss_newton import Fit
from palpate.solvers.inversion.steps.linearisation import InversionProblem

SEED = 0
"""Seed of the probes that estimate a determinant: equal for all models, so that part of their error cancels."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Logarithm of a marginal likelihood (evidence).

    Attributes:
        log_value: log marginal likelihood ln Z, up to constants of the data.
        standard_error: standard error of ln Z, from the estimate of the determinant.
    """

    log_value: float
    standard_error: float


def evidence_of(problem: InversionProblem, fit: Fit, uniform: Sequence[NDArray[np.float64]]) -> Evidence | None:
    """Return the evidence of a fit; None where it did not converge, as it then has no maximum to expand around.

    Args:
        problem: problem that was fitted.
        fit: end of its iterations.
        uniform: ln G'/g and ln G''/g of uniform tissue for each frequency, equal for every model of the data.
    """
    if not fit.converged:
        return None
    data = 0.0
    for solver, state in zip(problem.solvers, fit.zones, strict=True):
        count = solver.expected_misfit(uniform[solver.dispersion.frequency])
        data += 0.5 * (state.misfit / state.inflation + count * float(np.log(state.inflation)))
    began = time.perf_counter()
    determinant = fit.posterior.log_determinant(SEED)
    problem.counter.timed("evidence", began)
    total = float(problem.comm.allreduce(data)) + fit.energy + 0.5 * determinant.value
    return Evidence(-total, 0.5 * determinant.standard_error)


def sum_of(parts: Sequence[Evidence | None]) -> Evidence | None:
    """Return the evidence of independent data, each with a model of its own; None where one of them has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return Evidence(
        sum(part.log_value for part in known), float(np.sqrt(sum(part.standard_error**2 for part in known)))
    )
