"""Names of files in errors: relative to the folder that the user gave, or by the place in a table that names them.

The path of a scan's folder may name a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palpate.errors import InputError
from palpate.imaging.files.plain_names import shown


@contextmanager
def named_within(given: Path) -> Iterator[None]:
    """Let errors about a folder, or about files in it, name them without the path of the folder.

    Args:
        given: folder or file that the user gave.
    """
    try:
        yield
    except InputError as error:
        where = _within(error.where, given)
        if where == error.where:
            raise
        raise InputError(where, found=error.found, expected=error.expected, advice=error.advice) from error


@contextmanager
def named_by(place: str, given: Path) -> Iterator[None]:
    """Let errors about a file that a table names say where: a table has many, and "the given path" is none of them.

    Args:
        place: place in the table, such as "treatments.tsv, line 3, column dose_file (plan.dcm)".
        given: file or folder that the table names there.
    """
    try:
        yield
    except InputError as error:
        inside = _within(error.where, given)
        where = place if inside in (shown(given), str(given)) else f"{place}, {inside}"
        raise InputError(where, found=error.found, expected=error.expected, advice=error.advice) from error


def _within(where: str, given: Path) -> str:
    """Return a place in an error without the path of the given folder.

    What does not exist is named as it was typed: it is nobody's folder, and the reader looks for the slip.
    """
    path = str(given)
    if path == "." or not where.startswith(path) or not given.exists():
        return where
    inside = where[len(path) :]
    if inside.startswith("/"):
        return inside[1:]
    return shown(given) + inside
