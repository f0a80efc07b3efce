"""Command line of the benchmarks: input, output folder and number of ranks; and palpate as a user runs it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.shared_data import shared_data

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Options:
    """Parsed command line of a benchmark.

    Attributes:
        source: input of the benchmark; the output folder where the benchmark makes its data itself.
        out: folder for everything that is computed on the way.
        ranks: number of processes at a time.
        short: whether to run the quick version, which shows that the benchmark works and no more.
        patients: number of patients, from the first on; None for a benchmark that has no such choice.
    """

    source: Path
    out: Path
    ranks: int
    short: bool
    patients: int | None = None

    @property
    def record(self) -> Path | None:
        """File of the record; None for benchmarks/results, which a short run must not touch."""
        return self.out / "record.json" if self.short else None


def options(
    description: str | None, source: str | None = None, *, beside: str | None = None, patients: int | None = None
) -> Options:
    """Parse the command line.

    Args:
        description: docstring of the benchmark.
        source: name of the positional argument; None for a benchmark that makes its data itself.
        beside: path below shared/data that is read where the argument is left out; where it is not there, the
            benchmark ends with a sentence and success.
        patients: number of patients unless another is asked for by --patients; None where that cannot be asked.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if source is not None:
        parser.add_argument(source, type=Path, nargs="?" if beside else None)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and maps")
    parser.add_argument("--ranks", type=int, default=2, help="processes at a time")
    parser.add_argument("--short", action="store_true", help="a quick version; its record stays in --out")
    if patients is not None:
        parser.add_argument("--patients", type=int, default=patients, help="number of patients, from the first on")
    chosen = parser.parse_args()
    read = chosen.out if source is None else getattr(chosen, source)
    if read is None:
        read = shared_data() / str(beside)
        if not read.exists():
            parser.exit(message=f"skipped: no shared/data/{beside} beside the checkout; give {source} as an argument\n")
    return Options(read, chosen.out, chosen.ranks, chosen.short, getattr(chosen, "patients", None))


def run(program: str, *arguments: str | int | Path) -> None:
    """Run a program of this environment."""
    subprocess.run([str(PROGRAMS / program), *map(str, arguments)], check=True)


def invert(wavefield: Path, out: Path, ranks: int, *further: str | Path) -> None:
    """Run `palpate invert` on a number of MPI ranks, with further options."""
    run("mpiexec", "-n", ranks, PROGRAMS / "palpate", "invert", wavefield, "--out", out, *further)
