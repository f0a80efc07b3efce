"""The evidence of a fit: exact where everything is Gaussian, and counted alike for every model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.anatomy.labels import no_regions
from palpate.solvers.inversion.checks.model_evidence import Evidence, evidence_of, sum_of
from palpate.solvers.inversion.posterior.joint import TOLERANCE, JointPosterior, ZoneCurvature
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver, ZoneState
from tests.solvers.inversion.cases import box, plane_wave_data

MASK = np.ones((5, 4, 4), dtype=bool)
VOXEL_MM = np.array([2.0, 2.0, 2.0])
DATA = 30


class _Linear:
    """Data y = Y^T x + noise of one zone, as a problem and its fit, at a given factor on the noise variance."""

    def __init__(self, scale: Hyperparameters, inflation: float) -> None:
        rng = np.random.default_rng(1)
        count = FIELDS * int(MASK.sum())
        self.prior = MaternField(
            MASK, VOXEL_MM, HyperparameterMixture.certain(scale), no_regions(count // FIELDS).fractions
        )
        self.half: NDArray[np.float64] = rng.standard_normal((count, DATA)) * np.logspace(1, -2, DATA)
        self.seen = self.half.T @ self.prior.draw(range(1), 2)[:, 0] + np.sqrt(inflation) * rng.standard_normal(DATA)
        ijk, voxels = np.argwhere(MASK), np.arange(int(MASK.sum()))
        tempered = self.half / np.sqrt(inflation)
        posterior = JointPosterior(self.prior, [ZoneCurvature(voxels, ijk, tempered)], MPI.COMM_SELF)
        x, w = posterior.improve(self.half @ self.seen / inflation)
        misfit = float(np.sum((self.seen - self.half.T @ x) ** 2))
        nothing = np.zeros(0, dtype=np.complex128)
        of_noise = misfit / inflation
        state = ZoneState(misfit, of_noise, np.zeros(count), self.half, nothing, nothing, of_noise)
        # Of the solver only the count of its data is asked, which here is known.
        solver = SimpleNamespace(dispersion=SimpleNamespace(frequency=0), expected_misfit=lambda _uniform: DATA)
        self.problem = SimpleNamespace(solvers=[solver], comm=MPI.COMM_SELF, counter=WorkCounter())
        self.fit = SimpleNamespace(converged=True, zones=(state,), posterior=posterior, energy=0.5 * float(x @ w))

    def dense(self, inflation: float) -> float:
        """The value of log N(y; 0, theta I + Y^T C Y), without the constant of the data."""
        covariance = inflation * np.eye(DATA) + self.half.T @ self.prior.apply(self.half)
        quadratic = self.seen @ np.linalg.solve(covariance, self.seen)
        return -0.5 * float(np.linalg.slogdet(covariance)[1] + quadratic)


@pytest.mark.parametrize("inflation", [1.0, 2.5])
@pytest.mark.parametrize("length_mm", [4.0, 12.0])
def test_evidence_of_linear_data_is_their_density(inflation: float, length_mm: float) -> None:
    """Laplace's method is exact there, noise factor included: a lost half or determinant would favour wide priors."""
    linear = _Linear(Hyperparameters(0.4, 0.3, length_mm, 0.5, mean_std=0.7), inflation)
    found = evidence_of(linear.problem, linear.fit, [np.zeros(2)])
    assert found is not None
    assert found.log_value == pytest.approx(linear.dense(inflation), abs=10 * TOLERANCE)


def test_no_maximum_no_evidence() -> None:
    """A number that looks like an evidence and is none must not decide between models, nor hide in a sum."""
    linear = _Linear(Hyperparameters(0.4, 0.3, 6.0), 1.0)
    linear.fit.converged = False
    assert evidence_of(linear.problem, linear.fit, [np.zeros(2)]) is None
    assert sum_of([Evidence(-3.0, 0.1), None]) is None
    assert sum_of([Evidence(-3.0, 0.3), Evidence(-4.0, 0.4)]) == Evidence(-7.0, pytest.approx(0.5))


def test_the_count_of_data_is_that_of_uniform_tissue() -> None:
    """It depends on nothing that a model fits, so that every model of the data is charged for the same noise factor."""
    zone = box(5, 5, 5)
    data, uniform = plane_wave_data(zone), np.log([1.0, 0.3])
    solver = ZoneSolver(0, data, VOXEL_MM, 60, WorkCounter())
    before = solver.expected_misfit(uniform)
    solver.evaluate(np.random.default_rng(0).normal(0.0, 0.3, 2 * len(zone.voxels)))
    assert solver.expected_misfit(uniform) == before
    same = solver.evaluate(np.repeat(uniform, len(zone.voxels)))
    assert before == pytest.approx(same.expected_misfit)
