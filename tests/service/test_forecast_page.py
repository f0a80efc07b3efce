"""The forecast page: the model's own daily course, every point told, and the maps' own numbers at the cross-hair."""

from __future__ import annotations

import datetime
import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.service.forecast_report.figures import described
from palpate.service.forecast_report.innovations import innovation_strip
from palpate.service.forecast_report.page import render
from palpate.service.forecast_report.past_points import explained_points
from palpate.service.forecast_report.twin_results import read_twin_results
from tests.service.browser import Browser, needs_browser, running_browser
from tests.service.test_cross_hair import OUTSIDE, STATUS, TELL
from tests.service.twin_files import SHAPE, TwinFiles, write_twin


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> TwinFiles:
    return write_twin(tmp_path_factory.mktemp("twin"))


@pytest.fixture(scope="module")
def page(twin: TwinFiles) -> str:
    results = read_twin_results(twin.calibration, twin.forecast, twin.anatomy, datetime.date(2025, 1, 6))
    return html.unescape(render(results))


def test_a_curve_follows_the_model_between_scans(twin: TwinFiles) -> None:
    """A line from scan to scan stated 18.6 mL through radiotherapy where the model had 10.4."""
    results = read_twin_results(twin.calibration, twin.forecast)
    assert "least of the past, day 64: 10.4 (9.57 to 11.2)" in described(results, "burden_ml")
    # A folder of an earlier version knows the scans' days alone: it must not be drawn as a line.
    before = replace(results, forecast={k: v for k, v in results.forecast.items() if k != "curve"}, past=())
    assert "Run palpate forecast again for the days between" in render(before)


def test_numbers_dates_and_words_are_on_the_page(page: str) -> None:
    """Who cannot see a curve gets its numbers; who plans gets dates."""
    assert "On day 140 (26 May 2025) the visible tumour is forecast to be 80 mL" in page
    alternatives = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert sum("forecast, day 110: " in one for one in alternatives) == 3
    assert "isotropic" not in page
    assert "not a medical device" in page
    assert not re.search(r"(src|href)=.?https?:", page)


def test_every_point_outside_its_band_is_explained(twin: TwinFiles) -> None:
    """A reader who sees a scan beside the band must learn whether the forecast is to be doubted."""
    told = explained_points(read_twin_results(twin.calibration, twin.forecast))
    assert [one.partition(":")[0] for one in told] == [
        "Day 0, enhancing volume",
        "Day 21, all visible volume",
        "Day 80, burden (integral of density)",
    ]
    assert "1.17 mm off" in told[0]
    assert "the model misses this scan" in told[1]
    assert "the model all cells" in told[2]


def test_a_scan_that_is_not_as_predicted_is_said_first(twin: TwinFiles, page: str) -> None:
    """Whoever reads the forecast must see whether the scans before it came as the model said."""
    results = read_twin_results(twin.calibration, twin.forecast, first_date=datetime.date(2025, 1, 6))
    strip = innovation_strip(results)
    assert re.search(r"day 21 .*as expected, day 80 .*wrong\.$", strip)
    assert strip in page
    assert page.index(strip) < page.index("2.90 (0.0700)")
    plain = {key: value for key, value in results.calibration.items() if key != "innovations"}
    assert innovation_strip(replace(results, calibration=plain)) == ""


def test_an_anatomy_of_another_place_is_refused(twin: TwinFiles, tmp_path: Path) -> None:
    """The T1 of another person or session would put the tumour beside the head."""
    image = nib.load(twin.anatomy)
    affine = image.affine.copy()
    affine[0, 3] += 300.0
    nib.save(nib.Nifti1Image(image.get_fdata().astype(np.float32), affine), tmp_path / "T1w.nii.gz")
    with pytest.raises(InputError, match="does not hold the tumour"):
        read_twin_results(twin.calibration, twin.forecast, tmp_path / "T1w.nii.gz")


@pytest.fixture(scope="module")
def shown(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    home = tmp_path_factory.mktemp("forecast-page")
    path = home / "outlook.html"
    path.write_text(page, encoding="utf-8")
    with running_browser(home / "profile") as browser:
        browser.size(1440, 900)
        browser.open(path)
        yield browser


def _expected(folder: Path, day: float, point_mm: NDArray[np.float64], forecast: Path) -> str:
    def value(path: Path) -> float:
        image = nib.load(path)
        index = np.floor(np.linalg.inv(image.affine) @ np.append(point_mm, 1.0) + 0.5)[:3].astype(int)
        inside = np.all((index >= 0) & (index < image.shape))
        return float(image.get_fdata()[tuple(index)]) if inside else np.nan

    stem = f"sub-02_day-{day:g}"
    mean, lower, upper = (value(folder / f"{stem}_stat-{one}_density.nii.gz") for one in ("mean", "lower", "upper"))
    if not np.isfinite(mean):
        return OUTSIDE
    visible, enhancing = (value(folder / f"{stem}_desc-{one}_probability.nii.gz") for one in ("visible", "enhancing"))
    dose = value(forecast / "sub-02_dose.nii.gz")
    return (
        f"At the cross-hair: density {mean:.2f} ({lower:.2f} to {upper:.2f}), P(visible) {visible:.2f}, "
        f"P(enhancing) {enhancing:.2f}, dose {dose:.2f} Gy; mean (95 % interval)"
    )


@needs_browser
@pytest.mark.parametrize("count", [10, pytest.param(300, marks=pytest.mark.long)])
def test_positions_on_a_scans_and_a_forecast_day(shown: Browser, twin: TwinFiles, count: int) -> None:
    """Inside the file's own voxel to two decimals, outside "outside the map", on both kinds of days."""
    affine = nib.load(twin.calibration / "sub-02_white.nii.gz").affine
    rng = np.random.default_rng(count)
    for frame, folder, day in ((1, twin.forecast / "past", 21.0), (4, twin.forecast, 140.0)):
        shown.evaluate(
            f"(() => {{ const slider = document.getElementById('viewer-run'); slider.value = {frame};"
            " slider.dispatchEvent(new Event('input')); })()"
        )
        shown.wait_for(f"{STATUS}.startsWith('At the cross-hair')")
        places = rng.uniform(-2.0, np.array(SHAPE) + 1.0, (count // 2, 3))
        points_mm = places @ affine[:3, :3].T + affine[:3, 3]
        expected = [_expected(folder, day, point, twin.forecast) for point in points_mm]
        assert {OUTSIDE} < set(expected)
        assert shown.evaluate(f"{TELL}({json.dumps(points_mm.tolist())})") == expected
