"""Shares of a forecast's variance by source, from the same draws and chances with some sources fixed.

The tumour grows anew for every set of the sources of growth; errors of the front, thresholds and errors of contours are
applied to what has grown. One draw does where nothing differs between draws. The form of the model is a factor on each
quantity: with its weight a draw follows the logistic law or Gompertz's (twin.doubt.growth_laws).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.special import ndtr

from palpate.errors import InputError
from palpate.solvers.dealt import dealt, dealt_back
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.doubt.allocation import VarianceShare, allocated, subsets
from palpate.twin.doubt.growth_laws import LawOfGrowth, laws_of_growth
from palpate.twin.doubt.sources import (
    DRIFT_TO_COME,
    FORM,
    FRONT_ERROR,
    MEASUREMENT,
    THRESHOLDS_OF_IMAGES,
    sources_of,
    thresholds_of,
    with_sources,
)
from palpate.twin.forecast.future import Future
from palpate.twin.forecast.predict import shares_above, with_front_error
from palpate.twin.lattice import nearest_in
from palpate.twin.products.figures import QUANTITIES, THRESHOLDS
from palpate.twin.state_space.chances import Chances

type Values = NDArray[np.float64]
type _Table = dict[tuple[bool, bool, bool], Values]

CONTOUR: Final = "measured edge"
"""Beginning of the names of the sources of errors of a later contour; the number of the field's centre follows."""
_SEEN: Final = tuple((front, contour, free) for front, contour, free in product((False, True), repeat=3))
"""Sets of what is applied after growth: error of the front, of the contour, thresholds."""


@dataclass(frozen=True, slots=True)
class SharedVariance:
    """Shares of the variance of one quantity on one day.

    Attributes:
        day: days since the first scan.
        quantity: name of the quantity, such as "visible_ml".
        std: standard deviation over draws, mL; with the error of a contour for the volumes that a scan would show.
        shares: shares by source, which sum to one; none where the draws agree.
    """

    day: float
    quantity: str
    std: float
    shares: tuple[VarianceShare, ...]


@dataclass(frozen=True, slots=True)
class VarianceShares:
    """Shares of the variance of every quantity on every day.

    Attributes:
        quantities: shares of each quantity on each day.
        laws: laws of growth that the form of the model stands for.
    """

    quantities: tuple[SharedVariance, ...]
    laws: tuple[LawOfGrowth, ...]


def variance_shares(calibration: Calibration, days: Sequence[float], comm: MPI.Comm = MPI.COMM_SELF) -> VarianceShares:
    """Return the shares of the variance of each quantity on each day. Collective.

    Args:
        calibration: calibration of the tumour.
        days: days since the first scan, ascending and after the last scan.
        comm: ranks to share the draws; the shares do not depend on their number.

    Raises:
        InputError: a day is not after the last scan, or the calibration has no posterior.
    """
    _demand_posterior(calibration, days)
    growth = sources_of(calibration)
    laws = laws_of_growth(calibration.history, calibration.settings, days)
    followed = _followed(calibration, laws)
    whole, seen = Future(calibration, days[-1], comm), _Seen(calibration)
    grown = {free: _grown(seen, whole, free, days, comm) for free in subsets(growth)}
    found = []
    for at, day in enumerate(days):
        for quantity in QUANTITIES:
            values = {free: tables[at][quantity] for free, tables in grown.items()}
            factor = np.exp(_apart(laws, quantity, at)[followed])
            found.append(_shared(day, quantity, growth, values, factor))
    return VarianceShares(tuple(found), laws)


def _demand_posterior(calibration: Calibration, days: Sequence[float]) -> None:
    if calibration.given is not None:
        raise InputError(
            "shares",
            found="one run of the model with given parameters",
            expected="a calibration, whose draws differ",
            advice="Leave out --shares or --parameters.",
        )
    last = calibration.history.scans[-1].day
    for day in days:
        if not last < day < np.inf:
            raise InputError(
                "shares",
                found=f"day {day:g}",
                expected=f"a day after the last scan, which was on day {last:g}",
                advice="Ask for a later day.",
            )


def _followed(calibration: Calibration, laws: Sequence[LawOfGrowth]) -> NDArray[np.int64]:
    """Return the number of the law that each draw follows, by the laws' weights, shape (draws,)."""
    chances = Chances(calibration.settings.seed, tuple(range(len(calibration.draws.xi))))
    ends = np.cumsum([one.weight for one in laws])[:-1]
    return np.asarray(np.searchsorted(ends, ndtr(chances.normals(FORM, 0))), dtype=np.int64)


