"""Growth of a tumour from scan to scan, with a drifting rate, and its derivatives by the unknowns.

Between scans i and i + 1 the rate of growth is k exp(b_i), where b is a Brownian motion at the intervals' middles:
Cov(b_i, b_j) = s^2 min(t_i, t_j), so that b = B xi with B B^T this covariance. Events on the day of a scan take place
after that scan.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourHistory
from palpate.solvers.dealt import dealt, dealt_back
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Directions, Parameters
from palpate.solvers.growth.space.voxels import Voxels
from palpate.solvers.growth.treatment.treatment import Fraction, Resection, Treatment
from palpate.twin.biology import effective_irradiations
from palpate.twin.front_correction import FrontCorrection, front_correction
from palpate.twin.outline import Outline
from palpate.twin.pharmacology import course, gram_exposure
from palpate.twin.priors import (
    ALPHA,
    DIFFUSIVITY,
    KILL,
    OFFSET,
    PLATEAU,
    PROLIFERATION,
    SLOWING,
    WHITE_TO_GREY,
    WIDTH,
    Unknowns,
    drugs,
)
from palpate.twin.start_profile import voxel_mean
from palpate.units import days_to_s, m_to_mm

type Values = NDArray[np.float64]

CENTURY_DAYS: Final = 100.0
"""Time after which the standard deviations of drifts are stated, days."""
LOGIT_LIMIT: Final = 60.0
"""Largest absolute logit of a density, beyond which the exponential would overflow and the density does not change."""
WAVE: Final = float(np.sqrt(6.0))
"""Width of Ablowitz and Zeppetella's travelling wave over sqrt(D / k)."""
DEALT: Final = 8
"""Number of directions in the blocks that ranks share, however many ranks there are."""


@dataclass(frozen=True, slots=True)
class Events:
    """Treatments of the past and those planned, in order.

    Attributes:
        irradiations, drug_doses, surgeries: treatments of each kind, on the lattice.
    """

    irradiations: tuple[Irradiation, ...]
    drug_doses: tuple[DrugDose, ...]
    surgeries: tuple[Surgery, ...]


def events_of(history: TumourHistory, settings: TwinSettings) -> Events:
    """Return all treatment of a history as the model takes it: doses are those that act where cells are hypoxic.

    Args:
        history: history on the lattice.
        settings: settings of the twin, with the oxygen enhancement ratio.
    """
    return Events(effective_irradiations(history, settings), history.drug_doses, history.surgeries)


