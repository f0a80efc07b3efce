"""An answer as FHIR R4: one Observation, or a Bundle of them where several runs or frequencies are answered.

The value of an Observation is the mean of the first quantity; standard deviation, 95 % interval, probability above a
threshold, Monte-Carlo errors, cover and the other quantities are its components. Codes are of private systems, since no
terminology has a shear modulus by elastography; units are UCUM. The subject is the study's label and no identity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from palpate.service.query.answer import RESEARCH_USE, Answer, QueryFigure, RunAnswer
from palpate.service.query.fhir_model import checked_resource

SYSTEM: Final = "urn:oid:2.25.241939156063310002689796042978980087921"
"""Code system of quantities and their statistics; docs/query.md lists the codes."""
SUBJECTS: Final = "urn:oid:2.25.16596402495221993313092190755630075347"
"""System of the identifiers of subjects: labels of a study, which are pseudonyms."""
UCUM: Final = "http://unitsofmeasure.org"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM_CODES: Final[Mapping[str, str]] = {"Np/m": "/m", "mL": "mL"}
"""UCUM codes that are not spelt as the unit: a neper is a ratio, and no product with it is allowed."""


def as_fhir(answer: Answer) -> str:
    """Return an answer as FHIR R4 in JSON.

    Args:
        answer: answer to a query.
    """
    found = [_observation(answer, one) for one in answer.runs]
    told = found[0] if len(found) == 1 else _bundle(found)
    return json.dumps(checked_resource(told), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _bundle(observations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in observations]}


def _observation(answer: Answer, run: RunAnswer) -> dict[str, Any]:
    first = run.figures[0]
    label = f"sub-{answer.subject}" if answer.subject else run.run
    device = f"palpate {answer.versions.get('palpate', '')}".strip()
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [{"coding": [{"system": _CATEGORY, "code": "imaging", "display": "Imaging"}]}],
        "code": concept(f"{first.quantity.key}-mean", f"{first.quantity.words}, mean over the region"),
        "subject": subject_reference(label),
        "issued": run.made.isoformat(timespec="milliseconds"),
        "valueQuantity": quantity(first.mean, first.quantity.unit),
        "note": [{"text": RESEARCH_USE}, *({"text": str(one)} for one in run.warnings)],
        "bodySite": {"text": answer.region.title},
        "method": {"text": f"MR elastography at {run.frequency_hz:g} Hz, {run.draws} joint posterior draws"},
        "device": {"display": f"{device} (research software, not a medical device)"},
        "component": list(_components(answer, run)),
    }


def _components(answer: Answer, run: RunAnswer) -> Iterator[dict[str, Any]]:
    for place, figure in enumerate(run.figures):
        yield from _of_figure(figure, with_mean=place > 0)
    for key, words, value, unit in (
        ("region-volume", "volume of the region", answer.region.volume_ml, "mL"),
        ("covered-share", "share of the region that the map covers", run.covered_share, "1"),
        ("informed-share", "share whose value comes mostly from the scan", run.informed_share, "1"),
        ("frequency", "frequency of the vibration", run.frequency_hz, "Hz"),
        ("draws", "number of joint posterior draws", run.draws, "1"),
    ):
        yield {"code": concept(key, words), "valueQuantity": quantity(value, unit)}
    registered = run.registration
    yield {"code": concept("registration", "way of the region to the scan"), "valueString": registered.state}
    if registered.uncertainty_mm is not None:
        code = concept("registration-uncertainty", "root mean square error of that way")
        yield {"code": code, "valueQuantity": quantity(registered.uncertainty_mm, "mm")}


def _of_figure(figure: QueryFigure, *, with_mean: bool) -> Iterator[dict[str, Any]]:
    key, words, unit = figure.quantity.key, figure.quantity.words, figure.quantity.unit
    if with_mean:
        code = concept(f"{key}-mean", f"{words}, mean over the region")
        yield {"code": code, "valueQuantity": quantity(figure.mean, unit)}
    yield {
        "code": concept(f"{key}-std", f"{words}: posterior standard deviation"),
        "valueQuantity": quantity(figure.std, unit),
    }
    yield {
        "code": concept(f"{key}-interval", f"{words}: 95 % credible interval"),
        "valueRange": {"low": quantity(figure.lower, unit), "high": quantity(figure.upper, unit)},
    }
    for name, end in (("mean", "mean"), ("lower", "lower end"), ("upper", "upper end")):
        code = concept(f"{key}-{name}-error", f"{words}: Monte-Carlo standard error of the {end}")
        yield {"code": code, "valueQuantity": quantity(getattr(figure, f"{name}_error"), unit)}
    if figure.above is not None:
        limit = f"{figure.above.threshold_kpa:g} kPa"
        for end, told, value, of in (
            ("threshold", "threshold", figure.above.threshold_kpa, "kPa"),
            ("above", f"probability of a mean above {limit}", figure.above.probability, "1"),
            ("above-error", f"Monte-Carlo standard error of the probability above {limit}", figure.above.error, "1"),
        ):
            yield {"code": concept(f"{key}-{end}", f"{words}: {told}"), "valueQuantity": quantity(value, of)}


def subject_reference(label: str) -> dict[str, Any]:
    """Return the reference to a subject of a study, by its label and no identity.

    Args:
        label: label of the subject, such as "sub-02".
    """
    return {"type": "Patient", "identifier": {"system": SUBJECTS, "value": label}, "display": label}


def concept(key: str, words: str) -> dict[str, Any]:
    """Return a concept of palpate's own code system.

    Args:
        key: code, such as "storage_modulus-mean"; a hyphen takes the place of a low line.
        words: the concept in words.
    """
    return {"coding": [{"system": SYSTEM, "code": key.replace("_", "-"), "display": words}], "text": words}


def quantity(value: float, unit: str) -> dict[str, Any]:
    """Return a quantity in a UCUM unit.

    Args:
        value: value.
        unit: unit as palpate spells it.
    """
    return {"value": value, "unit": unit, "system": UCUM, "code": _UCUM_CODES.get(unit, unit)}
