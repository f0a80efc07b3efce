"""What the benchmarks share: what to read, where to write, how many ranks; and palpate as a user runs it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def options(description: str | None, source: str) -> argparse.Namespace:
    """The parsed command line: the source under its own name, `out` and `ranks`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(source, type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ranks", type=int, default=2)
    return parser.parse_args()


def invert(wavefield: Path, out: Path, ranks: int, *further: str) -> None:
    """Run `palpate invert` on so many ranks, with further options."""
    launcher = [PROGRAMS / "mpiexec", "-n", str(ranks)]
    subprocess.run([*launcher, PROGRAMS / "palpate", "invert", wavefield, "--out", out, *further], check=True)