def _apart(laws: Sequence[LawOfGrowth], quantity: str, at: int) -> Values:
    """Return how far each law's logarithm of a quantity lies from the weighted mean of all, shape (laws,)."""
    each = np.array([one.log_ml[quantity][at] for one in laws])
    return np.asarray(each - np.array([one.weight for one in laws]) @ each)


def _shared(
    day: float, quantity: str, growth: tuple[str, ...], values: Mapping[frozenset[str], _Table], by_form: Values
) -> SharedVariance:
    """Return the shares of one quantity on one day; the form of the model multiplies it by a factor of each draw."""
    seen = (FRONT_ERROR, MEASUREMENT, THRESHOLDS_OF_IMAGES) if quantity in THRESHOLDS else (FRONT_ERROR,)
    sources = (*growth, *seen, FORM)
    every = {
        free: values[free & set(growth)][FRONT_ERROR in free, MEASUREMENT in free, THRESHOLDS_OF_IMAGES in free]
        * (by_form if FORM in free else 1.0)
        for free in subsets(sources)
    }
    whole = every[frozenset(sources)]
    return SharedVariance(day, quantity, float(whole.std(ddof=1)), allocated(sources, every))


def _grown(
    seen: _Seen, whole: Future, free: frozenset[str], days: Sequence[float], comm: MPI.Comm
) -> list[dict[str, _Table]]:
    """Return the quantities on each day where some sources of growth are free, for all that is applied after growth."""
    fixed = with_sources(seen.calibration, free)
    future = whole.of_other_draws(fixed, drifting=DRIFT_TO_COME in free)
    fronts = future.front_errors_mm(days)
    alone = None if free else list(future.advanced(0, days))
    rows = [
        seen.quantities(number, alone or list(future.advanced(number, days)), fronts)
        for number in dealt(range(len(fixed.draws.xi)), comm)
    ]
    found = np.array(dealt_back(rows, comm))  # (draws, days, quantities, sets of what is seen)
    return [
        {
            quantity: {chosen: found[:, at, of, which] for which, chosen in enumerate(_SEEN)}
            for of, quantity in enumerate(QUANTITIES)
        }
        for at in range(len(days))
    ]


class _Seen:
    """What images show of a draw's densities, with and without each error."""

    def __init__(self, calibration: Calibration) -> None:
        history, drawn = calibration.history, calibration.draws
        self.calibration, self._history = calibration, history
        self._phi = calibration.field.at(np.argwhere(history.tissue) * history.edges_mm)
        self._nearest_mm = nearest_in(history.tissue, history.edges_mm)
        self._nearest = nearest_in(history.tissue)
        self._voxel_ml = float(np.prod(history.edges_mm)) * 1e-3
        chances = Chances(calibration.settings.seed, tuple(range(len(drawn.xi))))
        self._contour_mm = calibration.settings.contour_std_mm * np.stack(
            [chances.normals(f"{CONTOUR} {centre}", 0) for centre in range(self._phi.shape[1])], axis=1
        )
        kinds = [THRESHOLDS[quantity] for quantity in QUANTITIES if quantity in THRESHOLDS]
        self._above = np.stack(
            [[thresholds_of(calibration, kind, free=free) for kind in kinds] for free in (False, True)]
        )

    def quantities(self, number: int, states: Sequence[Values], fronts: tuple[Values, Values]) -> Values:
        """Return each quantity on each day, shape (days, quantities, sets of what is seen).

        Args:
            number: number of the draw.
            states: densities of the draw on each day, without the error of the front.
            fronts: errors of the front of every day and draw (Future.front_errors_mm).
        """
        by_model_mm, by_voxels_mm = fronts
        away_mm = [self._phi @ by_model_mm[at, number] + by_voxels_mm[at, number] for at in range(len(states))]
        return np.stack([self._on_day(number, *one) for one in zip(states, away_mm, strict=True)])

    def _on_day(self, number: int, grown: Values, front_mm: Values) -> Values:
        found = np.empty((len(QUANTITIES), len(_SEEN)))
        contour_mm = self._phi @ self._contour_mm[number]
        for front, contour in product((False, True), repeat=2):
            moved = with_front_error(grown, front * front_mm + contour * contour_mm, self._history, self._nearest_mm)
            above = self._above[:, :, number].ravel().tolist()
            shares = shares_above(moved, above, self._history.tissue, self._nearest)
            volumes = self._voxel_ml * np.array([share.sum() for share in shares]).reshape(2, -1)
            for free in (False, True):
                column = _SEEN.index((front, contour, free))
                found[:-1, column] = volumes[int(free)]
                found[-1, column] = self._voxel_ml * moved.sum()
        return found
