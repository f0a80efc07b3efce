"""Relation of an output's identifiers to the scan's own, and the one place where two of them are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydicom.dataset import Dataset

from palpate.imaging.deidentify.header import METHOD
from palpate.imaging.deidentify.key import Key

type Kind = Literal["keyed", "keyed before", "retained"]

RECORDED: Final = "identifiers"
"""JSON key under which the record of ingest states the kind of its identifiers."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Kind of the identifiers in a record.

    Attributes:
        kind: "keyed", pseudonyms that a key gives for the scan's own; "keyed before", the scan's own, which
            palpate deidentify had pseudonymised; "retained", the scan's own.
        key_fingerprint: fingerprint of the key where the kind is "keyed"; empty otherwise.
    """

    kind: Kind
    key_fingerprint: str = ""

    def as_record(self) -> dict[str, str]:
        """Return the kind of identifiers as the record of ingest states it."""
        return {"kind": self.kind} | ({"key_fingerprint": self.key_fingerprint} if self.key_fingerprint else {})


def identifiers_of(header: Dataset, key: Key | None) -> Identifiers:
    """Return the kind of identifiers that the record of a scan is to hold.

    Identifiers that are pseudonyms already are not pseudonymised again: else nothing would match them.

    Args:
        header: header of one image of the scan.
        key: key of the pseudonyms; None retains the scan's own identifiers.
    """
    if is_keyed_before(header):
        return Identifiers("keyed before")
    return Identifiers("retained") if key is None else Identifiers("keyed", key.fingerprint)


def is_keyed_before(header: Dataset) -> bool:
    """Return whether palpate deidentify wrote an image."""
    stated = (str(header.get(name, "")) for name in ("PatientIdentityRemoved", "DeidentificationMethod"))
    return (*stated,) == ("YES", METHOD) and str(header.get("StudyInstanceUID", "")).startswith("2.25.")


def recorded_identifiers(record: Mapping[str, Any]) -> Identifiers:
    """Return the kind of identifiers that a record of ingest states; one that states none retained the scan's own."""
    stated = record.get(RECORDED)
    if not isinstance(stated, Mapping) or stated.get("kind") not in get_args(Kind.__value__):
        return Identifiers("retained")
    return Identifiers(stated["kind"], str(stated.get("key_fingerprint", "")))


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
