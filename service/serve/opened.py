"""Opened sessions of one worker: opened once, used until a step rewrites them, forgotten when room is needed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import Marginals, StiffnessMaps
from palpate.service.query.session import OpenRun, OpenSession, open_session
from palpate.service.serve.refusals import busy
from palpate.service.serve.results import Stamp, stamp_of

_TRIES: Final = 5
_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Held:
    session: OpenSession
    stamp: Stamp
    size: int


class SessionCache:
    """Opened sessions, the ones asked for last first.

    Args:
        most_bytes: memory that they may take, bytes; one session is always held.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held, self._lock = most_bytes, OrderedDict[Path, _Held](), Lock()
        self._opening: dict[Path, Lock] = {}

    def use[T](self, folder: Path, work: Callable[[OpenSession], T]) -> T:
        """Return what a function makes of a session; it is computed again where the results were rewritten meanwhile.

        Args:
            folder: folder of the session.
            work: function of the opened session.

        Raises:
            RequestRefusal: the results are being rewritten again and again.
            InputError: the function refuses, or the session cannot be opened.
        """
        for attempt in range(_TRIES):
            before = stamp_of(folder)
            try:
                found = work(self._of(folder, before))
            except (InputError, OSError, ValueError, KeyError):
                if stamp_of(folder) == before:  # the fault is not that a step replaces what is read
                    raise
            else:
                if stamp_of(folder) == before:
                    return found
            time.sleep(_PAUSE_S * attempt)
        raise busy("results that a step is rewriting")

    def _of(self, folder: Path, stamp: Stamp) -> OpenSession:
        with self._lock:
            held = self._held.get(folder)
            if held is not None and held.stamp == stamp:
                self._held.move_to_end(folder)
                return held.session
            opening = self._opening.setdefault(folder, Lock())
        with opening:  # two threads do not open one session at a time
            with self._lock:
                held = self._held.get(folder)
                if held is not None and held.stamp == stamp:
                    return held.session
            session = _lean(open_session(folder))
            with self._lock:
                self._held[folder] = _Held(session, stamp, _size(session))
                self._held.move_to_end(folder)
                while len(self._held) > 1 and sum(one.size for one in self._held.values()) > self._most:
                    self._held.popitem(last=False)
            return session


def _lean(session: OpenSession) -> OpenSession:
    return replace(session, runs=tuple(map(_lean_run, session.runs)))


def _lean_run(run: OpenRun) -> OpenRun:
    stiffness = _lean_maps(run.stiffness)
    return replace(run, stiffness=stiffness, worlds=replace(run.worlds, run=stiffness))


def _lean_maps(run: StiffnessMaps) -> StiffnessMaps:
    """Return a posterior without the maps that no question reads; they are NaN, and take no memory."""

    def blank(of: Map) -> Map:
        return replace(of, values=np.broadcast_to(np.float32(np.nan), of.values.shape))

    moduli = {
        name: Marginals(one.mean, blank(one.mean), blank(one.mean), blank(one.mean), None)
        for name, one in run.moduli.items()
    }
    return replace(run, moduli=moduli, residual=None)


def _size(session: OpenSession) -> int:
    return sum(_run_size(one) for one in session.runs)


def _run_size(run: OpenRun) -> int:
    mean = run.stiffness.moduli["storagemodulus"].mean.values
    return int(
        2 * mean.nbytes + run.stiffness.informed.nbytes + run.draws.voxels.nbytes + 4 * run.stiffness.informed.size
    )
