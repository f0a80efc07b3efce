"""Posterior of the shifts of all streams, and which of them is flagged.

    p(as dated) = PI,     p(stream j, s days) = (1 - PI) / J / (number of its shifts),     s = -28 ... 28 days, not 0.

The prior mass PI as dated is no estimate of how often dates are wrong. It is as small as it must be for intervals of
the parameters to hold when a shift leaves no trace in the images (benchmarks/clocks.py). The flag has its own limit,
chosen by the rate of false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from palpate.twin.clocks.evidence import ClockEvidence
from palpate.twin.clocks.shift import AS_DATED, Shift, StreamClock

type Values = NDArray[np.float64]

PI: Final = 0.5
"""Prior probability that every stream is as dated."""
FLAG_BELOW: Final = 0.65
"""Posterior probability of being as dated below which a shift is flagged, if its interval excludes zero."""
UNIDENTIFIED: Final = 0.9
"""Smallest ratio of posterior to prior standard deviation of a stream's shift at which the images are said to leave its
dates open."""
ALTERNATIVE: Final = 0.5
"""Probability over that of the flagged stream from which another stream is named as well."""


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Posterior of the shift of one stream's dates.

    Attributes:
        stream: name of the stream.
        shift_days: median of the shift, days by which its recorded dates are late, if every shift were equally
            probable before.
        lower: lower bound of that shift's 95 % interval, days.
        upper: upper bound, days.
        flagged: whether this is the most probable explanation of dates that do not fit.
        identified: whether the images inform the shift; if not, all shifts remain nearly as probable as before.
        probability: posterior probability that this stream is shifted, and no other one.
    """

    stream: str
    shift_days: float
    lower: float
    upper: float
    flagged: bool
    identified: bool
    probability: float


@dataclass(frozen=True, slots=True)
class ClockSummary:
    """Posterior of the shifts of all streams in a few numbers.

    Attributes:
        as_dated: posterior probability that every date is right.
        estimates: posterior of each stream's shift.
    """

    as_dated: float
    estimates: tuple[ClockEstimate, ...]

    @property
    def flagged(self) -> ClockEstimate | None:
        """The stream that is flagged; None if the dates fit."""
        return next((one for one in self.estimates if one.flagged), None)

    @property
    def alternatives(self) -> tuple[ClockEstimate, ...]:
        """Streams that explain the images nearly as well as the flagged one; empty if none is flagged."""
        if self.flagged is None:
            return ()
        least = ALTERNATIVE * self.flagged.probability
        return tuple(one for one in self.estimates if not one.flagged and one.probability >= least)


UNDATED: Final = ClockSummary(1.0, ())
"""Summary of a calibration that has no dates to compare."""


@dataclass(frozen=True)
class ClockPosterior:
    """Posterior of the shifts of all streams.

    Attributes:
        evidence: evidence over shifts.
    """

    evidence: ClockEvidence

    @cached_property
    def hypotheses(self) -> tuple[Shift, ...]:
        """Every possible shift, that as dated first."""
        found = [AS_DATED]
        for clock in self.evidence.clocks:
            days, _ = self.evidence.log_evidences(clock)
            found += [Shift(clock.stream, int(one)) for one in days if one != 0]
        return tuple(found)

    @cached_property
    def log_priors(self) -> Values:
        """Logarithm of the prior probability of every hypothesis, shape (hypotheses,)."""
        movable = [one for one in self.evidence.clocks if one.earliest < one.latest]
        found = [np.array([np.log(PI) if movable else 0.0])]
        for clock in self.evidence.clocks:
            days, _ = self.evidence.log_evidences(clock)
            found.append(np.full(len(days) - 1, np.log((1.0 - PI) / max(len(movable), 1) / _shifts(clock))))
        return np.concatenate(found)

    @cached_property
    def log_evidences(self) -> Values:
        """Logarithm of the evidence of every hypothesis over that as dated, shape (hypotheses,)."""
        found = [np.zeros(1)]
        for clock in self.evidence.clocks:
            days, values = self.evidence.log_evidences(clock)
            found.append(values[days != 0])
        return np.concatenate(found)

    @cached_property
    def probabilities(self) -> Values:
        """Posterior probability of every hypothesis, shape (hypotheses,)."""
        log = self.log_priors + self.log_evidences
        return np.asarray(np.exp(log - logsumexp(log)))

    @property
    def as_dated(self) -> float:
        """Posterior probability that every stream is as dated."""
        return float(self.probabilities[0])

    @cached_property
    def estimates(self) -> tuple[ClockEstimate, ...]:
        """Posterior of every stream's shift, in the order of the streams."""
        shares = {
            clock.stream: float(self.probabilities[[one.stream == clock.stream for one in self.hypotheses]].sum())
            for clock in self.evidence.clocks
        }
        first = max(shares, key=lambda name: shares[name]) if self.as_dated < FLAG_BELOW else None
        return tuple(
            self._estimate(one, shares[one.stream], flagged=one.stream == first and self._excludes_zero(one))
            for one in self.evidence.clocks
        )

    def _excludes_zero(self, clock: StreamClock) -> bool:
        """Return whether the 95 % interval of a stream's shift lies to one side of zero, if all were as probable."""
        lower, _, upper = _quantiles(*self.evidence.log_evidences(clock))
        return lower > 0.0 or upper < 0.0

    @property
    def summary(self) -> ClockSummary:
        """Probability that every date is right, and every stream's shift."""
        return ClockSummary(self.as_dated, self.estimates)

    def _estimate(self, clock: StreamClock, probability: float, *, flagged: bool) -> ClockEstimate:
        days, values = self.evidence.log_evidences(clock)
        if flagged:  # that it is shifted is said already: by how much
            days, values = days[days != 0], values[days != 0]
        w = np.exp(values - logsumexp(values))
        lower, median, upper = _quantiles(days, values)
        free = np.arange(clock.earliest, clock.latest + 1)
        spread = float(np.sqrt(w @ (days - w @ days) ** 2))
        identified = flagged or bool(spread < UNIDENTIFIED * float(free.std()))
        return ClockEstimate(clock.stream, median, lower, upper, flagged, identified, probability)


def _quantiles(days: NDArray[np.int64], log_weights: Values) -> tuple[float, float, float]:
    """Return the lower 95 % bound, the median and the upper bound of days with weights."""
    ends = np.cumsum(np.exp(log_weights - logsumexp(log_weights)))
    lower, median, upper = (float(days[np.searchsorted(ends, q * ends[-1])]) for q in (0.025, 0.5, 0.975))
    return lower, median, upper


def _shifts(clock: StreamClock) -> int:
    """Number of possible shifts other than zero."""
    return max(clock.latest - clock.earliest, 1)
