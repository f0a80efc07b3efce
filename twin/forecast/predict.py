"""Forecast of the density of tumour cells on a later day.

Every draw of the posterior grows on from the last scan. Its rate drifts further, as ln k is a Brownian motion. The
front model error grows further too and is applied at the end: logit u + eta |grad logit u| with the displacement eta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import CENTURY_DAYS, Events, brownian, growth_parameters, interval_model, kills_1_g, slowed
from palpate.twin.growth_field import growth_shapes
from palpate.twin.lattice import nearest_in
from palpate.twin.priors import SLOWING, drugs
from palpate.twin.stress import elastic, followed, pattern
from palpate.units import days_to_s, mm_to_m

type Values = NDArray[np.float64]
type Look = Callable[[int, float, Values], None]
"""Function that gets the number of a draw, a day and the draw's density on it, shape (n,)."""

DRIFT_DAYS: Final = 50.0
"""Longest time for which the drift of ln k is taken as constant, days."""
STEP_S: Final = days_to_s(1.0)
"""Longest time step, s: scans and treatments are on whole days, so that a look at days on the way changes no step."""
_TINY: Final = 1e-12


@dataclass(frozen=True)
class Forecast:
    """Equally probable densities of tumour cells on one day.

    Attributes:
        day: days since the first scan.
        densities: densities u at the lattice's tissue voxels in C order, shape (draws, n).
        calibration: calibration that the forecast follows from.
    """

    day: float
    densities: NDArray[np.float32]
    calibration: Calibration

    def volumes_ml(self, above: float | Values) -> Values:
        """Return the volume where the density exceeds a threshold, of each draw, millilitres, shape (draws,).

        Args:
            above: threshold of all draws, or of each, shape (draws,); `thresholds` gives those of what images show.
        """
        return np.array([share.sum() for share in self._shares_above(above)]) * self._voxel_ml

    def thresholds(self, name: str) -> Values:
        """Return the density above which this patient's images show tumour of a kind, of each draw, shape (draws,).

        Args:
            name: kind of threshold, ENHANCING_ABOVE or INFILTRATED_ABOVE of palpate.twin.priors.
        """
        return np.array([self.calibration.unknowns.natural(xi, name) for xi in self.calibration.draws.xi])

    def burdens_ml(self) -> Values:
        """Return the integral of the density, of each draw: millilitres of packed tumour cells, shape (draws,)."""
        return self.densities.astype(np.float64).sum(axis=1) * self._voxel_ml

    def probability_above(self, above: float | Values) -> Values:
        """Return the probability that the density exceeds a threshold, on the lattice, shape (i, j, k).

        Args:
            above: threshold of all draws, or of each, shape (draws,); `thresholds` gives those of what images show.
        """
        volume = np.zeros(self._tissue.shape)
        volume[self._tissue] = np.mean(list(self._shares_above(above)), axis=0)
        return volume

    def mean_density(self) -> Values:
        """Return the mean density over draws, on the lattice, shape (i, j, k)."""
        volume = np.zeros(self._tissue.shape)
        volume[self._tissue] = self.densities.mean(axis=0, dtype=np.float64)
        return volume

    @property
    def _tissue(self) -> NDArray[np.bool_]:
        return self.calibration.history.tissue

    @property
    def _voxel_ml(self) -> float:
        return float(np.prod(self.calibration.history.edges_mm)) * 1e-3

    @cached_property
    def _nearest(self) -> tuple[NDArray[np.int64], ...]:
        return nearest_in(self._tissue)

    def _shares_above(self, above: float | Values) -> Iterator[Values]:
        """Return the share of each voxel where the density exceeds the threshold, of each draw, shape (n,)."""
        for density, each in zip(self.densities, np.broadcast_to(above, len(self.densities)), strict=True):
            yield share_above(density.astype(np.float64), float(each), self._tissue, self._nearest)


def present(calibration: Calibration) -> Forecast:
    """Return the draws' densities on the day of the last scan, displaced by the front model error.

    Args:
        calibration: calibration of the tumour.
    """
    history, drawn = calibration.history, calibration.draws
    phi = calibration.field.at(np.argwhere(history.tissue) * history.edges_mm)
    nearest = nearest_in(history.tissue, history.edges_mm)
    found = [
        with_front_error(density.astype(np.float64), phi @ front, history, nearest)
        for density, front in zip(drawn.density, drawn.front_error, strict=True)
    ]
    return Forecast(history.scans[-1].day, np.stack(found).astype(np.float32), calibration)


