"""Folders with links are walked to an end, in one order, and everything that is left out has its reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from palpate.folder_walk import walk_folder


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_each_folder_is_walked_once_whatever_leads_there(tmp_path: Path) -> None:
    """A link to the folder itself must not be followed for ever, and two links to one folder double no image."""
    _write(tmp_path, "b/2", "b/1", "a.c", "a/x", ".hidden/x", "Thumbs.db")
    for link, target in (("a/up", ".."), ("c", "b"), ("d", "nowhere"), ("e", "e"), ("f", "a/x")):
        (tmp_path / link).symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    found = {str(one.name): one.left_out for one in walk_folder(tmp_path)}
    assert [name for name, reason in found.items() if not reason] == ["a/x", "a.c", "b/1", "b/2", "f"]
    assert {name: reason for name, reason in found.items() if reason} == {
        ".hidden": "hidden file or folder",
        "Thumbs.db": "file that an operating system left behind",
        "a/up": "folder that a link leads to a second time",
        "c": "folder that a link leads to a second time",
        "d": "link without target",
        "e": "link without target",
        "pipe": "no regular file",
    }


def test_a_folder_is_opened_in_the_callers_context(tmp_path: Path) -> None:
    """A reader of DICOM has a sentence of its own for a folder that it may not read, without the names before it."""
    _write(tmp_path, "a/b/x")
    opened = []

    @contextmanager
    def refusing(name: PurePosixPath) -> Iterator[None]:
        opened.append(str(name))
        yield
        if name.name == "b":
            raise PermissionError(str(name))

    with pytest.raises(PermissionError, match=r"^a/b$"):
        list(walk_folder(tmp_path, refusing))
    assert opened == [".", "a", "a/b"]
