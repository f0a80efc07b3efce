"""Sequential Monte Carlo against posteriors on grids, where filters that assume a normal distribution are wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as stats
from numpy.typing import NDArray
from worlds.scalar_tumour import PRIORS, Doses, LogVolume, ScalarTumour

from palpate.twin.assimilation import refitted, sequential
from palpate.twin.assimilation.assimilate import assimilate
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method
from palpate.twin.state_space.event import Event

type Values = NDArray[np.float64]

ERROR = 0.2
SEEN = ((0.0, 3.3), (30.0, 4.1), (60.0, 4.35), (120.0, 4.5))
"""Days and ln V of a tumour that comes near its capacity, so that the posterior of its rate is skewed."""
DOSED = ((0.0, 2.0), (20.0, 2.4), (45.0, 1.7))
DOSES: Doses = ((25.0, 30.0),)
LARGE_NOISE = 0.03


def _events(seen: tuple[tuple[float, float], ...]) -> tuple[Event, ...]:
    return tuple(Event(day, day, "volume", np.array([y]), np.array([[ERROR**2]])) for day, y in seen)


def _record(
    method: Method, noise: float, doses: Doses, seen: tuple[tuple[float, float], ...], members: int, seed: int
) -> LifelongRecord:
    setup = AssimilationSetup(
        ScalarTumour(noise), (LogVolume(),), doses, (), FilterSettings(method, members, seed, longest_step_days=1000.0)
    )
    return assimilate(setup, begin_record(setup, "sub-01"), _events(seen), seen[-1][0])


def _statistics(record: LifelongRecord) -> Values:
    """Mean of ln V, mean and mean square of each parameter, log evidence."""
    mean, covariance = record.checkpoints[-1].belief.moments()
    squares = np.diag(covariance)[1:] + mean[1:] ** 2
    return np.array([*mean, *squares, sum(one.log_density for one in record.innovations)])


def _noiseless_grid() -> Values:
    """The statistics of DOSED without noise, by sums over a grid of all three parameters."""
    axis = np.linspace(-4.5, 4.5, 91)
    theta = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    model, log_weights = ScalarTumour(0.0), -0.5 * np.sum(theta**2, axis=1)
    log_weights -= np.log(np.exp(log_weights).sum())
    x, before = model.start(theta), 0.0
    for day, y in DOSED:
        x = model.step(x, theta, DOSES, before, day, np.zeros((len(theta), 0))) if day > before else x
        log_weights += stats.norm.logpdf(y, x[:, 0], ERROR)
        before = day
    evidence = np.log(np.exp(log_weights).sum())
    weights = np.exp(log_weights - evidence)
    return np.array([weights @ x[:, 0], *(weights @ theta), *(weights @ theta**2), evidence])


def _noisy_grid() -> Values:
    """The statistics of SEEN with noise: a filter on a grid of ln V for each rate; no dose, so alpha stays N(0, 1)."""
    rates, grid = np.linspace(-4.5, 4.5, 61), np.linspace(-0.5, 6.5, 500)
    model = ScalarTumour(LARGE_NOISE)
    first = stats.norm.pdf(grid, PRIORS[1].mean, PRIORS[1].std)
    share = (grid - PRIORS[1].mean) / PRIORS[1].std
    # theta of the first volume is carried as its first two moments beside the density of ln V.
    carried = np.stack([first, first * share, first * share**2])
    found = np.empty((len(rates), 3, len(grid)))
    for number, rate in enumerate(rates):
        now, before = carried.copy(), 0.0
        theta = np.tile([rate, 0.0, 0.0], (len(grid), 1))
        for day, y in SEEN:
            if day > before:
                ahead = model.step(grid[:, None], theta, (), before, day, np.zeros((len(grid), 1)))
                kernel = stats.norm.pdf(grid[None], ahead, LARGE_NOISE * np.sqrt(day - before))
                now = now @ kernel * (grid[1] - grid[0])
            now = now * stats.norm.pdf(y, grid, ERROR)
            before = day
        found[number] = now
    prior = stats.norm.pdf(rates) * (rates[1] - rates[0]) * (grid[1] - grid[0])
    weights = prior[:, None, None] * found
    total = weights[:, 0].sum()
    mean = [
        np.sum(weights[:, 0] * grid),
        np.sum(weights[:, 0] * rates[:, None]),
        weights[:, 1].sum(),
        0.0,
        np.sum(weights[:, 0] * rates[:, None] ** 2),
        weights[:, 2].sum(),
        total,
    ]
    return np.array([*(np.array(mean) / total), np.log(total)])


def _off(
    noise: float,
    doses: Doses,
    seen: tuple[tuple[float, float], ...],
    truth: Values,
    runs: int,
    members: int = 500,
    method: Method = "sequential",
) -> Values:
    """Distances of the mean over runs from the truth, in Monte-Carlo standard errors."""
    found = np.stack([_statistics(_record(method, noise, doses, seen, members, seed)) for seed in range(runs)])
    return np.asarray((found.mean(axis=0) - truth) / (found.std(axis=0, ddof=1) / np.sqrt(runs)))


@pytest.mark.parametrize("method", ["sequential", "refitted"])
def test_noiseless_posterior_is_the_grids(method: Method) -> None:
    """Means, squares and evidence within two standard errors: one in twenty may be beyond by chance, none far."""
    off = np.abs(_off(0.0, DOSES, DOSED, _noiseless_grid(), runs := 16, method=method))
    assert np.sort(off)[-2] < stats.t.isf(0.025, runs - 1), off
    assert off.max() < stats.t.isf(1e-4, runs - 1), off


@pytest.mark.parametrize("method", ["sequential", "refitted"])
def test_noisy_posterior_is_the_grids(method: Method) -> None:
    """With noise on the way the path is moved as well; a move of the parameters alone would be too narrow."""
    off = np.abs(_off(LARGE_NOISE, (), SEEN, _noisy_grid(), runs := 16, method=method))
    assert np.sort(off)[-2] < stats.t.isf(0.025, runs - 1), off
    assert off.max() < stats.t.isf(1e-4, runs - 1), off


def test_moves_without_their_correction_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail: moves that ignore what they were proposed from draw another distribution."""
    monkeypatch.setattr(sequential, "_over_gaussian", lambda chances, *_: np.zeros(len(chances)))
    assert np.abs(_off(LARGE_NOISE, (), SEEN, _noisy_grid(), 16)).max() > 10.0


def test_particles_without_their_weights_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail: particles of a fit that all weigh the same are the fit's, not the posterior's."""
    monkeypatch.setattr(refitted.ParticlePool, "log_weights", lambda pool, _: np.zeros(len(pool.chances)))
    assert np.abs(_off(LARGE_NOISE, (), SEEN, _noisy_grid(), 16, method="refitted")).max() > stats.t.isf(1e-4, 15)


@pytest.mark.long
def test_moves_leave_the_posterior_as_it_is() -> None:
    """A hundred runs of many particles: what moves fitted to their own particles leave as a bias is gone by then."""
    for truth, arguments in ((_noiseless_grid(), (0.0, DOSES, DOSED)), (_noisy_grid(), (LARGE_NOISE, (), SEEN))):
        off = _off(*arguments, truth, 100, members=2000)
        assert np.abs(off).max() < stats.norm.isf(1e-4), off
