"""Checkpoint of an inversion: finished work of a killed run, from which the same command goes on.

The evaluation of zones is expensive, joining them is cheap, and both are deterministic. So it is enough to keep, in a
folder beside the output,

    evaluation-<e>/point.npz        moduli (x, w) of the e-th evaluation of all zones
    evaluation-<e>/zone-<z>.npz     result of zone z there, and the directions for its next evaluation
    state.npz                       state of the iterations at the end of the last step, and the evaluation's number

A resumed run reads the state, takes that evaluation's zones from their files, joins them again, and goes on with the
evaluation that was under way, whose finished zones it reads as well. Kept are the last accepted evaluation, the
one under way and, in a line search, the rejected one between them. Files are named by zone, so that any number of ranks
can go on; each begins with a digest of the rest, so that an incomplete file counts as not written.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.leftovers import notify, sweep
from palpate.progress import say
from palpate.provenance import atomic_file
from palpate.solvers.inversion.steps.state import GaussNewtonState
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneCache, ZoneSolver, ZoneState

type Arrays = Mapping[str, NDArray[Any]]
type Vector = NDArray[np.float64]

type _Left = tuple[int, GaussNewtonState | None, list[tuple[int, Vector, Vector]]]
"""Evaluation that ended the last step, state of the iterations then, and evaluations (number, x, w) to repeat."""

_DIGEST = sha256().digest_size
_KEY = re.compile("[0-9a-f]{16}")
"""Pattern of the folder that one run keeps; nothing else in the enclosing folder is touched."""
_KEPT = ("basis", "root_weights", "compressed_at", "solved_at")
"""Names of the arrays of ZoneCache beside its state and Hessian."""


class Checkpoint:
    """Store of the finished zones and steps of one wave field.

    If the disk fails or fills up, the run goes on but cannot be resumed.

    Args:
        folder: folder of the store, equal for all ranks; None stores nothing.
        comm: communicator of the ranks.
        counter: counter of zones that were read back, and of seconds.
    """

    def __init__(self, folder: Path | None, comm: MPI.Comm, counter: WorkCounter) -> None:
        self._folder = folder
        self._comm = comm
        self._counter = counter
        self._fault = ""
        self._evaluation = -1
        self._again = False  # whether the present evaluation was begun by an earlier run
        found = _left_behind(folder) if folder is not None and comm.rank == 0 else (-1, None, [])
        left: _Left = comm.bcast(found, root=0)
        self._accepted, self._state, self._begun = left

    def resume(self) -> GaussNewtonState | None:
        """Return the state that an earlier run reached; None without one, or if it did not evaluate all zones once."""
        if self._folder is not None and self._begun:
            steps, number = len(self._state.history) if self._state else 0, self._begun[-1][0]
            zones = len(list(_folder_of(self._folder, number).glob("zone-*"))) if number > self._accepted else 0
            say(f"continues an earlier run: {steps} steps are done, and {zones} zones of the next one")
        return self._state

    def rejected(self) -> int:
        """Return the number of trials of the line search that an earlier run had rejected in its unfinished step."""
        return max(0, self._begun[0][0] - self._accepted - 1) if self._begun else 0

    def begin(self, x: Vector, w: Vector) -> tuple[Vector, Vector]:
        """Begin an evaluation of all zones at a point, or go on with the one that an earlier run began there.

        Args:
            x: deviation of m from the prior's centre, shape (2 N,).
            w: weights with x = C w, shape (2 N,).

        Returns:
            The point (x, w): that of the earlier run, exact to the last bit, since this machine or number of ranks
            might round otherwise.
        """
        self._again = bool(self._begun)
        if self._again:
            self._evaluation, x, w = self._begun.pop(0)
            return x, w
        self._evaluation += 1
        if self._folder is not None and self._comm.rank == 0:
            _remove_evaluations(self._folder, {self._accepted, self._evaluation - 1, self._evaluation})
            self._write(self._file("point"), {"x": x, "w": w})
        return x, w

    def evaluate(self, solver: ZoneSolver, parameters: Vector) -> ZoneState:
        """Return a zone's state at m, shape (2 n,); it is read from a file where an earlier run finished the zone."""
        if self._again and self._folder is not None:
            began = time.perf_counter()
            found = read_arrays(self._file(solver.name))
            if found is not None and np.array_equal(found["parameters"], parameters):
                cache = _cache_of(found)
                solver.restore(cache)
                self._counter.counts["zones taken over"] += 1
                self._counter.timed("checkpoint", began)
                return cache.state_at(parameters)
            before = read_arrays(_folder_of(self._folder, self._evaluation - 1) / f"{solver.name}.npz")
            solver.cache = _cache_of(before) if before is not None else solver.cache
        state = solver.evaluate(parameters)
        if self._folder is not None and solver.cache is not None:
            self._write(self._file(solver.name), {"parameters": parameters, **_arrays(solver.cache)})
        return state

    def save(self, state: GaussNewtonState) -> None:
        """Store the start or the end of a step, with the zones of the present evaluation. Collective."""
        if self._folder is None:
            return
        fault = next(filter(None, self._comm.allgather(self._fault)), "")
        if fault:
            say(f"finished zones cannot be kept ({fault}): if this run is killed, the next one starts afresh")
            if self._comm.rank == 0:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            return
        self._accepted = self._evaluation
        if self._comm.rank == 0:
            self._write(self._folder / "state.npz", state.to_arrays() | {"evaluation": np.array(self._accepted)})

    def _file(self, name: str) -> Path:
        assert self._folder is not None  # callers ask first
        return _folder_of(self._folder, self._evaluation) / f"{name}.npz"

    def _write(self, path: Path, arrays: Arrays) -> None:
        if self._fault:
            return
        began = time.perf_counter()
        try:
            write_arrays(path, arrays)
        except OSError as error:
            self._fault = error.strerror or "the disk failed"
        except InputError as error:  # it also names a path, which a log should not
            self._fault = error.found
        self._counter.timed("checkpoint", began)


