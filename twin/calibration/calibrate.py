"""Calibration of the twin: the posterior of a tumour's parameters and of its density, given its history."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.head import demand_head
from palpate.imaging.tumour.history import TumourHistory
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.draws import Draws, draw
from palpate.twin.calibration.posterior import CalibrationProblem, Laplace, Statistics, laplace
from palpate.twin.clocks.dated_history import shifted_treatments
from palpate.twin.clocks.lattice_fit import DatedTumour, Dates, clock_posterior
from palpate.twin.clocks.mixture import Mixture
from palpate.twin.clocks.posterior import UNDATED, ClockSummary
from palpate.twin.clocks.shift import AS_DATED, Shift
from palpate.twin.dynamics import dynamics
from palpate.twin.growth_field import growth_shapes
from palpate.twin.lattice import TwinLattice, lattice, on_lattice
from palpate.twin.observation.errors import Field
from palpate.twin.observation.likelihood import observations
from palpate.twin.outline import outline
from palpate.twin.pharmacology import of_patient
from palpate.twin.priors import Unknowns, unknowns
from palpate.twin.stiffness import coarse_stiffness
from palpate.twin.stress import Stress, first_stress
from palpate.units import mm_to_m

type Values = NDArray[np.float64]

UNIDENTIFIED: float = 0.9
"""Largest posterior over prior standard deviation at which the data are taken to inform a number."""
NORMAL_95: Final = 1.96
"""Half width of a normal number's 95 % interval, standard deviations."""
LEVELS: Final = (0.025, 0.5, 0.975)
"""Probabilities of the bounds and the median that are kept of every unknown."""


