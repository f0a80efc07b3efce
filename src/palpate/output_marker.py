"""Marker of an output folder: the step that made it, and the files that palpate wrote into it, with their digests.

A folder is replaced only where palpate wrote everything in it, by size and a digest of the contents. Times are not
kept: a copy has others, and a run that was stopped and went on must leave the same bytes as one that was not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from palpate import __version__
from palpate.bounded_read import read_bounded
from palpate.content_digest import digest
from palpate.leftovers import partial_of
from palpate.receipt import NAME as RECEIPT
from palpate.resources import NAME as RESOURCES
from palpate.run_crate.names import CRATE, SIGNATURE
from palpate.system_files import is_system_file

MARKER: Final = ".palpate"
"""File that marks a folder as palpate's own and names the step that made it, so that its re-run may replace it."""

_CONTENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "phantom": ("sessions.tsv",),
    "deidentify": ("deidentification.json",),
    "ingest": ("*_wavefield.json",),
    "mesh": ("*_zones.h5", "labels_mesh.json"),
    "invert": ("*_inversion.json",),
    "overlay": ("*_space-T1w_*", "no_maps_on_anatomy.txt"),
    "calibrate": ("calibration.h5",),
    "forecast": ("forecast.json",),
    "maps": ("*.dcm", "no_dicom_source.txt"),
    "fetch": ("series[0-9]*", "series-[0-9]*"),
}
"""Names by which the output of each step is known. Markers of older versions do not name the step."""

_TIMED: Final = ("*_inversion.json", CRATE, SIGNATURE)
"""Records of a run's seconds, counts and day, which differ between two runs to the same maps: listed by name alone."""

_LEFT: Final = r"\.(partial|replaced)-[0-9a-f]{8}-[0-9]+-[0-9]+-.+"
"""Pattern of hidden files and folders that a killed command leaves (palpate.leftovers)."""

_BOOKKEEPING: Final = re.compile(
    rf"{re.escape(MARKER)}(\.[0-9]+)?|\.snakemake_timestamp|{_LEFT}|\.owner-.+\.json"
    rf"|(\..+)?{re.escape(RECEIPT)}(\.[0-9]+)?|\..+{re.escape(RESOURCES)}(\.[0-9]+)?",
    re.DOTALL,
)
"""Pattern of hidden names that palpate and the workflow's engine give to bookkeeping files, which hold no result."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was when palpate had written it.

    Attributes:
        size: bytes.
        digest: SHA-256 of its contents.
    """

    size: int
    digest: str

    @classmethod
    def of(cls, file: Path) -> Written:
        """Return the size and digest of a file as it is now."""
        return cls(file.stat().st_size, digest(file))

    def is_now(self, file: Path) -> bool:
        """Return whether a file still has this size and digest."""
        return file.stat().st_size == self.size and digest(file) == self.digest


@dataclass(frozen=True, slots=True)
class Marked:
    """An output folder as its marker describes it.

    Attributes:
        step: the command that made it; None where it is unknown.
        files: each file that palpate wrote, relative to the folder; None instead of a file's state where the marker
            lists names alone, and None for all where it lists none, as in markers of older versions.
        folders: the folders inside.
    """

    step: str | None
    files: Mapping[str, Written | None] | None
    folders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Strange:
    """File or folder in an output folder that palpate did not write.

    Attributes:
        name: path relative to the folder.
        words: noun phrase, such as "a file that palpate invert did not write".
    """

    name: str
    words: str


def stranger_in(path: Path, marked: Marked) -> Strange | None:
    """Return the first file or folder in an output that would be lost with it; None where all is palpate's own.

    Args:
        path: the output folder.
        marked: contents of its marker.
    """
    return next(_strangers(path, path, marked), None)


def mark(folder: Path, step: str) -> None:
    """Write the marker: the step that made the folder, and every file that it wrote."""
    inside = sorted(folder.rglob("*"))
    files = {one.relative_to(folder).as_posix(): _state(one) for one in inside if not one.is_dir()}
    folders = [one.relative_to(folder).as_posix() for one in inside if one.is_dir()]
    _write(folder / MARKER, Marked(step, files, frozenset(folders)))


def _state(file: Path) -> Written | None:
    return None if _any_match([file.name], _TIMED) else Written.of(file)


def announce_addition(file: Path) -> None:
    """Enter the name of a file that a command is about to add to an output of another step into the output's marker.

    A process that is killed between the rename of the file and `note_addition` would otherwise leave a file that looks
    like somebody's own, or like an edited one.

    Args:
        file: it need not exist; where it lies in no output folder, nothing is done.
    """
    _enter(file, None)


def note_addition(file: Path) -> None:
    """Enter a file that a command has added to an output of another step, such as scores, into the output's marker.

    Args:
        file: it exists; where it lies in no output folder, nothing is done.
    """
    _enter(file, Written.of(file))


