"""Growth of each draw after the last scan, on a calendar that does not depend on what is asked.

The future falls into pieces of PIECE_DAYS from the last scan on. Within a piece the drift b of ln k and the stress are
constant: b is the Brownian motion at the piece's middle, the stress that of the piece's mean density along the course
of the most probable tumour, also where a forecast ends within the piece. Steps end on whole days from the last scan on.
All chances are keyed by draw, source and day (twin.state_space.chances). So draw i on day d is the same whichever other
days, schedules and ranks are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.clocks.shift import Shift
from palpate.twin.dynamics import (
    CENTURY_DAYS,
    brownian,
    events_of,
    growth_parameters,
    interval_model,
    kills_1_g,
    slowed,
)
from palpate.twin.front import front_error, unresolved_growth
from palpate.twin.front_correction import front_correction
from palpate.twin.growth_field import growth_shapes
from palpate.twin.priors import SLOWING, drugs
from palpate.twin.state_space.chances import Chances
from palpate.twin.stress import elastic, followed, pattern
from palpate.units import days_to_s, mm_to_m

type Values = NDArray[np.float64]

PIECE_DAYS: Final = 25.0
"""Time for which drift and stress are taken as constant, whole days."""
STEP_S: Final = days_to_s(1.0)
"""Longest time step, s."""
DRIFT: Final = "ln k"
"""Name of the source of the drift of ln k."""
FRONT: Final = "front"
"""Beginning of the names of the sources of the front model error; the number of the field's centre follows."""
VOXELS: Final = "front by voxels"
"""Name of the source of the front's displacement by voxels, one number a draw."""


