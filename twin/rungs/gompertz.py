"""Gompertz's law on the logistic rung's parameters: growth that slows down from the beginning.

    u' = c u ln(K / u) - treatment,     y = ln(K / u),     y' = -c y + s C(t),     c = k e^b (1 - p_0) / ln(1 / p_0)

with p_0 = u_0 / K, so that a tumour of the first scan's burden grows as fast as on the logistic rung, and what both say
of later scans is what tells them apart. Between events y is exact; a fraction or an operation that leaves the share S
adds -ln S. Whatever the treatment, 0 < u < K.

It is no rung of its own: it says what another form of the model would forecast (twin.doubt.growth_laws).

Source: Laird 1964, Br J Cancer 18:490.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.twin.rungs.cells import DRIFT, cell_rates, drifted, natural
from palpate.twin.rungs.logistic import START_ML, LogisticModel, log_survival
from palpate.twin.rungs.regimen import Regimen
from palpate.twin.state_space.advance import daily
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GompertzModel(LogisticModel):
    """Gompertz's law of one tumour, with the parameters, priors and observations of the logistic rung."""

    states: tuple[StateBound, ...] = (StateBound("log_of_capacity_over_burden", 0.0), StateBound(DRIFT))

    def start(self, theta: Values) -> Values:
        """See Model."""
        y = np.log(self.capacity_ml(theta) / natural(self.parameters, theta, START_ML))
        return np.stack([y, np.zeros_like(y)], axis=1)

    def step(self, x: Values, theta: Values, u: Regimen, t0: float, t1: float, noise: Values) -> Values:
        """See Model."""
        within, after = drifted(x[:, 1], noise[:, 0], t1 - t0, self.settings)
        rates = cell_rates(self.parameters, theta, within, u, self.settings)
        share = natural(self.parameters, theta, START_ML) / self.capacity_ml(theta)
        slowing = rates.growth_1_day * (1.0 - share) / -np.log(share)
        y = x[:, 0]
        for piece in u.pieces(t0, t1, daily(t0, t1) if rates.acting(t0, t1) else ()):
            y = y - log_survival(piece, rates)
            killed = rates.faded_kill(piece.start, piece.end, slowing)
            y = y * np.exp(-slowing * (piece.end - piece.start)) + killed
        return np.stack([y, after], axis=1)

    def burden_ml(self, x: Values, theta: Values) -> Values:
        """Return the burden u of each draw, ml of packed cells, shape (draws,).

        Args:
            x: state, shape (draws, 2).
            theta: parameters as standard normal numbers, shape (draws, parameters).
        """
        return self.capacity_ml(theta) * np.exp(-x[:, 0])
