"""A schedule changes what lies ahead and nothing else, and says in one sentence what it cannot do."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Irradiation, TumourHistory
from palpate.twin.scenario.schedule import read_schedule
from tests.twin.small import SHAPE, history


def planned() -> TumourHistory:
    """The small tumour with two fractions and a dose of a drug ahead of its last scan on day 70."""
    own = history()
    dose = np.full(SHAPE, 2.0)
    return dataclasses.replace(
        own,
        irradiations=(*own.irradiations, Irradiation(77.0, dose), Irradiation(78.0, dose)),
        drug_doses=(*own.drug_doses, DrugDose(80.0, "temozolomide", 150.0)),
    )


def applied(folder: Path, text: str, first: datetime.date | None = None) -> TumourHistory:
    """The history under a schedule."""
    path = folder / "schedule.yaml"
    path.write_text(f"name: other\n{text}")
    return read_schedule(path, first).applied(planned())


def days(one: TumourHistory) -> tuple[list[float], list[float]]:
    """Days of fractions and of doses of drugs."""
    return [event.day for event in one.irradiations], [event.day for event in one.drug_doses]


def test_an_empty_schedule_changes_nothing(tmp_path: Path) -> None:
    """do() of what is planned is what is planned."""
    assert days(applied(tmp_path, "")) == days(planned())


def test_dropping_everything_keeps_the_past(tmp_path: Path) -> None:
    """What was given is part of the patient: only what lies ahead is left out."""
    assert days(applied(tmp_path, "drop: all_planned")) == ([30.0, 31.0], [32.0])


def test_dates_and_days_say_the_same(tmp_path: Path) -> None:
    """A schedule in dates, with the date of the first scan, is the one in days."""
    by_day = applied(tmp_path, "drop: [77]\nmove: [{from: 80, to: 85}]\nscale: [{date: 78, factor: 0.5}]")
    text = "drop: [2025-03-24]\nmove: [{from: 2025-03-27, to: 2025-04-01}]\nscale: [{date: 2025-03-25, factor: 0.5}]"
    by_date = applied(tmp_path, text, datetime.date(2025, 1, 6))
    assert days(by_day) == days(by_date) == ([30.0, 31.0, 78.0], [32.0, 85.0])
    assert by_day.irradiations[-1].dose_gy.max() == by_date.irradiations[-1].dose_gy.max() == 1.0


def test_an_added_treatment_may_follow_a_plan(tmp_path: Path) -> None:
    """The schedule stands in difference.json as it is given: with the plan that it follows."""
    text = "add: [{date: 77, kind: radiotherapy, dose_gy: 3, recommended_by: first-0a1b2c3d}]"
    assert days(applied(tmp_path, text))[0] == [30.0, 31.0, 77.0, 77.0, 78.0]
    own = read_schedule(tmp_path / "schedule.yaml")
    assert [row.plan_id for row in own.rows(datetime.date(2001, 1, 1))] == ["first-0a1b2c3d"]


def test_treatments_are_added_with_the_columns_of_their_table(tmp_path: Path) -> None:
    """A course of weekdays, a drug and an operation on what the last scan shows."""
    text = (
        "add:\n"
        "  - {date: 2025-04-07, kind: radiotherapy, dose_gy: 1.8, fractions: 6, days_a_week: 5}\n"
        "  - {date: 2025-04-08, kind: chemotherapy, drug: temozolomide, amount_mg: 120}\n"
        "  - {date: 2025-04-20, kind: surgery, roi: 1}\n"
    )
    found = applied(tmp_path, text, datetime.date(2025, 1, 6))
    assert days(found)[0][4:] == [91.0, 92.0, 93.0, 94.0, 95.0, 98.0]
    assert found.irradiations[-1].dose_gy[planned().tissue].max() == pytest.approx(1.8)
    assert found.drug_doses[-1] == DrugDose(92.0, "temozolomide", 120.0)
    assert np.array_equal(found.surgeries[0].removed, planned().scans[-1].roi == 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("drop: [60]", "a day with planned treatment: 77, 78, 80"),
        ("drop: [30]", "given before the last scan"),
        ("move: [{from: 77, to: 40}]", "before the last scan on day 70"),
        ("add: [{date: 20, kind: chemotherapy, drug: temozolomide, amount_mg: 100}]", "before the last scan"),
        ("drop: [2025-03-24]", "a calibration holds no dates"),
        ("add: [{date: 80, kind: radiotherapy, dose_gy: 60}]", "no single fraction has"),
        ("add: [{date: 80, kind: radiotherapy, dose: 2}]", "dose"),
        ("add: [{kind: surgery, roi: 1}]", "no date"),
        ("scale: [{date: 77, factor: -1}]", "factor"),
        ("dropp: [77]", "dropp"),
        ("add: [{date: 80, kind: surgery, roi: 4}]", "no voxel of roi 4"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A schedule that is silently something else would be a wrong answer to a serious question."""
    with pytest.raises(InputError, match=sentence) as refused:
        applied(tmp_path, text)
    assert "schedule.yaml" in str(refused.value)


def test_an_operation_has_no_dose_to_scale(tmp_path: Path) -> None:
    """Half an operation means nothing."""
    with pytest.raises(InputError, match="an operation on day 90"):
        path = tmp_path / "schedule.yaml"
        path.write_text("name: other\nscale: [{date: 90, factor: 0.5}]")
        own = planned()
        removed = own.scans[-1].roi == 1
        from palpate.imaging.tumour.history import Surgery

        read_schedule(path).applied(dataclasses.replace(own, surgeries=(Surgery(90.0, removed),)))


@pytest.mark.parametrize("name", ["../up", "", "a b", "x" * 41])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """The name becomes a folder and a cell of a table."""
    path = tmp_path / "schedule.yaml"
    path.write_text(f"name: '{name}'\n")
    with pytest.raises(InputError, match="name"):
        read_schedule(path)