@dataclass(frozen=True, slots=True)
class Dynamics:
    """Growth of a tumour as a function of the unknowns xi.

    Attributes:
        place: tissue voxels of this rank.
        white: share w of white matter at these voxels, shape (n,).
        outline: density at the first scan as a family, at this rank's voxels.
        growth_shapes: shapes psi by which ln k varies in space, at this rank's voxels, shape (n, fields).
        unknowns: layout of the vector xi of unknowns.
        days: days of the scans.
        models: growth models of the intervals between scans.
        drift: square root B of the drifts' covariance, shape (intervals, intervals).
        stress: s and S of each interval at this rank's voxels (twin.stress), shape (intervals, 1 + modes, n); not used
            where stress does not slow invasion.
        kill_1_g: exposure to one gram of each drug, kg/m3 s: a sensitivity s lets exp(-s times this) of the cells
            survive.
        fronts: correction of ln D for the width of voxels.
    """

    place: Voxels
    white: Values
    outline: Outline
    growth_shapes: Values
    unknowns: Unknowns
    days: tuple[float, ...]
    models: tuple[GrowthModel, ...]
    drift: Values
    stress: Values
    kill_1_g: Values
    fronts: FrontCorrection

    def start(self, xi: Values) -> tuple[Values, Values]:
        """Return the density u_0 at the first scan and its derivatives by xi, shapes (n,) and (n, size)."""
        own = self.unknowns
        p = 1.0 / (1.0 + np.exp(-own.value(xi, PLATEAU)))
        log_width = own.value(xi, WIDTH) + 0.5 * (own.value(xi, DIFFUSIVITY) - own.value(xi, PROLIFERATION))
        width_mm = WAVE * m_to_mm(float(np.exp(log_width)))
        shift = self.outline.shapes_mm @ xi[own.shape_slice()]
        moved = (own.value(xi, OFFSET) - self.outline.distance_mm - shift) / width_mm
        z = np.clip(self.outline.base + moved, -LOGIT_LIMIT, LOGIT_LIMIT)
        # Inside what was measured the image gives the mean already.
        length = np.where(self.outline.distance_mm == 0.0, 0.0, m_to_mm(self.fronts.edge_m) / width_mm)
        share, slope, by_length = voxel_mean(z, length)
        slope, widened = p * slope, -p * (slope * moved + by_length)
        by = np.zeros((len(moved), own.size))
        for name, column in (
            (PLATEAU, p * (1.0 - p) * share),
            (WIDTH, widened),
            (DIFFUSIVITY, 0.5 * widened),
            (PROLIFERATION, -0.5 * widened),
            (OFFSET, slope / width_mm),
        ):
            at = own.names.index(name)
            by[:, at] = own.single[at].std * column
        by[:, own.shape_slice()] = -(slope / width_mm)[:, None] * self.outline.shapes_mm
        return p * share, by

    def with_stress(self, patterns: Values) -> Dynamics:
        """Return this tumour's dynamics under another stress.

        Args:
            patterns: s and S of each interval at all tissue voxels, shape (intervals, 1 + modes, n).
        """
        halo = self.place.space.halo
        return replace(self, stress=patterns[:, :, halo.start : halo.start + halo.own])

    def parameters(self, xi: Values, interval: int) -> Parameters:
        """Return the parameters of the growth model between two scans, with fronts corrected for voxels."""
        return self.fronts.corrected(self._stressed(xi, interval))

    def _stressed(self, xi: Values, interval: int) -> Parameters:
        """Return the parameters between two scans under stress, with the diffusivity of tissue without voxels."""
        free = self.unstressed(xi, interval)
        return replace(free, log_diffusivity=free.log_diffusivity - self._slowed(xi, interval))

    def unstressed(self, xi: Values, interval: int) -> Parameters:
        """Return the parameters between two scans without stress and correction of fronts, with D_0."""
        drift = float(self.drifts(xi)[interval])
        return growth_parameters(self.unknowns, xi, self.white, self.growth_shapes, self.kill_1_g, drift)

    def _slowed(self, xi: Values, interval: int) -> Values:
        """Return the decrease of ln D under stress, shape (n,)."""
        if SLOWING not in self.unknowns.names:
            return np.zeros(len(self.white))
        return slowed(self.unknowns, xi, self.stress[interval])

    def drifts(self, xi: Values) -> Values:
        """Return the drifts b of ln k in the intervals between scans, shape (intervals,)."""
        return np.asarray(self.drift @ xi[self.unknowns.drift_slice()])

    def states(self, xi: Values) -> tuple[Values, ...]:
        """Return the density at every scan, shape (n,) each. Collective."""
        state, _ = self.start(xi)
        found = [state]
        for interval, model in enumerate(self.models):
            (state,) = model.forecast(self.parameters(xi, interval), state).states
            found.append(state)
        return tuple(found)

    def tangents(self, xi: Values, comm: MPI.Comm = MPI.COMM_SELF) -> tuple[tuple[Values, ...], tuple[Values, ...]]:
        """Return densities at the scans and their derivatives by xi, shapes (n,) and (n, size) each. Collective.

        Args:
            xi: unknowns, shape (size,).
            comm: ranks to share the directions, each with the same voxels; derivatives have the same bits for every
                number of them.
        """
        state, by = self.start(xi)
        states, derivatives = [state], [by]
        for interval, model in enumerate(self.models):
            blocks = [part for one in self._directions(xi, interval, by) for part in one.parts(DEALT)]
            own = dealt(blocks, comm)
            (state,), (changes,) = model.tangents(self.parameters(xi, interval), state, own)
            ends = np.cumsum([part.density.shape[1] for part in own])[:-1]
            by = np.concatenate(dealt_back(np.split(changes, ends, axis=1) if own else [], comm), axis=1)
            states.append(state)
            derivatives.append(by)
        return tuple(states), tuple(derivatives)

    def _directions(self, xi: Values, interval: int, changes: Values) -> tuple[Directions, ...]:
        """Along every entry of xi within an interval: numbers and drifts, shapes of outline, ln k and stiffness.

        Args:
            xi: unknowns.
            interval: between two scans.
            changes: of the density at its beginning by xi, shape (n, size).
        """
        own, slowed = self.unknowns, self._slowed(xi, interval)
        numbers = changes[:, : own.shape_slice().start]
        log_d, log_k, log_alpha = np.zeros_like(numbers), np.zeros(numbers.shape[1]), np.zeros(numbers.shape[1])
        log_k[own.drift_slice()] = self.drift[interval]
        sensitivities = np.zeros((len(self.kill_1_g), numbers.shape[1]))
        drug = 0
        for at, one in enumerate(own.single):
            if one.name == DIFFUSIVITY:
                log_d[:, at] = one.std
            elif one.name == WHITE_TO_GREY:
                log_d[:, at] = -one.std * (1.0 - self.white)
            elif one.name == SLOWING:
                log_d[:, at] = -one.std * slowed
            elif one.name == PROLIFERATION:
                log_k[at] = one.std
            elif one.name == ALPHA:
                log_alpha[at] = one.std
            elif one.name.startswith(KILL):
                sensitivities[drug, at] = one.std
                drug += 1
        by_stiffness = -slowed[:, None] * self.stress[interval, 1:].T
        # ln D' = ln D + F(ln k - ln D + const.)
        slope = self.fronts.slope(self._stressed(xi, interval))[:, None]
        return (
            Directions(numbers, (1.0 - slope) * log_d + slope * log_k, log_k, log_alpha, sensitivities),
            Directions(changes[:, own.shape_slice()]),
            Directions(changes[:, own.field_slice()], slope * self.growth_shapes, self.growth_shapes),
            Directions(changes[:, own.mode_slice()], (1.0 - slope) * by_stiffness),
        )


