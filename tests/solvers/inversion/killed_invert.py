"""Program for test_resume: `palpate invert ...` that is killed in its work.

Usage: python killed_invert.py COUNT invert WAVEFIELD --out OUT ...

SIGKILL arrives at the moment at which the rank would give its COUNT-th zone's file its name; with `solves=COUNT`, when
it begins to solve a zone for the COUNT-th time.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.cli import main
from palpate.solvers.inversion.zone.likelihood import Linearised
from palpate.solvers.inversion.zone.zone_solver import ZoneSolver

what, _, number = sys.argv.pop(1).rpartition("=")
left = int(number)
replace, linearised = os.replace, ZoneSolver._linearised


def _or_die() -> None:
    global left  # noqa: PLW0603
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _replace_or_die(partial: Path, path: Path) -> None:
    if Path(path).name.startswith("zone-"):
        _or_die()
    replace(partial, path)


def _solve_or_die(solver: ZoneSolver, parameters: NDArray[np.float64]) -> Linearised:
    _or_die()
    return linearised(solver, parameters)


if what == "solves":
    ZoneSolver._linearised = _solve_or_die  # type: ignore[method-assign]
else:
    os.replace = _replace_or_die  # type: ignore[assignment]
main()
