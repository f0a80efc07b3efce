"""Simulation-based calibration: over patients drawn from the prior, the truth is any draw of its posterior."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from worlds.patients_of_model import StreamPlan, patient_of
from worlds.scalar_tumour import Doses, LogVolume, Marker, ScalarTumour

from palpate.twin.assimilation.assimilate import assimilate, present_draws
from palpate.twin.assimilation.record import begin_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method
from tests.laws.chance import assert_uniform
from tests.twin.assimilation.linear_model import events_of, linear_setup

type Values = NDArray[np.float64]

DRAWS, BINS = 99, 10
DOSES: Doses = tuple((20.0 + day, 2.0) for day in range(15))
PLANS = (StreamPlan("volume", (0.0, 18.0, 40.0, 55.0), 0.15), StreamPlan("marker", (10.0, 30.0, 50.0), 0.1))


def _linear(method: Method, members: int) -> Callable[[int], Values]:
    def patient(seed: int) -> Values:
        setup = linear_setup(method, members, seed)
        events, truth = events_of(1000 + seed)
        record = assimilate(setup, begin_record(setup, "sub-01"), events, 34.0)
        draws = np.concatenate(present_draws(setup, record, DRAWS, 33.0), axis=1)
        return np.asarray((draws < truth).sum(axis=0))

    return patient


def _scalar(method: Method, members: int) -> Callable[[int], Values]:
    def patient(seed: int) -> Values:
        lines = tuple((day, f"{dose} Gy") for day, dose in DOSES)
        settings = FilterSettings(method, members, seed)
        setup = AssimilationSetup(ScalarTumour(), (LogVolume(), Marker()), DOSES, lines, settings)
        simulated = patient_of(setup, PLANS, seed)
        record = assimilate(setup, begin_record(setup, "sub-01"), simulated.events, 55.0)
        draws = np.concatenate(present_draws(setup, record, DRAWS, 55.0), axis=1)
        return np.asarray((draws < np.concatenate([simulated.x, simulated.theta])).sum(axis=0))

    return patient


def _calibrated(patient: Callable[[int], Values], patients: int) -> None:
    ranks = np.stack([patient(seed) for seed in range(patients)])
    for quantity in ranks.T:
        assert_uniform(quantity.astype(np.int64), DRAWS, BINS)


LINEAR: tuple[tuple[Method, int], ...] = (("extended", 4), ("unscented", 4), ("ensemble", 400), ("sequential", 300))


@pytest.mark.parametrize(("method", "members"), LINEAR)
def test_short_on_the_linear_model(method: Method, members: int) -> None:
    """Sixty patients show a posterior that is twice too narrow or off by its own spread."""
    _calibrated(_linear(method, members), 60)


def test_short_on_the_scalar_tumour() -> None:
    """Sixty patients of a nonlinear model by sequential Monte Carlo."""
    _calibrated(_scalar("sequential", 300), 60)


def test_too_narrow_is_found() -> None:
    """The test above can fail: half of the true errors of measurement are seen in sixty patients."""

    def narrow(seed: int) -> Values:
        setup = linear_setup("unscented")
        events, truth = events_of(1000 + seed)
        halved = tuple(type(one)(one.acquired, one.available, one.stream, one.value, one.error / 9.0) for one in events)
        record = assimilate(setup, begin_record(setup, "sub-01"), halved, 34.0)
        draws = np.concatenate(present_draws(setup, record, DRAWS, 33.0), axis=1)
        return np.asarray((draws < truth).sum(axis=0))

    with pytest.raises(AssertionError, match="rank histogram"):
        _calibrated(narrow, 60)


@pytest.mark.long
@pytest.mark.parametrize(("method", "members"), [*LINEAR[:2], ("ensemble", 2000), ("sequential", 1000)])
def test_long_on_the_linear_model(method: Method, members: int) -> None:
    """Six hundred patients show five percent."""
    _calibrated(_linear(method, members), 600)


@pytest.mark.long
def test_long_on_the_scalar_tumour() -> None:
    """Six hundred patients of the nonlinear model."""
    _calibrated(_scalar("sequential", 1000), 600)
