"""Times to an event: closed forms on the logistic rung, treatment in between, hazards, and events that compete."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import DrugDose
from palpate.twin.events.edge_volume import edge_volume_ml
from palpate.twin.events.follow import BURDEN, VISIBLE, FollowUp
from palpate.twin.events.rules import VISIBLE_RISE, RiseAboveNadir, VolumeHazard
from palpate.twin.events.times import COMPETING, NONE, PROGRESSION, first_events, times_of_curve
from palpate.twin.priors import INFILTRATED_ABOVE, PROLIFERATION
from palpate.twin.rungs.cells import natural
from palpate.twin.rungs.logistic import logistic_model
from palpate.twin.rungs.radial import radial_model
from palpate.twin.rungs.regimen import DatedFraction, DatedOperation, Regimen
from palpate.units import per_s_to_per_day

type Values = NDArray[np.float64]

SETTINGS = TwinSettings()
MODEL = logistic_model(SETTINGS, 20.0)
FRACTIONS = tuple(DatedFraction(float(day), 2.0) for day in range(40) if day % 7 < 5)


def patients(count: int = 60, days: int = 300) -> FollowUp:
    """Patients of the prior without noise, so that the flow is one closed form."""
    theta = np.random.default_rng(4).standard_normal((count, len(MODEL.parameters)))
    return FollowUp(MODEL, theta, np.zeros((days, count)))


def test_progression_without_treatment_is_the_closed_form() -> None:
    """The burden rises by 40 % where k t = ln(1.4 (K - u_0) / (K - 1.4 u_0)), and never where 1.4 u_0 is beyond K."""
    own = patients()
    rule = RiseAboveNadir(60, VISIBLE_RISE)
    own.run(Regimen(), VISIBLE, (rule,))
    k = per_s_to_per_day(natural(MODEL.parameters, own.theta, PROLIFERATION))
    capacity = MODEL.capacity_ml(own.theta)
    start = MODEL.burden_ml(MODEL.start(own.theta), own.theta)
    room = capacity - 1.4 * start
    expected = np.log(1.4 * (capacity - start) / np.maximum(room, 1e-300)) / k
    np.testing.assert_allclose(rule.days, np.where(room > 0.0, expected, np.inf), rtol=0.0, atol=1e-6)


def test_progression_after_fractions_is_the_root_of_the_flow() -> None:
    """The nadir is where the last useful fraction leaves the burden, not on a sampled day; to 1e-6 day.

    The reference goes through the equations once more, fraction by fraction, in scalar arithmetic.
    """
    own = patients()
    rule = RiseAboveNadir(60, VISIBLE_RISE)
    own.run(Regimen(FRACTIONS), VISIBLE, (rule,))
    rates = next(MODEL.path(MODEL.start(own.theta), own.theta, Regimen(), 0.0, 1.0, np.zeros((60, 1)))).rates
    for draw in range(60):
        k, alpha = float(rates.growth_1_day[draw]), float(rates.alpha_1_gy[draw])
        p = float(1.0 / (1.0 + np.exp(-MODEL.start(own.theta)[draw, 0])))
        nadir, found = np.inf, np.inf
        for day in range(300):
            if any(one.day == day for one in FRACTIONS):
                p *= np.exp(-alpha * 2.0 * 1.2)
            nadir = min(nadir, p)

            def grown(days: float, p: float = p, k: float = k) -> float:
                return float(p * np.exp(k * days) / (1.0 + p * np.expm1(k * days)))

            if grown(1.0) >= 1.4 * nadir:
                found = day + brentq(lambda days, n=nadir, g=grown: g(days) - 1.4 * n, 0.0, 1.0, xtol=1e-12)
                break
            p = grown(1.0)
        assert rule.days[draw] == pytest.approx(found, abs=1e-6)


def test_the_nadir_within_a_day_of_a_drug_is_found() -> None:
    """The burden dips for hours after each dose: the date of progression is that of steps of two minutes, to 1e-3.

    By whole days the nadir is missed; the test fails where only the ends of days are looked at.
    """
    count, days = 12, 60
    theta = np.random.default_rng(1).standard_normal((count, len(MODEL.parameters)))
    theta[:, [one.name.startswith("kill") for one in MODEL.parameters]] = 3.0
    u = Regimen(drug_doses=tuple(DrugDose(float(day), "temozolomide", 150.0) for day in (3, 4, 5)))
    rule = RiseAboveNadir(count, VISIBLE_RISE)
    FollowUp(MODEL, theta, np.zeros((days, count))).run(u, VISIBLE, (rule,))
    for draw in range(count):
        one, logs, times = theta[[draw]], [], []
        x = MODEL.start(one)
        for day in range(days):
            (*pieces,) = MODEL.path(x, one, u, float(day), day + 1.0, np.zeros((1, 1)))
            for piece in pieces:
                at = np.linspace(piece.start, piece.end, 721)
                z = piece.logit(np.zeros(721, dtype=np.int64), at)
                logs.append(-np.logaddexp(0.0, -z))
                times.append(at)
            x = np.stack([pieces[-1].last, x[:, 1]], axis=1)
        log, at = np.concatenate(logs), np.concatenate(times)
        reached = log >= np.minimum.accumulate(log) + np.log(1.4)
        expected = at[reached.argmax()] if reached.any() else np.inf
        assert rule.days[draw] == pytest.approx(expected, abs=1.5 / 720)


def test_a_constant_hazard_gives_exponential_times_and_one_of_the_burden_its_integral() -> None:
    """Without b the day is E / h_0; with b = 1 the integral of the logistic burden is in closed form."""
    own = patients(days=200)
    drawn = np.random.default_rng(5).exponential(size=60)
    plain = VolumeHazard(0.01, 0.0, np.zeros(60), drawn)
    by_burden = VolumeHazard(2e-4, 1.0, np.zeros(60), drawn)
    own.run(Regimen(), BURDEN, (plain, by_burden))
    np.testing.assert_allclose(plain.days, np.where(drawn < 2.0, drawn / 0.01, np.inf), rtol=1e-9)
    k = per_s_to_per_day(natural(MODEL.parameters, own.theta, PROLIFERATION))
    capacity, z = MODEL.capacity_ml(own.theta), MODEL.start(own.theta)[:, 0]
    # (K / k) (ln(1 + e^(z + k t)) - ln(1 + e^z)) = E / h_0
    end = np.log(np.expm1(drawn / 2e-4 * k / capacity + np.logaddexp(0.0, z)))
    expected = np.where((end - z) / k <= 200.0, (end - z) / k, np.inf)
    np.testing.assert_allclose(by_burden.days, expected, rtol=0.0, atol=1e-6)


def test_probability_and_restricted_mean() -> None:
    """By their definitions; an operation before progression is an event of its own, and shares sum to one."""
    progression = np.array([10.0, 30.0, np.inf, 80.0, 50.0])
    times = first_events(progression, 60.0, np.array([np.inf, 20.0, np.inf, np.inf, 50.0]))
    assert times.kinds.tolist() == [PROGRESSION, COMPETING, NONE, NONE, PROGRESSION]
    assert times.days.tolist() == [10.0, 20.0, 60.0, 60.0, 50.0]
    assert times.probability_by(50.0) == 0.4
    assert times.probability_by(60.0) + times.probability_by(60.0, COMPETING) == pytest.approx(0.6)
    assert times.restricted_mean(40.0) == pytest.approx((10 + 20 + 40 + 40 + 40) / 5)
    low, high = times.probability_interval(50.0)
    assert 0.0 < low < 0.4 < high < 1.0
    with pytest.raises(ValueError, match="horizon"):
        times.restricted_mean(61.0)


def test_a_sampled_curve_remembers_the_nadir_of_its_past() -> None:
    """A forecast's curve that starts 30 % above the lowest scan progresses after another 8 %."""
    days = np.arange(0.0, 41.0)
    volumes = 13.0 * np.exp(0.02 * days)[:, None]
    known = times_of_curve(days, volumes, RiseAboveNadir(1, 1.4, np.log([10.0])))
    assert known.days[0] == pytest.approx(np.log(14.0 / 13.0) / 0.02, abs=1e-9)
    fresh = times_of_curve(days, volumes, RiseAboveNadir(1, 1.4))
    assert fresh.days[0] == pytest.approx(np.log(1.4) / 0.02, abs=1e-9)


