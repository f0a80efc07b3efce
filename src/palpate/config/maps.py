"""The choices in writing stiffness maps as DICOM."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import model_validator

from palpate.config.section import Section
from palpate.progress import say

_OLD_KEY: Final = "uids"
_OLD_WORDS: Final = {"retained": "scan", "keyed": "pseudonym"}


class MapsSettings(Section):
    """From stiffness maps to DICOM."""

    identity: Literal["scan", "pseudonym"] = "scan"
    """Patient, study and frame of reference that DICOM maps carry. scan: all are the scan's own, read from it again, so
    that an archive files the maps in the original study and a viewer lays them over it; only the folder dicom holds
    them. pseudonym: all are replaced, for maps that are handed on; they form a study of their own and need no scan."""

    @model_validator(mode="before")
    @classmethod
    def _read_old_key(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a user wrote
        """Read `uids`, the name of this setting before, for one version."""
        if not isinstance(given, dict) or _OLD_KEY not in given:
            return given
        word = given[_OLD_KEY]
        meant = _OLD_WORDS.get(word) if isinstance(word, str) else None
        if meant is None:
            raise ValueError("maps.uids is now maps.identity, scan (before: retained) or pseudonym (before: keyed)")
        if given.get("identity", meant) != meant:
            raise ValueError("maps.uids is the old name of maps.identity and says another thing; remove it")
        say(f"maps.uids: {word} is now maps.identity: {meant}; the old name is read for this version only")
        return {name: value for name, value in given.items() if name != _OLD_KEY} | {"identity": meant}