@dataclass(frozen=True)
class Calibration:
    """Posterior of a tumour's parameters and density after its last scan.

    Attributes:
        settings: settings of the twin with which the posterior was found.
        grid: place of the lattice in the images.
        history: history of the tumour on the lattice.
        unknowns: layout of the vector xi of unknowns.
        mode: most probable xi, shape (p,).
        covariance: covariance of xi around the mode, shape (p, p).
        front_error_mm: size q of the front model error at the mode, mm after 100 days; draws have their own.
        stress: stress that slowed invasion so far; None if the twin has no mechanics.
        field: random field of the errors that neighbours share.
        draws: draws of the posterior.
        statistics: convergence, work and misfit of the calibration.
        given: parameters that a user gave for one run of the model, by their names in the file; None for a posterior.
        clocks: posterior of shifts of the dates of each kind of treatment and each scan.
        quantiles: lower 95 % bound, median and upper 95 % bound of xi over all shifts, shape (3, p); None for those of
            mode and covariance, as where no shift was looked at.
    """

    settings: TwinSettings
    grid: TwinLattice
    history: TumourHistory
    unknowns: Unknowns
    mode: Values
    covariance: Values
    front_error_mm: float
    stress: Stress | None
    field: Field
    draws: Draws
    statistics: Statistics
    given: Mapping[str, float] | None = None
    clocks: ClockSummary = UNDATED
    quantiles: Values | None = None

    @property
    def bounds(self) -> Values:
        """Lower 95 % bound, median and upper 95 % bound of xi, over shifts of dates too, shape (3, p)."""
        if self.quantiles is not None:
            return self.quantiles
        away = NORMAL_95 * np.sqrt(np.diag(self.covariance))
        return np.stack([self.mode - away, self.mode, self.mode + away])

    def dates_of(self, number: int) -> Shift:
        """Return the shift of dates that a draw has.

        Args:
            number: number of the draw.
        """
        stream = int(self.draws.stream[number]) if len(self.draws.stream) else -1
        if stream < 0:
            return AS_DATED
        return Shift(self.clocks.estimates[stream].stream, int(self.draws.shift_days[number]))

    def dated(self, dates: Shift) -> TumourHistory:
        """Return the history with treatments on shifted days.

        Args:
            dates: shift of one stream's dates.
        """
        return self.history if dates == AS_DATED else shifted_treatments(self.history, dates)

    def estimates(self) -> tuple[Estimate, ...]:
        """Return medians and 95 % bounds of the single numbers, in SI."""
        found = []
        lower, median, upper = self.bounds
        for at, one in enumerate(self.unknowns.single):
            bounds = one.natural(one.mean + one.std * np.array([lower[at], median[at], upper[at]]))
            informed = bool(upper[at] - lower[at] < UNIDENTIFIED * 2.0 * NORMAL_95)
            found.append(Estimate(one.name, float(bounds[1]), float(bounds[0]), float(bounds[2]), informed))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Posterior median and 95 % interval of one number.

    Attributes:
        name: name of the number.
        median: median, SI; thresholds and plateau are densities, the outline's offset is in millimetres.
        lower: lower bound of the 95 % interval.
        upper: upper bound of the 95 % interval.
        identified: whether the posterior's spread is less than UNIDENTIFIED times the prior's.
    """

    name: str
    median: float
    lower: float
    upper: float
    identified: bool


def calibrate(
    history: TumourHistory, settings: TwinSettings | None = None, comm: MPI.Comm = MPI.COMM_SELF
) -> Calibration:
    """Find the posterior of a tumour's parameters and of its density. Collective.

    Args:
        history: images and treatment; treatment after the last scan matters to the forecast only.
        settings: settings of the twin; None for the defaults.
        comm: ranks to share the work; the result has the same bits on every rank and for every number of them.

    Raises:
        InputError: scans out of order, no tumour, treatment before the first scan, an unknown drug, unusable
            stiffness, or a head that is too small for the boxes of displacement.
    """
    found, _ = calibrated(history, TwinSettings() if settings is None else settings, comm)
    return found


def calibrated(
    history: TumourHistory, settings: TwinSettings, comm: MPI.Comm = MPI.COMM_SELF
) -> tuple[Calibration, CalibrationProblem]:
    """Return the calibration and the problem that it solves, from which the model's past can be computed. Collective.

    Args:
        history: images and treatment; treatment after the last scan matters to the forecast only.
        settings: settings of the twin.
        comm: ranks to share the work; the result is the same on every rank and for every number of them.
    """
    settings, _ = of_patient(settings, history.markers)
    grid, coarse = whole_history(history, settings)
    problem = prepared(coarse, settings, comm)
    found = laplace(problem)
    problem = problem.under(found.stress)
    dated = DatedTumour(problem, coarse)
    mixture = Mixture(clock_posterior(dated, found))
    drawn = draw(problem, found, settings, comm, dates=Dates(dated, mixture))
    made = _calibration(problem, found, drawn, grid, replace(coarse, stiffness=None))
    return replace(made, clocks=mixture.posterior.summary, quantiles=mixture.quantiles(LEVELS)), problem


def whole_history(history: TumourHistory, settings: TwinSettings) -> tuple[TwinLattice, TumourHistory]:
    """Return the lattice, and the history on it with its stiffness.

    Args:
        history: images and treatment on the images' grid.
        settings: settings of the twin.

    Raises:
        InputError: scans out of order, no tumour, or a head that is too small for the boxes of displacement.
    """
    _demand_order(history)
    grid = lattice(history, settings.voxel_mm, settings.margin_mm)
    coarse = on_lattice(history, grid)
    if settings.mechanics:
        # palpate tumour has asked with the whole head; the lattice, or the boxes of this calibration, may be smaller.
        where, edge_mm = f"tumour images of {history.subject}", float(coarse.edges_mm.max())
        demand_head(where, coarse.tissue, coarse.edges_mm, settings.displacement_box_mm, edge_mm)
        coarse = replace(coarse, stiffness=coarse_stiffness(history, grid, settings.stiffness_draws))
    return grid, coarse


def prepared(coarse: TumourHistory, settings: TwinSettings, comm: MPI.Comm = MPI.COMM_SELF) -> CalibrationProblem:
    """Return the problem whose posterior `calibrate` finds. Collective.

    Args:
        coarse: history on the lattice, with its stiffness or none.
        settings: settings of the twin.
        comm: ranks to share the directions of tangents; each has all voxels.
    """
    edge = outline(coarse, settings)
    rates = growth_shapes(coarse, settings)
    place = voxels(coarse.tissue, mm_to_m(coarse.edges_mm))
    stress, elastic_system = None, None
    if settings.mechanics:
        stress, elastic_system = first_stress(coarse, settings, place)
        stress = comm.bcast(stress)
    modes = 0 if stress is None else stress.modes
    layout = unknowns(coarse, settings, edge.shapes_mm.shape[1], rates.shape[1], modes)
    model = dynamics(coarse, edge, rates, layout, settings, place)
    seen = observations(coarse, layout, settings)
    plain = CalibrationProblem(model, seen, settings.front_error_mm, elastic_system=elastic_system, comm=comm)
    return plain.under(stress)


def _calibration(
    problem: CalibrationProblem, found: Laplace, drawn: Draws, grid: TwinLattice, coarse: TumourHistory
) -> Calibration:
    return Calibration(
        problem.observations.settings,
        grid,
        coarse,
        problem.dynamics.unknowns,
        found.mode,
        found.covariance,
        found.front_error_mm,
        found.stress,
        problem.observations.field,
        drawn,
        found.statistics,
    )


def _demand_order(history: TumourHistory) -> None:
    days = [scan.day for scan in history.scans]
    if not days or any(later <= earlier for earlier, later in itertools.pairwise(days)):
        raise InputError(
            f"scans of {history.subject}",
            found="no scan" if not days else "scans that are not in the order of their days",
            expected="at least one scan, and each on a day of its own",
            advice="Correct the dates in the table of sessions.",
        )
