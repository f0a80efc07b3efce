"""No passage of code stands in two packages: it belongs where both can import it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CHECKOUT

ROOTS: Final = (CHECKOUT / "src" / "palpate", CHECKOUT / "benchmarks", CHECKOUT / "examples")

LINES: Final = 6
"""Number of equal lines in a row that are a repetition."""

_TEXT: Final = re.compile(r'(^[ \t]*)?[rf]*"""[\s\S]*?"""', re.MULTILINE)
"""A text in triple quotes, and what stands before it if nothing but spaces does, as in a docstring."""
_IMPORT: Final = re.compile(r"^[ \t]*(?:from [\w.]+ )?import (?:\([^)]*\)|.*)$", re.MULTILINE)


def _lines(source: str) -> list[str]:
    """The lines of code, without indentation, comments, docstrings and imports."""
    code = _IMPORT.sub("", _TEXT.sub(lambda text: text[0] if text[1] is None else "", source))
    return [line for one in code.splitlines() if (line := one.strip()) and not line.startswith("#")]


def _sources() -> Iterator[tuple[str, str]]:
    """Yield the file and the text of every module, each once, through links to the packages."""
    for root in ROOTS:
        for here, _, names in root.walk(follow_symlinks=True):
            for path in (here / name for name in names if name.endswith(".py")):
                yield str(path.relative_to(CHECKOUT)), path.read_text(encoding="utf-8")


def _package(file: str) -> str:
    """The package of a file: palpate's parts are packages of their own, modules beside them are its kernel."""
    *folders, _ = Path(file).parts
    return "/".join(folders[:3]) if folders[:2] == ["src", "palpate"] else folders[0]


def _repeats(sources: Mapping[str, str]) -> list[tuple[list[str], str]]:
    """The files of each passage that stands in several packages, and its text."""
    found = defaultdict(set)
    for file, source in sources.items():
        lines = _lines(source)
        for start in range(len(lines) - LINES + 1):
            found["\n".join(lines[start : start + LINES])].add(file)
    return [(sorted(files), text) for text, files in found.items() if len({_package(file) for file in files}) > 1]


def test_no_passage_stands_in_two_packages() -> None:
    """Whoever mends one of two copies leaves the other wrong."""
    sources = dict(_sources())
    assert {_package(file) for file in sources} > {"src/palpate", "src/palpate/imaging", "src/palpate/cli"}
    assert not _repeats(sources)


PASSAGE: Final = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n"


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        (PASSAGE + "f = 6", PASSAGE + "f = 6", 1),
        (PASSAGE + "f = 6", PASSAGE + "f = 7", 0),
        (PASSAGE + "f = 6", PASSAGE + '\n"""Number e."""\n\n# and f\nf = 6', 1),
        (PASSAGE + "import f", PASSAGE + "import f", 0),
        ("from g import (\n    f,\n    h,\n)\n" + PASSAGE, "from g import (\n    f,\n    h,\n)\n" + PASSAGE, 0),
        (PASSAGE + "f = 6", "class A:\n    " + PASSAGE.replace("\n", "\n    ") + "f = 6", 1),
    ],
)
def test_repeats_are_found(first: str, second: str, count: int) -> None:
    """The test above can fail, and counts code alone."""
    assert len(_repeats({"src/palpate/imaging/one.py": first, "src/palpate/twin/two.py": second})) == count
    assert not _repeats({"src/palpate/imaging/one.py": first, "src/palpate/imaging/files/two.py": second})
