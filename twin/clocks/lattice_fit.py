"""Fits of a tumour on the lattice under shifts of its dates, close to the fit as dated.

A shift changes the growth models of the intervals between scans: their lengths, the drift of ln k over them and the
treatments within. The errors R, the stress and the outline stay those of the fit as dated, so that evidences can be
compared. Steps towards the most probable unknowns use the derivatives J as dated, since a step with those of the shift
would cost eight runs of the model in place of one; the evidence's curvature is that as dated, too. What this leaves out
is made good by the weights of the draws (palpate.twin.calibration.draws).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp

from palpate.imaging.tumour.history import TumourHistory
from palpate.progress import say
from palpate.twin.calibration.posterior import CalibrationProblem, Laplace, gradient_and_hessian
from palpate.twin.clocks.dated_history import clocks, scan_stream, shifted
from palpate.twin.clocks.evidence import ClockEvidence, ShiftedFit, search
from palpate.twin.clocks.mixture import Mixture
from palpate.twin.clocks.posterior import ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, Shift, StreamClock
from palpate.twin.dynamics import Events, brownian, events_of, interval_model
from palpate.twin.priors import drugs

type Values = NDArray[np.float64]

SHIFTS: Final = (14, 28)
"""Shifts at which the lattice is fitted first, days to either side: a fit takes some runs of the model."""
STEPS: Final = 4
"""Largest number of steps of one fit."""
GAINED: Final = 0.2
"""Decrease of phi by a step below which the steps end: evidence counts in whole units."""
DAMPING: Final = (0.0, 1.0, 30.0)
"""Multiples of the curvature's diagonal that are tried in turn until phi falls."""
LONGEST: Final = 2.0
"""Longest step in any unknown, prior standard deviations."""


@dataclass(frozen=True)
class DatedTumour:
    """Calibration problem of a tumour under any shift of its dates.

    Attributes:
        problem: problem with every date as recorded.
        history: history on the lattice, as recorded; None where no shift is looked at.
    """

    problem: CalibrationProblem
    history: TumourHistory | None
    _made: dict[Shift, CalibrationProblem] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def clocks(self) -> tuple[StreamClock, ...]:
        """Streams with the shifts that are possible for each."""
        return () if self.history is None else clocks(self.history)

    @property
    def last_scan(self) -> str:
        """Name of the stream of the last scan's date."""
        return scan_stream(self._recorded.scans[-1].day)

    def under(self, shift: Shift) -> CalibrationProblem:
        """Return the problem under a shift; problems are kept.

        Args:
            shift: possible shift.
        """
        if shift == AS_DATED:
            return self.problem
        if shift not in self._made:
            self._made[shift] = self._shifted(shift)
        return self._made[shift]

    def present(self, shift: Shift, xi: Values) -> Values:
        """Return the density on the recorded day of the last scan, at this rank's voxels, shape (n,). Collective.

        Args:
            shift: shift of the last scan's date.
            xi: unknowns, shape (p,).
        """
        own, day = self.under(shift).dynamics, self._recorded.scans[-1].day
        states = own.states(xi)
        # A date that is too late leaves days to grow on; with one that is too early, the last interval is cut.
        first, density = (own.days[-1], states[-1]) if shift.days > 0 else (own.days[-2], states[-2])
        settings, names = self.problem.observations.settings, drugs(self._recorded)
        model = interval_model(own.place, self._events(shift), names, (first, day), settings)
        (found,) = model.forecast(own.parameters(xi, len(own.models) - 1), density).states
        return found

    @property
    def _recorded(self) -> TumourHistory:
        if self.history is None:
            raise ValueError("this tumour was made without its history: its dates cannot be shifted")
        return self.history

    def _events(self, shift: Shift) -> Events:
        moved = shifted(self._recorded, shift)
        return events_of(moved, self.problem.observations.settings)

    def _shifted(self, shift: Shift) -> CalibrationProblem:
        own, settings = self.problem.dynamics, self.problem.observations.settings
        days = tuple(scan.day for scan in shifted(self._recorded, shift).scans)
        events, names = self._events(shift), drugs(self._recorded)
        models = tuple(interval_model(own.place, events, names, span, settings) for span in itertools.pairwise(days))
        return replace(self.problem, dynamics=replace(own, days=days, models=models, drift=brownian(days, settings)))


