"""Pages on paper: the first A4 sheet holds the answer, the picture and nothing of the next section."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from palpate.config.report import ReportSettings
from palpate.service.forecast_report.page import render as render_forecast
from palpate.service.forecast_report.twin_results import read_twin_results
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from tests.service.browser import needs_browser, running_browser
from tests.service.conftest import SessionFiles, write_session
from tests.service.twin_files import write_twin

pytestmark = needs_browser

# A4 without its margins of 14 mm, CSS pixels of 1/96 inch.
WIDTH_PX, HEIGHT_PX = 182.0 / 25.4 * 96.0, 269.0 / 25.4 * 96.0
ENDS = (
    "['.headline', '.reading', '.still img', '.first'].map((one) => {"
    " const box = document.querySelector(one).getBoundingClientRect();"
    " return [one, box.height, box.bottom + scrollY]; })"
)


def _warned(folder: Path) -> SessionFiles:
    """A session with as many warnings as a page shows unfolded, and more."""
    files = write_session(folder / "results" / "sub-01" / "ses-01", folder / "truth", spread_factor=0.3)
    _add_warnings(files.mre / "sub-01_ses-01_inversion.json")
    return files


def _add_warnings(path: Path) -> None:
    told = [{"code": f"code-{one}", "sentence": "What is wrong. " * 12, "advice": "What to do."} for one in range(5)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"warnings": told}))


@pytest.mark.parametrize(
    "which",
    [
        "report with warnings",
        "outlook with warnings",
        pytest.param("report", marks=pytest.mark.long),
        pytest.param("outlook", marks=pytest.mark.long),
    ],
)
def test_the_first_sheet_holds_the_answer(finished_session: SessionFiles, tmp_path: Path, which: str) -> None:
    """Paper goes into the file of the patient: the answer must not be cut, nor begin on the second sheet."""
    if which.startswith("outlook"):
        twin = write_twin(tmp_path / "twin")
        if which != "outlook":
            _add_warnings(twin.forecast / "forecast.json")
        results = read_twin_results(twin.calibration, twin.forecast, twin.anatomy, datetime.date(2025, 1, 6))
        text = render_forecast(results)
    else:
        files = finished_session if which == "report" else _warned(tmp_path)
        text = render(read_session(files.folder), ReportSettings())
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf-8")
    with running_browser(tmp_path / "profile") as browser:
        browser.size(round(WIDTH_PX), round(HEIGHT_PX))
        browser.open(page)
        browser.print_media()
        for part, height, bottom in browser.evaluate(ENDS):
            assert height > 0.0, f"{part} is not printed"
            assert bottom <= HEIGHT_PX, f"{part} ends {bottom - HEIGHT_PX:.0f} px below the first sheet"
        assert browser.evaluate("document.querySelector('.viewer').getBoundingClientRect().height") == 0.0
        assert browser.evaluate("getComputedStyle(document.querySelector('.first')).breakAfter") == "page"