def dynamics(
    history: TumourHistory,
    outline: Outline,
    growth_shapes: Values,
    unknown: Unknowns,
    settings: TwinSettings,
    place: Voxels,
) -> Dynamics:
    """Make the models of all intervals.

    Args:
        history: history on the lattice, the same on every rank.
        outline: density at the first scan as a family, at all tissue voxels.
        growth_shapes: shapes psi of ln k at all tissue voxels, shape (n, fields).
        unknown: layout of xi.
        settings: settings of the twin.
        place: tissue voxels, all of them or those of this rank.

    Raises:
        InputError: an event before the first scan, or a drug that is not in the configuration.
    """
    days = tuple(scan.day for scan in history.scans)
    demand_events_after(history)
    events = events_of(history, settings)
    names = drugs(history)
    models = tuple(
        interval_model(place, events, names, (first, last), settings) for first, last in itertools.pairwise(days)
    )
    own = slice(place.space.halo.start, place.space.halo.start + place.space.size)
    part = Outline(outline.base[own], outline.distance_mm[own], outline.shapes_mm[own])
    kill = kills_1_g(names, settings)
    drift = brownian(days, settings)
    white = place.from_volume(history.white)
    still = np.zeros((len(models), 1 + unknown.modes, place.space.size))
    fronts = front_correction(history.edges_mm)
    return Dynamics(place, white, part, growth_shapes[own], unknown, days, models, drift, still, kill, fronts)


def slowed(unknown: Unknowns, xi: Values, pattern: Values) -> Values:
    """Return the decrease of ln D by stress, shape (n,).

    Args:
        unknown: layout of xi, with the slowing of invasion by stress.
        xi: unknowns, shape (p,).
        pattern: s, and S for each of the stiffness' modes, shape (1 + modes, n).
    """
    return np.asarray(pattern[0] * np.exp(unknown.value(xi, SLOWING) + xi[unknown.mode_slice()] @ pattern[1:]))