@dataclass(frozen=True)
class Dates:
    """Posterior of the shifts of a tumour's dates, and the problem under each.

    Attributes:
        tumour: tumour under any shift.
        mixture: Gaussians of the unknowns under every shift, with their probabilities.
    """

    tumour: DatedTumour
    mixture: Mixture

    @classmethod
    def as_recorded(cls, problem: CalibrationProblem, found: Laplace) -> Dates:
        """Return the posterior that takes every date as recorded.

        Args:
            problem: problem with every date as recorded.
            found: Laplace approximation of its posterior.
        """
        dated = ShiftedFit(AS_DATED, 0.0, found.mode, found.covariance)
        return cls(DatedTumour(problem, None), Mixture(ClockPosterior(ClockEvidence((), dated, ()))))

    def problem(self, shift: Shift) -> CalibrationProblem:
        """Return the problem under a shift.

        Args:
            shift: possible shift.
        """
        return self.tumour.under(shift)

    def number(self, shift: Shift) -> int:
        """Return the number of the shift's stream; -1 for none.

        Args:
            shift: possible shift.
        """
        names = [one.stream for one in self.mixture.posterior.evidence.clocks]
        return names.index(shift.stream) if shift != AS_DATED else -1

    def moves_last_scan(self, shift: Shift) -> bool:
        """Return whether a shift is one of the last scan's date.

        Args:
            shift: possible shift.
        """
        return shift != AS_DATED and self.tumour.last_scan == shift.stream

    def present(self, shift: Shift, xi: Values) -> Values:
        """Return the density on the recorded day of the last scan, under a shift of that scan's date, shape (n,).

        Args:
            shift: shift of the last scan's date.
            xi: unknowns, shape (p,).
        """
        return self.tumour.present(shift, xi)


def clock_posterior(tumour: DatedTumour, found: Laplace) -> ClockPosterior:
    """Return the posterior of the shifts of all streams. Collective.

    Args:
        tumour: tumour as dated, and under shifts.
        found: Laplace approximation of its posterior as dated.
    """
    dated, streams = _dated(tumour, found), tumour.clocks
    if not streams:
        return ClockPosterior(ClockEvidence((), dated, ()))
    fits = _Fits(tumour, found)
    done = ClockPosterior(search(streams, fits.fit, dated, SHIFTS))
    say(f"dates: as recorded with probability {done.as_dated:.2f}, from {fits.runs} runs of the model")
    return done


def phi_of(found: Laplace, residual: Values, xi: Values) -> float:
    """Return phi, minus the logarithm of likelihood times prior, over all sizes q of the front model error.

    Args:
        found: Laplace approximation, with the errors R.
        residual: residual r = y - F, shape (m,).
        xi: unknowns, shape (p,).
    """
    return 0.5 * float(xi @ xi) - float(logsumexp(found.front_errors.log_densities(residual)))


def _dated(tumour: DatedTumour, found: Laplace) -> ShiftedFit:
    states = tumour.problem.states(found.mode)
    phi = phi_of(found, tumour.problem.residual(states, found.mode), found.mode)
    return ShiftedFit(AS_DATED, -phi + _half_log_determinant(found), found.mode, found.covariance)


def _half_log_determinant(found: Laplace) -> float:
    """Return -ln det H / 2."""
    return float(np.log(np.diag(np.linalg.cholesky(found.covariance))).sum())


class _Fits:
    """Fits under shifts with the derivatives as dated."""

    def __init__(self, tumour: DatedTumour, found: Laplace) -> None:
        self._tumour, self._found = tumour, found
        _, self._jacobian = tumour.problem.tangents(found.mode)
        self.runs = 8

    def fit(self, shift: Shift, near: Values) -> ShiftedFit:
        """Return the fit under a shift, from unknowns nearby. Collective."""
        problem = self._tumour.under(shift)
        xi, residual, phi = self._at(problem, near)
        for _ in range(STEPS):
            gradient, hessian = gradient_and_hessian(residual, self._jacobian, xi, self._found.errors)
            for damping in DAMPING:
                move = -problem.agreed(cho_solve(cho_factor(hessian + damping * np.diag(np.diag(hessian))), gradient))
                move *= min(1.0, LONGEST / float(np.abs(move).max(initial=LONGEST)))
                ahead = self._at(problem, xi + move)
                if problem.agreed(bool(ahead[2] < phi)):
                    break
            else:
                break
            gained = problem.agreed(phi - ahead[2])
            xi, residual, phi = ahead
            if gained < GAINED:
                break
        log_evidence = problem.agreed(-phi + _half_log_determinant(self._found))
        return ShiftedFit(shift, log_evidence, xi, self._found.covariance)

    def _at(self, problem: CalibrationProblem, xi: Values) -> tuple[Values, Values, float]:
        self.runs += 1
        residual = problem.residual(problem.states(xi), xi)
        phi = phi_of(self._found, residual, xi)
        return xi, residual, phi if np.isfinite(phi) else np.inf
