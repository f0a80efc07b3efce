"""What may change in a patient: drifting parameters, regimes of treatment, and the memory of regimes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds.patients_of_model import StreamPlan, patient_of
from worlds.scalar_tumour import LogVolume, ScalarTumour

from palpate.twin.assimilation.assimilate import assimilate, present
from palpate.twin.assimilation.record import begin_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method, ParameterDrift, Regimes
from palpate.twin.assimilation.smoother import smooth
from palpate.twin.state_space.event import Event

METHODS: tuple[Method, ...] = ("extended", "unscented", "ensemble", "sequential")
RATE = 1
"""Index of the rate in z: after ln V."""
WEEKLY = tuple(float(day) for day in range(0, 181, 10))


def _event(day: float, value: float, std: float = 0.05) -> Event:
    return Event(day, day, "volume", np.array([value]), np.array([[std**2]]))


def _setup(method: Method, **change: object) -> AssimilationSetup[tuple[tuple[float, float], ...]]:
    settings = FilterSettings(method, 1000, seed=1)
    setup = AssimilationSetup(ScalarTumour(0.005), (LogVolume(),), (), (), settings)
    return replace(setup, **change)  # type: ignore[arg-type]


def _grown(rates: tuple[tuple[float, float], ...]) -> tuple[Event, ...]:
    """Errorless measurements of a tumour that grows at each rate, 1/day, until the day beside it."""
    model, x, at, events = ScalarTumour(0.0), np.array([[0.8]]), 0.0, []
    for day in WEEKLY:
        rate = next(rate for rate, until in rates if day <= until)
        if day > at:
            theta = np.array([[_theta(rate), 0.0, 0.0]])
            x = model.step(x, theta, (), at, day, np.zeros((1, 0)))
        at = day
        events.append(_event(day, float(x[0, 0])))
    return tuple(events)


def _theta(rate: float) -> float:
    """The standard normal number of a rate, 1/day."""
    return float(np.log(rate / 0.03) / 0.4)


DRIFT = (ParameterDrift("proliferation", 0.5),)


@pytest.mark.parametrize("method", METHODS)
def test_drift_follows_a_rate_that_changes(method: Method) -> None:
    """A rate that falls at day 90 is followed; without drift it stays at the mean of both, sure and wrong."""
    events = _grown(((0.03, 90.0), (0.012, 180.0)))
    found = {}
    for name, drifts in (("on", DRIFT), ("off", ())):
        setup = _setup(method, drifts=drifts)
        record = assimilate(setup, begin_record(setup, "sub-01"), events, 180.0)
        mean, covariance = record.checkpoints[-1].belief.moments()
        found[name] = (mean[RATE], np.sqrt(covariance[RATE, RATE]))
    truth = _theta(0.012)
    assert abs(found["on"][0] - truth) < 2.0 * found["on"][1]
    assert abs(found["off"][0] - truth) > 4.0 * found["off"][1]


def test_a_drift_has_the_stated_spread() -> None:
    """After 100 days without a measurement ln k has spread by what was stated, beside its prior's 0.4."""
    setup = _setup("unscented", drifts=DRIFT)
    record = assimilate(setup, begin_record(setup, "sub-01"), (), 100.0)
    spread = 0.4 * np.sqrt(present(setup, record).moments()[1][RATE, RATE])
    assert spread == pytest.approx(np.hypot(0.4, 0.5), abs=1e-9)


REGIMES = Regimes("none", ((60.0, "drug"), (120.0, "none")), ("proliferation",), similarity=0.3)
CHANGING = ((0.03, 60.0), (0.012, 120.0), (0.03, 180.0))


@pytest.mark.parametrize("method", METHODS)
def test_a_new_drugs_response_is_learnt_and_the_old_one_kept(method: Method) -> None:
    """On the day of return the rate is the old one at once; without memory it is unsure and far from it."""
    events = tuple(one for one in _grown(CHANGING) if one.acquired <= 120.0)
    truth = {"none": _theta(0.03), "drug": _theta(0.012)}
    returned = {}
    for memory in (True, False):
        setup = _setup(method, regimes=replace(REGIMES, memory=memory))
        record = assimilate(setup, begin_record(setup, "sub-01"), events, 121.0)
        mean, covariance = record.checkpoints[-1].belief.moments()
        assert abs(mean[RATE] - truth["drug"]) < 3.0 * np.sqrt(covariance[RATE, RATE])
        after = present(setup, record).moments()
        returned[memory] = (after[0][RATE], np.sqrt(after[1][RATE, RATE]))
    assert abs(returned[True][0] - truth["none"]) < 3.0 * returned[True][1]
    assert returned[True][1] < 0.25
    assert returned[False][1] > 0.8


