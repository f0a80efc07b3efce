"""Last check of what ingest records of a scan: whatever a vendor's reader gathered, only known text passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.vocabulary import is_identifier, is_known_class, plain

_ACQUISITION, _REFERENCES = "acquisition", "dicom"
_CLASSES: Final = ("SOPClassUID",)


def clean_facts(facts: Mapping[str, object], key: Key | None) -> dict[str, object]:
    """Return the facts of an acquisition without unknown text.

    Args:
        facts: facts from a vendor's reader; "acquisition" and "dicom" hold values of headers by DICOM keyword.
        key: key that gives new identifiers; None retains the scan's own.
    """
    cleaned = dict(facts)
    acquisition, references = facts.get(_ACQUISITION), facts.get(_REFERENCES)
    if isinstance(acquisition, Mapping):
        known = {name: plain(name, value) for name, value in acquisition.items()}
        cleaned[_ACQUISITION] = {name: value for name, value in known.items() if value is not None}
    if isinstance(references, Mapping):
        cleaned[_REFERENCES] = {name: _reference(name, value, key) for name, value in references.items()}
    return cleaned


def _reference(name: str, value: object, key: Key | None) -> object:
    """Return one identifier or word of a scan; empty where it is unknown."""
    if name in _CLASSES:
        return value if is_known_class(value) else ""
    if not name.endswith("UID"):
        return plain(name, value) or ""
    if not is_identifier(value):
        return ""
    return value if key is None else key.identifier(str(value))
