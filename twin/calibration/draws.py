"""Joint draws of the posterior: from the Laplace approximation to the posterior itself, by sequential Monte Carlo.

Draws of Laplace's N(m, H^-1) have log weights ell = (xi - m)^T H (xi - m) / 2 - phi(xi), where phi sums over the sizes
q of the front model error, p(y | xi) = sum_q p(q) p(y | xi, q); Laplace's Gaussian takes one q. Their effective number
measures how Gaussian the posterior is. The weights are applied in several powers, each the largest that leaves half of
the draws effective. After each the draws are resampled and moved: the proposal

    xi' = m + sqrt(1 - b^2) (xi - m) + b H^-1/2 z,     z ~ N(0, 1),

leaves the Laplace approximation invariant. It is accepted with probability min(1, exp(power (ell' - ell))), which
leaves the distribution reached so far invariant (Neal 1999; Del Moral, Doucet, Jasra 2006). At power one the draws are
the posterior's.

Where the dates of treatments and scans may be wrong (palpate.twin.clocks), a draw has a shift of one stream's dates as
well. There is one Gaussian for each shift, with its probability; the weights are those of xi and shift together. Moves
keep the shift, resampling chooses among shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.progress import say, track
from palpate.solvers.dealt import dealt, dealt_back
from palpate.twin.calibration.posterior import CalibrationProblem, Laplace
from palpate.twin.clocks.lattice_fit import Dates, phi_of
from palpate.twin.clocks.mixture import Component, log_weight
from palpate.twin.dynamics import CENTURY_DAYS
from palpate.twin.observation.errors import FrontErrors
from palpate.twin.weighted_draws import effective, systematic

type Values = NDArray[np.float64]

EFFECTIVE: Final = 0.5
"""Effective share of the draws that each power leaves."""
MOVES: Final = 4
"""Number of proposals to each draw after each power, and as many again at the end."""
ACCEPTED: Final = 0.3
"""Share of accepted proposals to which the step is adapted."""
FIRST_STEP: Final = 0.4
"""First length s of the moves, 0 to 1 (1 draws anew from the approximation); it is adapted to ACCEPTED."""
LOOKED_AT: Final = 40
"""Smallest number of draws whose past is kept, if there are so many."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Equally probable draws of the posterior.

    Attributes:
        xi: unknowns, shape (draws, p).
        density: density u at the last scan, on the lattice's tissue voxels in C order, shape (draws, n).
        past: density at every scan, without front model error, of the draws `looked_at`, shape (some, scans, n).
        front_error_mm: size q of the front model error, mm after 100 days, shape (draws,).
        front_error: front model error until the last scan, in the field's coefficients, mm, shape (draws, r).
        effective_share: effective number of Laplace's draws over their number; near one, the posterior is Gaussian.
        powers: number of powers from Laplace's draws to the posterior's.
        acceptance: share of proposals accepted at power one.
        stream: number of the stream whose dates are shifted, in Calibration.clocks, shape (draws,); -1 where all are as
            dated, and empty if no shift was looked at.
        shift_days: days by which its recorded dates are late, shape (draws,), or empty.
    """

    xi: Values
    density: NDArray[np.float32]
    past: NDArray[np.float32]
    front_error_mm: Values
    front_error: Values
    effective_share: float
    powers: int
    acceptance: float
    stream: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    shift_days: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def looked_at(self) -> NDArray[np.int64]:
        """Numbers of the draws whose past is kept."""
        return looked_at(len(self.xi))


@dataclass(slots=True)
class _Particle:
    """One draw, its log weight over the Laplace approximation, and what the model makes of it."""

    component: Component
    xi: Values
    log_weight: float
    density: NDArray[np.float32]
    residual: Values


def draw(
    problem: CalibrationProblem,
    found: Laplace,
    settings: TwinSettings,
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    dates: Dates | None = None,
) -> Draws:
    """Draw, weigh, resample and move until the draws follow the posterior. Collective.

    Args:
        problem: problem whose posterior is drawn, with all voxels on every rank.
        found: Laplace approximation of the posterior.
        settings: number of draws and seed.
        comm: ranks to share the draws; they are the same for every number of ranks.
        dates: posterior of shifts of dates, for a problem with all voxels on every rank; None to take all as recorded.
    """
    rng = np.random.default_rng(settings.seed)
    known = Dates.as_recorded(problem, found) if dates is None else dates

    def weighed(every: Sequence[tuple[Component, Values]], what: str = "") -> list[_Particle]:
        own = dealt(every, comm)
        done = [_weighed(known, found, *one) for one in (track(own, what, len(own)) if what else own)]
        # All ranks go on with the same numbers, each from one of them: last bits decide alike.
        return dealt_back(done, comm)

    def moved(particles: list[_Particle], power: float, step: float) -> tuple[list[_Particle], float]:
        proposals, chances = [], []
        for one in particles:
            mode, half = one.component.mode, one.component.half
            away = np.sqrt(1.0 - step**2) * (one.xi - mode) + step * (half @ rng.standard_normal(len(one.xi)))
            proposals.append((one.component, mode + away))
            chances.append(np.log(rng.random()))
        others = weighed(proposals)
        triples = list(zip(particles, others, chances, strict=True))
        taken = [chance < power * (other.log_weight - one.log_weight) for one, other, chance in triples]
        after = [other if yes else one for (one, other, _), yes in zip(triples, taken, strict=True)]
        return after, float(np.mean(taken))

    particles = weighed(known.mixture.draw(settings.draws, rng), "draws of the posterior")
    share = effective(np.array([one.log_weight for one in particles]))
    power, step, powers, accepted = 0.0, FIRST_STEP, 0, 1.0
    while power < 1.0:
        log_weights = np.array([one.log_weight for one in particles])
        added = min(1.0 - power, power_of(log_weights))
        power, powers = power + added, powers + 1
        particles = [particles[index] for index in systematic(added * log_weights, rng)]
        for _ in range(MOVES if power < 1.0 else 2 * MOVES):
            particles, accepted = moved(particles, power, step)
            step = float(np.clip(step * np.exp(accepted - ACCEPTED), 0.02, 1.0))
        say(f"draws follow the posterior to the power {power:.2f}, {accepted:.0%} of moves accepted")
    errors = [_front_error(problem, found.front_errors, one.residual, rng) for one in particles]
    q, fronts = comm.bcast(tuple(zip(*errors, strict=True)))
    shifts = [one.component.shift for one in particles]
    return Draws(
        np.stack([one.xi for one in particles]),
        _presents(known, particles, comm),
        _pasts(known, [particles[number] for number in looked_at(len(particles))], comm),
        np.array(q),
        np.stack(fronts),
        share,
        powers,
        accepted,
        np.array([known.number(one) for one in shifts]),
        np.array([one.days for one in shifts]),
    )


def looked_at(count: int) -> NDArray[np.int64]:
    """Return the numbers of evenly spaced draws, LOOKED_AT of them or more.

    Args:
        count: number of draws.
    """
    return np.arange(0, count, max(1, count // LOOKED_AT))


def _presents(dates: Dates, every: list[_Particle], comm: MPI.Comm) -> NDArray[np.float32]:
    """Return densities on the recorded day of the last scan, shape (draws, n). Collective."""
    return np.stack(dealt_back([_present(dates, one) for one in dealt(every, comm)], comm))


def _present(dates: Dates, one: _Particle) -> NDArray[np.float32]:
    if not dates.moves_last_scan(one.component.shift):
        return one.density
    return dates.present(one.component.shift, one.xi).astype(np.float32)


def _pasts(dates: Dates, every: list[_Particle], comm: MPI.Comm) -> NDArray[np.float32]:
    """Return densities at every scan, shape (draws, scans, n). Collective."""
    own = [np.stack(dates.problem(one.component.shift).states(one.xi)).astype(np.float32) for one in dealt(every, comm)]
    return np.stack(dealt_back(own, comm))


def _weighed(dates: Dates, found: Laplace, component: Component, xi: Values) -> _Particle:
    problem = dates.problem(component.shift)
    states = problem.states(xi)
    residual = problem.residual(states, xi)
    weight = log_weight(component, xi, phi_of(found, residual, xi))
    # What is no number is not the posterior's.
    return _Particle(component, xi, weight if np.isfinite(weight) else -np.inf, states[-1].astype(np.float32), residual)


def _front_error(
    problem: CalibrationProblem, front_errors: FrontErrors, residual: Values, rng: np.random.Generator
) -> tuple[float, Values]:
    """Draw q and the front model error at the last scan for one draw, coefficients in mm, shape (r,)."""
    log_densities = front_errors.log_densities(residual)
    which = int(systematic(log_densities, rng, 1)[0])
    q = float(front_errors.front_error_mm[which])
    zeta = front_errors.errors[which].draw_shared(residual, rng)
    steps = np.sqrt(np.diff(problem.observations.days) / CENTURY_DAYS)
    r = len(problem.observations.field.centres_mm)
    return q, q * (steps @ zeta[: len(steps) * r].reshape(len(steps), r))


def power_of(log_weights: Values) -> float:
    """Return the largest power up to one of the weights that leaves EFFECTIVE of the draws that have any weight.

    Args:
        log_weights: logarithms of the weights, shape (n,).
    """
    log_weights = log_weights[np.isfinite(log_weights)]
    if not len(log_weights):
        raise RuntimeError("no draw of the Laplace approximation gives a finite likelihood")
    if effective(log_weights) >= EFFECTIVE:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle * log_weights) >= EFFECTIVE else (low, middle)
    return low
