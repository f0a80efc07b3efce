"""Alerts reach their readers: the study page, a query, a FHIR Flag and the forecast page say the record's numbers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from palpate.errors import InputError
from palpate.service.forecast_report.page import render
from palpate.service.forecast_report.twin_results import read_twin_results
from palpate.service.query.fhir_model import REQUIRED_BINDINGS, checked_resource
from palpate.service.query.forecast_writing import answer_forecast
from palpate.service.study.page import render_study
from palpate.service.study.progress import study_progress
from palpate.service.study.write import write_study
from tests.conftest import Outcome
from tests.service.study_files import StudyFiles
from tests.service.test_query import OBSERVATION
from tests.service.twin_files import write_twin

type Inside = Callable[..., Outcome]

LIKELY = {
    "kind": "progression",
    "state": "raised",
    "code": "progression-likely",
    "sentence": "With a probability of 83 % (Monte-Carlo error 4.8 %, 60 draws) the visible volume is 40 % above its "
    "nadir by day 140, 60 days after the last scan; the bound is 50 %.",
    "advice": "Read it beside the scans.",
    "event": "visible",
    "by_day": 140.0,
    "by_days": 60.0,
    "above": 0.5,
    "probability": 0.8333333333333334,
    "probability_error": 0.0484,
    "probability_lower": 0.7196,
    "probability_upper": 0.9069,
    "draws": 60,
    "unidentified": [],
}
UNDECIDED = LIKELY | {
    "state": "undecided",
    "code": "progression-undecided",
    "sentence": "Not decided by 60 draws: about 50 %.",
}
IN_STEP = {
    "kind": "out of step",
    "state": "not raised",
    "code": "twin-out-of-step",
    "sentence": "No scan, date or fit shows the twin out of step with this patient.",
    "advice": "Check the dates.",
    "reasons": [],
}
BY_DAY = [{name: LIKELY[name] for name in LIKELY if name.startswith("probability")} | {"day": 140.0, "draws": 60}]
PROGRESSION = [
    {
        "event": "visible",
        "words": "the visible volume is 40 % above its nadir",
        "by_day": [BY_DAY[0] | {"competing": 0.0}],
        "restricted_mean_days": 31.5,
    }
]


def _record(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {
        "subject": "02",
        "basis": "this patient's scans",
        "last_scan_day": 80.0,
        "progression": PROGRESSION,
        "alerts": list(alerts),
        "warnings": [],
        "versions": {"palpate": "0.9"},
    }


@pytest.fixture
def forecast(tmp_path: Path) -> Path:
    """Record of a forecast with one raised alert and one that is not."""
    folder = tmp_path / "twin" / "forecast"
    folder.mkdir(parents=True)
    path = folder / "forecast.json"
    path.write_text(json.dumps(_record(LIKELY, IN_STEP)), encoding="utf-8")
    return path


def _flags(record: Path) -> list[dict[str, Any]]:
    bundle = json.loads(answer_forecast(record, "fhir", None, {}))
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    return [one["resource"] for one in bundle["entry"]]


CONCEPT = OBSERVATION["$defs"]["concept"]  # type: ignore[index]
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
FLAG = {
    "type": "object",
    "required": ["resourceType", "status", "code", "subject"],
    "additionalProperties": False,
    "properties": {
        "resourceType": {"const": "Flag"},
        "contained": {"type": "array", "minItems": 1},
        "extension": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["url", "valueReference"],
                "properties": {"url": {"const": "http://hl7.org/fhir/StructureDefinition/flag-detail"}},
            },
        },
        "identifier": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["system", "value"]}},
        "status": {"enum": list(REQUIRED_BINDINGS["Flag.status"].codes)},
        "category": {"type": "array", "minItems": 1, "items": CONCEPT},
        "code": CONCEPT,
        "subject": OBSERVATION["properties"]["subject"],  # type: ignore[index]
        "period": {"type": "object", "minProperties": 1, "properties": {"start": MOMENT, "end": MOMENT}},
        "author": {"type": "object", "required": ["display"], "properties": {"type": {"const": "Device"}}},
    },
}
"""What FHIR R4 asks of the Flags that palpate writes (hl7.org/fhir/R4/flag.html)."""


def test_flags_are_fhir_r4_and_hold_the_record_s_numbers(forecast: Path) -> None:
    """Elements, bindings and references; the raised one is active, the other inactive under another identifier."""
    likely, of_step = _flags(forecast)
    for flag in (likely, of_step):
        jsonschema.validate(flag, FLAG)
    assert [one["status"] for one in (likely, of_step)] == ["active", "inactive"]
    assert [set(one["period"]) for one in (likely, of_step)] == [{"start"}, {"end"}]
    assert [one["identifier"][0]["value"] for one in (likely, of_step)] == ["sub-02/progression", "sub-02/out-of-step"]
    assert likely["code"]["coding"][0]["code"] == "progression-likely"
    assert LIKELY["sentence"] in likely["code"]["text"]
    (observed,) = likely["contained"]
    assert likely["extension"][0]["valueReference"]["reference"] == f"#{observed['id']}"  # rule dom-3
    assert observed["valueQuantity"]["value"] == LIKELY["probability"]
    told = {one["code"]["coding"][0]["code"]: one for one in observed["component"]}
    for key, name in (("probability-error", "probability_error"), ("draws", "draws"), ("bound", "above")):
        assert told[key]["valueQuantity"]["value"] == LIKELY[name]
    plain = {name: value for name, value in observed.items() if name != "id"}
    codes = OBSERVATION["$defs"]["quantity"]["properties"]["code"]["enum"]  # type: ignore[index]
    schema = copy.deepcopy(OBSERVATION)
    schema["$defs"]["quantity"]["properties"]["code"]["enum"] = [*codes, "d"]  # type: ignore[index]
    jsonschema.validate(plain, schema)


def test_an_undecided_alert_is_an_active_flag_that_says_so(forecast: Path) -> None:
    """A receiver must not read silence, and not an alert either."""
    forecast.write_text(json.dumps(_record(UNDECIDED)), encoding="utf-8")
    (flag,) = _flags(forecast)
    assert (flag["status"], flag["code"]["coding"][0]["code"]) == ("active", "progression-undecided")
    assert "Not decided by 60 draws" in flag["code"]["text"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": "raised"}, "flag-status"),
        ({"note": [{"text": "x"}]}, "Flag.note is not in the model"),
        ({"category": {}}, "Flag.category"),
        ({"identifier": []}, "Flag.identifier"),
        ({"subject": None}, "Flag.subject"),
        ({"contained": [{"resourceType": "Observation", "code": {"text": "x"}}]}, "Observation.status is missing"),
        ({"resourceType": "Alert"}, "no resource"),
    ],
)
def test_resources_outside_the_model_are_refused(changed: dict[str, Any], words: str, forecast: Path) -> None:
    """The model would else be a table that nobody obeys."""
    flag = _flags(forecast)[0]
    assert checked_resource(flag) is flag
    with pytest.raises(ValueError, match=words):
        checked_resource(flag | changed)


def test_a_query_of_a_forecast_tells_the_record(forecast: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """By the forecast's folder or the tumour's; the same bytes in a file."""
    first, second = (palpate_inside("query", folder) for folder in (forecast.parent, forecast.parents[1]))
    assert first.code == 0, first.printed
    told = json.loads(answer_forecast(forecast, "json", tmp_path / "answer.json", {}))
    assert (tmp_path / "answer.json").read_text(encoding="utf-8") == first.printed == second.printed
    assert told["alerts"] == [LIKELY, IN_STEP]
    assert told["progression"][0]["by_day"][0]["probability"] == LIKELY["probability"]
    assert "no diagnosis" in told["research_use_only"]


def test_bad_queries_of_a_forecast_are_refused(forecast: Path) -> None:
    """A region of a forecast, a table of it, and a record of an earlier version."""
    for name, given, others in (("--sphere", "json", {"--sphere": "0,0,0,5"}), ("--format", "sr", {})):
        with pytest.raises(InputError, match=name):
            answer_forecast(forecast, given, None, others)
    forecast.write_text(json.dumps({"subject": "02", "forecast": []}), encoding="utf-8")
    with pytest.raises(InputError, match="without basis"):
        answer_forecast(forecast, "json", None, {})


def test_the_study_page_shows_alerts(tmp_path: Path) -> None:
    """Raised and undecided ones with the sentence; a calibration's own warning is one before any forecast."""
    files = StudyFiles(tmp_path)
    files.session("01")
    warned = {"warnings": [{"code": "clock-shifted", "sentence": "Late.", "advice": ""}]}
    for subject, alerts, record in (
        ("02", (UNDECIDED, IN_STEP), {"warnings": []}),
        ("03", (LIKELY, IN_STEP), warned),
        ("04", (IN_STEP,), {"warnings": []}),
    ):
        folder = files.results / f"sub-{subject}" / "twin"
        for name, content in (("calibration", record), ("forecast", _record(*alerts))):
            (folder / name).mkdir(parents=True)
            (folder / name / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    progress = study_progress(files.results)
    alerted = {unit.subject: [(one.code, one.state) for one in unit.alerts] for unit in progress.tumours}
    assert alerted == {
        "02": [("progression-undecided", "undecided")],
        "03": [("progression-likely", "raised"), ("twin-out-of-step", "raised")],
        "04": [],
    }
    page = render_study(progress, files.results, tmp_path / "study.html")
    assert "2 tumours have an alert" in page
    section = page[page.index('id="alerts"') : page.index('id="sessions"')]
    assert section.index("progression-likely") < section.index("Not decided by 60 draws")
    assert "clock-shifted" in section
    write_study(files.results, tmp_path / "study.json")
    told = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert [one["subject"] for one in told["alerts"]] == ["02", "03", "03"]


def test_a_study_without_alerts_has_no_section(tmp_path: Path) -> None:
    """A heading over nothing would be read as an alert."""
    files = StudyFiles(tmp_path)
    files.session("01")
    progress = study_progress(files.results)
    assert 'id="alerts"' not in render_study(progress, files.results, tmp_path / "study.html")


def test_the_forecast_page_begins_with_alerts(tmp_path: Path) -> None:
    """The page folds away all warnings but two: an alert is not among them."""
    twin = write_twin(tmp_path)
    path = twin.forecast / "forecast.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"alerts": [LIKELY, IN_STEP], "progression": PROGRESSION})
    )
    page = render(read_twin_results(twin.calibration, twin.forecast, None, None))
    assert page.index("Alert, raised: With a probability of 83 %") < page.index("83 % by day 140, ± 5 %")
    assert IN_STEP["sentence"] not in page
