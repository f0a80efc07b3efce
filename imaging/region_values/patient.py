"""Comparison of the patient of a drawn region with that of the session on which it is laid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import PATIENT, recorded_identifiers
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.regions.region import DrawnRegion
from palpate.quality_warning import QualityWarning

_STATES_PERSONS: Final = ("SEG", "RTSTRUCT")


def patient_warnings(
    region: DrawnRegion, ingest: Mapping[str, Any], world: str, key: Path | None
) -> tuple[QualityWarning, ...]:
    """Refuse a region of another patient; return a warning where nothing tells whose it is.

    A copied image keeps its frame of reference, so that one frame alone does not prove one patient. A region of another
    world came by a registration, whose patient is compared with the region's where it states one.

    Args:
        region: region as it was drawn.
        ingest: record of ingest; empty where there is none.
        world: world in which the region was drawn: "elastogram", "t1" or "other".
        key: file of the key of the record's pseudonyms; None for the user's own.

    Raises:
        InputError: the patients differ. It repeats neither.
    """
    if region.kind not in _STATES_PERSONS or world == "other" or not ingest:
        return ()
    same = _same_patient(next(iter(region.person), ""), ingest, key)
    if same is None:
        sentence = "Nothing shows that the file of the region is of the session's patient: one of both states none, or "
        sentence += "the key that would tell is not at hand."
        advice = "Make sure whose it is; name the key of palpate ingest with --key."
        return (QualityWarning("region-patient-unknown", sentence, advice),)
    if not same:
        raise InputError(
            region.where,
            found="a region of another patient than the session's",
            expected="a region of the session's patient",
            advice="Check whose file it is; where the scan was de-identified, draw on its copy or do the same with the "
            "region.",
        )
    return ()


def _same_patient(number: str, ingest: Mapping[str, Any], key: Path | None) -> bool | None:
    """Return whether a patient's number stands for the patient of a record; None where that cannot be told."""
    stated = str(ingest.get(PATIENT) or "")
    if not number or not stated:
        return None
    made = recorded_identifiers(ingest)
    if number == stated:
        return True
    used = known_key(key)
    if used is not None and used.pseudonym(number) == stated:
        return True
    # Where the scan was a de-identified copy, a region of its frame of reference was drawn on that copy, too.
    known = made.status == "pseudonymised before" or (used is not None and used.fingerprint == made.key_fingerprint)
    return False if known else None
