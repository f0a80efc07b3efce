"""The step that made a result once more, from its recorded settings and inputs, and the comparison of both results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from palpate.errors import InputError
from palpate.launcher import mpiexec
from palpate.progress import say
from palpate.run_crate.surroundings import UNSET, VARIABLES
from palpate.service.provenance.compare import difference, is_same
from palpate.service.provenance.finding import PartFinding, PartState
from palpate.service.provenance.places import input_place
from palpate.service.provenance.read_crate import ReadCrate, read_crate

TOLERANCE: Final = 1e-4
"""Largest difference of two results of unlike machines, relative to the largest magnitude of an array or column."""
_LAUNCHED: Final = ("PMI_", "PMIX_", "HYDRA_", "MPICH_", "MPI_")
_PART: Final = "re-run"


@dataclass(frozen=True, slots=True)
class Rerun:
    """Request to run a step again.

    Attributes:
        folder: folder of the result.
        name: the result, as the report names it.
        places: places of inputs, and values that the record withholds, as the user names them, by name with hyphens.
        tolerance: largest relative difference of numbers where machine, program or libraries are others.
    """

    folder: Path
    name: str
    places: Mapping[str, str]
    tolerance: float = TOLERANCE

    def findings(self) -> Iterator[PartFinding]:
        """Run the step again into a temporary folder, and yield the comparison of each file.

        Raises:
            InputError: an input is not found, or the step fails.
        """
        crate = read_crate(self.folder)
        with TemporaryDirectory(prefix="palpate-rerun-") as temporary:
            again = Path(temporary) / "again"
            self._run(crate, again)
            unlike = _unlike(crate, read_crate(again))
            if unlike:
                words = f"{', '.join(unlike)}: compared to {self.tolerance:g} of the largest magnitude"
                yield PartFinding(self.name, f"{_PART} on other surroundings", PartState.WHOLE, words)
            for file in sorted(crate.outputs):
                yield self._compared(file, again / file, exact=not unlike)
            for file in sorted(read_crate(again).outputs.keys() - crate.outputs.keys()):
                yield PartFinding(self.name, f"{_PART} file {file}", PartState.ADDED, "the result has no such file")

    def _compared(self, file: str, again: Path, *, exact: bool) -> PartFinding:
        part = f"{_PART} file {file}"
        if not again.is_file():
            return PartFinding(self.name, part, PartState.MISSING)
        if is_same(self.folder / file, again):
            return PartFinding(self.name, part, PartState.WHOLE, "the same to the last bit")
        apart = difference(self.folder / file, again)
        if apart is None:
            state = PartState.CHANGED if exact else PartState.NOT_FOUND
            return PartFinding(self.name, part, state, "other bytes; its numbers are not compared")
        words = f"numbers differ by {apart:.1e} of the largest magnitude"
        return PartFinding(
            self.name, part, PartState.CHANGED if exact or apart > self.tolerance else PartState.WHOLE, words
        )

    def _run(self, crate: ReadCrate, out: Path) -> None:
        words = [*self._words(crate), "--out", str(out)]
        launch = [mpiexec(), "-n", str(crate.ranks)] if crate.ranks > 1 else []
        say(f"running palpate {crate.command} again")
        done = subprocess.run(
            [*launch, sys.executable, "-m", "palpate", "--quiet", crate.command, *words],
            env=_environment(crate),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = next(iter(done.stderr.strip().splitlines()[-1:]), "").removeprefix("palpate: ")
            raise InputError(
                self.folder,
                found=f"a step that does not run again ({said})",
                expected=f"palpate {crate.command} from the recorded settings and inputs",
                advice="Name inputs that lie elsewhere with --input ROLE=PATH.",
            )

    def _words(self, crate: ReadCrate) -> Iterator[str]:
        """Yield the arguments of the command."""
        places = {role: Path(path) for role, path in self.places.items()}
        for one in crate.inputs:
            if one.option is None:
                continue  # another input names it
            path = input_place(self.folder, one, places)
            if path is None:
                raise _unnamed(self.folder, one.role)
            yield from _option(one.option, [self.places.get(one.role.replace(" ", "-"), str(path))])
        for given in crate.parameters:
            if given.withheld and given.name not in self.places:
                raise _unnamed(self.folder, given.name)
            yield from _option(given.option, [self.places[given.name]] if given.withheld else given.texts)
        if crate.settings is not None:
            yield from ("--settings", crate.settings)


def _option(option: str, texts: Sequence[str]) -> Iterator[str]:
    """Yield an option with each of its values; a value after "=" may begin with a hyphen."""
    if not option:
        yield from texts
    elif not texts:
        yield option
    else:
        yield from (f"{option}={text}" for text in texts)


def _environment(crate: ReadCrate) -> dict[str, str]:
    """Return the environment of the step: no job of MPI around it, and the recorded variables of linear algebra."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHED)}
    stated = {name: crate.environment.get(name, UNSET) for name in VARIABLES}
    kept = {name: value for name, value in plain.items() if name not in stated}
    return kept | {name: value for name, value in stated.items() if value != UNSET}


def _unlike(one: ReadCrate, other: ReadCrate) -> list[str]:
    """Return the surroundings in which two runs differ."""
    names = {*one.environment, *other.environment}
    return sorted(name for name in names if one.environment.get(name) != other.environment.get(name))


def _unnamed(folder: Path, role: str) -> InputError:
    label = role.replace(" ", "-")
    return InputError(
        folder,
        found=f"no {role} to run the step again",
        expected="every input and every withheld value of the step",
        advice=f"Name it with --input {label}=...",
    )
