"""Comparison of the persons that two headers name; archives spell and fill up one name in several ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset

PERSON: Final = ("PatientID", "PatientName", "PatientBirthDate")
"""Keywords that tell persons apart."""
_BETWEEN_NAMES: Final = re.compile(r"[\s^=,;]+")


def person_of(header: Dataset) -> tuple[str, ...]:
    """Return number, name and birth date in one spelling; empty where the header does not say.

    Archives add carets to names and blanks to numbers, change case, and put blanks for carets.
    """
    number, name, born = (str(header.get(one, "") or "").strip(" \0") for one in PERSON)
    return number, " ".join(_BETWEEN_NAMES.split(name.strip("^=, \0"))).casefold(), born


def same_person(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether two images may be of one person: all that both state agrees, and both state at least one thing.

    Two images that state nothing count as images of one person.

    Args:
        first: number, name and birth date of one image, from `person_of`.
        second: number, name and birth date of the other image.
    """
    if not any(first) or not any(second):
        return not any(first) and not any(second)
    said = [(one, other) for one, other in zip(first, second, strict=True) if one and other]
    return bool(said) and all(one == other for one, other in said)


def differing(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the keywords of what two images state differently, or what only one of them states."""
    return [name for name, one, other in zip(PERSON, first, second, strict=True) if one != other]
