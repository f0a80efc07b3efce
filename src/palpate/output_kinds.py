"""Kinds of files that commands write to a name of the user's choice, and the recognition of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from palpate.bounded_read import read_bounded

_HEAD: Final = 200_000
"""Length of a page's beginning that is read to recognise it, bytes: style and policy precede its first words."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """Kind of file that a command writes to a name of the user's choice.

    Attributes:
        step: the command that writes it.
        what: the file in a user's words, such as "page of a session".
        endings: allowed endings of its name inside an input folder.
        recognises: whether an existing file, not empty, is of this kind. It may raise OSError or ValueError for no.
    """

    step: str
    what: str
    endings: tuple[str, ...]
    recognises: Callable[[Path], bool] = field(repr=False)


def page_kind(command: str, title: str) -> Callable[[Path], bool]:
    """Return the test for an HTML page of one command.

    Args:
        command: command that the page names as its generator.
        title: text of the title of older pages, which name no generator.
    """
    named = f'name="generator" content="palpate {command}"'.encode()

    def recognises(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        plain = b'name="generator"' not in head and title.encode() in head and b"palpate" in head
        return head.lstrip().lower().startswith(b"<!doctype html") and (named in head or plain)

    return recognises


def json_kind(*keys: str, inside: bool = False) -> Callable[[Path], bool]:
    """Return the test for a JSON file by its keys.

    Args:
        keys: keys that it has.
        inside: whether the objects in its list or object have them, instead of the outermost object.
    """

    def recognises(path: Path) -> bool:
        told = json.loads(read_bounded(path))
        objects = (list(told.values()) if isinstance(told, dict) else told) if inside else [told]
        return bool(objects) and all(isinstance(one, dict) and set(keys) <= set(one) for one in objects)

    return recognises
