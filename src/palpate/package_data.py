"""Data files that other packages bring, found without importing these packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def package_file(inside: str) -> Path | None:
    """Find a data file of another package.

    A module that reads one names it in its constant `PACKAGE_DATA`, a tuple of such texts, where palpate.program looks
    for what a result depends on.

    Args:
        inside: path of the file as "package/folder/file".

    Returns:
        Its path, whether or not there is such a file; None where the package is not installed.
    """
    name, _, file = inside.partition("/")
    found = find_spec(name)
    return None if found is None or found.origin is None else Path(found.origin).parent / file