def test_the_edge_in_shells_is_the_model_s_volume() -> None:
    """Cheap and daily, but the same volume as the observation's to 2 %, also around a cavity.

    A flat top just below the threshold counts in part there, and not here. Events of a day come first.
    """
    model = radial_model(SETTINGS, 15.0)
    theta = np.random.default_rng(2).standard_normal((20, len(model.parameters)))
    u = Regimen(FRACTIONS[:10], operations=(DatedOperation(12.0, 0.9, 9.0),))
    x = model.start(theta)
    above = natural(model.parameters, theta, INFILTRATED_ABOVE)
    for first, last in ((0.0, 12.0), (12.0, 40.0)):
        x = model.step(x, theta, u, first, last, np.zeros((20, 1)))
        np.testing.assert_allclose(
            edge_volume_ml(x[:, :-1], above, model.shells), model.volume_ml(x, above), 0.02, 0.25
        )
        treated = model.after_events(x, theta, u, last)
        stepped = model.step(x, theta, u, last, last + 1e-9, np.zeros((20, 1)))
        np.testing.assert_allclose(treated[:, :-1], stepped[:, :-1], rtol=1e-6, atol=1e-12)


def test_a_nadir_that_nobody_can_measure_is_lifted() -> None:
    """A tumour that came back to 0.05 ml from nothing has not progressed; 1.4 times 0.1 ml is."""
    days, volumes = np.array([0.0, 10.0, 20.0]), np.array([[5.0], [1e-4], [1.0]])
    found = times_of_curve(days, volumes, RiseAboveNadir(1, 1.4, least_ml=0.1))
    expected = 10.0 + 10.0 * np.log(0.14 / 1e-4) / np.log(1.0 / 1e-4)
    assert found.days[0] == pytest.approx(expected, abs=1e-9)


def test_rises_that_are_none_are_refused() -> None:
    """A ratio of one would date progression on the day of the nadir."""
    with pytest.raises(ValueError, match="above 1"):
        RiseAboveNadir(3, 1.0)
    with pytest.raises(ValueError, match="positive hazard"):
        VolumeHazard(0.0, 1.0, np.zeros(1), np.ones(1))
