"""A finished folder is read whichever version wrote it: with old keys alone, new ones alone, or both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from palpate.config.report import ReportSettings
from palpate.imaging.stiffness_posterior import read_stiffness
from palpate.renamed import KEYS, with_old_keys
from palpate.service.forecast_score import score_forecast
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from tests.service.conftest import SessionFiles, SessionMaker

WARNING = {"code": "anatomy-moved", "sentence": "The anatomy was moved.", "advice": "Compare both."}


def _old_alone(kind: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """A JSON value without the new keys beside old ones, at whatever depth."""
    if isinstance(value, Mapping):
        new = {key.new for key in KEYS if key.record == kind and key.old in value}
        return {name: _old_alone(kind, inner) for name, inner in value.items() if name not in new}
    return [_old_alone(kind, one) for one in value] if isinstance(value, list) else value


FORMS: Mapping[str, Callable[[str, dict[str, Any]], Any]] = {
    "new": lambda _, content: content,
    "both": with_old_keys,
    "old": lambda kind, content: _old_alone(kind, with_old_keys(kind, content)),
}


def _rewrite(path: Path, kind: str, form: str, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(FORMS[form](kind, content)))
    os.utime(path, (0, 0))  # the page states when maps were made


def _rewritten(files: SessionFiles, form: str) -> SessionFiles:
    """A session whose records are in one of the forms."""

    def inverted(content: dict[str, Any]) -> None:
        content["slice_phase_errors"] = {"rms_deg": 0.5, "power_over_noise": 0.1}
        content["prior"] |= {"cross_correlation": 0.5, "region_scales": [], "mixture": [{"cross_correlation": 0.5}]}
        content["warnings"] = []

    def ingested(content: dict[str, Any]) -> None:
        content["identifiers"] = {"status": "pseudonymised", "key_fingerprint": "0123"}
        content["anatomy"] |= {"registration": {"status": "registered", "warnings": [WARNING]}}

    _rewrite(files.mre / "sub-01_ses-01_inversion.json", "inversion", form, inverted)
    _rewrite(files.wavefield / "sub-01_ses-01_ingest.json", "ingest", form, ingested)
    return files


@pytest.mark.long
def test_a_page_is_the_same_from_old_and_from_new_keys(make_session: SessionMaker) -> None:
    """Nothing is missing, and nothing stands there twice."""
    files = make_session()
    settings = ReportSettings(viewer=False)
    new, both, old = (render(read_session(_rewritten(files, form).folder), settings) for form in ("new", "both", "old"))
    assert both == new
    # An old record has no advice of its own; its keys are in another order here.
    old = old.replace("Run the step again for its code and advice.", WARNING["advice"])
    assert sorted(old.splitlines()) == sorted(new.splitlines())
    assert "slice phase errors" in new
    assert new.count(WARNING["sentence"]) == 1


@pytest.mark.parametrize("form", ["new", "both", "old"])
def test_a_posterior_is_read_with_new_keys(form: str, make_session: SessionMaker) -> None:
    """A script sees one vocabulary, whichever version wrote the folder."""
    record = read_stiffness(_rewritten(make_session(), form).mre).record
    assert record["misfit"] == {"50": 1.02}
    assert record["prior"]["mixture"] == [{"cross_correlation": 0.5}]
    assert not {"misfit_per_frequency", "doubts", "slice_turns"} & set(record)


@pytest.mark.parametrize("form", ["new", "both", "old"])
def test_a_forecast_is_scored_with_old_and_new_keys(form: str, tmp_path: Path) -> None:
    """The names of displacements changed between a forecast and its truth's coming true."""
    told = {"median": 1.0} | {level: [0.5, 1.5] for level in ("50", "80", "90", "95")}
    row = {"day": 90.0, "displacement_mm": told, "additional_displacement_mm": told}
    content = {"last_scan_day": 60.0, "mass_effect": {"around_day": 20.0, "at_scans": []}, "forecast": [row]}
    (tmp_path / "forecast.json").write_text(json.dumps(FORMS[form]("forecast", content)))
    moved = {"20": {"20": 0.5, "60": 0.9, "90": 1.45}}
    truth = {"days": [90], "displacement_mm": moved, "largest_displacement_mm": moved}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    scores = {one.quantity: one for one in score_forecast(tmp_path, tmp_path / "truth.json")}
    assert set(scores) == {"displacement_mm", "additional_displacement_mm"}
    assert scores["additional_displacement_mm"].truth == pytest.approx(0.55)
