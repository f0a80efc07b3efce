"""Digests of the contents of files and folders, which depend neither on times nor on places."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from palpate.folder_walk import walk_folder

NOTES = frozenset({"scores.json", "regions.tsv", "change.tsv", "ro-crate-metadata.json", "ro-crate-metadata.json.sig"})
"""Files that may be added to a folder of results because no step reads them (design.md 3.4)."""
_SETTLED_S = 3.0
"""Age below which a file's state is not reliable, seconds: it may be written again within one tick of its clock."""


@dataclass(frozen=True, slots=True)
class Content:
    """Contents of an input of a step at one time.

    Attributes:
        digest: digest of the contents.
        state: state of the files: while it is unchanged, nobody wrote to them and the digest need not be computed
            again.
        settled: whether the files were old enough for the state to be reliable.
    """

    digest: str
    state: str
    settled: bool


def content_of(paths: Sequence[Path]) -> Content:
    """Return the contents of files and folders, in their order.

    Args:
        paths: files and folders that exist.
    """
    state, newest = _state(paths)
    settled = newest < time.time() - _SETTLED_S
    digests = [digest(path) for path in paths]
    whole = digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
    return Content(whole, state, settled)


def state_of(paths: Sequence[Path]) -> str:
    """Return the state of files and folders, which changes whenever anybody writes to one of them."""
    return _state(paths)[0]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's relative names and contents.

    Hidden files, `NOTES` and files of operating systems are left out.
    """
    if path.is_file():
        return _file_digest(path)
    return folder_digest({name: _file_digest(file) for name, file in _files(path)})


def folder_digest(files: Mapping[str, str]) -> str:
    """Return the digest of a folder from those of its files.

    Args:
        files: SHA-256 of each file by its relative name, in the order of a walk; `NOTES` are left out.
    """
    total = sha256()
    for name, content in files.items():
        if NOTES.isdisjoint(name.split("/")):
            total.update(f"{name} {content}\n".encode())
    return total.hexdigest()


def digest_of_values(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of values that JSON can hold, which does not depend on their order.

    Args:
        values: values by their names.
    """
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _state(paths: Sequence[Path]) -> tuple[str, float]:
    """Return a digest of names, sizes and times of the files, and the time of the last change, seconds.

    No user can set back the time of a file's last change (ctime), so that it also tells apart contents of equal size
    with equal modification time.
    """
    total = sha256()
    newest = 0.0
    for path in paths:
        for name, file in [("", path)] if path.is_file() else _files(path):
            found = file.stat()
            line = (name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            total.update(f"{line}\n".encode())
            newest = max(newest, found.st_ctime)
    return total.hexdigest(), newest


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return relative names and paths of a folder's files, through links to folders too."""
    found = (one for one in walk_folder(folder) if not one.left_out and NOTES.isdisjoint(one.name.parts))
    return [(one.name.as_posix(), one.path) for one in found]


def _file_digest(path: Path) -> str:
    total = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()
