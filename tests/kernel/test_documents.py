"""What the documents name exists: links, files, modules, commands, and attributes of classes."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from palpate.cli import COMMANDS
from tests.conftest import CHECKOUT

DOCUMENTS: Final = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/theory/*.md", "examples/*.md", "envs/*.md", "benchmarks/*.md")
    for path in CHECKOUT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
"""Documents about today's code; decisions and the changelog name what was there when they were written."""

PACKAGES: Final = ("src", "imaging", "meshing", "solvers", "twin", "service")
"""Folders of the package's code."""
ROOTS: Final = (*PACKAGES, "tests", "benchmarks", "examples", "workflow", "envs")
"""Folders of code."""

_LINK: Final = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_PATH: Final = re.compile(
    r"(?<![\w./<-])(?:src|imaging|meshing|solvers|twin|service|tests|benchmarks|docs|examples|workflow|envs)/[\w./*-]*[\w*]"
)
_FILE: Final = re.compile(r"(?<![\w./*{-])\w+\.(?:py|smk)\b")
_MODULE: Final = re.compile(r"(?<![\w./~-])palpate((?:\.[A-Za-z]\w*)+)")
_COMMAND: Final = re.compile(r"^palpate ([a-z]+)")
_ATTRIBUTE: Final = re.compile(r"([A-Z]\w*[a-z]\w*)\.([a-z]\w*)")
_PLACEHOLDERS: Final = ("name.py", "palpate.yaml", "script.py")


def _attributes() -> dict[str, set[str]]:
    """Return the attributes and methods of the package's classes."""
    found = defaultdict(set)
    for root in PACKAGES:
        for path in (CHECKOUT / root).rglob("*.py"):
            for made in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(made, ast.ClassDef):
                    found[made.name].update(_members(made))
    return found


def _members(made: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(made):
        match node:
            case ast.FunctionDef(name) | ast.Attribute(ast.Name("self"), name):
                yield name
            case ast.AnnAssign(ast.Name(name)):
                yield name


def _module_exists(dotted: str) -> bool:
    """Return whether a dotted name below palpate is a module, or a name in one."""
    parts = dotted.strip(".").split(".")
    for count in range(len(parts), -1, -1):
        here = CHECKOUT.joinpath("src", "palpate", *parts[:count])
        file = here.with_suffix(".py") if here.with_suffix(".py").is_file() else here / "__init__.py"
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            return all(re.search(rf"\b{re.escape(name)}\b", text) for name in parts[count : count + 1])
    return False


def _missing(text: str, folder: Path, attributes: dict[str, set[str]], files: set[str]) -> Iterator[str]:
    """Yield what a document names and what does not exist."""
    yield from (link for link in _LINK.findall(text) if not (folder / link).exists())
    for code in _CODE.findall(text):
        if code.endswith(_PLACEHOLDERS):
            continue
        yield from (path for path in _PATH.findall(code) if not any(CHECKOUT.glob(path)))
        yield from (name for name in _FILE.findall(code) if name not in files)
        yield from (f"palpate{name}" for name in _MODULE.findall(code) if not _module_exists(name))
        yield from (f"palpate {name}" for name in _COMMAND.findall(code) if name not in COMMANDS)
        if (found := _ATTRIBUTE.fullmatch(code)) and found[1] in attributes and found[2] not in attributes[found[1]]:
            yield code


def test_what_documents_name_exists() -> None:
    """A newcomer who follows a dead name stops to trust the page."""
    attributes = _attributes()
    files = {path.name for root in ROOTS for pattern in ("*.py", "*.smk") for path in (CHECKOUT / root).rglob(pattern)}
    missing = {path.name: [*_missing(path.read_text("utf-8"), path.parent, attributes, files)] for path in DOCUMENTS}
    assert not {name: found for name, found in missing.items() if found}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[decisions](decisions/README.md), `docs/decisions/`, `palpate.errors.InputError`, `palpate invert`", 0),
        ("`solvers/virtual_*.py`, `Zone.weight`, <https://example.org>", 0),
        ("[decisions](decision/README.md)", 1),
        ("`docs/decision/`", 1),
        ("`problem.py`, `solvers/inversion/steps/problem.py`", 0),
        ("`problems.py`", 1),
        ("`palpate.error.InputError`", 1),
        ("`palpate.errors.OutputError`", 1),
        ("`palpate push`", 1),
        ("`Zone.share`", 1),
    ],
)
def test_dead_names_are_found(text: str, count: int) -> None:
    """The test above can fail, for every kind of name."""
    assert len([*_missing(text, CHECKOUT / "docs", {"Zone": {"weight"}}, {"problem.py"})]) == count
