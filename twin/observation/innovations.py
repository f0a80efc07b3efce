"""Innovations: how far a scan lies from its prediction by the scans before it, in few numbers.

Numbers t(y) of a scan (summaries) are predicted by the rows A of the earlier scans. With y = F + V (w - w*) + e, in
which w holds the unknowns xi and the shared errors zeta, w* the mode around which F is linear, and e ~ N(0, B),

    P = 1 + V_A^T B_A^-1 V_A,     w = P^-1 V_A^T B_A^-1 (y_A - F_A + V_A w*),
    nu = t(y) - t(F) - G V (w - w*),     S = G (B + V P^-1 V^T) G^T,     G = dt/dy.

nu^T S^-1 nu follows chi^2 with as many degrees of freedom as there are numbers, if model and errors are as assumed: for
a linear model exactly, and independently from scan to scan.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from palpate.twin.observation.errors import SharedErrors
from palpate.twin.observation.likelihood import Observations
from palpate.twin.observation.readings import Reading
from palpate.twin.observation.summaries import ScanNumbers, summaries

type Values = NDArray[np.float64]

ODD: Final = 0.05
"""Probability of an innovation at least as large below which a scan is called odd."""
WRONG: Final = 0.001
"""Probability below which it is called wrong: model, date, treatment or images are not as assumed."""


@dataclass(frozen=True, slots=True)
class Innovation:
    """Difference between some numbers of a scan and their prediction, with its covariance.

    Attributes:
        day: day of the scan.
        stream: stream of the numbers.
        names: names of the numbers, with their units.
        observed: numbers of the scan, shape (k,).
        predicted: their predicted means, shape (k,).
        covariance: covariance S of prediction and errors together, shape (k, k).
    """

    day: float
    stream: str
    names: tuple[str, ...]
    observed: Values
    predicted: Values
    covariance: Values

    @property
    def normalised(self) -> Values:
        """L^-1 nu with S = L L^T, shape (k,): independent standard normal numbers if all is as assumed."""
        return np.asarray(np.linalg.solve(np.linalg.cholesky(self.covariance), self.observed - self.predicted))

    @property
    def probability(self) -> float:
        """Probability of an innovation at least as large, 0 to 1."""
        return float(chi2.sf(float(self.normalised @ self.normalised), len(self.names)))

    @property
    def verdict(self) -> str:
        """Say "as expected", "odd" or "wrong"."""
        return "wrong" if self.probability < WRONG else "odd" if self.probability < ODD else "as expected"


def linear_innovations(
    seen: Observations, residual: Values, jacobian: Values, mode: Values, errors: SharedErrors
) -> tuple[Innovation, ...]:
    """Return the innovations of every scan but the first, each given the scans before it, by the linearised model.

    The first scan gives the outline from which the model starts; nothing predicts it.

    Args:
        seen: observations of all scans.
        residual: residual y - F at the mode, shape (m,).
        jacobian: derivative J of F by xi at the mode, shape (m, p).
        mode: most probable xi, shape (p,).
        errors: covariance R = B + U U^T of the errors.
    """
    ends = np.cumsum([0, *(sum(len(one.values) for one in its) for its in seen.scans)])
    every = np.concatenate([jacobian, errors.columns], axis=1)
    at = np.concatenate([mode, np.zeros(errors.columns.shape[1])])
    precision, towards = np.eye(len(at)), np.zeros(len(at))
    found: list[Innovation] = []
    for number, (first, last) in enumerate(itertools.pairwise(ends)):
        own = slice(int(first), int(last))
        moves, blocks, values = every[own], errors.blocks.part(own), seen.values[own]
        if number:
            factor = cho_factor(precision)
            shift = moves @ (cho_solve(factor, towards) - at)
            scan, day = seen.scans[number], seen.days[number]
            for told, expected in summaries(scan, values, values - residual[own], seen.voxel_ml):
                g = expected.derivative
                back = g @ moves
                spread = g @ blocks.times(g.T) + back @ cho_solve(factor, back.T)
                found.append(_innovation(day, told, expected.values + g @ shift, spread))
        weighted = blocks.solve(moves)
        precision = precision + moves.T @ weighted
        towards = towards + weighted.T @ (residual[own] + moves @ at)
    return tuple(found)


def drawn_innovations(
    day: float, its: tuple[Reading, ...], predictions: Values, errors: SharedErrors, voxel_ml: float
) -> tuple[Innovation, ...]:
    """Return the innovations of a new scan, predicted by draws of a posterior that has not seen it.

    S is the covariance over the draws plus G R G^T.

    Args:
        day: day of the scan.
        its: readings of the scan.
        predictions: data that each draw predicts for the scan, without errors, shape (draws, m).
        errors: covariance R of the errors of this scan's data.
        voxel_ml: volume of a voxel, mL.
    """
    values = np.concatenate([one.values for one in its])
    found = []
    for told, expected in summaries(its, values, predictions.mean(axis=0), voxel_ml):
        g = expected.derivative
        shared = g @ errors.columns
        spread = g @ errors.blocks.times(g.T) + shared @ shared.T + np.cov(g @ predictions.T).reshape(len(g), len(g))
        found.append(_innovation(day, told, expected.values, spread))
    return tuple(found)


def _innovation(day: float, told: ScanNumbers, mean: Values, spread: Values) -> Innovation:
    return Innovation(day, told.stream, told.names, told.values, mean, 0.5 * (spread + spread.T))
