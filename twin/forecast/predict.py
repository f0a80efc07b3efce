"""Forecast of the density of tumour cells on a later day.

Every draw of the posterior grows on from the last scan. Its rate drifts further, as ln k is a Brownian motion
(twin.forecast.future). The front model error, a Brownian motion too, is applied on the days that are asked for:
logit u + eta |grad logit u| with the displacement eta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.future import Future
from palpate.twin.lattice import nearest_in

type Values = NDArray[np.float64]
type Look = Callable[[int, float, Values], None]
"""Function that gets the number of a draw, a day and the draw's density on it, shape (n,)."""

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

    Draw i on a day is the same, to the last bit on one rank, whichever other days are asked for.

    Args:
        calibration: calibration of the tumour; treatment of its history after the last scan is taken as planned.
        day: day of the forecast, counted from the first scan; it must be after the last.
        comm: ranks to share the voxels.
        on_the_way: days between the last scan and this one on which `look` is called too, ascending.
        look: function that is called with each draw's density on those days and on the last.

    Raises:
        InputError: the day is not after the last scan.
    """
    (found,) = predict_days(calibration, (day,), comm, on_the_way=on_the_way, look=look)
    return found


def predict_days(
    calibration: Calibration,
    days: Sequence[float],
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    on_the_way: Sequence[float] = (),
    look: Look | None = None,
) -> tuple[Forecast, ...]:
    """Forecast several days in one run; each equals what `predict` finds for it. Collective.

    Args:
        calibration: calibration of the tumour; treatment of its history after the last scan is taken as planned.
        days: days of the forecasts, counted from the first scan, ascending and after the last scan.
        comm: ranks to share the voxels.
        on_the_way: days before the last of them on which `look` is called too.
        look: function that is called with each draw's density on those days and on `days`, in order.

    Raises:
        InputError: a day is not after the last scan.
    """
    history = calibration.history
    last = history.scans[-1].day
    if not all(last < day < np.inf for day in days):
        wrong = next(day for day in days if not last < day < np.inf)
        raise InputError(
            "forecast",
            found=f"day {wrong:g}",
            expected=f"a day after the last scan, which was on day {last:g}",
            advice="Ask for a later day.",
        )
    stops = sorted({*days, *(day for day in on_the_way if last < day < days[-1])})
    future = Future(calibration, stops[-1], comm)
    phi = calibration.field.at(np.argwhere(history.tissue) * history.edges_mm)
    nearest = nearest_in(history.tissue, history.edges_mm)
    by_model_mm, by_voxels_mm = future.front_errors_mm(stops)
    count = len(calibration.draws.xi)
    found = {day: np.empty((count, len(phi)), dtype=np.float32) for day in days}
    for number in range(count):
        for at, (day, grown) in enumerate(zip(stops, future.advanced(number, stops), strict=True)):
            away_mm = phi @ by_model_mm[at, number] + by_voxels_mm[at, number]
            density = with_front_error(grown, away_mm, history, nearest)
            if look is not None:
                look(number, day, density)
            if day in found:
                found[day][number] = density
    return tuple(Forecast(day, found[day], calibration) for day in days)


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
