"""Settings of the export of stiffness maps to DICOM."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import model_validator

from palpate.config.section import Section
from palpate.errors import InputError
from palpate.progress import say

_OLD_KEY: Final = "uids"
_ADVICE: Final = "Remove maps.uids and write maps.identity: scan (retained) or pseudonym (keyed)."
_OLD_WORDS: Final = {"retained": "scan", "keyed": "pseudonym"}


class MapsSettings(Section):
    """Settings of the export of stiffness maps to DICOM."""

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
            shown = repr(word) if isinstance(word, str) else type(word).__name__
            expected = "retained or keyed, the words of this old name of maps.identity"
            raise InputError("maps.uids", found=shown, expected=expected, advice=_ADVICE)
        if given.get("identity", meant) != meant:
            found = f"{word}, where maps.identity says another thing"
            raise InputError("maps.uids", found=found, expected="one of the two names", advice=_ADVICE)
        say(f"maps.uids: {word} is now maps.identity: {meant}; the old name is read for this version only")
        return {name: value for name, value in given.items() if name != _OLD_KEY} | {"identity": meant}
