"""The page of warnings lists every code that the source can raise, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "warnings.md"
FOLDERS = ("src/palpate", "imaging", "meshing", "solvers", "twin", "service")


def _codes(source: Path) -> set[str]:
    """First arguments of QualityWarning(...) in one file; each must be a literal, or nothing could list it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "QualityWarning":
            if any(keyword.arg is None for keyword in node.keywords):
                continue  # QualityWarning(**record) restores one that was raised elsewhere.
            given = node.args[0] if node.args else next(k.value for k in node.keywords if k.arg == "code")
            assert isinstance(given, ast.Constant), f"{source}:{node.lineno}: the code must be a literal text"
            found.add(str(given.value))
    return found


@pytest.fixture(scope="module")
def raised() -> set[str]:
    files = {one for folder in FOLDERS for one in (CHECKOUT / folder).rglob("*.py")}
    return set().union(*(_codes(one) for one in files))


def test_every_code_is_on_the_page(raised: set[str]) -> None:
    """Whoever reads a code in a record must find what it means; a code that is gone must not stay documented."""
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(raised)


def test_codes_are_kebab_case(raised: set[str]) -> None:
    """Programs compare them: one way of writing."""
    assert raised
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", one) for one in raised)
