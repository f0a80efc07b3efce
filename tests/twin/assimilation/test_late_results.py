"""Late and replaced results: what is known today does not depend on the order in which it became known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds.scalar_tumour import Doses, LogVolume, Marker, ScalarTumour

from palpate.twin.assimilation.assimilate import assimilate, present, present_draws
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.record_file import load_record, save_record
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method
from palpate.twin.state_space.event import Event
from tests.twin.assimilation.linear_model import events_of, linear_setup

METHODS: tuple[Method, ...] = ("extended", "unscented", "ensemble", "sequential", "refitted")
DOSES: Doses = ((12.0, 20.0), (30.0, 20.0))
TODAY = 60.0


def scalar_setup(method: Method, members: int = 200) -> AssimilationSetup[Doses]:
    lines = tuple((day, f"{dose} Gy") for day, dose in DOSES)
    return AssimilationSetup(
        ScalarTumour(), (LogVolume(), Marker()), DOSES, lines, FilterSettings(method, members, seed=3)
    )


def volume(day: float, value: float, available: float | None = None, stream: str = "volume") -> Event:
    error = 0.15 if stream == "volume" else 0.1
    return Event(day, day if available is None else available, stream, np.array([value]), np.array([[error**2]]))


VISITS = (
    volume(0.0, 1.7),
    volume(10.0, 1.9),
    volume(10.0, 0.55, stream="marker"),
    volume(25.0, 1.6),
    volume(40.0, 1.3, available=50.0),
    volume(55.0, 1.5),
)


def _same(one: LifelongRecord, other: LifelongRecord) -> None:
    """Equal to the last bit, which is more than 1e-8 and more than two standard errors."""
    assert [checkpoint.key for checkpoint in one.checkpoints] == [checkpoint.key for checkpoint in other.checkpoints]
    for a, b in zip(one.checkpoints, other.checkpoints, strict=True):
        for mine, its in zip(a.belief.moments(), b.belief.moments(), strict=True):
            assert np.array_equal(mine, its)
    for mine, its in zip(one.innovations, other.innovations, strict=True):
        assert np.array_equal(mine.normalised, its.normalised)


@pytest.mark.parametrize("method", METHODS)
def test_all_at_once_equals_one_by_one(method: Method, tmp_path: Path) -> None:
    """Results that come one by one, out of order and through the disk, give what all at once give."""
    setup, record = scalar_setup(method), begin_record(scalar_setup(method), "sub-01")
    for day, arrived in ((0.0, VISITS[:1]), (26.0, VISITS[3:4]), (30.0, VISITS[1:2]), (45.0, VISITS[4:5])):
        record = assimilate(setup, record, arrived, day)
        save_record(record, tmp_path / "record.h5")
        record = load_record(tmp_path / "record.h5")
    assert [one.code for one in record.warnings] == ["result-waiting"]
    record = assimilate(setup, record, (VISITS[5], VISITS[2]), TODAY)
    _same(record, assimilate(setup, begin_record(setup, "sub-01"), VISITS, TODAY))
    assert len(record.innovations) == len(VISITS)


@pytest.mark.parametrize("method", ["extended", "unscented"])
def test_late_insertion_in_a_linear_model(method: Method) -> None:
    """The first visit's result comes last of all."""
    events, _ = events_of(6)
    setup = linear_setup(method)
    record = assimilate(setup, begin_record(setup, "sub-01"), events[1:], 40.0)
    _same(assimilate(setup, record, events[:1], 41.0), assimilate(setup, begin_record(setup, "s"), events, 41.0))


@pytest.mark.parametrize("method", METHODS)
def test_a_replaced_result(method: Method, tmp_path: Path) -> None:
    """The corrected value acts as if the first one had never been; both stay in the record, and it is said."""
    setup, wrong = scalar_setup(method), volume(25.0, 3.1, available=26.0)
    right = replace(VISITS[3], available=58.0)
    others = (*VISITS[:3], *VISITS[4:])
    record = assimilate(setup, begin_record(setup, "sub-01"), (*others, wrong), 57.0)
    save_record(record, tmp_path / "record.h5")
    record = assimilate(setup, load_record(tmp_path / "record.h5"), (right,), TODAY)
    assert [one.code for one in record.warnings] == ["result-replaced"]
    assert len(record.events) == len(VISITS) + 1
    _same(record, assimilate(setup, begin_record(setup, "sub-01"), VISITS, TODAY))


def test_only_what_is_after_a_late_result_runs_again() -> None:
    """Earlier checkpoints are the very same objects; so are all of them where nothing new came."""
    setup = scalar_setup("sequential")
    record = assimilate(setup, begin_record(setup, "sub-01"), (*VISITS[:2], *VISITS[3:]), 57.0)
    again = assimilate(setup, record, VISITS, 57.0)
    same = [one is other for one, other in zip(record.checkpoints, again.checkpoints, strict=True)]
    assert same == [True, False, False, False, False]
    third = assimilate(setup, again, VISITS, TODAY)
    assert all(one is other for one, other in zip(again.checkpoints, third.checkpoints, strict=True))


def test_a_treatment_that_changes_runs_again_from_its_day() -> None:
    """A dose added on day 30 changes what was known from then on, not before."""
    setup = scalar_setup("unscented")
    record = assimilate(setup, begin_record(setup, "sub-01"), VISITS, TODAY)
    more = replace(setup, treatment=(*DOSES, (32.0, 10.0)), treatment_lines=(*setup.treatment_lines, (32.0, "10 Gy")))
    again = assimilate(more, record, (), TODAY)
    same = [one is other for one, other in zip(record.checkpoints, again.checkpoints, strict=True)]
    assert same == [True, True, True, False, False]
    _same(again, assimilate(more, begin_record(more, "sub-01"), VISITS, TODAY))


def test_other_settings_run_all_again() -> None:
    """A belief of 200 members is not continued with 300; the measurements are all that is taken over."""
    record = assimilate(scalar_setup("ensemble"), begin_record(scalar_setup("ensemble"), "sub-01"), VISITS, TODAY)
    other = scalar_setup("ensemble", 300)
    again = assimilate(other, record, (), TODAY)
    assert [one.code for one in again.warnings] == ["record-run-again"]
    _same(again, assimilate(other, begin_record(other, "sub-01"), VISITS, TODAY))


@pytest.mark.parametrize("method", METHODS)
def test_the_present_goes_on_from_the_last_visit(method: Method) -> None:
    """On the visit's day it is the checkpoint's belief; five days on it is wider, and draws have its moments."""
    setup = scalar_setup(method, 2000 if method in {"ensemble", "sequential", "refitted"} else 4)
    record = assimilate(setup, begin_record(setup, "sub-01"), VISITS, TODAY)
    at = present(setup, record, 55.0)
    assert np.array_equal(at.moments()[1], record.checkpoints[-1].belief.moments()[1])
    later = present(setup, record)
    assert later.moments()[1][0, 0] > at.moments()[1][0, 0]
    x, theta = present_draws(setup, record, 2000)
    assert x.shape == (2000, 1)
    assert theta.shape == (2000, 3)
    mean, covariance = later.moments()
    assert np.abs((x.mean() - mean[0]) / np.sqrt(covariance[0, 0])) < 4 * np.sqrt(2 / 2000)
