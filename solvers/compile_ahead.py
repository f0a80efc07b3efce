"""Compilation of all forms ahead of their use, for machines without a compiler.

Every form is reached through the function that builds it for a step, on the smallest problem that has it, so that what
is compiled here is what the steps ask for. As a program it answers in one line of JSON, or ends with one sentence:

    python -m palpate.solvers.compile_ahead [FOLDER]

With a folder, forms that are missing there are compiled. Without one, every folder is searched and none is written, and
the compiler is tried.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import dolfinx
import numpy as np
from dolfinx import fem
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.machine_failures import on_this_machine
from palpate.solvers.compiled import NotCompiledError, compiling_into, looking_only
from palpate.solvers.compiler import compiler_fault, demand_room
from palpate.solvers.growth.mechanics.coupling import POISSON
from palpate.solvers.growth.mechanics.elasticity import Elasticity, elasticity, load_by_log_modulus
from palpate.solvers.growth.mechanics.hyperelasticity import hyperelasticity
from palpate.solvers.growth.mechanics.lattice import lattice
from palpate.solvers.growth.space.tetrahedra import tetrahedra
from palpate.solvers.inversion.zone.cell import cell_integrals
from palpate.solvers.wave import WaveProblem, solve_wave


def compile_forms(folder: Path) -> int:
    """Compile every form that a folder lacks; return their number.

    Args:
        folder: folder for forms compiled ahead; it is made where it is missing.

    Raises:
        InputError: the folder cannot be written, or there is no compiler that works.
    """
    with on_this_machine(folder):
        folder.mkdir(parents=True, exist_ok=True)
        demand_room(folder)
    with compiling_into(folder) as made:
        for use in USES.values():
            use()
    return len(made)


def missing_forms() -> list[str]:
    """Return the uses of forms for which at least one library is in none of the folders."""
    missing = []
    with looking_only():
        for name, use in USES.items():
            try:
                use()
            except NotCompiledError:
                missing.append(name)
    return missing


def _inversion() -> None:
    cell_integrals.__wrapped__((1.0, 1.0, 1.0))  # not from the values that this process remembers


def _waves() -> None:
    box = dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
    for anisotropy in (None, lambda points_m: np.ones(len(points_m))):
        solve_wave(box, WaveProblem(_ones, np.ones_like, frequency_hz=1.0, anisotropy=anisotropy))


def _ones(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.ones(len(points_m), dtype=np.complex128)


def _elasticity() -> None:
    elastic = _elastic()
    load_by_log_modulus(elastic, np.zeros(elastic.system.shape[0]))


def _hyperelasticity() -> None:
    hyperelasticity(_elastic())


def _elastic() -> Elasticity:
    head = np.ones((2, 2, 2), dtype=np.bool_)
    return elasticity(lattice(head, np.ones(3), np.ones(head.shape), edge_m=1.0), POISSON)


def _growth() -> None:
    tetrahedra(fem.functionspace(dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1), ("Lagrange", 1)))


USES: Final[dict[str, Callable[[], None]]] = {
    "invert": _inversion,
    "calibrate and forecast": _elasticity,
    "the waves of phantom": _waves,
    "the tumour of phantom": _hyperelasticity,
    "growth on tetrahedra": _growth,
}
"""Uses of forms in the words of the command line, and what reaches all forms of each."""


def main() -> int:
    """Compile into the folder that is named, or look; print the answer, return the exit code."""
    try:
        if len(sys.argv) > 1:
            answer: dict[str, object] = {"compiled": compile_forms(Path(sys.argv[1]).absolute())}
        else:
            answer = {"compiled": 0, "missing": missing_forms(), "compiler": compiler_fault()}
    except InputError as error:
        sys.stderr.write(f"palpate: {error}\n")
        return 2
    print(json.dumps(answer))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
