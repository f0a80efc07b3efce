"""Evidence in a study's own records, subject by subject."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.quality_warning import QualityWarning, recorded_warnings

NOT_RECORDED: Final = "not recorded"
"""Words for what a record does not state, as one of an older version."""


@dataclass(frozen=True, slots=True)
class SubjectEvidence:
    """Records of one tumour or one inverted session.

    Attributes:
        label: label of the subject, or of the session.
        kind: "tumour" or "stiffness".
        converged: whether the fit converged, in words.
        misfit: misfit a datum, in words.
        innovations: verdicts on the scans and how often each was given, in words; empty for stiffness.
        clocks: probability of right dates and the shifts flagged, in words; empty for stiffness.
        domain: sentence on the applicability domain; empty for stiffness.
        shifts: sentences on priors that the patient's biology shifts.
        warnings: warnings of the records.
    """

    label: str
    kind: str
    converged: str
    misfit: str
    innovations: str
    clocks: str
    domain: str
    shifts: tuple[str, ...]
    warnings: tuple[QualityWarning, ...]


@dataclass(frozen=True, slots=True)
class StudyEvidence:
    """Records of a study.

    Attributes:
        subjects: tumours and sessions, in order of their paths.
        heldout: coverage of the hidden last scans (palpate verify heldout), in words.
        shift: comparison with the patients of a reference, in words.
    """

    subjects: tuple[SubjectEvidence, ...]
    heldout: str
    shift: str

    def as_record(self) -> dict[str, Any]:
        """Return the object `study` of the JSON file."""
        return asdict(self)


def study_evidence(results: Path) -> StudyEvidence:
    """Read the records of a study's results folder.

    Args:
        results: results folder of a study, or a subject's or session's folder below it.

    Raises:
        InputError: the folder holds no record, or one that cannot be read.
    """
    tumours = sorted({*results.glob("**/calibration/calibration.json"), *results.glob("calibration.json")})
    sessions = sorted(results.glob("**/mre/*_inversion.json"))
    if not (tumours or sessions):
        raise InputError(
            results,
            found="no record of a calibration or an inversion" if results.is_dir() else "no such folder",
            expected="a results folder with sub-*/twin/calibration or sub-*/ses-*/mre",
            advice="Name the results folder of a study, or leave it out for a report on the program alone.",
        )
    subjects = (*map(_tumour, tumours), *map(_session, sessions))
    return StudyEvidence(subjects, *_heldout(results / "heldout.json"))


def _tumour(path: Path) -> SubjectEvidence:
    told = _read(path)
    went = told.get("statistics", {})
    forecast = path.parents[1] / "forecast" / "forecast.json"
    ahead = _read(forecast) if forecast.is_file() else {}
    domain = (ahead.get("domain") or told.get("domain") or {}).get("sentence", NOT_RECORDED)
    warnings = dict.fromkeys((*recorded_warnings(told), *recorded_warnings(ahead)))
    return SubjectEvidence(
        f"sub-{told.get('subject', '?')}",
        "tumour",
        _converged(went),
        _misfit(went),
        _innovations(told.get("innovations")),
        _clocks(told),
        str(domain),
        tuple(str(one["sentence"]) for one in told.get("prior_shifts", [])),
        tuple(warnings),
    )


def _session(path: Path) -> SubjectEvidence:
    told = _read(path)
    label = path.name.removesuffix("_inversion.json")
    return SubjectEvidence(label, "stiffness", _converged(told), _misfit(told), "", "", "", (), recorded_warnings(told))


def _converged(told: Mapping[str, Any]) -> str:
    stated = told.get("converged")
    return NOT_RECORDED if stated is None else "converged" if stated else "did not converge"


def _misfit(told: Mapping[str, Any]) -> str:
    stated = told.get("misfit")
    if isinstance(stated, int | float):
        return f"{stated:.2f}"
    if isinstance(stated, Mapping):
        return ", ".join(f"{value:.2f}" for value in stated.values() if isinstance(value, int | float))
    return NOT_RECORDED


def _innovations(told: object) -> str:
    if not isinstance(told, list):
        return NOT_RECORDED
    if not told:
        return "none: there is one scan"
    counts = Counter(str(one.get("verdict", "?")) for one in told)
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))


def _clocks(told: Mapping[str, Any]) -> str:
    clocks = told.get("clocks")
    if not isinstance(clocks, list) or not clocks:
        return NOT_RECORDED
    flagged = [f"{one['stream']} by {one['shift_days']:g} days" for one in clocks if one.get("flagged")]
    right = 100.0 * min(float(told.get("dates_as_recorded", 0.0)), 0.99)
    shifted = f"; shifted: {', '.join(flagged)}" if flagged else ""
    return f"all dates right with a probability of {right:.0f} %{shifted}"


def _heldout(path: Path) -> tuple[str, str]:
    """Return what the hidden scans say and the comparison with a reference, in words."""
    if not path.is_file():
        return "not measured: run palpate verify heldout on these results", "not measured"
    told = _read(path)
    levels = told.get("levels", [])
    at = levels.index(0.9) if 0.9 in levels else 0
    rows = [
        f"{one['quantity']}: 90 % intervals hold {100 * one['coverage'][at]:.0f} % of {one['subjects']} "
        f"({100 * one['wilson'][at][0]:.0f} to {100 * one['wilson'][at][1]:.0f} %), ECE {one['ece']:.2f}"
        for one in told.get("groups", [])
        if one.get("group") == "all"
    ]
    shift = told.get("shift")
    compared = "not measured: no reference was given" if shift is None else f"{shift['verdict']} shift"
    return "; ".join(rows) or NOT_RECORDED, compared


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(read_bounded(path))
        if not isinstance(told, dict):
            raise TypeError("no object")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            path,
            found="a file that cannot be read as a record",
            expected="the JSON record that palpate wrote",
            advice="Run the step that makes it again.",
        ) from error
    return told
