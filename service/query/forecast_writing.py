"""Question about a forecast: its options, the formats of its answer, and the file that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import claim_file
from palpate.service.query.flag import FLAGS, flags_fhir
from palpate.service.query.forecast_answer import ForecastAnswer, forecast_json, read_forecast_answer


def _is_flags(path: Path) -> bool:
    text = read_bounded(path).decode("utf-8")
    return '"resourceType"' in text and (FLAGS in text or '"entry"' not in text)


_TEXTS: Final[Mapping[str, Callable[[ForecastAnswer], str]]] = {"json": forecast_json, "fhir": flags_fhir}
_KINDS: Final[Mapping[str, FileKind]] = {
    "json": FileKind(
        "query",
        "answer about a forecast",
        (".json",),
        json_kind("progression", "alerts", "forecast_made", "research_use_only"),
    ),
    "fhir": FileKind("query", "FHIR flags of a forecast", (".json",), _is_flags),
}


def answer_forecast(record: Path, given: str, out: Path | None, others: Mapping[str, object]) -> str:
    """Return when progression is likely and which alerts there are; write it too where a file is named.

    Args:
        record: forecast.json.
        given: name of the format, json or fhir.
        out: file to write; None for none.
        others: other options of a query by their names, all of which are None or empty.

    Raises:
        InputError: an option asks for a region, the format is none of these, the record cannot be read, or the file
            cannot be written.
    """
    for name, value in others.items():
        if value:
            raise InputError(
                name,
                found="a region's option beside a forecast, which is of the whole tumour",
                expected="--format and --out alone",
                advice="Leave it out, or name a session folder with mre/ and wavefield/.",
            )
    chosen = given.strip().casefold()
    if chosen not in _TEXTS:
        advice = "Leave --format out for JSON."
        raise InputError("--format", found=repr(given[:40]), expected="json or fhir, for a forecast", advice=advice)
    target = None if out is None else claim_file(out, _KINDS[chosen], {"forecast": record})
    text = _TEXTS[chosen](read_forecast_answer(record))
    if target is not None:
        with target.writing() as partial:
            partial.write_text(text, encoding="utf-8")
    return text
