"""Displacement w of tissue by the tumour, on the days of the scans and of a forecast.

The displacement is proportional to lambda / s, which the images do not inform. Each draw of the posterior therefore
takes its own density, one of the joint draws of the stiffness (used in turn), and a lambda / s of its own from the
prior. Boxes of two sizes are extrapolated (solvers.growth.displacement); the error that remains, and that of what lies
beyond the lattice, is a random factor with NUMERICAL_LOG_STD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.special import ndtri

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.head import beyond_voxels, inside_skull
from palpate.imaging.tumour.history import TumourHistory
from palpate.progress import say
from palpate.solvers.growth.mechanics.coupling import Pressure, middles_m
from palpate.solvers.growth.mechanics.displacement import (
    LARGEST,
    DisplacementSystem,
    ElasticHead,
    brain_around,
    displacement_system,
    lengths_mm,
)
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.predict import Forecast, present
from palpate.twin.lattice import visible
from palpate.twin.stress import LAMBDA_PA
from palpate.units import kpa_to_pa, m_to_mm, mm_to_m

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

NUMERICAL_LOG_STD: Final = 0.1
"""Standard deviation of ln w by boxes and by what lies beyond the lattice: some 3 % and 10 % (docs/decisions/0070)."""


@dataclass(frozen=True)
class Displaced:
    """Displacements of one day, of equally probable draws.

    Attributes:
        day: days since the first scan.
        lengths_mm: lengths |w| at the lattice's tissue voxels in C order, millimetres, shape (draws, n).
        mean_mm: mean of w over the draws along the world's axes R, A, S, millimetres, shape (n, 3).
        around: whether each voxel belongs to the brain around the tumour, shape (n,).
    """

    day: float
    lengths_mm: NDArray[np.float32]
    mean_mm: Values
    around: Mask

    @cached_property
    def means_mm(self) -> Values:
        """Mean length in the brain around the tumour, of each draw, millimetres, shape (draws,)."""
        return self.lengths_mm[:, self.around].mean(axis=1, dtype=np.float64)

    @cached_property
    def largest_mm(self) -> Values:
        """Length that a share LARGEST of the brain around the tumour does not exceed, mm, of each draw, (draws,)."""
        return np.quantile(self.lengths_mm[:, self.around].astype(np.float64), LARGEST, axis=1)


@dataclass(frozen=True, slots=True)
class MassEffectOverTime:
    """Displacements of tissue over time.

    Attributes:
        around_day: day of the scan whose tumour defines the brain around it.
        past: displacements on the days of the scans before the last, by some of the draws.
        now: displacements on the day of the last scan, by all draws.
        ahead: displacements on the days of the forecast, by all draws in the same order.
    """

    around_day: float
    past: tuple[Displaced, ...]
    now: Displaced
    ahead: tuple[Displaced, ...]


@dataclass(frozen=True, slots=True)
class _Day:
    """Densities of some draws on a day, shape (some, n), and the draws' numbers."""

    day: float
    draws: NDArray[np.int64]
    densities: NDArray[np.float32]


def mass_effect(
    calibration: Calibration, forecasts: Sequence[Forecast] = (), comm: MPI.Comm = MPI.COMM_SELF
) -> MassEffectOverTime | None:
    """Compute displacements on the days of scans and forecasts; None if the twin has no mechanics. Collective.

    Args:
        calibration: calibration of the tumour.
        forecasts: forecasts of later days.
        comm: ranks to share the draws of the stiffness; the result has the same bits for every number of them.
    """
    if calibration.stress is None:
        return None
    history, drawn = calibration.history, calibration.draws
    every = np.arange(len(drawn.xi))
    earlier = zip(history.scans[:-1], drawn.past.swapaxes(0, 1)[:-1], strict=True)
    days = [_Day(scan.day, drawn.looked_at, found) for scan, found in earlier]
    days += [_Day(one.day, every, one.densities) for one in (present(calibration), *forecasts)]
    around_day, around = around_tumour(history)
    found = _displaced(calibration, days, around, comm)
    count = len(history.scans) - 1
    return MassEffectOverTime(around_day, found[:count], found[count], found[count + 1 :])


