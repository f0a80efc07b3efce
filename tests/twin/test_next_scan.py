"""The value of a further scan: exact where all is normal, nothing from noise, and all of it from an exact look."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palpate.service.forecast_report.page import render
from palpate.service.forecast_report.twin_results import read_twin_results
from palpate.twin.forecast.next_scan import AFTER_DAYS, FEWEST, next_scans, variance_removed
from palpate.twin.products.volume_curve import forecast_with_curve
from tests.service.twin_files import write_twin
from tests.twin.drawn import drawn


def test_normal_numbers_have_the_kalman_filters_variance() -> None:
    """For linear and normal models the expected variance is the posterior's, whatever is seen."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal(200_000)
    seen, error = np.stack([x, x], axis=1), np.diag([0.5**2, 0.8**2])
    precision = 1.0 + 1.0 / 0.5**2 + 1.0 / 0.8**2
    assert variance_removed(x, seen, error) == pytest.approx(1.0 - 1.0 / precision, abs=3e-3)


def test_noise_tells_nothing() -> None:
    """A few draws fit any number by chance; the adjustment takes the mean of that away."""
    rng = np.random.default_rng(8)
    removed = [
        variance_removed(rng.standard_normal(60), rng.standard_normal((60, 2)), 0.01 * np.eye(2)) for _ in range(300)
    ]
    assert np.mean(removed) < 0.015  # 0.034 without the adjustment; what is left is from the bound at zero


def test_larger_errors_tell_less() -> None:
    """Monotone in the error, from everything to nothing."""
    x = np.random.default_rng(9).standard_normal(400)
    removed = [variance_removed(x, x[:, None], np.array([[e**2]])) for e in (1e-6, 0.3, 1.0, 100.0)]
    assert removed[0] == pytest.approx(1.0)
    assert removed == sorted(removed, reverse=True)
    assert removed[-1] < 0.01


def test_scans_are_before_the_forecast_and_need_draws() -> None:
    """A scan on the forecast's own day is no forecast, and two draws have no variance to split."""
    rng = np.random.default_rng(10)
    first = rng.lognormal(2.0, 0.2, FEWEST)
    of_day = {day: {"visible_ml": first * 1.01**day, "enhancing_ml": 0.5 * first} for day in (80.0, 94.0, 108.0, 136.0)}
    found = next_scans(of_day, 80.0, 0.5)
    assert [one.day for one in found] == [94.0, 108.0]
    assert {one.target_day for one in found} == {136.0}
    few = {day: {name: values[:5] for name, values in of.items()} for day, of in of_day.items()}
    assert next_scans(few, 80.0, 0.5) == ()


def test_a_forecast_states_it_without_further_runs() -> None:
    """The draws' own daily volumes are enough; a later scan is nearer to the day that is forecast."""
    calibration = drawn(24)
    last = calibration.history.scans[-1].day
    found = forecast_with_curve(calibration, [last + 40.0])
    told = found.next_scans
    assert [one.day for one in told] == [last + after for after in AFTER_DAYS if after < 40.0]
    assert all(0.0 <= one.variance_removed <= 1.0 for one in told)
    assert {one.day for one in told} <= {row["day"] for row in found.rows}


def test_page_says_it(tmp_path: Path) -> None:
    """What the next scan would tell, in a sentence with its condition."""
    twin = write_twin(tmp_path)
    path = twin.forecast / "forecast.json"
    told = json.loads(path.read_text()) | {"next_scan": [{"day": 94.0, "target_day": 140.0, "variance_removed": 0.314}]}
    path.write_text(json.dumps(told))
    page = render(read_twin_results(twin.calibration, twin.forecast, None, None))
    assert "31 % on day 94" in page
    assert "if the model" in page
