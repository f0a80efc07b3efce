"""Compilation of every form and expression of the solvers to C; no other module compiles them.

FFCx writes C, a compiler makes a library of it, and a folder keeps the library for later runs (palpate.form_folders):
one that was compiled ahead is read and never written; others go to the user's cache.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import ffcx.codegeneration.jit as ffcx_jit
import ffcx.naming
import ffcx.options
import numpy as np
import ufl
from dolfinx import default_scalar_type, fem, jit
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.form_folders import ahead_folders, has_library, user_folder
from palpate.leftovers import partial_of
from palpate.machine_failures import on_this_machine, temporary_folder
from palpate.progress import say
from palpate.solvers.compiler import PATIENCE_S, compile_into, demand_room

_look_only: ContextVar[bool] = ContextVar("look_only", default=False)
_into: ContextVar[tuple[Path, set[str]] | None] = ContextVar("into", default=None)


class NotCompiledError(Exception):
    """A form is in none of the folders, while forms are only looked for."""


def form(integrals: Any, dtype: type[np.generic] = default_scalar_type) -> fem.Form:
    """Compile a form, or take it from an earlier run. Collective over the ranks of its mesh.

    Args:
        integrals: the form, in UFL.
        dtype: scalar type.

    Raises:
        InputError: there is neither its library nor a compiler that works.
    """
    (domain,) = integrals.subdomain_data().keys()
    options = _ready(domain.ufl_cargo().comm, integrals, dtype)
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
        InputError: there is neither its library nor a compiler that works.
    """
    options = _ready(ufl.domain.extract_domains(values)[0].ufl_cargo().comm, (values, points), dtype)
    return fem.Expression(values, points, dtype=dtype, jit_options=options)


@contextmanager
def looking_only() -> Iterator[None]:
    """Let a form that is in none of the folders raise NotCompiledError instead of being compiled."""
    token = _look_only.set(True)
    try:
        yield
    finally:
        _look_only.reset(token)


@contextmanager
def compiling_into(folder: Path) -> Iterator[set[str]]:
    """Look for every form in one folder alone, and compile it there where it is missing.

    Args:
        folder: folder of forms compiled ahead; it exists and can be written.

    Yields:
        Names of the libraries that were compiled, in a set that fills.
    """
    made: set[str] = set()
    token = _into.set((folder, made))
    try:
        yield made
    finally:
        _into.reset(token)


def _ready(comm: MPI.Comm, what: Any, dtype: type[np.generic]) -> dict[str, Any]:
    """Have the library in a folder that this rank reads; return the options by which FFCx finds it.

    Rank 0 goes first, so that the ranks of its machine, and of all that share its folders, only read.
    """
    first = _folder_with(what, dtype, None) if comm.rank == 0 else None
    if comm.size > 1:
        known = comm.bcast(first, root=0)
        first = first or _folder_with(what, dtype, known)
    return {"cache_dir": first, "timeout": PATIENCE_S}


def _folder_with(what: Any, dtype: type[np.generic], known: Path | None) -> Path:
    """Return a folder that holds the library; it is compiled where there is none.

    Args:
        what: form, or expression with its points.
        dtype: scalar type.
        known: folder in which another rank has it; None where no rank has gone before.
    """
    name = library_name(what, dtype)
    into = _into.get()
    folders = [*filter(None, [known]), *ahead_folders(), *_of_user()] if into is None else [into[0]]
    found = next((one for one in folders if has_library(one, name)), None)
    if found is not None:
        return found
    if _look_only.get():
        raise NotCompiledError(name)
    folder = Path(_cache_folder()) if into is None else into[0]
    compile_into(what, dtype, folder)
    if into is not None:
        into[1].add(name)
    return folder


def _of_user() -> list[Path]:
    """Return the user's cache, to read; none where there is no home."""
    try:
        return [user_folder()]
    except RuntimeError:
        return []


def library_name(what: Any, dtype: type[np.generic]) -> str:
    """Return the name that FFCx gives the library: a digest of the form, of its compiler and of Python.

    Args:
        what: form, or expression with its points.
        dtype: scalar type.
    """
    options, given = ffcx.options.get_options({"scalar_type": dtype}), jit.get_options()
    of_ffcx: Any = ffcx_jit  # whose functions have no types; they are what names the library
    compilation = of_ffcx._compilation_signature(given["cffi_extra_compile_args"], given["cffi_debug"])
    digest = ffcx.naming.compute_signature([what], of_ffcx._compute_option_signature(options) + compilation)
    return f"libffcx_{'forms' if isinstance(what, ufl.Form) else 'expressions'}_{digest}"


@cache
def _cache_folder() -> str:
    """Return the folder of compiled forms: the user's, or one for this run alone where that cannot be written."""
    try:
        folder = user_folder()
        folder.mkdir(parents=True, exist_ok=True)
        demand_room(folder)
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
