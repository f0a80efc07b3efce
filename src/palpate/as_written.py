"""Check that inputs which palpate wrote are still as it wrote them.

Most readers notice a damaged file: packed images and arrays carry checksums. Numbers that are stored plainly do not, so
that a changed byte would be a wrong number. The marker of an output folder, and the receipt beside an output file, hold
digests of what was written.

A text or an image may have been corrected by hand, and is read as it is, with a warning. Nobody corrects an HDF5 file
by hand: there a change is damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from palpate.content_digest import state_of
from palpate.errors import InputError
from palpate.output_marker import changed_in, is_marked, read_mark
from palpate.progress import say
from palpate.receipt import is_as_received

_BINARY: Final = (".h5", ".hdf5")
"""Endings of files that nobody edits."""
_OF_SESSIONS: Final = ("ingest", "invert")
"""Steps whose folders commands read that are given the session's folder."""

_seen: dict[Path, str] = {}
"""Inputs that were examined, and their state then: several outputs of one command are claimed with the same inputs."""


def demand_as_written(given: Path) -> None:
    """Refuse an input of palpate's own that is damaged; say which texts and images in it were changed.

    Args:
        given: file or folder that a step reads, or the folder of a session.

    Raises:
        InputError: an HDF5 file differs from what palpate wrote.
    """
    now = state_of([given]) if given.exists() else ""
    if _seen.get(given) == now:
        return
    for path, step in _changed(given):
        by = f"after palpate {step} had written it" if step else "after palpate had written it"
        if path.suffix in _BINARY:
            raise InputError(
                path,
                found=f"a file that was changed {by}",
                expected="the file as it was written",
                advice=f"It may be damaged. Remove {path.parent if step else path} and make it again.",
            )
        name = path.relative_to(path.parents[1])
        say(f"warning: {name} was changed {by}, and is read as it is. Make it again, unless somebody corrected it.")
    _seen[given] = now


def _changed(given: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield changed files with the step that wrote them; None for the step of a file with a receipt beside it."""
    if given.is_file():
        if is_as_received(given) is False:
            yield given, None
        return
    if not given.is_dir():
        return
    inside = (one for one in sorted(given.iterdir()) if is_marked(one) and read_mark(one).step in _OF_SESSIONS)
    for folder in (given,) if is_marked(given) else inside:
        marked = read_mark(folder)
        for name in changed_in(folder, marked):
            yield folder / name, marked.step
