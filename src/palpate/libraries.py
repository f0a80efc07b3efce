"""Installed libraries: their packages, versions and requirements, and the versions that a lock file asks for.

`importlib.metadata.packages_distributions` also finds the library of a package, but takes longer than this whole
module.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.M)
_NEEDS = re.compile(r"^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", re.M)


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed library: its version, the libraries that it requires, and its list of installed files."""

    version: str
    needs: frozenset[str]
    record: bytes


@cache
def _distributions() -> dict[str, Distribution]:
    """Installed libraries by their normalised names; the first on Python's path counts, as it does for imports."""
    found: dict[str, Distribution] = {}
    for entry in sys.path:
        for folder in sorted(Path(entry).glob("*.dist-info")) if entry else ():
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(_normalised(name), _distribution(folder, version))
    return found


def _distribution(folder: Path, version: str) -> Distribution:
    try:
        metadata = (folder / "METADATA").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        record = b"\n" + (folder / "RECORD").read_bytes()
    except OSError:
        return Distribution(version, frozenset(), b"")
    needs = (_normalised(name) for name, condition in _NEEDS.findall(metadata) if "extra" not in condition)
    return Distribution(version, frozenset(needs), record)


@cache
def _distribution_of(package: str) -> str | None:
    """Return the library that brings a top-level package; None where nothing installed does."""
    same = _normalised(package)
    if same in _distributions():
        return same
    marks = (f"\n{package}/".encode(), f"\n{package}.".encode())
    return next((name for name, one in _distributions().items() if any(mark in one.record for mark in marks)), None)


def with_needs(packages: Iterable[str]) -> dict[str, Distribution]:
    """Return the libraries that these packages belong to, with all libraries that they require."""
    waiting = [name for package in packages if (name := _distribution_of(package)) is not None]
    found: dict[str, Distribution] = {}
    while waiting:
        name = waiting.pop()
        if name not in found and name in _distributions():
            found[name] = _distributions()[name]
            waiting.extend(found[name].needs)
    return found


def pins_of(lock: Path) -> dict[str, str]:
    """Return the versions that a lock file asks for; several for one name where they depend on Python's version."""
    pins: dict[str, str] = {}
    for name, version in _PIN.findall(lock.read_text(encoding="utf-8")) if lock.is_file() else ():
        pins[_normalised(name)] = " ".join(filter(None, (pins.get(_normalised(name)), version)))
    return pins


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
