"""A scan on which nothing is visible is data: it bounds the density, and the forecast and page follow from it."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palpate.imaging.tumour.history import CAVITY, Irradiation, TumourHistory, TumourScan
from palpate.imaging.tumour.record import Remarks
from palpate.quality_warning import QualityWarning
from palpate.service.forecast_report import write_forecast_report
from palpate.twin.calibration.calibrate import calibrate
from palpate.twin.calibration_file import load_calibration
from palpate.twin.observation.readings import readings
from palpate.twin.priors import ENHANCING_ABOVE, INFILTRATED_ABOVE
from palpate.twin.products.calibration_folder import calibrate_into, contradicted, fitted
from palpate.twin.products.forecast_folder import forecast_into
from tests.twin.small import SETTINGS, SHAPE, history

COURSE = {"fractions": 30.0, "total_gy": 60.0, "first_day": 30.0, "last_day": 59.0, "fraction_gy": 2.0}


def blank(scan: TumourScan) -> TumourScan:
    """The same date, on which no tumour is visible."""
    unknown = np.full(SHAPE, np.nan)
    return replace(scan, roi=np.zeros(SHAPE, np.uint8), cellularity=unknown, cellularity_std=unknown, drawn=True)


def responded() -> TumourHistory:
    """A tumour that 30 fractions after the second scan have made invisible in the third."""
    tumour = history()
    fractions = tuple(Irradiation(30.0 + day, np.full(SHAPE, 2.0)) for day in range(30))
    return replace(tumour, scans=(*tumour.scans[:2], blank(tumour.scans[2])), irradiations=fractions)


def test_nothing_visible_is_heard_where_the_tumour_was() -> None:
    """Shares of 0 of every kind that other dates show; a scan that nobody drew on, and a cavity, say nothing."""
    tumour = responded()
    first, _, last = readings(tumour, SETTINGS.block_mm)
    assert {one.kind for one in last} == {ENHANCING_ABOVE, INFILTRATED_ABOVE}
    assert all((one.values == 0.0).all() for one in last)
    there = {
        tuple(point) for one in first if one.kind == INFILTRATED_ABOVE for point in one.points_mm[one.values > 0.5]
    }
    assert there
    assert there <= {tuple(point) for one in last for point in one.points_mm}

    def of_last(scan: TumourScan) -> tuple[object, ...]:
        return readings(replace(tumour, scans=(*tumour.scans[:2], scan)), SETTINGS.block_mm)[2]

    assert of_last(replace(tumour.scans[2], drawn=False)) == ()
    assert of_last(replace(tumour.scans[2], roi=np.full(SHAPE, CAVITY, np.uint8))) == ()


@pytest.mark.long
def test_response_is_calibrated_forecast_and_shown(tmp_path: Path) -> None:
    """The whole way of a patient without visible tumour: past and forecast must hold 0 mL, and the page must open."""
    told_before = QualityWarning("lifetime-dose-high", "All courses together give up to 130.0 Gy.", "Check them.")
    remarks = Remarks(("a note",), (told_before,), (COURSE,))
    calibrate_into(responded(), SETTINGS, tmp_path / "calibration", remarks)
    told = json.loads((tmp_path / "calibration" / "calibration.json").read_text())
    assert told["observed"][2] == {"day": 70.0, "enhancing_ml": 0.0, "visible_ml": 0.0, "burden_ml": 0.0}
    assert told["observed"][1]["visible_ml"] > 1.0
    assert told["fitted"][2]["visible_ml"]["95"][0] == pytest.approx(0.0, abs=0.01)
    assert told["fitted"][2]["visible_ml"]["median"] < 0.1 * told["fitted"][1]["visible_ml"]["median"]
    assert told["fitted"][2]["burden_ml"]["median"] > 0.0
    twin = load_calibration(tmp_path / "calibration" / "calibration.h5")
    (row,) = forecast_into(twin, [30.0], tmp_path / "forecast")
    volume = row["visible_ml"]
    assert isinstance(volume, dict)
    # Day by day the model is the one of the scans' days, and of the day asked for; 30 fractions shrink it in between.
    said = json.loads((tmp_path / "forecast" / "forecast.json").read_text())["curve"]
    past, ahead = ({one["day"]: one["burden_ml"] for one in said[part]} for part in ("past", "forecast"))
    assert list(past) == [float(day) for day in range(71)]
    assert list(ahead) == [float(day) for day in range(70, 101)]
    for one in told["fitted"]:
        assert past[one["day"]]["median"] == pytest.approx(one["burden_ml"]["median"], rel=1e-3)
    assert ahead[100.0]["median"] == pytest.approx(row["burden_ml"]["median"], rel=1e-6)
    assert past[60.0]["median"] < 0.5 * past[30.0]["median"]
    assert len(list((tmp_path / "forecast" / "past").glob("*_stat-mean_density.nii.gz"))) == 3
    assert volume["95"][0] == pytest.approx(0.0, abs=0.01)
    write_forecast_report(tmp_path / "calibration", tmp_path / "forecast", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "On day 100 the visible tumour is forecast" in page
    # What was doubtful in reading the treatments reaches whoever reads the forecast.
    assert told["warnings"][0] == told_before.as_record()
    assert told["radiotherapy_courses"] == list(remarks.courses)
    assert str(told_before) in page
    assert "30 fractions, 60.0 Gy in all in the hottest voxel, day 30 to day 59" in page
    for warning in (*told["warnings"], *json.loads((tmp_path / "forecast" / "forecast.json").read_text())["warnings"]):
        assert page.count(html.escape(warning["sentence"])) == 1


def test_a_response_that_nothing_explains_is_doubted() -> None:
    """Without treatment a tumour does not vanish: a blank file is likelier, and the reader must hear of it."""
    tumour = history()
    scans = (*tumour.scans[:2], blank(tumour.scans[2]))
    row = {"visible_ml": {"95": [12.0, 20.0]}}
    (warning,) = contradicted(replace(tumour, scans=scans), [row, row, row])
    assert warning.code == "scan-contradicts-model"
    assert "day 70" in warning.sentence
    assert contradicted(tumour, [row, row, row]) == []


@pytest.mark.long
def test_a_tumour_may_come_after_the_first_scan() -> None:
    """Nothing at first, a tumour later: the density begins as a seed below it and grows to what is seen."""
    tumour = history()
    found = calibrate(replace(tumour, scans=(blank(tumour.scans[0]), *tumour.scans[1:])), SETTINGS)
    assert found.statistics.converged
    volumes = [row["visible_ml"]["median"] for row in fitted(found)]
    assert volumes[0] < 0.2 * volumes[1] < 0.2 * volumes[2]
