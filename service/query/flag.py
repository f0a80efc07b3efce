"""Alerts of a forecast as Flags of FHIR R4, in a Bundle: one for each alert that was asked for, whatever its state.

An alert that is raised or undecided is an active Flag, one that is not raised an inactive Flag of the same identifier,
so that a receiver can take the earlier one down. The probability with its Monte-Carlo error and number of draws is a
contained Observation, to which the standard extension flag-detail points, since a Flag holds no figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from palpate.service.query.answer import RESEARCH_USE
from palpate.service.query.fhir import concept, quantity, subject_reference
from palpate.service.query.fhir_model import checked_resource
from palpate.service.query.forecast_answer import ForecastAnswer

FLAGS: Final = "urn:oid:2.25.301876190433279541876019424881253617305"
"""System of the identifiers of flags: subject and kind of the alert."""
DETAIL: Final = "http://hl7.org/fhir/StructureDefinition/flag-detail"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/flag-category"
_OBSERVED: Final = "probability"


def flags_fhir(answer: ForecastAnswer) -> str:
    """Return the alerts of a forecast as a Bundle of FHIR R4 in JSON; without alerts it has no entry.

    Args:
        answer: answer about a forecast.
    """
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    if answer.alerts:
        bundle["entry"] = [{"resource": _flag(answer, one)} for one in answer.alerts]
    return json.dumps(checked_resource(bundle), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _flag(answer: ForecastAnswer, alert: Mapping[str, Any]) -> dict[str, Any]:
    label = f"sub-{answer.subject}"
    active = alert["state"] != "not raised"
    made = answer.made.isoformat(timespec="milliseconds")
    kind = str(alert["kind"]).replace(" ", "-")
    device = f"palpate {answer.versions.get('palpate', '')}".strip()
    flag: dict[str, Any] = {"resourceType": "Flag"}
    if "probability" in alert:
        flag |= {
            "contained": [_observation(answer, alert)],
            "extension": [{"url": DETAIL, "valueReference": {"reference": f"#{_OBSERVED}"}}],
        }
    code = concept(str(alert["code"]), str(alert["code"]).replace("-", " "))
    return flag | {
        "identifier": [{"system": FLAGS, "value": f"{label}/{kind}"}],
        "status": "active" if active else "inactive",
        "category": [{"coding": [{"system": _CATEGORY, "code": "research", "display": "Research"}]}],
        "code": code | {"text": _words(answer, alert)},
        "subject": subject_reference(label),
        "period": {"start" if active else "end": made},
        "author": {"type": "Device", "display": f"{device} (research software, not a medical device)"},
    }


def _words(answer: ForecastAnswer, alert: Mapping[str, Any]) -> str:
    """Return the text of a flag: the finding, its basis where it is not of this patient, and its purpose."""
    marked = "" if "not this patient" not in answer.basis else f"Of the {answer.basis}. "
    return f"{marked}{alert['sentence']} {alert['advice']} {RESEARCH_USE}"


def _observation(answer: ForecastAnswer, alert: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": _OBSERVED,
        "status": "preliminary",
        "code": concept("progression-probability", "probability of progression by a day"),
        "subject": subject_reference(f"sub-{answer.subject}"),
        "issued": answer.made.isoformat(timespec="milliseconds"),
        "valueQuantity": quantity(float(alert["probability"]), "1"),
        "method": {"text": f"Share of {alert['draws']} forecasts, {answer.basis}; event: {alert['event']}"},
        "component": list(_components(alert)),
    }


def _components(alert: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, words, value, unit in (
        ("probability-error", "Monte-Carlo standard error of the probability", alert["probability_error"], "1"),
        ("draws", "number of joint posterior draws", alert["draws"], "1"),
        ("bound", "probability above which the alert is raised", alert["above"], "1"),
        ("forecast-day", "day since the first scan", alert["by_day"], "d"),
    ):
        yield {"code": concept(key, words), "valueQuantity": quantity(float(value), unit)}
    ends = {"low": quantity(alert["probability_lower"], "1"), "high": quantity(alert["probability_upper"], "1")}
    words = "95 % interval of the probability from the number of draws"
    yield {"code": concept("probability-interval", words), "valueRange": ends}
