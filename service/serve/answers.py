"""Answers to requests: the functions of `palpate query`, `regions` and `change`, and their texts byte for byte."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from palpate.config.regions import RegionsSettings
from palpate.errors import InputError
from palpate.imaging.changes.compare import compared_sessions
from palpate.imaging.changes.table import change_rows, record_json
from palpate.imaging.files.json_object import read_json
from palpate.imaging.region_values.session_regions import AskedRegions, session_regions
from palpate.imaging.region_values.table import COLUMNS, HEADER, record_of, rows_of
from palpate.imaging.region_values.worlds import Space
from palpate.imaging.regions.at_the_door import WHERE
from palpate.service.query.answer import RESEARCH_USE
from palpate.service.query.ask import Query, ask
from palpate.service.query.formats import as_draws
from palpate.service.query.report import report_identity, write_report
from palpate.service.query.session import OpenSession
from palpate.service.query.writing import TEXTS, demand_format
from palpate.service.serve.kept import KeptRegion

type AnswerFormat = Literal["json", "csv", "fhir", "sr", "draws"]
type TableFormat = Literal["json", "tsv"]
type NamedOrgan = Literal["auto", "brain", "liver", "other"]

FORMATS: Final[tuple[str, ...]] = get_args(AnswerFormat.__value__)
"""Formats of the figures of one region."""
MEDIA: Final[Mapping[str, str]] = {
    "json": "application/json",
    "draws": "application/json",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "fhir": "application/fhir+json",
    "sr": "application/dicom",
}
"""Media type of each format."""


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """Answer as it leaves.

    Attributes:
        content: its bytes.
        media: media type.
        file: name under which a browser keeps it; empty to show it.
    """

    content: bytes
    media: str
    file: str = ""


def json_answer(told: object) -> ServedAnswer:
    """Return a JSON value as an answer.

    Args:
        told: the value.
    """
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return ServedAnswer(text.encode(), MEDIA["json"])


def region_answer(session: OpenSession, query: Query, form: AnswerFormat, key: Path | None) -> ServedAnswer:
    """Return the figures of one region.

    Args:
        session: finished session, opened.
        query: question.
        form: format.
        key: file of the key of pseudonyms, under which a report stands; None for the user's own.

    Raises:
        InputError: the question has no answer.
    """
    if form == "draws":
        return ServedAnswer(as_draws(ask(session, query)).encode(), MEDIA[form])
    if form != "sr":
        demand_format(form, None, None, compares=query.than is not None)
        return ServedAnswer(TEXTS[form](ask(session, query)).encode(), MEDIA[form])
    with tempfile.TemporaryDirectory(prefix="palpate-report-") as folder:
        path = Path(folder) / "report.dcm"
        demand_format(form, path, None, compares=query.than is not None)
        answer = ask(session, query)
        write_report(path, answer, report_identity(session, answer, None, key, path))
        return ServedAnswer(path.read_bytes(), MEDIA[form], "report.dcm")


def labels_answer(
    folder: Path, kept: KeptRegion, space: Space, quantities: tuple[str, ...], form: TableFormat, key: Path | None
) -> ServedAnswer:
    """Return the table of all labels of an uploaded NIfTI.

    Args:
        folder: folder of the session.
        kept: labels.
        space: world of the labels.
        quantities: names of the quantities; none for the usual ones.
        form: format.
        key: file of the key of pseudonyms; None for the user's own.

    Raises:
        InputError: they are no labels, or lie outside the map.
    """
    _demand_labels(kept)
    settings = RegionsSettings.model_validate({"quantities": quantities} if quantities else {})
    found = session_regions(folder, AskedRegions(labels=kept.path, space=space, key=key, settings=settings))
    lines = list(rows_of(found))
    if form == "tsv":
        return ServedAnswer("\n".join([HEADER, *lines, ""]).encode(), MEDIA[form])
    record = record_of(found)
    for one in record.values():
        one["labels_digest"] = kept.sha256
    rows = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]
    return json_answer({"rows": rows, "regions": record, "research_use_only": RESEARCH_USE})


def change_answer(
    folders: tuple[Path, Path], kept: KeptRegion, organ: NamedOrgan, form: TableFormat, *, physiology: bool
) -> ServedAnswer:
    """Return what has changed in the labels of an uploaded NIfTI between two sessions of one subject.

    Args:
        folders: folders of the earlier and of the later session.
        kept: labels.
        organ: organ; "auto" for what the records state.
        form: format.
        physiology: whether the variation between scans of unchanged tissue is in the intervals.

    Raises:
        InputError: the sessions cannot be compared.
    """
    _demand_labels(kept)
    named = None if organ == "auto" else organ
    found = compared_sessions(*folders, kept.path, organ=named, physiology=physiology)
    if form == "tsv":
        return ServedAnswer(found.table.encode(), MEDIA[form])
    rows = change_rows(found.pairs, physiology=physiology)
    digests = {**found.record["input_digests"], "labels": kept.sha256}
    told = {"rows": rows, **found.record, "input_digests": digests, "research_use_only": RESEARCH_USE}
    return ServedAnswer(record_json(told).encode(), MEDIA[form])


def slice_answer(session: OpenSession, run: int, index: int) -> ServedAnswer:
    """Return one slice of the mean storage modulus, kPa, as 32-bit numbers in base64, columns first; NaN outside.

    Args:
        session: finished session, opened.
        run: number of the run among the session's, from 0.
        index: number of the slice along the third axis; one outside is moved to the nearest.

    Raises:
        InputError: there is no such run.
    """
    if not 0 <= run < len(session.runs):
        raise InputError("run", found=f"{run}", expected="a run of the session", advice="Count from 0.")
    one = session.runs[run].stiffness
    values = one.moduli["storagemodulus"].mean.values
    place = min(max(index, 0), values.shape[2] - 1)
    text = np.ascontiguousarray(values[:, :, place].T, dtype="<f4").tobytes()
    covered = values[np.isfinite(values)]
    told = {
        "run": one.label,
        "frequency_hz": one.frequency_hz,
        "shape": list(values.shape),
        "slice": place,
        "affine_ras_mm": one.affine_mm.tolist(),
        "unit": "kPa",
        "top_kpa": float(np.quantile(covered, 0.98)) if covered.size else 1.0,
        "values_base64": base64.b64encode(text).decode("ascii"),
    }
    return ServedAnswer((json.dumps(told, allow_nan=False) + "\n").encode(), MEDIA["json"])


def forecasts_answer(folder: Path, subject: str) -> ServedAnswer:
    """Return the figures of a subject's finished forecasts, as their records have them.

    Args:
        folder: folder of the subject.
        subject: label of the subject.

    Raises:
        InputError: a record cannot be read.
    """
    found = []
    root = folder.resolve()
    for path in sorted((folder / "twin").glob("**/forecast.json")):
        if not path.resolve().is_relative_to(root):
            continue
        record = read_json(path, record="forecast")
        told: dict[str, Any] = {"folder": path.parent.relative_to(folder).as_posix()}
        told |= {name: record[name] for name in ("forecast", "curve", "warnings") if name in record}
        difference = path.parent.parent / "difference.tsv"
        if difference.is_file() and difference.resolve().is_relative_to(root):
            head, *lines = difference.read_text(encoding="utf-8").splitlines()
            told["difference"] = [dict(zip(head.split("\t"), one.split("\t"), strict=False)) for one in lines]
        found.append(told)
    return json_answer({"subject": subject, "forecasts": found, "research_use_only": RESEARCH_USE})


def _demand_labels(kept: KeptRegion) -> None:
    if kept.kind != "NIfTI":
        raise InputError(
            WHERE, found=f"a file of kind {kept.kind}", expected="labels as NIfTI", advice="Ask for its regions singly."
        )