def test_without_regimes_the_new_response_is_not_learnt() -> None:
    """One rate for both: ten days into the drug its mean is still the old one."""
    events = tuple(one for one in _grown(CHANGING) if one.acquired <= 120.0)
    truth = _theta(0.012)
    setup = _setup("unscented")
    mean, covariance = assimilate(setup, begin_record(setup, "s"), events, 121.0).checkpoints[-1].belief.moments()
    assert abs(mean[RATE] - truth) > 5.0 * np.sqrt(covariance[RATE, RATE])


@pytest.mark.parametrize("method", METHODS)
def test_a_switch_inflates_by_its_similarity(method: Method) -> None:
    """Before any look the variance of a new regime is rho^2 P + 1 - rho^2, whatever was learnt before."""
    setup = _setup(method, regimes=REGIMES)
    events = tuple(one for one in _grown(CHANGING) if one.acquired <= 50.0)
    record = assimilate(setup, begin_record(setup, "sub-01"), events, 50.0)
    before, after = present(setup, record, 60.0).moments()[1], present(setup, record, 60.5).moments()[1]
    expected = 0.3**2 * before[RATE, RATE] + 1.0 - 0.3**2
    tolerance = 1e-8 if method in {"extended", "unscented"} else 4.0 * np.sqrt(2.0 / 1000)
    assert after[RATE, RATE] == pytest.approx(expected, rel=tolerance)
    assert present(setup, record, 60.5).memory == ("none",)
    assert present(setup, record, 121.0).memory == ("drug",)


def test_a_switch_that_is_planned_later_runs_again_from_its_day() -> None:
    """Checkpoints before the switch stay."""
    events = _grown(CHANGING)
    setup = _setup("unscented", regimes=replace(REGIMES, switches=REGIMES.switches[:1]))
    record = assimilate(setup, begin_record(setup, "sub-01"), events, 180.0)
    later = replace(setup, regimes=REGIMES)
    again = assimilate(later, record, (), 180.0)
    same = [one is other for one, other in zip(record.checkpoints, again.checkpoints, strict=True)]
    assert same == [day <= 120.0 for day in WEEKLY]
    assert not again.warnings


@pytest.mark.parametrize("method", METHODS)
def test_smoothing_goes_back_through_switches(method: Method) -> None:
    """What the drug taught is known of the days before it as well, and each day keeps its own memories."""
    setup = _setup(method, regimes=REGIMES)
    record = assimilate(setup, begin_record(setup, "sub-01"), _grown(CHANGING), 180.0)
    found = smooth(setup, record)
    for checkpoint, smoothed in zip(record.checkpoints, found, strict=True):
        assert smoothed.memory == checkpoint.belief.memory
        assert smoothed.moments()[1][RATE, RATE] < 1.05 * checkpoint.belief.moments()[1][RATE, RATE]
    in_drug = found[WEEKLY.index(70.0)].moments()
    assert abs(in_drug[0][RATE] - _theta(0.012)) < 3.0 * np.sqrt(in_drug[1][RATE, RATE])


@pytest.mark.parametrize("method", ["extended", "unscented", "sequential"])
def test_drift_and_regimes_are_calibrated(method: Method) -> None:
    """Normalised innovations of patients that drift and switch have variance one."""
    regimes = Regimes("none", ((40.0, "drug"), (80.0, "none")), ("proliferation",), 0.5)
    setup = _setup(method, drifts=DRIFT, regimes=regimes, filter=FilterSettings(method, 200, seed=2))
    plan = StreamPlan("volume", tuple(float(day) for day in range(0, 121, 15)), 0.1)
    white = []
    for number in range(25):
        events = patient_of(setup, (plan,), number).events
        record = assimilate(setup, begin_record(setup, "sub-01"), events, 120.0)
        white += [float(one.normalised[0]) for one in record.innovations]
    # Chi-square of 225 degrees of freedom has a spread of 0.094.
    assert 0.65 < np.mean(np.square(white)) < 1.4
