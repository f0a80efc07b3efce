"""The draws against a Markov chain that takes nothing of the Laplace approximation but its scale."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as stats
from numpy.typing import NDArray

from palpate.twin.calibration.draws import draw
from palpate.twin.calibration.posterior import CalibrationProblem, Laplace, laplace
from tests.laws.chance import FALSE_ALARM
from tests.twin.small import SETTINGS, problem

BATCHES = 10
STEPS = 1000
"""Of the chain, to a batch: several times over what it takes to forget where it was."""
FOUND_OUT = 0.01
"""Chance of a false alarm in the one direction where a chain of this length can tell the posterior from Laplace's."""

type Values = NDArray[np.float64]


def _walked(own: CalibrationProblem, found: Laplace, rng: np.random.Generator) -> Values:
    """Metropolis's random walk with the mode's covariance, the first batch left out, shape (BATCHES, STEPS, p)."""
    size = len(found.mode)
    half = 2.38 / np.sqrt(size) * np.linalg.cholesky(found.covariance)  # Roberts, Gelman and Gilks 1997

    def phi(xi: Values) -> float:
        log_densities = found.front_errors.log_densities(own.residual(own.states(xi), xi))
        return 0.5 * float(xi @ xi) - float(np.logaddexp.reduce(log_densities))

    at, here = found.mode, phi(found.mode)
    kept = np.empty(((BATCHES + 1) * STEPS, size))
    for step in range(len(kept)):
        ahead = at + half @ rng.standard_normal(size)
        there = phi(ahead)
        if np.log(rng.random()) < here - there:
            at, here = ahead, there
        kept[step] = at
    return kept[STEPS:].reshape(BATCHES, STEPS, size)


@pytest.mark.long
def test_draws_are_those_of_a_markov_chain() -> None:
    """Every interval of a forecast is the draws' spread: means and squares agree with another sampler's, to chance."""
    own = problem()
    found = laplace(own, renewals=0)
    own = own.under(found.stress)
    walk = _walked(own, found, np.random.default_rng(11))
    runs = [draw(own, found, SETTINGS.model_copy(update={"seed": 100 + run})) for run in range(BATCHES)]
    scale = np.sqrt(np.diag(found.covariance))
    away = (walk - found.mode) / scale
    drawn = np.stack([(one.xi - found.mode) / scale for one in runs])
    for power in (1, 2):
        p = _chance((away**power).mean(axis=1), (drawn**power).mean(axis=1))
        assert p.min() > FALSE_ALARM / (2 * p.size), (power, p)
    # Where the posterior's mean lies off its mode, by half of the draws, the chain and the other half must agree.
    half = BATCHES // 2
    off = drawn[:half].mean(axis=(0, 1))
    along = [one.mean(axis=1) @ off for one in (away, drawn[half:])]
    assert _chance(*along) > FOUND_OUT
    assert _chance(along[0], np.zeros(BATCHES)) < FOUND_OUT  # Laplace's own draws, whose mean is the mode, would fail


def _chance(first: Values, second: Values) -> Values:
    """Probability that means of batches, which are nearly independent, differ as much by chance."""
    return np.asarray(stats.ttest_ind(first, second, axis=0, equal_var=False).pvalue)
