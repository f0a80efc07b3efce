"""The twin's posterior: derivatives, curvature, calibration over simulated tumours, any number of ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats as stats
from mpi4py import MPI
from scipy.special import logsumexp

from palpate.twin.calibration.calibrate import calibrate
from palpate.twin.calibration.draws import draw
from palpate.twin.calibration.posterior import LONGEST, CalibrationProblem, gradient_and_hessian, laplace, objective
from palpate.twin.forecast.predict import predict
from palpate.twin.growth_field import growth_shapes
from tests.laws.chance import FALSE_ALARM
from tests.twin.small import SETTINGS, history, problem, simulated

TUMOURS = 14
LEVELS = (0.5, 0.8)


@pytest.fixture(scope="module")
def small() -> CalibrationProblem:
    """The problem of a small tumour."""
    return problem()


@pytest.mark.parametrize("field_std", [0.0, 0.3])
def test_predictions_have_their_derivative(field_std: float) -> None:
    """Every unknown acts through outline, growth, two fractions, a drug and thresholds: a Taylor rate of 2 or a bug."""
    small = problem(SETTINGS.model_copy(update={"growth_field_log_std": field_std, "growth_field_modes": 5}))
    rng = np.random.default_rng(0)
    xi, direction = 0.3 * rng.standard_normal((2, small.dynamics.unknowns.size))
    states, jacobian = small.tangents(xi)
    base = small.observations.predicted(states, xi, small.dynamics.unknowns)
    rests = []
    for step in (1e-2, 5e-3, 2.5e-3):
        there = xi + step * direction
        moved = small.observations.predicted(small.states(there), there, small.dynamics.unknowns)
        rests.append(np.linalg.norm(moved - base - step * jacobian @ direction))
    rates = np.log2(np.array(rests[:-1]) / rests[1:])
    assert rates == pytest.approx(2.0, abs=0.1)


def test_shapes_of_growth_have_the_fields_covariance() -> None:
    """At the centres exactly, elsewhere never more: shapes may lose variance of the field but not invent any."""
    tumour = history()
    shapes = growth_shapes(tumour, SETTINGS.model_copy(update={"growth_field_log_std": 0.3, "growth_field_modes": 9}))
    variances = (shapes**2).sum(axis=1) / 0.3**2
    assert np.sum(np.isclose(variances, 1.0, atol=1e-6)) >= 9
    assert variances.max() <= 1.0 + 1e-6


def test_gradient_is_that_of_the_objective_and_curvature_is_symmetric(small: CalibrationProblem) -> None:
    """With R fixed, as Gauss-Newton has it; a curvature that is not at least the prior's would lose what is known."""
    rng = np.random.default_rng(1)
    xi, direction = 0.3 * rng.standard_normal((2, small.dynamics.unknowns.size))
    states, jacobian = small.tangents(xi)
    errors = small.errors()
    gradient, hessian = gradient_and_hessian(small.residual(states, xi), jacobian, xi, errors)

    def phi(there: np.ndarray) -> float:
        return objective(small.residual(small.states(there), there), there, errors)

    step = 1e-4
    slope = (phi(xi + step * direction) - phi(xi - step * direction)) / (2.0 * step)
    assert slope == pytest.approx(float(gradient @ direction), rel=1e-5)
    assert np.array_equal(hessian, hessian.T)
    assert np.linalg.eigvalsh(hessian).min() >= 1.0 - 1e-9


