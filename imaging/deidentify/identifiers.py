"""Relation of an output's identifiers to the scan's own, and the one place where two of them are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydicom.dataset import Dataset

from palpate.imaging.deidentify.header import METHOD, patient_of
from palpate.imaging.deidentify.key import Key

type Status = Literal["pseudonymised", "pseudonymised before", "retained"]

RECORDED: Final = "identifiers"
"""JSON key under which the record of ingest states where its identifiers come from."""
PATIENT: Final = "patient_pseudonym"
"""JSON key of the pseudonym that tells patients apart where one key, or palpate deidentify, made the identifiers."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Relation of the identifiers in a record to the scan's own.

    Attributes:
        status: "pseudonymised", pseudonyms that a key gives for the scan's own; "pseudonymised before", the scan's own,
            which palpate deidentify had pseudonymised; "retained", the scan's own.
        key_fingerprint: fingerprint of the key where the status is "pseudonymised"; empty otherwise.
    """

    status: Status
    key_fingerprint: str = ""

    def as_record(self) -> dict[str, str]:
        """Return the JSON object of the identifiers in the record of ingest."""
        return {"status": self.status} | ({"key_fingerprint": self.key_fingerprint} if self.key_fingerprint else {})


def identifiers_of(header: Dataset, key: Key | None) -> Identifiers:
    """Return the relation to the scan's own that the identifiers in its record are to have.

    Identifiers that are pseudonyms already are not pseudonymised again: else nothing would match them.

    Args:
        header: header of one image of the scan.
        key: key of the pseudonyms; None retains the scan's own identifiers.
    """
    if is_pseudonymised(header):
        return Identifiers("pseudonymised before")
    return Identifiers("retained") if key is None else Identifiers("pseudonymised", key.fingerprint)


def patient_pseudonym(header: Dataset, key: Key | None) -> str:
    """Return the pseudonym of the patient in a header, by which records of one person are recognised.

    It is empty where identifiers are retained: a patient's number stands in no record.

    Args:
        header: header of one image of the scan.
        key: key of the pseudonyms; None where the scan's identifiers are kept.
    """
    if is_pseudonymised(header):
        return str(header.get("PatientID", ""))
    patient = patient_of(header)
    return key.pseudonym(patient) if key is not None and patient else ""


def is_pseudonymised(header: Dataset) -> bool:
    """Return whether palpate deidentify wrote an image."""
    stated = (str(header.get(name, "")) for name in ("PatientIdentityRemoved", "DeidentificationMethod"))
    return (*stated,) == ("YES", METHOD) and str(header.get("StudyInstanceUID", "")).startswith("2.25.")


def recorded_identifiers(record: Mapping[str, Any]) -> Identifiers:
    """Return the identifiers that a record of ingest states; one that states none retained the scan's own."""
    stated = record.get(RECORDED)
    if not isinstance(stated, Mapping) or stated.get("status") not in get_args(Status.__value__):
        return Identifiers("retained")
    return Identifiers(stated["status"], str(stated.get("key_fingerprint", "")))


def same_identifier(one: str, other: str, key: Key | None) -> bool:
    """Return whether two identifiers stand for one thing, even if one is a pseudonym; empty ones stand for nothing.

    Args:
        one: identifier of a study, frame of reference, series or image.
        other: identifier of the same kind.
        key: key that may have made one of them from the other; None where nobody has it.
    """
    if not one or not other:
        return False
    return one == other or (key is not None and (key.identifier(one) == other or one == key.identifier(other)))