class Future:
    """Model after the last scan, and what changes from draw to draw. Collective.

    Args:
        calibration: calibration of the tumour; treatment of its history after the last scan is taken as planned.
        until: last day that will be asked for.
        comm: ranks that go on with the same stress; each has all voxels.
    """

    def __init__(self, calibration: Calibration, until: float, comm: MPI.Comm) -> None:
        whole = calibration.history
        self._calibration, self._history, self._settings = calibration, whole, calibration.settings
        self._last = whole.scans[-1].day
        self._place = voxels(whole.tissue, mm_to_m(whole.edges_mm))
        self._white = self._place.from_volume(whole.white)
        self._names = drugs(whole)
        self._kill_1_g = kills_1_g(self._names, self._settings)
        self._events = events_of(whole, self._settings)
        halo = self._place.space.halo
        self._own = slice(halo.start, halo.start + halo.own)
        self._rates = growth_shapes(whole, self._settings)[self._own]
        count = int(np.ceil((until - self._last) / PIECE_DAYS))
        self._starts = self._last + PIECE_DAYS * np.arange(count)
        self._model = lru_cache(maxsize=None)(self._made)
        self._fronts = front_correction(whole.edges_mm)
        self._chances = Chances(self._settings.seed, tuple(range(len(calibration.draws.xi))))
        self._drifts = self._drawn_drifts()
        self._stress = comm.bcast(self._found_stress())

    def of_other_draws(self, calibration: Calibration, *, drifting: bool = True) -> Future:
        """Return the future of other draws of the same tumour, under the same stress.

        Args:
            calibration: calibration that differs by its draws alone.
            drifting: whether the rate of growth drifts on; without it the drift stays that of the last interval.
        """
        found = copy(self)
        found._calibration = calibration
        found._drifts = found._drawn_drifts(drifting=drifting)
        return found

    def front_errors_mm(self, days: Sequence[float]) -> tuple[Values, Values]:
        """Return the displacement of the front that the model does not predict, on each day and of each draw.

        The model error is a random field, the error by voxels the same everywhere; without a front model error
        (twin.front_error_mm is 0) there is neither.

        Args:
            days: days after the last scan, counted from the first.

        Returns:
            The model error in the field's coefficients, mm, shape (days, draws, r), and the error by voxels, mm, shape
            (days, draws).
        """
        drawn = self._calibration.draws
        sources = tuple(f"{FRONT} {number}" for number in range(drawn.front_error.shape[1]))
        moved = self._chances.motions(sources, self._last, days) / np.sqrt(CENTURY_DAYS)
        by_model_mm = drawn.front_error + drawn.front_error_mm[:, None] * moved
        if self._settings.front_error_mm == 0.0:
            return by_model_mm, np.zeros(by_model_mm.shape[:2])
        by_voxels_mm = front_error(self._calibration).unresolved_mm * self._chances.normals(VOXELS, 0)
        return by_model_mm, unresolved_growth(np.array(days) - self._last)[:, None] * by_voxels_mm

    def advanced(self, number: int, days: Sequence[float]) -> Iterator[Values]:
        """Yield one draw's density on some days, without the front model error, at all tissue voxels. Collective.

        Args:
            number: number of the draw.
            days: days after the last scan, ascending.
        """
        remaining, dates = list(days), self._calibration.dates_of(number)
        density = np.clip(self._calibration.draws.density[number, self._own].astype(np.float64), 0.0, 1.0)
        for piece, start in enumerate(self._starts):
            parameters = self._parameters(number, piece)
            whole = [start + day for day in range(1, int(PIECE_DAYS) + 1)]
            states = self._model(start, tuple(whole), dates).observed(parameters, density)
            for before, day in zip((start, *whole[:-1]), whole, strict=True):
                while remaining and remaining[0] < day:
                    # A branch, so that the course beyond is as if nobody had asked for a part of a day.
                    part = self._model(before, (remaining.pop(0),), dates)
                    yield self._gathered(next(part.observed(parameters, density)))
                if not remaining:
                    return
                density = next(states)
                if remaining[0] == day:
                    remaining.pop(0)
                    yield self._gathered(density)
                if not remaining:
                    return

    def _gathered(self, density: Values) -> Values:
        return self._place.space.halo.gathered(density)

    def _made(self, first: float, observed: tuple[float, ...], dates: Shift) -> GrowthModel:
        """Return the model from one day to the last of those observed, with treatments on shifted days."""
        moved = self._calibration.dated(dates)
        events = events_of(moved, self._settings)
        model = interval_model(self._place, events, self._names, (first, observed[-1]), self._settings)
        return replace(model, observations_s=tuple(days_to_s(day - first) for day in observed), step_s=STEP_S)

    def _parameters(self, number: int, piece: int) -> Parameters:
        """Return the parameters of a draw in a piece of the future."""
        xi = self._calibration.draws.xi[number]
        free = self._unstressed(xi, float(self._drifts[number, piece]))
        if self._stress:
            log_d = free.log_diffusivity - slowed(self._calibration.unknowns, xi, self._stress[piece])
            free = replace(free, log_diffusivity=log_d)
        return self._fronts.corrected(free)

    def _unstressed(self, xi: Values, drift: float) -> Parameters:
        """Return the parameters at xi where no stress slows growth, without correction of fronts."""
        return growth_parameters(self._calibration.unknowns, xi, self._white, self._rates, self._kill_1_g, drift)

    def _known_drifts(self, xi: Values) -> Values:
        """Return b of the last interval between scans, 0 where there is one scan, without the last axis of xi."""
        half = brownian([scan.day for scan in self._history.scans], self._settings)
        known = xi[..., self._calibration.unknowns.drift_slice()]
        return np.asarray(known @ half[-1] if len(half) else np.zeros(xi.shape[:-1]))

    def _drawn_drifts(self, *, drifting: bool = True) -> Values:
        """Return the b of each draw and piece of the future, given the past's, shape (draws, pieces)."""
        days = [scan.day for scan in self._history.scans][-2:]
        middles = self._starts + 0.5 * PIECE_DAYS
        moved = self._chances.motions((DRIFT,), sum(days) / len(days), middles.tolist())[:, :, 0].T
        size = drifting * self._settings.proliferation_log_std_per_100_days / np.sqrt(CENTURY_DAYS)
        return np.asarray(self._known_drifts(self._calibration.draws.xi)[:, None] + size * moved)

    def _found_stress(self) -> tuple[Values, ...]:
        """Return the stress of each piece, along what the most probable tumour will do. Collective."""
        known, xi = self._calibration.stress, self._calibration.mode
        if known is None:
            return ()
        elastic_system = elastic(self._history, self._settings, self._place, known.log_moduli[0])
        slowing = self._calibration.unknowns.natural(xi, SLOWING)
        mean = self._calibration.draws.density[:, self._own].mean(axis=0, dtype=np.float64)
        density = np.clip(mean, 0.0, 1.0)
        parameters = self._unstressed(xi, float(self._known_drifts(xi)))
        found = []
        for start in self._starts:
            model = interval_model(self._place, self._events, self._names, (start, start + PIECE_DAYS), self._settings)
            mean, density = followed(elastic_system, slowing, model, parameters, density, self._fronts)
            found.append(pattern(elastic_system, mean, known.log_moduli[1:])[:, self._own])
        return tuple(found)
