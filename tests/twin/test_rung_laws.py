"""Laws that every rung of the state-space twin obeys: what a filter, a trial or a plan may take for granted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.twin.priors import ALPHA, KILL
from palpate.twin.rungs.regimen import CHEMOTHERAPY, RADIOTHERAPY, STREAMS
from palpate.twin.state_space.advance import advance
from palpate.twin.state_space.chances import Chances
from tests.twin.rungs import RUNGS, rung

every_rung = pytest.mark.parametrize("name", RUNGS)


@every_rung
def test_states_stay_in_their_bounds(name: str) -> None:
    """For parameters in the tails of the prior, under noise and treatment, and from states outside of the bounds."""
    own, rng = rung(name), np.random.default_rng(1)
    theta = 2.0 * own.theta(2)
    lower, upper = (np.array([getattr(one, side) for one in own.model.states]) for side in ("lower", "upper"))
    x = own.model.start(theta) + 0.1 * rng.standard_normal((2, len(lower)))
    for first, last in ((0.0, 31.5), (31.5, 60.0)):
        x = own.model.step(x, theta, own.treated, first, last, rng.standard_normal((2, len(own.model.noises))))
        assert np.isfinite(x).all()
        assert ((x >= lower) & (x <= upper)).all()


@every_rung
def test_a_time_may_be_cut_at_whole_days(name: str) -> None:
    """Without noise to rounding, whether treatment lies in it or not."""
    own = rung(name)
    theta = own.theta()
    x = own.model.start(theta)
    whole = own.grown(x, theta, own.treated, 0.0, 60.0)
    for cut in (12.0, 30.0, 32.0, 50.0):
        parts = own.grown(own.grown(x, theta, own.treated, 0.0, cut), theta, own.treated, cut, 60.0)
        np.testing.assert_allclose(parts, whole, atol=1e-11)


@every_rung
def test_one_future_however_it_is_cut(name: str) -> None:
    """With the chances of each day, and for each draw whichever others are asked for."""
    own = rung(name)
    theta = own.theta()
    x, chances = own.model.start(theta), Chances(7, (0, 1, 2))
    whole = advance(own.model, x, theta, own.treated, 24.0, 34.5, chances)
    middle = advance(own.model, x, theta, own.treated, 24.0, 31.0, chances)
    np.testing.assert_allclose(advance(own.model, middle, theta, own.treated, 31.0, 34.5, chances), whole, atol=1e-11)
    alone = advance(own.model, x[1:2], theta[1:2], own.treated, 24.0, 34.5, Chances(7, (1,)))
    np.testing.assert_allclose(alone, whole[1:2], atol=1e-12)
    other = advance(own.model, x, theta, own.treated, 24.0, 34.5, Chances(8, (0, 1, 2)))
    assert np.abs(other - whole).max() > 1e-3


@every_rung
def test_treatment_of_a_day_acts_in_the_step_that_begins_there(name: str) -> None:
    """The first fraction is on day 30: a scan on that day precedes it."""
    own = rung(name)
    theta = own.theta()
    x = own.model.start(theta)
    before, free = (own.grown(x, theta, u, 20.0, 30.0) for u in (own.treated, own.untreated))
    np.testing.assert_array_equal(before, free)
    after, free = (own.grown(before, theta, u, 30.0, 30.5) for u in (own.treated, own.untreated))
    assert (own.burden_ml(after, theta) < 0.99 * own.burden_ml(free, theta)).all()


@every_rung
def test_an_untreated_tumour_grows(name: str) -> None:
    """In burden, from each day to the next."""
    own = rung(name)
    theta = own.theta()
    x = own.model.start(theta)
    for day in range(0, 40, 8):
        later = own.grown(x, theta, own.untreated, float(day), day + 8.0)
        assert (own.burden_ml(later, theta) > own.burden_ml(x, theta)).all()
        x = later


@every_rung
@pytest.mark.parametrize("parameter", [ALPHA, KILL + "temozolomide"])
def test_more_sensitive_cells_leave_no_larger_burden(name: str, parameter: str) -> None:
    """Of alpha and of the kill by the drug; and smaller, or the effect were missing."""
    own = rung(name)
    theta = own.theta()
    x, more = own.model.start(theta), theta.copy()
    more[:, own.at(parameter)] += 1.0
    one, other = (own.burden_ml(own.grown(x, at, own.treated, 0.0, 60.0), theta) for at in (theta, more))
    assert (other < one * (1.0 - 1e-4)).all()


@every_rung
def test_draws_are_independent(name: str) -> None:
    """A permutation of the draws permutes what becomes of them, to the last bit."""
    own, rng = rung(name), np.random.default_rng(2)
    theta, order = own.theta(6), np.array([4, 2, 0, 5, 1, 3])
    x, noise = own.model.start(theta), rng.standard_normal((6, len(own.model.noises)))
    found = own.model.step(x, theta, own.treated, 0.0, 40.0, noise)
    permuted = own.model.step(x[order], theta[order], own.treated, 0.0, 40.0, noise[order])
    np.testing.assert_array_equal(permuted, found[order])


@every_rung
def test_treatment_moved_with_the_state_gives_the_same(name: str) -> None:
    """Nothing but the treatment knows the date; a stream moved alone changes the course."""
    own = rung(name)
    theta = own.theta()
    if name == "lattice":  # its stress has dates of its own
        own = replace(own, model=replace(own.model, stress=None))
    x = own.model.start(theta)
    found = own.grown(x, theta, own.treated, 0.0, 60.0)
    late = own.shifted(dict.fromkeys(STREAMS, 14.0))
    np.testing.assert_allclose(own.grown(x, theta, late, 14.0, 74.0), found, atol=1e-11)
    for stream in (RADIOTHERAPY, CHEMOTHERAPY):
        assert np.abs(own.grown(x, theta, own.shifted({stream: 40.0}), 0.0, 60.0) - found).max() > 1e-3
    with pytest.raises(ValueError, match="streams among"):
        own.shifted({"radiation": 1.0})


@every_rung
def test_noise_moves_the_drift_as_the_settings_say(name: str) -> None:
    """By the standard deviation of 100 days times the root of the time; and only noise moves it."""
    own = rung(name)
    theta, drift = own.theta(2), [one.name for one in own.model.states].index("proliferation_drift")
    noise = np.zeros((2, len(own.model.noises)))
    noise[:, 0] = 1.0, -2.0
    x = own.model.step(own.model.start(theta), theta, own.untreated, 0.0, 25.0, noise)
    size = own.model.settings.proliferation_log_std_per_100_days
    np.testing.assert_allclose(x[:, drift], np.array([0.5, -1.0]) * size)
    still = own.grown(own.model.start(theta), theta, own.untreated, 0.0, 25.0)
    assert own.burden_ml(x, theta)[0] > own.burden_ml(still, theta)[0]


@every_rung
def test_observations_are_finite_where_nothing_is_left(name: str) -> None:
    """A complete response has no volume, and still a logarithm, a centroid and a place of its front."""
    own = rung(name)
    theta = own.theta()
    x = own.model.start(theta)
    gone = x.copy()
    gone[:, : max(1, x.shape[1] - 100)] = -700.0 if name == "logistic" else 0.0
    for one in own.observations:
        for state in (x, gone, own.grown(gone, theta, own.treated, 0.0, 40.0)):
            found = one.h(state, theta)
            assert found.shape == (3, len(one.quantities))
            assert np.isfinite(found).all(), one.stream
