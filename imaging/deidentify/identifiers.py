"""How identifiers of an output relate to the scan's own, and the one place where two of them are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydicom.dataset import Dataset

from palpate.imaging.deidentify.header import METHOD
from palpate.imaging.deidentify.key import Key

type Kind = Literal["keyed", "keyed before", "retained"]

RECORDED: Final = "identifiers"
"""Under what the record of ingest says it."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What the identifiers in a record are.

    Attributes:
        kind: keyed: those that a key gives for the scan's own; keyed before: the scan's own, which palpate deidentify
            had keyed; retained: the scan's own.
        key_fingerprint: of the key, where they are keyed.
    """

    kind: Kind
    key_fingerprint: str = ""

    def as_record(self) -> dict[str, str]:
        """As the record of ingest states it."""
        return {"kind": self.kind} | ({"key_fingerprint": self.key_fingerprint} if self.key_fingerprint else {})


def identifiers_of(header: Dataset, key: Key | None) -> Identifiers:
    """What the record of a scan is to hold: what is keyed already is not keyed twice, else nothing would match it.

    Args:
        header: of one image of the scan.
        key: None retains the scan's own.
    """
    if is_keyed_before(header):
        return Identifiers("keyed before")
    return Identifiers("retained") if key is None else Identifiers("keyed", key.fingerprint)


def is_keyed_before(header: Dataset) -> bool:
    """Whether palpate deidentify wrote an image."""
    stated = (str(header.get(name, "")) for name in ("PatientIdentityRemoved", "DeidentificationMethod"))
    return (*stated,) == ("YES", METHOD) and str(header.get("StudyInstanceUID", "")).startswith("2.25.")


def recorded_identifiers(record: Mapping[str, Any]) -> Identifiers:
    """What a record of ingest says of its identifiers; one that says nothing retained the scan's own."""
    stated = record.get(RECORDED)
    if not isinstance(stated, Mapping) or stated.get("kind") not in get_args(Kind.__value__):
        return Identifiers("retained")
    return Identifiers(stated["kind"], str(stated.get("key_fingerprint", "")))


def same_identifier(one: str, other: str, key: Key | None) -> bool:
    """Whether two identifiers stand for one thing, whether or not one of them is keyed; empty ones stand for nothing.

    Args:
        one: of study, frame of reference, series or image.
        other: of the same kind.
        key: with which one of them may be keyed; None where nobody has it.
    """
    if not one or not other:
        return False
    return one == other or (key is not None and (key.identifier(one) == other or one == key.identifier(other)))