def test_wild_steps_are_shortened(small: CalibrationProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data far from the prior's mean ask at first for growth by e^6, where the growth model itself gives up."""
    scans = list(small.observations.scans)
    scans[-1] = tuple(replace(one, values=30.0 * one.values) for one in scans[-1])
    wild = replace(small, observations=replace(small.observations, scans=tuple(scans)))
    plain, moves, here = CalibrationProblem.states, [], [np.zeros(small.dynamics.unknowns.size)]

    def states(own: CalibrationProblem, xi: np.ndarray) -> tuple[np.ndarray, ...]:
        moves.append(float(np.abs(xi - here[0]).max()))
        here[0] = xi
        return plain(own, xi)

    monkeypatch.setattr(CalibrationProblem, "states", states)
    assert np.isfinite(laplace(wild, renewals=0).mode).all()
    assert moves[0] == pytest.approx(LONGEST)


def test_correlated_errors_are_those_of_the_dense_matrix(small: CalibrationProblem) -> None:
    """Solves and determinant of R go by its low rank; a wrong one would move every width of every forecast."""
    errors = small.errors()
    dense = errors.blocks.dense() + errors.columns @ errors.columns.T
    values = np.random.default_rng(2).standard_normal((len(dense), 3))
    assert np.allclose(errors.solve(values), np.linalg.solve(dense, values), rtol=1e-7, atol=1e-9)
    assert errors.misfit(values[:, 0]) == pytest.approx(float(values[:, 0] @ np.linalg.solve(dense, values[:, 0])))
    assert errors.log_determinant == pytest.approx(np.linalg.slogdet(dense)[1], rel=1e-9)


@pytest.mark.long
def test_posteriors_are_calibrated(small: CalibrationProblem) -> None:
    """Simulation-based calibration: truths from the prior, data from the model, intervals hold as many as they say.

    Front errors differ in size from tumour to tumour, too, and no fit is told. How steep fronts are when R is made is
    told here; what taking that from the fit costs is measured in decision 0063. Tumours are independent of each other,
    numbers of one tumour are not: the share that a tumour's intervals hold is one draw.
    """
    front_errors = small.front_errors()
    probable = np.exp(front_errors.log_prior) / np.exp(front_errors.log_prior).sum()
    shares = np.zeros((TUMOURS, len(LEVELS)))
    for number in range(TUMOURS):
        rng = np.random.default_rng([5, number])
        truth = rng.standard_normal(small.dynamics.unknowns.size)
        q = float(rng.choice(front_errors.front_error_mm, p=probable))
        seen = replace(simulated(replace(small, front_error_mm=q), truth, rng), front_error_mm=small.front_error_mm)
        drawn = draw(seen, laplace(seen, renewals=0), SETTINGS)
        below = (drawn.xi < truth).sum(axis=0)
        away = np.abs((below + rng.random(len(truth))) / (len(drawn.xi) + 1.0) - 0.5)
        shares[number] = [np.mean(away <= level / 2.0) for level in LEVELS]
    errors = shares.std(axis=0, ddof=1) / np.sqrt(TUMOURS)
    allowed = stats.t.isf(FALSE_ALARM / (2 * len(LEVELS)), TUMOURS - 1)
    assert (np.abs(shares.mean(axis=0) - LEVELS) <= allowed * errors).all()


def test_forecast_begins_where_the_posterior_ends() -> None:
    """A minute after the last scan a forecast is the posterior's density, whatever drifts later."""
    found = calibrate(history(), SETTINGS.model_copy(update={"front_error_mm": 0.0}))
    ahead = predict(found, 70.0 + 1.0 / 1440.0)
    assert np.allclose(ahead.densities, found.draws.density, atol=1e-3)


class Still(CalibrationProblem):
    """A tumour that does not grow, so that a forecast costs nothing, but needs all ranks as any other."""

    def states(self, xi: np.ndarray) -> tuple[np.ndarray, ...]:
        """The first density at every scan."""
        state, _ = self.dynamics.start(xi)
        return (state,) * len(self.observations.days)

    def tangents(self, xi: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The same, and J."""
        _, by = self.dynamics.start(xi)
        states = self.states(xi)
        self.comm.Barrier()
        changes = (by,) * len(states)
        return states, self.observations.derivative(states, changes, xi, self.dynamics.unknowns)


@pytest.mark.mpi
def test_ranks_decide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks whose sums differ take the steps of rank 0: otherwise one leaves a loop in which the others wait.

    Last bits are made large here, so that ranks that decided for themselves would part within a few steps.
    """
    comm = MPI.COMM_WORLD
    rng = np.random.default_rng(comm.rank)

    def off(exact: Callable[..., Any]) -> Callable[..., float]:
        def sums(*arguments: Any) -> float:  # noqa: ANN401
            own = float(exact(*arguments))
            return own * (1.0 + 0.2 * comm.rank * rng.random()) + 3.0 * comm.rank * rng.random()

        return sums

    monkeypatch.setattr("palpate.twin.calibration.posterior.objective", off(objective))
    monkeypatch.setattr("palpate.twin.clocks.lattice_fit.logsumexp", off(logsumexp))
    settings = SETTINGS.model_copy(update={"max_iterations": 6, "draws": 8})
    own = problem(settings, comm)
    shared = Still(own.dynamics, own.observations, own.front_error_mm, comm=comm)
    found = laplace(shared)
    alone = problem(settings)
    drawn = draw(Still(alone.dynamics, alone.observations, alone.front_error_mm), found, settings, comm)
    agreed = (found.mode, found.covariance, np.array(found.front_error_mm), drawn.xi, drawn.front_error_mm)
    for one in (*agreed, drawn.front_error):
        assert np.array_equal(one, comm.bcast(one))


@pytest.mark.mpi
def test_ranks_share_draws_and_change_none(small: CalibrationProblem) -> None:
    """Draws dealt to ranks are those of one rank, to the last bit: forecasts must not depend on the machine."""
    settings = SETTINGS.model_copy(update={"draws": 7})
    found = laplace(small, renewals=0)
    alone, shared = draw(small, found, settings), draw(small, found, settings, MPI.COMM_WORLD)
    for name in ("xi", "density", "front_error_mm", "front_error"):
        assert np.array_equal(getattr(alone, name), getattr(shared, name))


@pytest.mark.mpi
def test_ranks_share_the_work_and_change_nothing(small: CalibrationProblem) -> None:
    """Directions dealt to ranks give the predictions and derivatives of one rank, to the last bit."""
    shared = problem(comm=MPI.COMM_WORLD)
    xi = np.full(small.dynamics.unknowns.size, 0.2)
    (one, jacobian), (other, shared_jacobian) = small.tangents(xi), shared.tangents(xi)
    for here, there in zip(one, other, strict=True):
        assert np.array_equal(here, there)
    assert np.array_equal(jacobian, shared_jacobian)
