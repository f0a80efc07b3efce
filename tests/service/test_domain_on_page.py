"""The forecast page states where the patient lies beside what was tried, and which priors their biology shifted."""

from __future__ import annotations

import json
from pathlib import Path

from palpate.service.forecast_report.page import render
from palpate.service.forecast_report.twin_results import read_twin_results
from tests.service.twin_files import write_twin

OUTSIDE = "outside-validated-domain"


def changed(path: Path, **entries: object) -> None:
    """Put entries into a record."""
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def warning(cause: str) -> list[dict[str, str]]:
    """The list of warnings of a record with one cause."""
    return [{"code": OUTSIDE, "sentence": f"Never tried: {cause}.", "advice": "Test it."}]


def test_page_states_domain_biology_and_one_warning(tmp_path: Path) -> None:
    """Calibration and forecast warn of one thing, and the forecast's warning knows the horizon too."""
    twin = write_twin(tmp_path)
    shift = {"sentence": "MGMT methylated: the prior median of the kill by temozolomide is multiplied by 1.39."}
    changed(twin.calibration / "calibration.json", warnings=warning("surgery"), prior_shifts=[shift])
    domain = {"sentence": "Outside what the twin was tried on: surgery (not tried); no record states age."}
    changed(twin.forecast / "forecast.json", warnings=warning("surgery, 400 days"), domain=domain)
    page = render(read_twin_results(twin.calibration, twin.forecast, None, None))
    assert page.count("Never tried:") == 1
    assert "Never tried: surgery, 400 days. Test it." in page
    assert domain["sentence"] in page
    assert "multiplied by 1.39" in page


def test_older_records_have_a_page_without_it(tmp_path: Path) -> None:
    """A page of last year's forecast is made from what there is."""
    twin = write_twin(tmp_path)
    page = render(read_twin_results(twin.calibration, twin.forecast, None, None))
    assert 'id="domain"' not in page
