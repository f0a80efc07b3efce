"""Public descriptions open as sentences or noun phrases, and a class name is used once."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CHECKOUT

PACKAGE: Final = CHECKOUT / "src" / "palpate"
FOLDERS: Final = (PACKAGE, CHECKOUT / "benchmarks", CHECKOUT / "examples")

FRAGMENT: Final = re.compile(
    r"(the same|what|how|where|of|and|with|as|to|for|when|why|who|by|so|but|or|then|than|if|is|are|only|also|at)"
    r"(?=[\s,.:;]|$)",
    re.IGNORECASE,
)
"""Openings of descriptions that nobody understands without another line."""
NO_IMPERATIVE: Final = re.compile(
    r"(an?|the|one|two|three|some|any|both|its|their|his|her|ours?|own|whether|which|[\w']+(?<!s)s)(?=[\s,.:;]|$)",
    re.IGNORECASE,
)
"""Openings of noun phrases and verbs in the third person."""
AFTER_COLON: Final = re.compile(r"[^.]*:\s+(of|by|as|over)\s", re.IGNORECASE)
"""First sentences that end in a colon and a fragment. Prepositions that open whole sentences as well are not here."""

_SECTION: Final = re.compile(r"^(?:Args|Attributes|Raises):\n((?: +.*\n?|\n)+)", re.MULTILINE)
_ITEM: Final = re.compile(r"^ {4}(\**\w+)(?: \([^)]*\))?:\s*(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Description:
    """Description of one public thing.

    Attributes:
        place: file, line and name of the thing.
        text: docstring, or the line of an argument or attribute.
        is_call: whether the thing is called, so that its description opens with a verb.
    """

    place: str
    text: str
    is_call: bool = False

    def is_fragment(self) -> bool:
        """Return whether the description opens as no sentence and no noun phrase, or a call's with no imperative."""
        rules = (FRAGMENT, NO_IMPERATIVE) if self.is_call else (FRAGMENT,)
        return any(rule.match(self.text) for rule in rules)

    def ends_in_fragment(self) -> bool:
        """Return whether the first sentence goes on behind a colon as no sentence and no list."""
        return AFTER_COLON.match(self.text) is not None


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a folder, also those behind links to folders."""
    for here, _, names in folder.walk(follow_symlinks=True):
        yield from (here / name for name in sorted(names) if name.endswith(".py"))


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _descriptions(tree: ast.Module, file: str, *, private: bool = False) -> Iterator[Description]:
    """Yield the descriptions of a module and of all that is public in it, or of all."""
    yield from _documented(tree, file)
    yield from _members(tree.body, file, private=private)


def _members(body: list[ast.stmt], file: str, *, private: bool) -> Iterator[Description]:
    """Yield the descriptions of the functions, classes, constants and fields of a body."""
    for before, node in zip(body[:1] + body, body, strict=False):
        place = f"{file}:{node.lineno}"
        match before, node:
            case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text))):
                yield Description(place, text)
            case _, ast.ClassDef() as made if private or _is_public(made):
                yield from _documented(made, f"{place} {made.name}")
                yield from _members(made.body, file, private=private)
            case _, (ast.FunctionDef() | ast.AsyncFunctionDef()) as made if private or _is_public(made):
                is_call = not any("property" in ast.unparse(one) for one in made.decorator_list)
                yield from _documented(made, f"{place} {made.name}", is_call=is_call)


def _documented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, place: str, *, is_call: bool = False
) -> Iterator[Description]:
    """Yield the description of a thing, and those of its arguments or attributes."""
    text = ast.get_docstring(node)
    if text is not None:
        yield Description(place, text, is_call)
        for section in _SECTION.findall(text):
            yield from (Description(f"{place}.{name}", line) for name, line in _ITEM.findall(section))


def _is_public(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not node.name.startswith("_")


def _classes(folder: Path) -> Counter[str]:
    """Count the public classes of a folder by name."""
    nodes = (node for path in _sources(folder) for node in ast.walk(_tree(path)))
    return Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and _is_public(node))


def _found(folder: Path, *, private: bool) -> Iterator[Description]:
    """Yield the descriptions of all files of a folder."""
    for path in _sources(folder):
        yield from _descriptions(_tree(path), str(path.relative_to(CHECKOUT)), private=private)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_descriptions_are_no_fragments(folder: Path) -> None:
    """A reader meets a description alone, in an editor or a table, without the line before it."""
    found = _found(folder, private=False)
    assert not [f"{one.place}: {one.text.splitlines()[0]}" for one in found if one.is_fragment()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_descriptions_do_not_end_in_fragments(folder: Path) -> None:
    """A sentence's second half is a sentence as well, in private descriptions too."""
    found = _found(folder, private=True)
    assert not [f"{one.place}: {one.text.splitlines()[0]}" for one in found if one.ends_in_fragment()]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Return the file that holds the voxels: of a pair the .img.", True),
        ("Noise of a wave field: as stated, or measured.", True),
        ("Number of vectors: with 240,000 voxels they take 250 MB.", False),
        ("Three kinds: red, green, blue.", False),
        ("Return the voxels. Their order: as in the mask.", False),
    ],
)
def test_fragments_after_colons_are_found(text: str, *, ends: bool) -> None:
    """A colon before a sentence or a list is no fault."""
    assert Description("", text).ends_in_fragment() is ends


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        ('"""What all share."""', 1),
        ('"""The same of another."""', 1),
        ('"""The part that all share."""', 0),
        ('FACTOR = 2\n"""Of one voxel."""', 1),
        ('def norm(x):\n    """The norm of a vector.\n\n    Args:\n        x: of a vector.\n    """', 2),
        ('def norm(x):\n    """Returns the norm of a vector."""', 1),
        ('def norm(x):\n    """Compress a vector.\n\n    Args:\n        x: vector, shape (n,).\n    """', 0),
        ('def _norm(x):\n    """The norm."""', 0),
        ('class Wave:\n    """Wave.\n\n    Attributes:\n        size: as read.\n    """', 1),
        ('def read(x):\n    """Read x.\n\n    Raises:\n        OSError: if it is not there.\n    """', 1),
        ('class Wave:\n    """Wave."""\n\n    size: int\n    """As read."""', 1),
        ('class Wave:\n    """Wave."""\n\n    @property\n    def size(self):\n        """The size in metres."""', 0),
        ('class Wave:\n    """Wave."""\n\n    @property\n    def size(self):\n        """Where it ends."""', 1),
    ],
)
def test_fragments_are_found(source: str, fragments: int) -> None:
    """The test above can fail, for every kind of thing."""
    assert sum(one.is_fragment() for one in _descriptions(ast.parse(source), "wave.py")) == fragments


def test_class_names_are_used_once() -> None:
    """Two classes of one name are mixed up by readers, in messages and in imports."""
    found = sum((_classes(folder) for folder in FOLDERS), Counter[str]())
    assert not [name for name, count in found.items() if count > 1]