def _enter(file: Path, state: Written | None) -> None:
    """Enter a file of an output folder into the folder's marker: its state, or its name alone."""
    folder = next((parent for parent in file.parents if is_marked(parent)), None)
    marked = None if folder is None else read_mark(folder)
    if folder is None or marked is None or marked.files is None:
        return
    files = {**marked.files, file.relative_to(folder).as_posix(): state}
    partial = partial_of(folder / MARKER)
    try:
        _write(partial, Marked(marked.step, files, marked.folders))
        os.replace(partial, folder / MARKER)
    finally:
        partial.unlink(missing_ok=True)


def changed_in(folder: Path, marked: Marked) -> Iterator[str]:
    """Yield the relative names of files in an output that differ from what palpate wrote; not of those that are gone.

    Args:
        folder: the output folder.
        marked: contents of its marker.
    """
    for name, written in (marked.files or {}).items():
        file = folder / name
        if written is not None and file.is_file() and not written.is_now(file):
            yield name


def was_edited_inside(file: Path) -> bool:
    """Return whether a file in an output folder was changed after palpate had written or added it.

    Args:
        file: it exists; False where it lies in no output folder, or the marker does not list it with its state.
    """
    folder = next((parent for parent in file.parents if is_marked(parent)), None)
    files = None if folder is None else read_mark(folder).files
    written = None if folder is None or files is None else files.get(file.relative_to(folder).as_posix())
    return written is not None and not written.is_now(file)


def is_marked(folder: Path) -> bool:
    """Return whether a folder is an output of palpate; one that may not be looked into is none."""
    return os.path.isfile(folder / MARKER)  # noqa: PTH113 - pathlib raises for a locked folder


def read_mark(path: Path) -> Marked:
    """Return the contents of a folder's marker."""
    try:
        told = json.loads(read_bounded(path / MARKER))
        listed = told["files"]
        files = listed if isinstance(listed, dict) else dict.fromkeys(listed)
        states = {str(name): None if state is None else Written(*state) for name, state in files.items()}
        return Marked(str(told["step"]), states, frozenset(told.get("folders", _folders_of(states))))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Marked(_step_by_contents(path), None)


def _write(path: Path, marked: Marked) -> None:
    files = marked.files or {}
    told = {
        "written_by": f"palpate {__version__}",
        "step": marked.step,
        "note": "A re-run of this step replaces this folder as a whole, unless it holds anything else.",
        "files": {name: [one.size, one.digest] if one else None for name, one in sorted(files.items())},
        "folders": sorted(marked.folders),
    }
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _strangers(path: Path, here: Path, marked: Marked) -> Iterator[Strange]:
    with os.scandir(here) as entries:
        found = sorted(entries, key=lambda one: one.name)
    for entry in found:
        name = Path(entry.path).relative_to(path).as_posix()
        known = marked.files is not None and name in marked.files
        if is_system_file(entry.name) or _is_bookkeeping(entry):
            continue
        if entry.is_symlink() and not known:
            yield Strange(name, f"a link that palpate {marked.step} did not make")
        elif entry.is_dir():
            yield from _in_folder(path, Path(entry.path), name, marked)
        elif marked.files is None:
            if entry.name.startswith("."):
                yield Strange(name, f"a hidden file that palpate {marked.step} did not write")
        elif not known:
            yield Strange(name, f"a file that palpate {marked.step} did not write")
        elif (written := marked.files[name]) is not None and not written.is_now(Path(entry.path)):
            yield Strange(name, f"a file that was changed after palpate {marked.step} had written it")


def _is_bookkeeping(entry: os.DirEntry[str]) -> bool:
    """Return whether a file, or a folder that a killed command left, holds no result."""
    if entry.is_dir(follow_symlinks=False):
        return re.fullmatch(_LEFT, entry.name, re.DOTALL) is not None
    return entry.is_file(follow_symlinks=False) and _BOOKKEEPING.fullmatch(entry.name) is not None


def _in_folder(path: Path, here: Path, name: str, marked: Marked) -> Iterator[Strange]:
    if (here / MARKER).is_file():
        yield Strange(name, "the output of another run")
    elif (marked.files is None and not here.name.startswith(".")) or name in marked.folders:
        yield from _strangers(path, here, marked)
    else:
        yield Strange(name, f"a folder that palpate {marked.step} did not make")


def _folders_of(files: Iterable[str]) -> frozenset[str]:
    """Return every folder that files lie in, by their relative names."""
    return frozenset(parent.as_posix() for name in files for parent in Path(name).parents[:-1])


def _step_by_contents(path: Path) -> str | None:
    """Return the step that made a folder whose marker names none, by the names in it."""
    names = [one.name for one in path.iterdir()]
    made = (step for step, patterns in _CONTENTS.items() if _any_match(names, patterns))
    return next(made, None)


def _any_match(names: Iterable[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for name in names for pattern in patterns)
