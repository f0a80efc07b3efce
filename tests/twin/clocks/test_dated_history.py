"""Which shifts a tumour's history allows, and what it is under one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.imaging.tumour.history import DrugDose, Surgery
from palpate.twin.clocks.dated_history import clocks, shifted, shifted_treatments
from palpate.twin.clocks.shift import TREATMENTS, Shift
from tests.twin.small import SHAPE, history


def test_streams_are_kinds_of_treatment_and_scans() -> None:
    """Every kind of date that somebody may have mistyped, and all treatments together, as one table would be wrong."""
    found = {one.stream: one for one in clocks(history())}
    scans = ("scan of day 0", "scan of day 25", "scan of day 70")
    assert tuple(found) == (TREATMENTS, "radiotherapy", "temozolomide", *scans)
    assert found["scan of day 0"].earliest == -24  # a scan keeps its place among scans, a day apart
    assert found["scan of day 25"].latest == 24


def test_one_scan_has_no_clock() -> None:
    """Nothing can be compared with it."""
    tumour = history()
    assert clocks(replace(tumour, scans=tumour.scans[:1])) == ()


def test_late_dates_took_place_earlier() -> None:
    """A shift of five days says that what is recorded for day 30 took place on day 25."""
    found = shifted(history(), Shift("radiotherapy", 5))
    assert [one.day for one in found.irradiations] == [25.0, 26.0]
    assert [one.day for one in found.drug_doses] == [32.0]
    assert [one.day for one in shifted(history(), Shift("scan of day 70", 5)).scans] == [0.0, 25.0, 65.0]


def test_planned_treatment_keeps_its_days() -> None:
    """A clock that was wrong in the past does not move what is still to come."""
    tumour = history()
    planned = replace(tumour, drug_doses=(*tumour.drug_doses, DrugDose(80.0, "temozolomide", 150.0)))
    found = shifted_treatments(planned, Shift(TREATMENTS, -14))
    assert [one.day for one in found.drug_doses] == [46.0, 80.0]


def test_treatment_before_the_first_scan_is_left_out() -> None:
    """The first scan shows its effect already."""
    tumour = history()
    early = replace(tumour, irradiations=tuple(replace(one, day=one.day - 25.0) for one in tumour.irradiations))
    assert len(shifted(early, Shift("radiotherapy", 6)).irradiations) == 1


@pytest.mark.parametrize("day", [20.0, 28.0])
def test_a_resection_does_not_pass_a_scan(day: float) -> None:
    """Its cavity is seen on every scan after it, and on none before."""
    tumour = replace(history(), surgeries=(Surgery(day, np.zeros(SHAPE, dtype=np.bool_)),))
    found = {one.stream: one for one in clocks(tumour)}
    assert (found["surgery"].earliest, found["surgery"].latest) == ((-4, 20) if day == 20.0 else (-28, 3))
    scan = found["scan of day 25"]
    assert (scan.earliest, scan.latest) == ((-28, 4) if day == 20.0 else (-3, 24))