def predict(
    calibration: Calibration,
    day: float,
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    on_the_way: Sequence[float] = (),
    look: Look | None = None,
) -> Forecast:
    """Forecast a later day. Collective.

    Each draw has random numbers of its own, in an order in which those of an earlier day come first, so that a draw
    meets the same chances on the way to any day.

    Args:
        calibration: calibration of the tumour; treatment of its history after the last scan is taken as planned.
        day: day of the forecast, counted from the first scan; it must be after the last.
        comm: ranks to share the voxels.
        on_the_way: days between the last scan and this one on which `look` is called too, ascending.
        look: function that is called with each draw's density on those days and on the last.

    Raises:
        InputError: the day is not after the last scan.
    """
    history, settings = calibration.history, calibration.settings
    last = history.scans[-1].day
    if not last < day < np.inf:
        raise InputError(
            "forecast",
            found=f"day {day:g}",
            expected=f"a day after the last scan, which was on day {last:g}",
            advice="Ask for a later day.",
        )
    future = _Future(calibration, comm)
    pieces = max(1, int(np.ceil((day - last) / DRIFT_DAYS)))
    days = np.linspace(last, day, pieces + 1)
    future.stress(days)
    found = []
    for number in range(len(calibration.draws.xi)):
        rng = np.random.default_rng([settings.seed, 1, number])
        for one, density in future.advanced(number, days, on_the_way, rng):
            if look is not None:
                look(number, one, density)
        found.append(density.astype(np.float32))
    return Forecast(day, np.stack(found), calibration)


class _Future:
    """Model after the last scan, and what changes from draw to draw."""

    def __init__(self, calibration: Calibration, comm: MPI.Comm) -> None:
        whole = calibration.history
        self._calibration, self._history, self._settings = calibration, whole, calibration.settings
        self._place = voxels(whole.tissue, mm_to_m(whole.edges_mm), comm)
        self._white = self._place.from_volume(whole.white)
        self._names = drugs(whole)
        self._kill_1_g = kills_1_g(self._names, self._settings)
        self._events = Events(whole.irradiations, whole.drug_doses, whole.surgeries)
        points = np.argwhere(whole.tissue) * whole.edges_mm
        self._phi = calibration.field.at(points)
        halo = self._place.space.halo
        self._rates = growth_shapes(calibration.history, calibration.settings)[halo.start : halo.start + halo.own]
        self._nearest = nearest_in(whole.tissue, whole.edges_mm)
        self._stress: tuple[Values, ...] = ()

    def stress(self, days: Values) -> None:
        """Find the stress of each piece of the future, along what the most probable tumour will do. Collective.

        Args:
            days: between which the pieces lie.
        """
        known, xi = self._calibration.stress, self._calibration.mode
        if known is None:
            return
        halo, unknown = self._place.space.halo, self._calibration.unknowns
        elastic_system = elastic(self._history, self._settings, self._place, known.log_moduli[0])
        slowing = unknown.natural(xi, SLOWING)
        own = slice(halo.start, halo.start + halo.own)
        density = np.clip(self._calibration.draws.density[:, own].mean(axis=0, dtype=np.float64), 0.0, 1.0)
        half = brownian([*(scan.day for scan in self._history.scans), *days[1:]], self._settings)
        past = xi[unknown.drift_slice()]
        drifts = half[len(past) :, : len(past)] @ past
        found = []
        for first, until, drift in zip(days[:-1], days[1:], drifts, strict=True):
            model = self._model((float(first), float(until)))
            mean, density = followed(elastic_system, slowing, model, self._unstressed(xi, float(drift)), density)
            found.append(pattern(elastic_system, mean, known.log_moduli[1:])[:, own])
        self._stress = tuple(found)

    def _model(self, span: tuple[float, float], draw: int | None = None) -> GrowthModel:
        """Return the model of a piece of time, with treatments on the days that a draw has them on, or as recorded."""
        events = self._events
        if draw is not None and self._calibration.dated(draw) is not self._history:
            moved = self._calibration.dated(draw)
            events = Events(moved.irradiations, moved.drug_doses, moved.surgeries)
        return interval_model(self._place, events, self._names, span, self._settings)

    def advanced(
        self, number: int, days: Values, on_the_way: Sequence[float], rng: np.random.Generator
    ) -> Iterator[tuple[float, Values]]:
        """Yield one draw's density on days on the way and on the last of the days, with each day."""
        drawn = self._calibration.draws
        xi, layout = drawn.xi[number], self._calibration.unknowns
        fresh = drawn.front_error_mm[number] * rng.standard_normal(drawn.front_error.shape[1])
        drifts = self._drifts(xi, days, rng)
        state = self._place.space.halo
        own = slice(state.start, state.start + state.own)
        density = np.clip(drawn.density[number, own].astype(np.float64), 0.0, 1.0)
        for piece, drift in enumerate(drifts):
            parameters = self._unstressed(xi, float(drift))
            if self._stress:
                log_d = parameters.log_diffusivity - slowed(layout, xi, self._stress[piece])
                parameters = replace(parameters, log_diffusivity=log_d)
            first, last = float(days[piece]), float(days[piece + 1])
            stops = [*(day for day in on_the_way if first < day < last), last]
            seconds = tuple(days_to_s(day - first) for day in stops)
            model = replace(self._model((first, last), number), observations_s=seconds, step_s=STEP_S)
            states = model.forecast(parameters, density).states
            density = states[-1]
            wanted = {*on_the_way, float(days[-1])}
            for day, one in zip(stops, states, strict=True):
                if day in wanted:
                    step = np.sqrt((day - days[0]) / CENTURY_DAYS)
                    away_mm = self._phi @ (drawn.front_error[number] + step * fresh)
                    yield day, with_front_error(state.gathered(one), away_mm, self._history, self._nearest)

    def _unstressed(self, xi: Values, drift: float) -> Parameters:
        """Return the parameters of a draw where no stress slows growth."""
        return growth_parameters(self._calibration.unknowns, xi, self._white, self._rates, self._kill_1_g, drift)

    def _drifts(self, xi: Values, days: Values, rng: np.random.Generator) -> Values:
        """Return the b of each piece of the future, given the past's."""
        past = [scan.day for scan in self._history.scans]
        half = brownian([*past, *days[1:]], self._settings)
        known = xi[self._calibration.unknowns.drift_slice()]
        return np.asarray(half[len(known) :] @ np.concatenate([known, rng.standard_normal(len(days) - 1)]))


