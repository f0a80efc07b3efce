"""Surroundings of a run that may change its bits: program, libraries, machine, ranks, tolerances of solvers.

The machine is described by its kind. No name of a host, of a user or of a folder is taken.
"""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from palpate.launcher import launcher_size
from palpate.program import Program
from palpate.provenance import versions

VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE")
"""Environment variables that say how linear algebra is divided and by which kernels: sums in another order round
otherwise."""
UNSET: Final = "unset"
"""Value of a variable that is not set."""
_HOME: Final = Path(__file__).resolve().parents[1]
_CPU: Final = Path("/proc/cpuinfo")
_SOLVERS: Final = "palpate.solvers"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Surroundings of a run.

    Attributes:
        versions: versions of palpate, Python and the libraries, and the commit of a checkout.
        environment: digest of the lock of the environment, system, machine, processor, and number of ranks.
        tolerances: constants of solvers that stop iterations, by module and name.
    """

    versions: Mapping[str, str]
    environment: Mapping[str, str]
    tolerances: Mapping[str, float]


def surroundings(command: str) -> Surroundings:
    """Return the surroundings of a run of a command.

    Args:
        command: name of the command, such as "invert".
    """
    return Surroundings(versions(), environment(), tolerances(command))


def environment() -> dict[str, str]:
    """Return the environment of this process, as far as it may change bits."""
    lock = next((path for path in _locks() if path.is_file()), None)
    return {
        "lock": "none" if lock is None else sha256(lock.read_bytes()).hexdigest(),
        "system": platform.system(),
        "c_library": " ".join(platform.libc_ver()).strip() or "unknown",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        **{name: os.environ.get(name, UNSET) for name in VARIABLES},
        "ranks": str(launcher_size()),
    }


def tolerances(command: str) -> dict[str, float]:
    """Return the constants of the solvers behind a command whose names end in TOLERANCE.

    Args:
        command: name of the command.
    """
    modules, _ = Program().closure(command)
    found: dict[str, float] = {}
    for module in sorted(one for one in modules if one.startswith(f"{_SOLVERS}.")):
        path = _HOME.joinpath(*module.split(".")[1:]).with_suffix(".py")
        for name, value in _constants(path):
            found[f"{module.removeprefix('palpate.')}.{name}"] = value
    return found


def _constants(path: Path) -> list[tuple[str, float]]:
    """Return the numbers that a module names as tolerances, without importing it."""
    if not path.is_file() or "TOLERANCE" not in (text := path.read_text(encoding="utf-8")):
        return []
    found = []
    for node in ast.parse(text).body:
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=float() | int() as value))
                | ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=float() | int() as value))
            ) if name.endswith("TOLERANCE"):
                found.append((name, float(value)))
    return found


def _locks() -> tuple[Path, ...]:
    return (_HOME / "pipeline" / "envs" / "requirements.lock", _HOME.parents[1] / "envs" / "requirements.lock")


def _processor() -> str:
    """Return the kind of the processor, such as "AMD EPYC"."""
    try:
        lines = _CPU.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "unknown")
