"""The twin's second door: from a calibration to what a later day may bring.

Every draw of the posterior grows on from the last scan. Its rate drifts further, ln k being a Brownian motion, and its
front strays further; the latter is applied at the end, logit u + eta |grad logit u| with the displacement eta.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourHistory
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.dynamics import CENTURY_DAYS, Events, brownian, interval_model, kills_1_g, slowed
from palpate.twin.growth_field import growth_shapes
from palpate.twin.lattice import nearest_in
from palpate.twin.priors import (
    ALPHA,
    DIFFUSIVITY,
    KILL,
    PROLIFERATION,
    SLOWING,
    WHITE_TO_GREY,
    Unknown,
    drugs,
    kill_prior,
)
from palpate.twin.stress import elastic, followed, pattern
from palpate.units import mm_to_m

type Values = NDArray[np.float64]

DRIFT_DAYS: Final = 50.0
"""The drift of ln k is constant for so long at most."""
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Plan:
    """Treatment after the last scan, on the images' grid.

    Attributes:
        irradiations, drug_doses, surgeries: in order.
    """

    irradiations: tuple[Irradiation, ...] = ()
    drug_doses: tuple[DrugDose, ...] = ()
    surgeries: tuple[Surgery, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """Equally probable densities of one day.

    Attributes:
        day: since the first scan.
        densities: at the lattice's tissue voxels in C order, shape (draws, n).
        calibration: what it follows from.
    """

    day: float
    densities: NDArray[np.float32]
    calibration: Calibration

    def volumes_ml(self, above: float | Values) -> Values:
        """Volume where the density exceeds a threshold, of each draw, shape (draws,).

        Args:
            above: threshold, of all draws or of each, shape (draws,); `thresholds` gives those of what images show.
        """
        return np.array([share.sum() for share in self._shares_above(above)]) * self._voxel_ml

    def thresholds(self, name: str) -> Values:
        """The density above which this patient's images show something, of each draw, shape (draws,).

        Args:
            name: ENHANCING_ABOVE or INFILTRATED_ABOVE of palpate.twin.priors.
        """
        return np.array([self.calibration.unknowns.natural(xi, name) for xi in self.calibration.draws.xi])

    def burdens_ml(self) -> Values:
        """Integral of the density, of each draw: millilitres of packed tumour cells, shape (draws,)."""
        return self.densities.astype(np.float64).sum(axis=1) * self._voxel_ml

    def probability_above(self, above: float | Values) -> Values:
        """Probability that the density exceeds a threshold, on the lattice, shape (i, j, k).

        Args:
            above: as for volumes_ml.
        """
        volume = np.zeros(self._tissue.shape)
        volume[self._tissue] = np.mean(list(self._shares_above(above)), axis=0)
        return volume

    def mean_density(self) -> Values:
        """Mean over draws, on the lattice, shape (i, j, k)."""
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
        """Of each draw, the share of each voxel where the density exceeds its threshold, shape (n,)."""
        for density, each in zip(self.densities, np.broadcast_to(above, len(self.densities)), strict=True):
            yield share_above(density.astype(np.float64), float(each), self._tissue, self._nearest)


def predict(calibration: Calibration, day: float, plan: Plan | None = None, comm: MPI.Comm = MPI.COMM_SELF) -> Forecast:
    """Forecast a later day. Collective.

    Args:
        calibration: of the tumour.
        day: since the first scan, after the last.
        plan: treatment from the last scan on; events of the history from then on count as well.
        comm: ranks to share the voxels.

    Raises:
        InputError: the day is not after the last scan, or a drug is unknown.
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
    whole = _planned(history, plan or Plan(), calibration)
    future = _Future(calibration, whole, comm)
    rng = np.random.default_rng([settings.seed, 1])
    pieces = max(1, int(np.ceil((day - last) / DRIFT_DAYS)))
    days = np.linspace(last, day, pieces + 1)
    future.stress(days)
    found = [future.advanced(number, days, rng) for number in range(len(calibration.draws.xi))]
    return Forecast(day, np.stack(found), calibration)


