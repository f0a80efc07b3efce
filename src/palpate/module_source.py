"""Imports, data files and code digest of one module, read without importing it.

Python's own tokenizer is used, without comments, docstrings and the layout of lines: they change no result.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

_CACHE_VERSION = 2
"""Version of the cache of modules; raise it when the reading of a module changes for the same bytes."""
_MOST_KNOWN = 2000
_PACKAGE_DATA = "PACKAGE_DATA"
_NAMED = re.compile(r"""["'](palpate(?:\.\w+)+)["']""")
"""Pattern of a string that names a module or a package of data, as for importlib."""
_LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER})


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """Imports, data files and code digest of one module.

    Attributes:
        digest: SHA-256 of the tokens that can change what the module does.
        imports: names of the modules that it imports, as they are written there; relative ones begin with a dot.
        data: files of other packages that it reads, "package/folder/file".
    """

    digest: str
    imports: frozenset[str]
    data: tuple[str, ...]


def read_module(file: Path) -> ModuleSource:
    """Read a module, or take the result of an earlier reading of the same bytes.

    Args:
        file: source file of the module.
    """
    content = file.read_bytes()
    key = sha256(content).hexdigest()[:24]
    if key not in _known():
        _known()[key] = _understand(content)
        _new.add(key)
    return _known()[key]


def _understand(content: bytes) -> ModuleSource:
    try:
        statements = list(_statements(content))
        return ModuleSource(_digest_of(statements), _imports(statements), _package_data(statements))
    except (SyntaxError, tokenize.TokenError, ValueError):  # half an edit: whatever it is, it is another program
        return ModuleSource(sha256(content).hexdigest(), frozenset(), ())


_new: set[str] = set()


@cache
def _known() -> dict[str, ModuleSource]:
    """Return the readings of modules, by digests of their bytes; kept in the user's cache, since tokenizing is slow."""
    try:
        stored = json.loads(_cache_file().read_text(encoding="utf-8"))
        return {key: ModuleSource(one[0], frozenset(one[1]), tuple(one[2])) for key, one in stored.items()}
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def remember() -> None:
    """Write the readings of modules to the cache for the next process; a cache that cannot be written is left out."""
    if not _new:
        return
    _new.clear()
    recent = list(_known().items())[-_MOST_KNOWN:]
    text = json.dumps({key: [one.digest, sorted(one.imports), one.data] for key, one in recent})
    try:
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete_on_close=False) as partial:
            partial.write(text)
            partial.close()
            os.replace(partial.name, path)
    except (OSError, RuntimeError):
        return


def _cache_file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "palpate" / f"modules-{_CACHE_VERSION}.json"


type _Statement = tuple[int, list[str]]
"""Depth of the indentation, and the texts of the tokens of a logical line."""


def _statements(content: bytes) -> Iterator[_Statement]:
    """Split a module into its logical lines, without comments and without lines that are only a string."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    depth, strings = 0, True
    texts: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(content.decode(encoding)).readline):
        kind = token.type
        if kind in _LAYOUT:
            continue
        if kind == tokenize.INDENT:
            depth += 1
        elif kind == tokenize.DEDENT:
            depth -= 1
        elif kind == tokenize.NEWLINE:
            if texts and not strings:
                yield depth, texts
            texts, strings = [], True
        else:
            texts.append(token.string)
            strings = strings and kind == tokenize.STRING


def _digest_of(statements: Sequence[_Statement]) -> str:
    total = sha256()
    for depth, texts in statements:
        total.update("\x1f".join([str(depth), *texts, "\n"]).encode())
    return total.hexdigest()


def _imports(statements: Sequence[_Statement]) -> frozenset[str]:
    """Return names of modules that statements import or name, at any depth, but not what type checkers alone import."""
    found: set[str] = set()
    typing_depth = sys.maxsize
    for depth, texts in statements:
        if depth <= typing_depth:
            typing_depth = depth if texts[0] == "if" and texts[-2:] == ["TYPE_CHECKING", ":"] else sys.maxsize
        if depth > typing_depth:
            continue
        found.update(named[1] for text in texts if (named := _NAMED.fullmatch(text)))
        for start in (at for at, text in enumerate(texts) if text in ("import", "from")):
            if start == 0 or texts[start - 1] in (":", ";"):  # also in `if x: import y`
                end = next((at for at in range(start, len(texts)) if texts[at] == ";"), len(texts))
                found.update(_imported(texts[start:end]))
    return frozenset(found)


def _imported(texts: Sequence[str]) -> Iterator[str]:
    """Yield names in one import statement; of `from a import b` both a and a.b, since b may be a module."""
    (statement,) = ast.parse(" ".join(texts)).body
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        base = "." * statement.level + (statement.module or "")
        yield base
        yield from (f"{base}{'' if base.endswith('.') else '.'}{alias.name}" for alias in statement.names)


def _package_data(statements: Sequence[_Statement]) -> tuple[str, ...]:
    for depth, texts in statements:
        if depth == 0 and texts[0] == _PACKAGE_DATA and "=" in texts:
            return tuple(ast.literal_eval(" ".join(texts[texts.index("=") + 1 :])))
    return ()
