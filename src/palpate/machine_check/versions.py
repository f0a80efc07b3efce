"""Libraries of the environment against the versions that were tested."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from palpate.libraries import pins_of
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.shipped import shipped_file

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """Installed libraries.

    Attributes:
        absent: libraries that palpate requires and that are not installed.
        other: libraries of another version than tested, in words.
        count: number of libraries that were compared; 0 where no lock is at hand.
    """

    absent: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    count: int = 0


def version_facts() -> VersionFacts:
    """Compare the libraries that are installed with the lock."""
    lock = shipped_file("envs/requirements.lock")
    pins = {} if lock is None else pins_of(lock)
    return compared(_required(), pins)


def compared(installed: Mapping[str, str | None], pins: Mapping[str, str]) -> VersionFacts:
    """Compare installed versions with pinned ones.

    Args:
        installed: version of each required library; None where it is absent.
        pins: versions that were tested, separated by spaces, of libraries by their normalised names.
    """
    absent = tuple(sorted(name for name, one in installed.items() if one is None))
    both = {name: (one, pins[name]) for name, one in installed.items() if one is not None and name in pins}
    other = tuple(
        f"{name} {one} (tested: {pin})" for name, (one, pin) in sorted(both.items()) if one not in pin.split()
    )
    return VersionFacts(absent, other, len(both))


def version_line(facts: VersionFacts) -> CheckLine:
    """Judge the libraries."""
    if facts.absent:
        found, advice = f"no {', '.join(facts.absent)}", "Install palpate with its dependencies into this environment."
        return CheckLine("versions", found, Verdict.MISSING, advice)
    if facts.other:
        advice = (
            "Results may differ from the tested ones in their last digits; make setup installs the tested versions."
        )
        return CheckLine("versions", "; ".join(facts.other), Verdict.NOTE, advice)
    if not facts.count:
        return CheckLine("versions", "all required libraries; no lock to compare their versions with")
    return CheckLine("versions", f"{facts.count} libraries of the tested versions")


def _required() -> dict[str, str | None]:
    """Return the installed versions of the libraries that palpate requires itself."""
    try:
        lines = [line for line in requires("palpate") or () if "extra ==" not in line]
    except PackageNotFoundError:  # run from its source
        lines = []
    found: dict[str, str | None] = {}
    for line in lines:
        match = _NAME.match(line)
        if match is not None:
            name = re.sub(r"[-_.]+", "-", match[0]).lower()
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = None
    return found
