"""Digests of the program behind a command: its own source and data files, and the libraries that it imports.

A result is up to date only if the program that would make it now is the one that made it. What belongs to a program is
read from the source itself: every module that the command imports, directly or through others, inside functions too, or
names in a text ("palpate.service.report.assets"); the data files beside these modules; the data files of other packages
that a module names in `PACKAGE_DATA`; and the versions of the libraries that are imported, with what these need.
Comments, docstrings and the layout of lines do not count. Nothing is imported to find out, so that the workflow can ask
for all commands while it is planned.

`python -m palpate.program COMMAND` prints a command's digest.
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

from palpate.errors import InputError
from palpate.package_data import package_file

PACKAGE = "palpate"
HOME = Path(__file__).parent
_LEFT_OUT = frozenset({PACKAGE, f"{PACKAGE}.cli", f"{PACKAGE}.program", f"{PACKAGE}.receipt"})
"""Modules that change no result: the version, the table of commands with the exit codes, and this bookkeeping."""
_CACHE_VERSION = 2
"""Of what is kept of a module; raise it when reading a module finds something else in the same bytes."""
_MOST_KNOWN = 2000
_PACKAGE_DATA = "PACKAGE_DATA"
_LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER})
_BLOCKS = frozenset({tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.M)
_NAMED = re.compile(rf"""["']({PACKAGE}(?:\.\w+)+)["']""")
"""A text that names a module or a package of data, as for importlib."""
_NEEDS = re.compile(r"^Requires-Dist: *([A-Za-z0-9._-]+)(.*)$", re.M)


@dataclass(frozen=True, slots=True)
class _Source:
    """One module.

    Attributes:
        digest: SHA-256 of the tokens that can change what the module does.
        imports: names of the modules that it imports, as they are written there; relative ones begin with a dot.
        data: files of other packages that it reads, "package/folder/file".
    """

    digest: str
    imports: frozenset[str]
    data: tuple[str, ...]


class Program:
    """The package as it lies on disk now, to be asked about its commands.

    Args:
        home: folder of the package palpate.
    """

    def __init__(self, home: Path = HOME) -> None:
        self._home = home
        self._modules: dict[str, Path] = {}
        self._package: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._data_files: dict[str, list[Path]] = {}
        self._sources: dict[str, _Source] = {}
        self._contents: dict[Path, str] = {}
        for folder, below, files in os.walk(home, followlinks=True):
            below[:] = sorted(name for name in below if not name.startswith((".", "__pycache__")))
            self._look(Path(folder), files)

    def source_digest(self, command: str) -> str:
        """Return a short digest of palpate's own modules and of the data files behind a command.

        Args:
            command: name below palpate.cli, such as "invert".

        Raises:
            InputError: there is no such command.
        """
        modules, _ = self.closure(command)
        total = sha256()
        for name in sorted(modules):
            total.update(f"{name} {self._source(name).digest}\n".encode())
            for inside in self._source(name).data:
                total.update(f"{name} {inside} {self._content(package_file(inside))}\n".encode())
        for package in sorted({self._package[name] for name in modules}):
            for path in self._data_files[package]:
                total.update(f"{path.relative_to(self._home).as_posix()} {self._content(path)}\n".encode())
        return total.hexdigest()[:12]

    def library_digest(self, command: str) -> str:
        """Return a short digest of Python's version and of the versions of the libraries behind a command.

        A version is the one that is installed and, in a checkout, the one that envs/requirements.lock asks for.

        Args:
            command: name below palpate.cli.

        Raises:
            InputError: there is no such command.
        """
        _, packages = self.closure(command)
        pins = _pins(self._home.resolve().parents[1] / "envs" / "requirements.lock")
        lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
        lines += [f"{name} {one.version} {pins.get(name, '-')}" for name, one in sorted(_with_needs(packages).items())]
        return sha256("\n".join(lines).encode()).hexdigest()[:12]

    def digest(self, command: str) -> str:
        """Return both digests of a command as one text; whatever changes either changes it."""
        return f"{self.source_digest(command)}-{self.library_digest(command)}"

    def closure(self, command: str) -> tuple[frozenset[str], frozenset[str]]:
        """Find all that a command imports, directly or through other modules of palpate.

        Args:
            command: name below palpate.cli.

        Returns:
            Names of palpate's modules, and the top-level names of other packages.

        Raises:
            InputError: there is no such command.
        """
        start = f"{PACKAGE}.cli.{command}"
        if start not in self._modules:
            expected = f"a command of {PACKAGE}"
            raise InputError("the name of a command", found=command, expected=expected, advice=f"See {PACKAGE} --help.")
        modules: set[str] = set()
        others: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            top = name.split(".")[0]
            if top != PACKAGE:
                others.add(top)
            elif name in self._modules and name not in modules and name not in _LEFT_OUT:
                modules.add(name)
                waiting.append(name.rpartition(".")[0])  # Python runs the package's own file first
                waiting.extend(_absolute(one, self._package[name]) for one in self._source(name).imports)
        _remember()
        return frozenset(modules), frozenset(others - sys.stdlib_module_names)

    def _look(self, folder: Path, files: Sequence[str]) -> None:
        """Note the modules and data files of one folder; a folder without modules holds data of the one above."""
        name = ".".join([PACKAGE, *folder.relative_to(self._home).parts])
        modules = [file.removesuffix(".py") for file in files if file.endswith(".py")]
        for module in modules:
            full = name if module == "__init__" else f"{name}.{module}"
            self._modules[full] = folder / f"{module}.py"
            self._package[full] = name
        self._owner[name] = owner = name if modules else self._owner[name.rpartition(".")[0]]
        data = (folder / file for file in sorted(files) if not file.endswith((".py", ".pyc")) and file[0] != ".")
        self._data_files.setdefault(owner, []).extend(data)

    def _source(self, module: str) -> _Source:
        if module not in self._sources:
            self._sources[module] = _read(self._modules[module])
        return self._sources[module]

    def _content(self, path: Path | None) -> str:
        if path is None or not path.is_file():
            return "none"
        if path not in self._contents:
            self._contents[path] = sha256(path.read_bytes()).hexdigest()
        return self._contents[path]


def _absolute(imported: str, package: str) -> str:
    """Resolve a relative name (".grid", "..units") as Python does in a module of that package."""
    dots = len(imported) - len(imported.lstrip("."))
    if not dots:
        return imported
    base = package.split(".")[: len(package.split(".")) - dots + 1]
    return ".".join([*base, imported[dots:]]).rstrip(".")


def _read(file: Path) -> _Source:
    """Read a module, or take what an earlier reading of the same bytes found."""
    content = file.read_bytes()
    key = sha256(content).hexdigest()[:24]
    if key not in _known():
        _known()[key] = _understand(content)
        _new.add(key)
    return _known()[key]


def _understand(content: bytes) -> _Source:
    try:
        statements = list(_statements(content))
        return _Source(_digest_of(statements), _imports(statements), _package_data(statements))
    except (SyntaxError, tokenize.TokenError, ValueError):  # half an edit: whatever it is, it is another program
        return _Source(sha256(content).hexdigest(), frozenset(), ())


_new: set[str] = set()


@cache
def _known() -> dict[str, _Source]:
    """What is known of modules, by digests of their bytes; kept in the user's cache, since reading tokens is slow."""
    try:
        stored = json.loads(_cache_file().read_text(encoding="utf-8"))
        return {key: _Source(one[0], frozenset(one[1]), tuple(one[2])) for key, one in stored.items()}
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _remember() -> None:
    """Keep what is known for the next process; a cache that cannot be written is done without."""
    if not _new:
        return
    _new.clear()
    recent = list(_known().items())[-_MOST_KNOWN:]
    text = json.dumps({key: [one.digest, sorted(one.imports), one.data] for key, one in recent})
    try:
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as partial:
            partial.write(text)
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
    """Names of modules that these statements import or name, at any depth; not what type checkers alone import."""
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
    """Names in one import statement; of `from a import b` both a and a.b, since b may be a module."""
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


@dataclass(frozen=True, slots=True)
class _Distribution:
    """An installed library: its version, what else it needs, and the top-level names that it brings."""

    version: str
    needs: frozenset[str]
    record: bytes


@cache
def _distributions() -> dict[str, _Distribution]:
    """Installed libraries by their normalised names; the first on Python's path counts, as it does for imports."""
    found: dict[str, _Distribution] = {}
    for entry in sys.path:
        for folder in sorted(Path(entry).glob("*.dist-info")) if entry else ():
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            found.setdefault(_normalised(name), _distribution(folder, version))
    return found


def _distribution(folder: Path, version: str) -> _Distribution:
    try:
        metadata = (folder / "METADATA").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        record = b"\n" + (folder / "RECORD").read_bytes()
    except OSError:
        return _Distribution(version, frozenset(), b"")
    needs = (_normalised(name) for name, condition in _NEEDS.findall(metadata) if "extra" not in condition)
    return _Distribution(version, frozenset(needs), record)


@cache
def _distribution_of(package: str) -> str | None:
    """The library that brings a top-level package; None where nothing installed does."""
    same = _normalised(package)
    if same in _distributions():
        return same
    marks = (f"\n{package}/".encode(), f"\n{package}.".encode())
    return next((name for name, one in _distributions().items() if any(mark in one.record for mark in marks)), None)


def _with_needs(packages: frozenset[str]) -> dict[str, _Distribution]:
    """The libraries that bring these packages, with all that they need."""
    waiting = [name for package in packages if (name := _distribution_of(package)) is not None]
    found: dict[str, _Distribution] = {}
    while waiting:
        name = waiting.pop()
        if name not in found and name in _distributions():
            found[name] = _distributions()[name]
            waiting.extend(found[name].needs)
    return found


def _pins(lock: Path) -> dict[str, str]:
    """Versions that a lock asks for; several for one name where they depend on Python's version."""
    pins: dict[str, str] = {}
    for name, version in _PIN.findall(lock.read_text(encoding="utf-8")) if lock.is_file() else ():
        pins[_normalised(name)] = " ".join(filter(None, (pins.get(_normalised(name)), version)))
    return pins


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(Program().digest(sys.argv[1]))  # noqa: T201
