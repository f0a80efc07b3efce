"""Key of the pseudonyms: whether this machine has it or can make it, and whether others see the same one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.deidentify.key_file import key_advice, known_key, user_key_path
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.folders import folder_facts
from palpate.machine_check.launchers import ProfileName

_NAME: Final = "Name one key file for all machines in ingest.key (--key), outside the results, mode 0600."


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Key as this machine sees it.

    Attributes:
        is_named: whether a setting or option names its file; otherwise it is the user's own.
        is_there: whether there is one.
        fault: sentence about a key that cannot be used; empty without one.
        can_be_made: whether a file can be written in its place.
        is_shared: whether it lies on a file system that several machines see.
    """

    is_named: bool
    is_there: bool
    fault: str
    can_be_made: bool
    is_shared: bool


def key_facts(named: Path | None) -> KeyFacts:
    """Look for the key; none is made.

    Args:
        named: file that ingest.key names; None for the user's own.
    """
    try:
        place = named or user_key_path()
        is_there, fault = known_key(named) is not None, ""
    except InputError as error:
        return KeyFacts(named is not None, is_there=False, fault=str(error), can_be_made=False, is_shared=False)
    around = folder_facts(place.parent)
    can = os.access(around.path, os.W_OK) and not around.writing
    return KeyFacts(named is not None, is_there, fault, can, around.is_shared)


def key_line(facts: KeyFacts, profile: ProfileName) -> CheckLine:
    """Judge the key: every machine of a study must use the same one.

    Args:
        facts: the key.
        profile: kind of the machine.
    """
    whose = "the key of ingest.key" if facts.is_named else "your own key"
    if facts.fault:
        return CheckLine("key", facts.fault, Verdict.MISSING, _NAME)
    if not facts.is_there and not facts.can_be_made:
        found = f"no place for {whose}: it is not there, and its folder cannot be written"
        return CheckLine("key", found, Verdict.MISSING, _NAME)
    state = "there" if facts.is_there else "not there; it will be made"
    if profile == "slurm" and not facts.is_shared and not facts.is_named:
        return CheckLine("key", f"{whose}, {state}, on a disk of this machine alone", Verdict.NOTE, key_advice(None))
    if profile == "slurm" and not facts.is_there:
        advice = "Have one machine make it first (palpate deidentify, or one session of palpate ingest)."
        return CheckLine("key", f"{whose}, {state}", Verdict.NOTE, advice)
    return CheckLine("key", f"{whose}, {state}")