class _Future:
    """The model after the last scan, and what changes from draw to draw."""

    def __init__(self, calibration: Calibration, whole: TumourHistory, comm: MPI.Comm) -> None:
        self._calibration, self._history, self._settings = calibration, whole, calibration.settings
        self._place = voxels(whole.tissue, mm_to_m(whole.edges_mm), comm)
        self._white = self._place.from_volume(whole.white)
        self._names = drugs(whole)
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
        pushing = elastic(self._history, self._settings, self._place, known.log_moduli[0])
        slowing = unknown.natural(xi, SLOWING)
        parameters = self._parameters(xi, np.zeros(1 + len(self._names)))
        own = slice(halo.start, halo.start + halo.own)
        density = np.clip(self._calibration.draws.density[:, own].mean(axis=0, dtype=np.float64), 0.0, 1.0)
        half = brownian([*(scan.day for scan in self._history.scans), *days[1:]], self._settings)
        past = xi[unknown.drift_slice()]
        drifts = half[len(past) :, : len(past)] @ past
        found = []
        for first, until, drift in zip(days[:-1], days[1:], drifts, strict=True):
            model = self._model((float(first), float(until)))
            drifted = replace(parameters, log_proliferation=parameters.log_proliferation + drift)
            mean, density = followed(pushing, slowing, model, drifted, density)
            found.append(pattern(pushing, mean, known.log_moduli[1:])[:, own])
        self._stress = tuple(found)

    def _model(self, span: tuple[float, float]) -> GrowthModel:
        return interval_model(self._place, self._events, self._names, span, self._settings)

    def advanced(self, number: int, days: Values, rng: np.random.Generator) -> NDArray[np.float32]:
        """One draw's density on the last of the days."""
        drawn = self._calibration.draws
        parameters = self._parameters(drawn.xi[number], rng.standard_normal(1 + len(self._names)))
        drifts = self._drifts(drawn.xi[number], days, rng)
        state = self._place.space.halo
        own = slice(state.start, state.start + state.own)
        density = np.clip(drawn.density[number, own].astype(np.float64), 0.0, 1.0)
        for piece, drift in enumerate(drifts):
            log_d = parameters.log_diffusivity
            if self._stress:
                log_d = log_d - slowed(self._calibration.unknowns, drawn.xi[number], self._stress[piece])
            drifted = replace(parameters, log_diffusivity=log_d, log_proliferation=parameters.log_proliferation + drift)
            model = self._model((float(days[piece]), float(days[piece + 1])))
            (density,) = model.forecast(drifted, density).states
        step = np.sqrt((days[-1] - days[0]) / CENTURY_DAYS)
        fresh = self._calibration.front_drift_mm * step * rng.standard_normal(drawn.straying.shape[1])
        whole = state.gathered(density)
        return self._strayed(whole, self._phi @ (drawn.straying[number] + fresh)).astype(np.float32)

    def _parameters(self, xi: Values, chance: Values) -> Parameters:
        """Of a draw, where no stress slows; of what only the plan holds, from the prior with these standard normals."""
        layout, settings = self._calibration.unknowns, self._settings
        prior_alpha = Unknown(ALPHA, float(np.log(settings.alpha_1_gy.median)), settings.alpha_1_gy.log_std)
        if layout.index(ALPHA) is not None:
            alpha = layout.value(xi, ALPHA)
        else:
            alpha = prior_alpha.mean + prior_alpha.std * chance[0]
        kills = []
        for name, other in zip(self._names, chance[1:], strict=True):
            if layout.index(KILL + name) is not None:
                kills.append(layout.value(xi, KILL + name))
            else:
                prior = kill_prior(name, settings)
                kills.append(prior.mean + prior.std * other)
        log_d = layout.value(xi, DIFFUSIVITY) - (1.0 - self._white) * layout.value(xi, WHITE_TO_GREY)
        log_k = np.asarray(layout.value(xi, PROLIFERATION))
        if layout.fields:
            log_k = log_k + self._rates @ xi[layout.field_slice()]
        sensitivities = np.array(kills) - np.log(kills_1_g(self._names, settings))
        return Parameters(log_d, log_k, float(alpha), sensitivities)

    def _drifts(self, xi: Values, days: Values, rng: np.random.Generator) -> Values:
        """The b of each piece of the future, given the past's."""
        past = [scan.day for scan in self._history.scans]
        half = brownian([*past, *days[1:]], self._settings)
        known = xi[self._calibration.unknowns.drift_slice()]
        return np.asarray(half[len(known) :] @ np.concatenate([known, rng.standard_normal(len(days) - 1)]))

    def _strayed(self, density: Values, displacement_mm: Values) -> Values:
        """The density with its front displaced outwards."""
        z = log_odds(density)
        volume = np.zeros(self._history.tissue.shape)
        volume[self._history.tissue] = z
        parts = np.gradient(volume[self._nearest], *self._history.edges_mm)
        slope = np.sqrt(sum(part**2 for part in parts))[self._history.tissue]
        return np.asarray(1.0 / (1.0 + np.exp(-(z + displacement_mm * slope))))


def log_odds(density: Values) -> Values:
    """Logit of a density, bounded."""
    inside = np.clip(density, _TINY, 1.0 - _TINY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def share_above(
    density: Values, above: float, tissue: NDArray[np.bool_], nearest: tuple[NDArray[np.int64], ...]
) -> Values:
    """Share of each voxel with a density above a threshold, if the logit is linear within it, shape (n,).

    Args:
        density: at tissue voxels, shape (n,).
        above: threshold.
        tissue: shape (i, j, k).
        nearest: see nearest_in: at the tissue's surface there is no front.
    """
    z = log_odds(density)
    volume = np.zeros(tissue.shape)
    volume[tissue] = z
    reach = sum(np.abs(part) for part in np.gradient(volume[nearest]))[tissue]
    away = z - float(np.log(above / (1.0 - above)))
    # A plane with normal m cuts a unit cube; its share rises over about sum |m| / 1.5 of the value.
    return np.asarray(np.clip(0.5 + away / np.maximum(reach / 1.5, 1e-9), 0.0, 1.0))


def _planned(history: TumourHistory, plan: Plan, calibration: Calibration) -> TumourHistory:
    """The history with the plan's events on the lattice."""
    doses = tuple(map(calibration.grid.irradiation, plan.irradiations))
    cuts = tuple(map(calibration.grid.surgery, plan.surgeries))
    return replace(
        history,
        irradiations=tuple(sorted((*history.irradiations, *doses), key=lambda one: one.day)),
        drug_doses=tuple(sorted((*history.drug_doses, *plan.drug_doses), key=lambda one: one.day)),
        surgeries=tuple(sorted((*history.surgeries, *cuts), key=lambda one: one.day)),
    )
