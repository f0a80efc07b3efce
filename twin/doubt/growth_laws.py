"""Two laws of growth for one tumour, weighted by what its scans say: the doubt that comes from the form of the model.

Draws of the priors grow by the logistic law and by Gompertz's, with the patient's treatment, and are weighted by the
volumes of the scans,

    ln V_j ~ N(ln V(t_j), s_j^2),     s_j^2 = (3 e / r_j)^2 + (3 q / r_j)^2 t_j / 100 d + 0.05^2,

with the error e of contours, the error q of the front after 100 days, and the radius r_j of a ball of the volume. The
mean of a law's likelihoods is its evidence, and its weight the evidence over the sum. Proposals are normal, and follow
the tempered draws of the round before, so that several scans leave enough draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.assimilation.belief import weighted_moments
from palpate.twin.assimilation.sequential import largest_power
from palpate.twin.dynamics import CENTURY_DAYS
from palpate.twin.products.figures import observed
from palpate.twin.rungs.build import small_rungs
from palpate.twin.rungs.from_history import ball_radius_mm, regimen
from palpate.twin.rungs.gompertz import GompertzModel
from palpate.twin.rungs.logistic import LogisticModel
from palpate.twin.rungs.observed import ENHANCING_VOLUME, FLAIR_VOLUME, log_ml
from palpate.twin.weighted_draws import effective

type Values = NDArray[np.float64]

DRAWS: Final = 8000
"""Number of draws of each law."""
_SEED: Final = 31
_FLOOR: Final = 0.05
"""Standard deviation of the logarithm of a volume that no contour goes below."""
_ROUNDS: Final = 12
"""Largest number of times that proposals are drawn; from the second on they follow the weighted draws of the last."""
_KEPT: Final = 0.05
"""Share of the draws that must stay effective where proposals are adapted; weights are tempered to it."""
_ENOUGH: Final = 0.25
"""Effective share of the draws at which proposals are good enough."""
_WIDER: Final = 1.4
"""Factor on the covariance of the weighted draws, so that proposals reach beyond them."""
_LEAST: Final = 1e-3
"""Least variance of a proposal."""
_STREAMS: Final = {"enhancing_ml": ENHANCING_VOLUME, "visible_ml": FLAIR_VOLUME}


@dataclass(frozen=True, slots=True)
class LawOfGrowth:
    """Forecast of a tumour by one law of growth, and the law's weight.

    Attributes:
        name: "logistic" or "gompertz".
        weight: posterior probability of the law, 0 to 1.
        log_ml: mean of the logarithm of each quantity on each day, by quantity, shape (days,).
        effective: number of draws that the weighted draws are worth.
    """

    name: str
    weight: float
    log_ml: dict[str, Values]
    effective: float


def laws_of_growth(history: TumourHistory, settings: TwinSettings, days: Sequence[float]) -> tuple[LawOfGrowth, ...]:
    """Return both laws of growth, weighted by the scans' volumes.

    Args:
        history: history of the tumour, with planned treatment.
        settings: settings of the twin.
        days: days after the last scan, ascending.
    """
    logistic, _ = small_rungs(history, settings)
    models = {"logistic": logistic, "gompertz": GompertzModel(settings, logistic.parameters)}
    found = {name: _weighted(model, history, days) for name, model in models.items()}
    evidence = np.array([one.log_evidence for one in found.values()])
    shares = np.exp(evidence - logsumexp(evidence))
    return tuple(
        LawOfGrowth(name, float(share), one.log_ml, one.effective)
        for (name, one), share in zip(found.items(), shares, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Weighted:
    log_evidence: float
    log_ml: dict[str, Values]
    effective: float


def _weighted(model: LogisticModel, history: TumourHistory, days: Sequence[float]) -> _Weighted:
    """Return the evidence of a law and its weighted means of the later volumes."""
    unknown = len(model.parameters)
    size = unknown + (len(history.scans) - 1) * len(model.noises)
    mean, half = np.zeros(size), np.eye(size)
    rng = np.random.default_rng(_SEED)
    for _ in range(_ROUNDS):
        z = rng.standard_normal((DRAWS, size))
        w = mean + z @ half.T
        run = _Run(model, history, w[:, :unknown])
        log_likelihood = run.past(w[:, unknown:])
        log_proposal = -0.5 * (z**2).sum(axis=1) - np.log(np.diag(half)).sum()
        log_weights = log_likelihood - 0.5 * (w**2).sum(axis=1) - log_proposal
        power = largest_power(np.zeros(DRAWS), log_weights, _KEPT)
        tempered = power * log_weights
        mean, covariance = weighted_moments(w, tempered - logsumexp(tempered))
        half = np.linalg.cholesky(_WIDER * covariance + _LEAST * np.eye(size))
        if effective(log_weights) > _ENOUGH:
            break
    weights = np.exp(log_weights - logsumexp(log_weights))
    ahead = run.ahead(days, rng)
    return _Weighted(
        float(logsumexp(log_weights) - np.log(DRAWS)),
        {name: values @ weights for name, values in ahead.items()},
        effective(log_weights) * DRAWS,
    )


class _Run:
    """Draws of one law, followed along the scans and beyond."""

    def __init__(self, model: LogisticModel, history: TumourHistory, theta: Values) -> None:
        self._model, self._theta = model, theta
        self._history, self._u = history, regimen(history)
        self._day, self._x = history.scans[0].day, model.start(theta)
        self._shown = {one.stream: one for one in model.observations}

    def past(self, noise: Values) -> Values:
        """Return the logarithm of the likelihood of every scan's volumes, shape (draws,).

        Args:
            noise: increments of the drift between the scans, standard normal numbers, shape (draws, intervals).
        """
        settings = self._model.settings
        found = np.zeros(len(self._theta))
        first = self._history.scans[0].day
        for row in observed(self._history.scans, float(np.prod(self._history.edges_mm)) * 1e-3):
            assert row["day"] is not None
            if row["day"] > self._day:
                self._to(row["day"], noise[:, :1])
                noise = noise[:, 1:]
            for quantity, stream in _STREAMS.items():
                volume = row[quantity]
                if not volume:
                    continue
                radius_mm = ball_radius_mm(volume)
                drifted = settings.front_error_mm**2 * (row["day"] - first) / CENTURY_DAYS
                variance = _FLOOR**2 + (9.0 / radius_mm**2) * (settings.contour_std_mm**2 + drifted)
                away = float(log_ml(np.array(volume))) - self._shown[stream].h(self._x, self._theta)[:, 0]
                found -= 0.5 * (away**2 / variance + np.log(2.0 * np.pi * variance))
        return found

    def ahead(self, days: Sequence[float], rng: np.random.Generator) -> dict[str, Values]:
        """Return the logarithm of each quantity on later days, shape (days, draws)."""
        found: dict[str, list[Values]] = {name: [] for name in (*_STREAMS, "burden_ml")}
        for day in days:
            self._to(day, rng.standard_normal((len(self._theta), 1)))
            for quantity, stream in _STREAMS.items():
                found[quantity].append(self._shown[stream].h(self._x, self._theta)[:, 0])
            found["burden_ml"].append(log_ml(self._model.burden_ml(self._x, self._theta)))
        return {name: np.stack(values) for name, values in found.items()}

    def _to(self, day: float, noise: Values) -> None:
        self._x = self._model.step(self._x, self._theta, self._u, self._day, day, noise)
        self._day = day