def around_tumour(history: TumourHistory) -> tuple[float, Mask]:
    """Find the brain around the tumour of the last scan that shows one: its day, and a mask of the tissue voxels.

    Args:
        history: history on the lattice.
    """
    shown = [(scan.day, visible(scan, history.edges_mm) & history.tissue) for scan in history.scans]
    day, tumour = [(day, seen) for day, seen in shown if seen.any()][-1]  # the lattice lies around one
    around = brain_around(history.tissue, tumour, history.edges_mm)
    return day, (around if around.any() else history.tissue)[history.tissue]


def swellings_pa(settings: TwinSettings, count: int) -> Values:
    """Draw lambda / s with the numerical factor, pascal, shape (count,): one in each slice of equal probability.

    A single draw is the prior's median.

    Args:
        settings: prior of lambda / s, and seed.
        count: number of draws.
    """
    if count == 1:
        return np.array([kpa_to_pa(settings.swelling_kpa.median)])
    rng = np.random.default_rng([settings.seed, 3])
    strata = ndtri((rng.permutation(count) + rng.random(count)) / count)
    logs = settings.swelling_kpa.log_std * strata + NUMERICAL_LOG_STD * rng.standard_normal(count)
    return np.asarray(kpa_to_pa(settings.swelling_kpa.median) * np.exp(logs))


def _displaced(calibration: Calibration, days: Sequence[_Day], around: Mask, comm: MPI.Comm) -> tuple[Displaced, ...]:
    assert calibration.stress is not None  # the caller has asked
    history, stiffnesses = calibration.history, calibration.stress.log_draws
    factors = swellings_pa(calibration.settings, len(calibration.draws.xi)) / LAMBDA_PA
    sizes = [np.zeros(day.densities.shape, dtype=np.float32) for day in days]
    total = np.zeros((len(days), int(history.tissue.sum()), 3))
    # Sums of the stiffness' draws are added in their order, so that they round alike on any number of ranks.
    for first in range(0, len(stiffnesses), comm.size):
        sums = None
        if (number := first + comm.rank) < len(stiffnesses):
            elastic_system = displacement_system_of(history, calibration.settings, stiffnesses[number])
            sums = np.zeros_like(total)
            for at, day in enumerate(days):
                mine = np.arange(number, len(day.draws), len(stiffnesses))
                for pair in np.array_split(mine, max(1, -(-len(mine) // 2))):
                    moved = elastic_system.displacements_m(day.densities[pair].astype(np.float64))
                    moved *= factors[day.draws[pair], None, None]
                    sizes[at][pair] = lengths_mm(moved)
                    sums[at] += moved.sum(axis=0)
        for one in comm.allgather(sums):
            if one is not None:
                total += one
        say(f"displacement by stiffness {min(first + comm.size, len(stiffnesses))} of {len(stiffnesses)}")
    sizes = [comm.allreduce(one) for one in sizes]
    axes = history.affine_mm[:3, :3] / history.edges_mm
    means = [m_to_mm(one @ axes.T) / len(day.draws) for one, day in zip(total, days, strict=True)]
    return tuple(Displaced(day.day, size, mean, around) for day, size, mean in zip(days, sizes, means, strict=True))


def displacement_system_of(
    history: TumourHistory, settings: TwinSettings, log_moduli: NDArray[np.floating]
) -> DisplacementSystem:
    """Factorise the elastic systems of one draw of the stiffness; a density u loads them with the pressure LAMBDA_PA u.

    Args:
        history: history on the lattice.
        settings: settings of the twin, with the edge of the boxes.
        log_moduli: ln G' in voxels, shape (i, j, k).
    """
    edges_m = mm_to_m(history.edges_mm)
    place = voxels(history.tissue, edges_m)
    widths = beyond_voxels(history.edges_mm)
    beyond = np.array(widths)[:, 0]
    skull = inside_skull(history.tissue, history.edges_mm)
    wide, moduli = (np.pad(one, widths, mode="edge") for one in (skull, np.exp(log_moduli.astype(np.float64))))
    head = ElasticHead(place.space, middles_m(place, edges_m) + beyond * edges_m, wide, edges_m, moduli)
    return displacement_system(head, Pressure(LAMBDA_PA, 0.0), float(mm_to_m(settings.displacement_box_mm)))
