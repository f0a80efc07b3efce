"""Compilation of every form and expression of the solvers to C; no other module compiles them.

FFCx writes C, a compiler makes a library of it, and a folder of the user's keeps the library for later runs. Failures
have causes on the machine: no compiler, a home that cannot be written, a run that was killed while it compiled. In the
last case FFCx leaves a C file without its library, for which every later run would wait in vain; a lock here shows
that no process is compiling any more, so that the file can be removed.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import ufl
from dolfinx import default_scalar_type, fem, jit
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.leftovers import partial_of
from palpate.machine_failures import fault_in_words, on_this_machine, temporary_folder
from palpate.progress import say

_COMPILER: Final = "a C compiler, which makes the integrals of the finite elements"
_ROOM_BYTES: Final = 1 << 20
"""Size of a large compiled form, bytes."""
_STDERR: Final = 2
_PATIENCE_S: Final = 600
"""Longest time that a rank waits for a library that another rank of its machine compiles, seconds."""


def form(integrals: Any, dtype: type[np.generic] = default_scalar_type) -> fem.Form:
    """Compile a form, or take it from an earlier run. Collective over the ranks of its mesh.

    Args:
        integrals: the form, in UFL.
        dtype: scalar type.

    Raises:
        InputError: there is no compiler that works.
    """
    (domain,) = integrals.subdomain_data().keys()
    options = _options(domain.ufl_cargo().comm)
    _compile(domain.ufl_cargo().comm, integrals, dtype, options)
    return fem.form(integrals, dtype=dtype, jit_options=options)


def expression(
    values: Any, points: NDArray[np.float64], dtype: type[np.generic] = default_scalar_type
) -> fem.Expression:
    """Compile an expression, or take it from an earlier run. Collective over the ranks of its mesh.

    Args:
        values: the expression, in UFL.
        points: evaluation points in the reference cell, shape (n, d).
        dtype: scalar type.

    Raises:
        InputError: there is no compiler that works.
    """
    comm = ufl.domain.extract_domains(values)[0].ufl_cargo().comm
    options = _options(comm)
    _compile(comm, (values, points), dtype, options)
    return fem.Expression(values, points, dtype=dtype, jit_options=options)


def _compile(comm: MPI.Comm, what: Any, dtype: type[np.generic], options: dict[str, Any]) -> None:
    """Have rank 0 put the library into the cache, so that later calls only load it."""
    if comm.rank != 0:
        return
    folder = options["cache_dir"]
    heard = _Heard()
    try:
        with on_this_machine(folder), _alone(folder), _temporary_files_with_room(), heard.instead_of_stderr():
            jit.ffcx_jit(MPI.COMM_SELF, what, form_compiler_options={"scalar_type": dtype}, jit_options=options)
    except InputError:
        raise
    except Exception as error:
        fault = _fault_of_compiler() or _fault_of_disks(folder, heard.text) or _fault_of_installation()
        if fault is None:
            sys.stderr.write(heard.text)
            raise
        raise fault from error


def _options(comm: MPI.Comm) -> dict[str, Any]:
    """Return the options of FFCx, with the same folder on all ranks."""
    folder = comm.bcast(_cache_folder() if comm.rank == 0 else None, root=0)
    return {"cache_dir": Path(folder), "timeout": _PATIENCE_S}


@cache
def _cache_folder() -> str:
    """Return the folder of compiled forms: the user's, or one for this run alone where that cannot be written."""
    stated = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache"
        folder = home / "palpate" / "forms"
        folder.mkdir(parents=True, exist_ok=True)
        _demand_room(folder)
        return str(folder)
    except (OSError, RuntimeError):
        say(
            "compiled forms cannot be kept ($XDG_CACHE_HOME or ~/.cache cannot be written, or is full): this run "
            "compiles its own"
        )
    own = partial_of(temporary_folder() / "palpate-forms")
    with on_this_machine(own):
        own.mkdir(mode=0o700, exist_ok=True)
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return str(own)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder while compiling, and remove C files of runs that were killed while they compiled.

    The lock is released when its process ends, however it ends. On a file system without locks, none is held.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            yield
            return
        for source in folder.glob("libffcx_*.c"):
            if not source.with_suffix(".c.cached").exists():
                source.unlink(missing_ok=True)
        yield


def _demand_room(folder: Path) -> None:
    """Raise OSError where a folder cannot take a file of the size of a compiled form."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM_BYTES))


@contextmanager
def _temporary_files_with_room() -> Iterator[None]:
    """Let the compiler write its temporary files where Python does; it would insist on a $TMPDIR that is full."""
    stated = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(temporary_folder())
    try:
        yield
    finally:
        if stated is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = stated


class _Heard:
    """Words that the compiler prints, which the user sees only where nothing better can be said.

    Attributes:
        text: all that was printed.
    """

    def __init__(self) -> None:
        self.text = ""

    @contextmanager
    def instead_of_stderr(self) -> Iterator[None]:
        """Keep what this process and its children print to stderr."""
        sys.stderr.flush()
        stderr = os.dup(_STDERR)
        # In memory, since the disk may be full; where there is no such file, the words are lost.
        kept = os.memfd_create("compiler") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
        os.dup2(kept, _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            self.text = os.pread(kept, os.fstat(kept).st_size, 0).decode(errors="replace")
            os.close(kept)


def _fault_of_disks(folder: Path, heard: str) -> InputError | None:
    """Return an error that says which place has no room or cannot be written, or what else the compiler lacked."""
    for place in (folder, temporary_folder()):
        try:
            with on_this_machine(place):
                _demand_room(place)
        except InputError as fault:
            return fault
    return fault_in_words(heard, folder)


def _fault_of_installation() -> InputError | None:
    """Return an error where the compiler does not even compile a program that does nothing; None where it does."""
    program = "#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "trial"
        command = [*_compiler(), "-x", "c", "-", "-o", str(made)]
        done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return InputError(
        "this machine",
        found=f"a C compiler ({_compiler()[0]}) that cannot compile an empty program",
        expected=_COMPILER,
        advice="Install it with the headers of the C library (libc6-dev or glibc-devel), or name another in CC.",
    )


def _compiler() -> list[str]:
    """Return the command of the C compiler, with its options."""
    return (os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")).split() or ["cc"]


def _fault_of_compiler() -> InputError | None:
    """Return an error that describes an obvious fault of this machine's C compiler; None without one."""
    program = _compiler()[0]
    if shutil.which(program) is None:
        advice = "Install it (gcc or clang), put it on the PATH, or name another in the environment variable CC."
        return InputError("this machine", found=f"no {program}", expected=_COMPILER, advice=advice)
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        advice = "Install Python's development files (python3-dev)."
        return InputError("this machine", found="no Python.h", expected="Python's headers for C", advice=advice)
    return None