def brownian(days: Sequence[float], settings: TwinSettings) -> Values:
    """Return the square root B of the drifts' covariance, lower triangular, shape (intervals, intervals).

    Args:
        days: days of the scans, which bound the intervals.
        settings: settings of the twin, with the drift after a hundred days.
    """
    middles = 0.5 * (np.array(days[1:]) + np.array(days[:-1])) - days[0]
    steps = np.sqrt(np.diff(middles, prepend=0.0) / CENTURY_DAYS)
    return settings.proliferation_log_std_per_100_days * np.tril(np.broadcast_to(steps, (len(steps), len(steps))))


def kills_1_g(names: Sequence[str], settings: TwinSettings) -> Values:
    """Return the exposure to one gram of each drug (pharmacology.gram_exposure); exp(-s times this) survives it."""
    return np.array([gram_exposure(settings.drugs[name]) for name in names])


def growth_parameters(
    own: Unknowns, xi: Values, white: Values, growth_shapes: Values, kill_1_g: Values, drift: float
) -> Parameters:
    """Return the parameters of the growth model at xi.

    They are ln D = ln D_w - (1 - w) ln(D_w / D_g), ln k = ln k_0 + b + psi xi, and the logarithms of the
    radiosensitivity alpha and of the drugs' sensitivities.

    Args:
        own: layout of xi.
        xi: unknowns, shape (p,).
        white: share w of white matter at voxels, shape (n,).
        growth_shapes: shapes psi by which ln k varies in space, shape (n, fields).
        kill_1_g: exposures of kills_1_g, of the drugs in alphabetical order.
        drift: drift b of ln k.
    """
    log_d = own.value(xi, DIFFUSIVITY) - (1.0 - white) * own.value(xi, WHITE_TO_GREY)
    alpha = own.value(xi, ALPHA) if own.index(ALPHA) is not None else 0.0
    kills = [own.value(xi, name) for name in own.names if name.startswith(KILL)]
    log_k = np.asarray(own.value(xi, PROLIFERATION) + drift)
    if own.fields:
        log_k = log_k + growth_shapes @ xi[own.field_slice()]
    return Parameters(log_d, log_k, alpha, np.array(kills) - np.log(kill_1_g))


def interval_model(
    place: Voxels, events: Events, names: Sequence[str], span: tuple[float, float], settings: TwinSettings
) -> GrowthModel:
    """Return the growth model from one day to another, with the treatments from the first day on until before the last.

    Args:
        place: tissue voxels.
        events: treatments of all times.
        names: names of the drugs that have a sensitivity, in its order.
        span: first and last day.
        settings: settings of the twin.
    """
    first, last = span
    fractions = tuple(
        Fraction(days_to_s(one.day - first), place.from_volume(one.dose_gy))
        for one in events.irradiations
        if first <= one.day < last
    )
    # Cavities of earlier intervals stay closed: they are made again, where nothing is left to remove.
    resections = tuple(
        Resection(days_to_s(max(one.day - first, 0.0)), place.from_volume(one.removed))
        for one in events.surgeries
        if one.day < last
    )
    courses = []
    for name in names:
        doses = [dose for dose in events.drug_doses if dose.drug == name and dose.day < last]
        courses.append(course(name, doses, settings.drugs[name], first))
    treatment = Treatment(fractions, tuple(courses), resections)
    return GrowthModel(place.space, (days_to_s(last - first),), treatment, alpha_beta_gy=settings.alpha_beta_gy)


def demand_events_after(history: TumourHistory) -> None:
    """Refuse treatment before the first scan, whose effect that scan shows already.

    Raises:
        InputError: there is some.
    """
    events = (history.irradiations, history.drug_doses, history.surgeries)
    for day in (event.day for kind in events for event in kind):
        if not day >= history.scans[0].day:
            raise InputError(
                "treatments",
                found=f"an event on day {day:g}, before the first scan of the tumour",
                expected="events after the first scan",
                advice="Leave out what came before the first scan.",
            )
