"""Comparison of a study's results with those of the undisturbed study: every byte, but for times."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from palpate.content_digest import digest
from palpate.output_marker import MARKER
from palpate.receipt import NAME as RECEIPT
from palpate.resources import NAME as RESOURCES

SET_ASIDE_KEYS: Final = frozenset({"seconds", "counts", "load_balance", "peak_memory_mb"})
"""Keys of JSON records that state times and how a run went, at any depth."""
_LEFTOVER: Final = (".partial-", ".replaced-", ".unfinished-", ".owner-", ".lock.json")
"""Beginnings of hidden names that a run must not leave."""
_PLACES: Final = frozenset({"logs"})
_PAGES: Final = ("study.html", ".study.html")
"""Names of the study page, which states times."""

_met: dict[bytes, bytes] = {}


def results_of(results: Path) -> dict[str, str]:
    """Return a digest of every result by its relative name.

    Left out are logs, records of what steps used (`.*.resources.json`), the engine's time stamps, and leftovers. Of the
    record of an inversion all keys but SET_ASIDE_KEYS count. Where later results name the digest of that record, or of
    its folder, a word takes its place. Of receipts, who made the output and the digests of inputs count; of markers the
    names of files.

    Args:
        results: folder of the results.
    """
    words = _digests_of_inversions(results)
    return {str(path.relative_to(results)): _digest(path, words) for path in _files(results)}


def leftovers_in(results: Path) -> list[str]:
    """Return the names of hidden files and folders that a finished run must not leave."""
    found = (path for path in results.rglob(".*") if path.name.startswith(_LEFTOVER) or _is_half_written(path.name))
    return sorted(str(path.relative_to(results)) for path in found)


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    """Return the names of results that are missing, too many or of other content."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _is_half_written(name: str) -> bool:
    """Return whether a hidden name ends in a process, as receipts and markers do while they are written."""
    stem, _, process = name.rpartition(".")
    return process.isdigit() and (stem.endswith(RECEIPT) or stem == ".palpate")


def _files(results: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(results):
        folders[:] = [one for one in sorted(folders) if one not in _PLACES and not one.startswith(_LEFTOVER)]
        for name in sorted(names):
            bookkeeping = name.startswith((".snakemake", *_LEFTOVER, *_PAGES)) or name.endswith(RESOURCES)
            if not bookkeeping and not _is_half_written(name):
                yield Path(folder, name)


def _digests_of_inversions(results: Path) -> dict[bytes, bytes]:
    """Return the digests of all inversions that were met so far, which hold seconds, and a word for each.

    Where an inversion alone was made again, later results still name the digest of the one before.
    """
    for record in sorted(results.glob("sub-*/ses-*/mre/*_inversion.json")):
        for path in (record, record.parent):
            _met[digest(path).encode()] = f"<{path.name}>".encode()
    return _met


def _digest(path: Path, words: Mapping[bytes, bytes]) -> str:
    content = path.read_bytes()
    for hexadecimal, word in words.items():
        content = content.replace(hexadecimal, word)
    try:
        if path.name.endswith(RECEIPT):
            content = _text(_receipt(json.loads(content)))
        elif path.name == MARKER:
            content = _text(dict.fromkeys(json.loads(content)["files"]))
        elif path.name.endswith("_inversion.json"):
            content = _text(_without_times(json.loads(content)))
    except (ValueError, LookupError, TypeError):
        pass  # a damaged file is compared as it is
    return sha256(content).hexdigest()


def _receipt(told: dict[str, Any]) -> object:
    """Return what a receipt says of inputs, without the states of files (times, inodes)."""
    contents = {role: one["digest"] for role, one in told["contents"].items() if role != "output"}
    return {"made_by": told["made_by"], "contents": contents}


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in SET_ASIDE_KEYS}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _text(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
