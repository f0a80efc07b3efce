"""Summary of a stream's innovations: are they as large as expected, centred, and independent of one another?

Where the model is right, normalised innovations are independent N(0, 1). Three questions are asked of a stream of n
events with m numbers each:

    size        sum e^T e  ~  chi-square of n m degrees of freedom, two-sided,
    bias        the mean of all e  ~  N(0, 1 / (n m)), two-sided,
    whiteness   Q = n (n + 2) sum_k r_k^2 / (n - k),    r_k = sum_t e_t^T e_(t-k) / sum_t e_t^T e_t,

Q after Ljung and Box (1978). Its distribution under independence is drawn, since the asymptotic one is wrong for the
few events of a patient.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import scipy.stats as stats
from numpy.typing import NDArray

from palpate.twin.assimilation.innovation import EventInnovation

type Values = NDArray[np.float64]
type Verdict = Literal["as expected", "odd", "wrong"]

ODD: Final = 0.05
"""Probability below which innovations are odd."""
WRONG: Final = 0.001
"""Probability below which innovations are wrong: the model does not describe this patient or this stream."""
FEWEST: Final = 5
"""Smallest number of events whose whiteness is judged."""
LAGS: Final = 3
"""Number of lags k, if there are twice as many events."""
_DRAWN: Final = 3999
"""Number of independent sequences that Q is compared with."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """Innovations of one stream in few numbers.

    Attributes:
        stream: name of the stream.
        events: number n of its events.
        variance: mean square of normalised innovations, 1 where the model is right.
        variance_probability: probability of a mean square as far from 1.
        bias: mean of normalised innovations, 0 where the model is right.
        bias_probability: probability of a mean as far from 0.
        whiteness_probability: probability of a Q as large; None for fewer than FEWEST events.
    """

    stream: str
    events: int
    variance: float
    variance_probability: float
    bias: float
    bias_probability: float
    whiteness_probability: float | None

    @property
    def verdict(self) -> Verdict:
        """Word for the smallest probability times the number of questions (Bonferroni)."""
        asked = [self.variance_probability, self.bias_probability]
        asked += [] if self.whiteness_probability is None else [self.whiteness_probability]
        return verdict(len(asked) * min(asked))


def verdict(probability: float) -> Verdict:
    """Return the word for the probability of an innovation or of a summary."""
    if probability >= ODD:
        return "as expected"
    return "odd" if probability >= WRONG else "wrong"


def summarise(innovations: Iterable[EventInnovation]) -> tuple[StreamSummary, ...]:
    """Return the summary of each stream, in alphabetical order.

    Args:
        innovations: innovations in order of days.
    """
    by_stream: dict[str, list[Values]] = {}
    for one in innovations:
        by_stream.setdefault(one.stream, []).append(one.normalised)
    return tuple(_summary(stream, np.stack(found)) for stream, found in sorted(by_stream.items()))


def _summary(stream: str, white: Values) -> StreamSummary:
    squares = float(np.sum(white**2))
    below = float(stats.chi2.cdf(squares, white.size))
    bias = float(white.mean())
    return StreamSummary(
        stream,
        len(white),
        squares / white.size,
        2.0 * min(below, 1.0 - below),
        bias,
        float(2.0 * stats.norm.sf(abs(bias) * np.sqrt(white.size))),
        whiteness(white) if len(white) >= FEWEST else None,
    )


def whiteness(white: Values) -> float:
    """Return the probability of a portmanteau statistic Q as large where innovations are independent.

    Args:
        white: normalised innovations in order of days, shape (n, m), n of FEWEST or more.
    """
    found = float(_portmanteau(white[None])[0])
    return float((1 + np.sum(_under_independence(*white.shape) >= found)) / (_DRAWN + 1))


def _portmanteau(white: Values) -> Values:
    """Return Q of sequences, shape (sequences, n, m)."""
    n = white.shape[1]
    total = np.sum(white**2, axis=(1, 2))
    found = np.zeros(len(white))
    for lag in range(1, min(LAGS, n // 2) + 1):
        r = np.sum(white[:, lag:] * white[:, :-lag], axis=(1, 2)) / total
        found += r**2 / (n - lag)
    return np.asarray(n * (n + 2.0) * found)


@lru_cache(maxsize=256)
def _under_independence(n: int, m: int) -> Values:
    return _portmanteau(np.random.default_rng([n, m]).standard_normal((_DRAWN, n, m)))
