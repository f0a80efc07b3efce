"""C compiler as palpate runs it: one process at a time in a folder, its words kept, its failures told in a sentence.

Failures have causes on the machine: no compiler, a home that cannot be written, a run that was killed while it
compiled. In the last case FFCx leaves a C file without its library, for which every later run would wait in vain; a
lock here shows that no process is compiling any more, so that the file can be removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from dolfinx import jit
from mpi4py import MPI

from palpate.errors import InputError
from palpate.machine_failures import fault_in_words, on_this_machine, temporary_folder

PATIENCE_S: Final = 600
"""Longest time that a rank waits for a library that another rank of its machine compiles, seconds."""
_COMPILER: Final = "a C compiler, which makes the integrals of the finite elements"
_AHEAD: Final = "Compile ahead on a machine with gcc (palpate check --compile)"
_ROOM_BYTES: Final = 1 << 20
"""Size of a large compiled form, bytes."""
_STDERR: Final = 2


def compile_into(what: Any, dtype: type[np.generic], folder: Path) -> None:
    """Put the library of a form into a folder, so that later calls only load it.

    Args:
        what: form in UFL, or expression with its points.
        dtype: scalar type.
        folder: folder of compiled forms.

    Raises:
        InputError: there is no compiler that works, or the folder has no room.
    """
    heard = _Heard()
    try:
        with on_this_machine(folder), _alone(folder), _temporary_files_with_room(), heard.instead_of_stderr():
            jit.ffcx_jit(
                MPI.COMM_SELF,
                what,
                form_compiler_options={"scalar_type": dtype},
                jit_options={"cache_dir": folder, "timeout": PATIENCE_S},
            )
    except InputError:
        raise
    except Exception as error:
        fault = _fault_of_compiler() or _fault_of_disks(folder, heard.text) or _fault_of_installation()
        if fault is None:
            sys.stderr.write(heard.text)
            raise
        raise fault from error


def compiler_fault() -> str:
    """Return a noun phrase for what is wrong with this machine's C compiler; an empty text where it works."""
    if shutil.which(_compiler()[0]) is None:
        return f"no {_compiler()[0]}"
    fault = _fault_of_compiler() or _fault_of_installation()
    return "" if fault is None else fault.found


def demand_room(folder: Path) -> None:
    """Raise an error where a folder cannot take a file of the size of a compiled form.

    Args:
        folder: folder of compiled forms.

    Raises:
        OSError: it has no room, or cannot be written.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM_BYTES))


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
                demand_room(place)
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
        found = f"no {program}, and none of the folders of compiled forms holds this one"
        advice = f"{_AHEAD}, or install gcc or clang here, put it on the PATH, or name another in CC."
        return InputError("this machine", found=found, expected=_COMPILER, advice=advice)
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        advice = "Install Python's development files (python3-dev)."
        return InputError("this machine", found="no Python.h", expected="Python's headers for C", advice=advice)
    return None