def with_front_error(
    density: Values, displacement_mm: Values, history: TumourHistory, nearest: tuple[NDArray[np.int64], ...]
) -> Values:
    """Return the density with its front displaced outwards, shape (n,).

    Args:
        density: density u at tissue voxels, shape (n,).
        displacement_mm: displacement eta of the front, millimetres, shape (n,).
        history: history on the lattice.
        nearest: nearest tissue voxel of each voxel (nearest_in), by distances in millimetres.
    """
    z = log_odds(density)
    volume = np.zeros(history.tissue.shape)
    volume[history.tissue] = z
    parts = np.gradient(volume[nearest], *history.edges_mm)
    slope = np.sqrt(sum(part**2 for part in parts))[history.tissue]
    return np.asarray(1.0 / (1.0 + np.exp(-(z + displacement_mm * slope))))


def log_odds(density: Values) -> Values:
    """Return the logit of a density, bounded."""
    inside = np.clip(density, _TINY, 1.0 - _TINY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def share_above(
    density: Values, above: float, tissue: NDArray[np.bool_], nearest: tuple[NDArray[np.int64], ...]
) -> Values:
    """Return the share of each voxel with a density above a threshold, if the logit is linear within it, shape (n,).

    Args:
        density: density u at tissue voxels, shape (n,).
        above: threshold of the density.
        tissue: mask of tissue, shape (i, j, k).
        nearest: nearest tissue voxel of each voxel (nearest_in): at the tissue's surface there is no front.
    """
    (found,) = shares_above(density, [above], tissue, nearest)
    return found


def shares_above(
    density: Values, above: Sequence[float], tissue: NDArray[np.bool_], nearest: tuple[NDArray[np.int64], ...]
) -> list[Values]:
    """Return the shares of share_above for several thresholds.

    Args:
        density: density u at tissue voxels, shape (n,).
        above: thresholds of the density.
        tissue: mask of tissue, shape (i, j, k).
        nearest: nearest tissue voxel of each voxel (nearest_in).
    """
    z = log_odds(density)
    volume = np.zeros(tissue.shape)
    volume[tissue] = z
    reach = sum(np.abs(part) for part in np.gradient(volume[nearest]))[tissue]
    # A plane with normal m cuts a unit cube; its share rises over about sum |m| / 1.5 of the value.
    width = np.maximum(reach / 1.5, 1e-9)
    return [np.asarray(np.clip(0.5 + (z - float(np.log(one / (1.0 - one)))) / width, 0.0, 1.0)) for one in above]