@contextmanager
def unfinished(out: Path, key: str, comm: MPI.Comm) -> Iterator[Path]:
    """Provide a folder beside an output for finished work; it is removed when the output is complete.

    Args:
        out: the output folder.
        key: digest of everything on which the result depends; work that was kept under another digest is removed.
        comm: communicator of the ranks.
    """
    home = unfinished_folder(out, "").parent
    key = comm.bcast(key, root=0)
    if comm.rank == 0:
        for other in home.glob("*"):
            if other.name != key and _KEY.fullmatch(other.name):
                say("an unfinished run had other inputs, settings or another program: starting afresh")
                shutil.rmtree(other, ignore_errors=True)
        for folder, _, _ in os.walk(home / key):
            sweep(Path(folder))
    comm.barrier()
    notify("keeps", home)
    try:
        yield home / key
    except Exception:
        if comm.rank == 0 and any(home.glob(f"{key}/**/*-*.npz")):
            say(f"what was finished is kept in {home}: the same command goes on from there")
        elif comm.rank == 0:
            _remove(home, key)
        raise
    if comm.rank == 0:
        _remove(home, key)


def unfinished_folder(out: Path, key: str) -> Path:
    """Return the folder beside an output in which finished work is kept.

    Args:
        out: the output folder.
        key: digest of everything on which the result depends.
    """
    return out.resolve().with_name(f".unfinished-{out.resolve().name}") / (key or "any")


def _remove(home: Path, key: str) -> None:
    """Remove what one run keeps, and the folder around it unless it holds anything else."""
    shutil.rmtree(home / key, ignore_errors=True)
    with suppress(OSError):
        home.rmdir()


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to a file that is durable when a machine loses power; an interrupted call leaves no partial file.

    Raises:
        OSError, InputError: the place cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options
    # The view is released here at the latest: in an exception's frames it would be collected as garbage together with
    # its buffer, at which CPython 3.12 crashes.
    with buffer.getbuffer() as content, atomic_file(path) as partial, partial.open("wb") as file:
        file.write(sha256(content).digest())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that write_arrays wrote; None where the file is missing, incomplete or of another kind."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return None
    if sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    with np.load(io.BytesIO(content[_DIGEST:])) as file:
        return dict(file)


def _left_behind(folder: Path) -> _Left:
    stored = read_arrays(folder / "state.npz")
    state = GaussNewtonState.from_arrays(stored) if stored is not None else None
    accepted = int(stored["evaluation"]) if stored is not None else -1
    begun = [(accepted, state.x, state.w)] if state is not None else []
    under_way = [number for number in _numbers(folder) if number > accepted]
    if state is None:
        under_way = [number for number in under_way if number == 0]  # without its state, a later one means nothing
    for number in reversed(under_way):
        point = read_arrays(_folder_of(folder, number) / "point.npz")
        if point is not None:
            return accepted, state, [*begun, (number, point["x"], point["w"])]
    return accepted, state, begun


def _folder_of(folder: Path, evaluation: int) -> Path:
    return folder / f"evaluation-{evaluation}"


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the evaluations that were begun, ascending."""
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.glob("evaluation-*"))


def _remove_evaluations(folder: Path, keep: set[int]) -> None:
    for number in _numbers(folder):
        if number not in keep:
            shutil.rmtree(_folder_of(folder, number), ignore_errors=True)


def _arrays(cache: ZoneCache) -> Arrays:
    """Return the kept results of a zone as named arrays."""
    state = {field.name: np.asarray(getattr(cache.solved, field.name)) for field in fields(cache.solved)}
    further = {name: getattr(cache, name) for name in _KEPT}
    if cache.hessian_factor is not cache.solved.hessian_factor:  # with one frequency they are the same
        further["own_hessian_factor"] = cache.hessian_factor
    return state | further


def _cache_of(arrays: Arrays) -> ZoneCache:
    """Restore the kept results of a zone from the arrays that _arrays returned."""
    state = ZoneState(**{field.name: _value(arrays[field.name]) for field in fields(ZoneState)})
    hessian_factor = arrays.get("own_hessian_factor", state.hessian_factor)
    basis, weights, compressed_at, solved_at = (arrays[name] for name in _KEPT)
    return ZoneCache(hessian_factor, basis, weights, compressed_at, solved_at, state)


def _value(stored: NDArray[Any]) -> Any:
    return stored.item() if stored.ndim == 0 else stored
