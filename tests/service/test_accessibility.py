"""Pages for eyes of every kind: contrast in the light and the dark scheme, and axe-core where it is at hand."""

from __future__ import annotations

import datetime
import json
import os
import re
from importlib.resources import files
from pathlib import Path

import pytest

from palpate.config.report import ReportSettings
from palpate.config.study import read_study
from palpate.service.forecast_report.page import render as render_forecast
from palpate.service.forecast_report.twin_results import read_twin_results
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from palpate.service.study.page import render_study
from palpate.service.study.progress import study_progress
from tests.service.browser import PAGE_READY, VIEWER_READY, needs_browser, running_browser
from tests.service.conftest import SessionFiles
from tests.service.study_files import mixed_study
from tests.service.twin_files import write_twin

# npm pack axe-core; the file is package/axe.min.js in it (MPL-2.0, so that it is not shipped).
AXE = os.environ.get("PALPATE_AXE", "")
RUN = "axe.run(document).then((found) => JSON.stringify(found.violations.map((one) => [one.id, one.nodes[0].html])))"
PAIRS = [
    (ink, paper)
    for ink, papers in (
        ("ink", ("paper", "wash", "field")),
        ("quiet", ("paper", "wash")),
        ("accent", ("paper", "wash")),
        ("warm-ink", ("warm-wash",)),
    )
    for paper in papers
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: int) -> None:
    """4.5 to 1, as WCAG 2 asks of small text (level AA)."""
    style = files("palpate.service.report.assets").joinpath("page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", re.findall(r":root \{([^}]*)\}", style)[scheme]))
    for ink, paper in PAIRS:
        dark, light = sorted(_luminance(colours[name]) for name in (ink, paper))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    shares = (int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5))
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@needs_browser
@pytest.mark.long
@pytest.mark.skipif(not AXE, reason="PALPATE_AXE does not name axe.min.js of axe-core")
def test_axe_finds_nothing(finished_session: SessionFiles, tmp_path: Path) -> None:
    """Labels, landmarks, names, order of headings and contrast, with everything unfolded, in both schemes."""
    twin = write_twin(tmp_path / "twin")
    results = read_twin_results(twin.calibration, twin.forecast, twin.anatomy, datetime.date(2025, 1, 6))
    pages = {
        "report": render(read_session(finished_session.folder, finished_session.truth), ReportSettings()),
        "outlook": render_forecast(results),
    }
    study = mixed_study(tmp_path / "study", 40)
    progress = study_progress(study.results, read_study(study.table))
    pages["progress"] = render_study(progress, study.results, tmp_path / "progress.html")
    with running_browser(tmp_path / "profile") as browser:
        browser.size(1440, 900)
        for name, text in pages.items():
            path = tmp_path / f"{name}.html"
            # axe must be let in; the page itself runs nothing but its own scripts.
            path.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8")
            browser.open(path, PAGE_READY if name == "progress" else VIEWER_READY)
            browser.evaluate(f"{Path(AXE).read_text(encoding='utf-8')};0")
            browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            for scheme in ("light", "dark"):
                browser.scheme(scheme)
                assert json.loads(browser.evaluate(RUN)) == []
