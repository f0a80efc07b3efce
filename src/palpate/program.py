"""Digests of the program behind a command: its own source and data files, and the libraries that it imports.

A result is up to date only if the program that would make it now is the one that made it. The parts of a program are
read from the source itself: every module that the command imports, directly or through others, inside functions too, or
names in a text ("palpate.service.report.assets"); the data files beside these modules; the data files of other packages
that a module names in `PACKAGE_DATA`; and the versions of the libraries that are imported, with what these need.
Comments, docstrings and the layout of lines do not count. Nothing is imported to find out, so that the workflow can ask
for all commands while it is planned.

`python -m palpate.program COMMAND` prints a command's digest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from palpate.errors import InputError
from palpate.libraries import pins_of, with_needs
from palpate.module_source import ModuleSource, read_module, remember
from palpate.package_data import package_file

PACKAGE = "palpate"
"""Name of the package."""
HOME = Path(__file__).parent
"""Folder of the package."""
_LEFT_OUT = frozenset({PACKAGE, f"{PACKAGE}.cli", f"{PACKAGE}.program", f"{PACKAGE}.receipt"})
"""Modules that change no result: the version, the table of commands with the exit codes, and this bookkeeping."""

_RECORDING = f"{PACKAGE}.run_crate."
"""Package that writes beside a result how it was made."""


class Program:
    """Source of the package on disk, with digests of its commands.

    Args:
        home: folder of the package palpate.
    """

    def __init__(self, home: Path = HOME) -> None:
        self._home = home
        self._modules: dict[str, Path] = {}
        self._package: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        self._data_files: dict[str, list[Path]] = {}
        self._sources: dict[str, ModuleSource] = {}
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

        A version is the one that is installed, with the one that envs/requirements.lock asks for.

        Args:
            command: name below palpate.cli.

        Raises:
            InputError: there is no such command.
        """
        _, packages = self.closure(command)
        pins = pins_of(self._home / "pipeline" / "envs" / "requirements.lock")
        lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
        lines += [f"{name} {one.version} {pins.get(name, '-')}" for name, one in sorted(with_needs(packages).items())]
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
            elif name in self._modules and name not in modules and not _changes_no_result(name):
                modules.add(name)
                waiting.append(name.rpartition(".")[0])  # Python runs the package's own file first
                waiting.extend(_absolute(one, self._package[name]) for one in self._source(name).imports)
        remember()
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

    def _source(self, module: str) -> ModuleSource:
        if module not in self._sources:
            self._sources[module] = read_module(self._modules[module])
        return self._sources[module]

    def _content(self, path: Path | None) -> str:
        if path is None or not path.is_file():
            return "none"
        if path not in self._contents:
            self._contents[path] = sha256(path.read_bytes()).hexdigest()
        return self._contents[path]


def _changes_no_result(module: str) -> bool:
    """Return whether a module is left out: one of `_LEFT_OUT`, or of the package that records and signs runs."""
    return module in _LEFT_OUT or f"{module}.".startswith(_RECORDING)


def _absolute(imported: str, package: str) -> str:
    """Resolve a relative name (".grid", "..units") as Python does in a module of that package."""
    dots = len(imported) - len(imported.lstrip("."))
    if not dots:
        return imported
    base = package.split(".")[: len(package.split(".")) - dots + 1]
    return ".".join([*base, imported[dots:]]).rstrip(".")


if __name__ == "__main__":
    print(Program().digest(sys.argv[1]))  # noqa: T201
