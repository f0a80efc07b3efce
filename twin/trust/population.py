"""Population priors of a tumour's parameters that hospitals learn together without sharing patients.

Parameters theta are logarithms (or other transforms) of rates and sensitivities, as twin.priors has them. Patients of a
population have theta ~ N(mu, S). Patient i was calibrated under a reference prior N(m_0, P_0), and what its data alone
say is Gaussian with precision L_i and information l_i:

    L_i = C_i^-1 - P_0^-1,     l_i = C_i^-1 m_i - P_0^-1 m_0,     N(m_i, C_i) its posterior.

Expectation maximisation alternates

    V_i = (L_i + S^-1)^-1,   t_i = V_i (l_i + S^-1 mu),
    mu  = (w m_0 + sum t_i) / (w + n),
    S   = (v P_0 + w (mu - m_0)(mu - m_0)^T + sum [V_i + (t_i - mu)(t_i - mu)^T]) / (v + n),

where the reference prior counts as w patients for the mean and v for the covariance, so that few patients, or a
parameter that their data do not tell, leave it as it was. A hospital shares n, mu and S. Hospitals are pooled by

    mu = sum n_h mu_h / N,     S = sum n_h [S_h + (mu_h - mu)(mu_h - mu)^T] / N.

Source: Dempster, Laird, Rubin, J R Stat Soc B 39 (1977) 1; the pooling is the law of total covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

FEWEST: Final = 10
"""Least number of patients of a hospital: fewer could be told from their mean and covariance."""
MEAN_WEIGHT: Final = 1.0
"""Number of patients that the reference prior counts as, for the mean."""
SPREAD_WEIGHT: Final = 4.0
"""Number of patients that the reference prior counts as, for the covariance."""
_MOST_ROUNDS: Final = 500
_CONVERGED: Final = 1e-8
_SYMMETRY: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class PatientPosterior:
    """Gaussian posterior of one patient's parameters.

    Attributes:
        mean: posterior means of the transformed parameters, shape (p,).
        covariance: their posterior covariance, shape (p, p).
    """

    mean: Values
    covariance: Values


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Distribution of parameters over the patients of a hospital, or of several.

    Attributes:
        names: names of the parameters, as twin.priors has them.
        patients: number of patients behind it, at least FEWEST.
        mean: mean of the transformed parameters, SI inside logarithms, shape (p,).
        covariance: their covariance over patients, shape (p, p).
    """

    names: tuple[str, ...]
    patients: int
    mean: Values
    covariance: Values

    def __post_init__(self) -> None:
        """Refuse what is no distribution, or one of too few patients.

        Raises:
            ValueError: too few patients, shapes that do not fit, or a covariance that is not positive definite.
        """
        p = len(self.names)
        if self.patients < FEWEST:
            raise ValueError(f"{self.patients} patients, expected at least {FEWEST}")
        if len(set(self.names)) != p or self.mean.shape != (p,) or self.covariance.shape != (p, p):
            raise ValueError(f"mean {self.mean.shape} and covariance {self.covariance.shape} of {p} parameters")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("a mean or covariance that is not a finite number")
        if np.abs(self.covariance - self.covariance.T).max() > _SYMMETRY * np.abs(self.covariance).max():
            raise ValueError("a covariance that is not symmetric")
        if np.linalg.eigvalsh(self.covariance).min() <= 0.0:
            raise ValueError("a covariance that is not positive definite")


def learn(names: Sequence[str], patients: Sequence[PatientPosterior], mean: Values, covariance: Values) -> Population:
    """Return the population that a hospital's calibrated patients come from.

    Args:
        names: names of the p parameters.
        patients: posteriors, all found under the reference prior.
        mean: means m_0 of the reference prior, shape (p,).
        covariance: its covariance P_0, shape (p, p).

    Raises:
        ValueError: fewer than FEWEST patients, or a posterior of another shape.
    """
    if len(patients) < FEWEST:
        raise ValueError(f"{len(patients)} patients, expected at least {FEWEST}")
    reference = np.linalg.inv(covariance)
    told = [_told(one, mean, reference) for one in patients]
    mu, spread = mean, covariance
    for _ in range(_MOST_ROUNDS):
        before_mu, before = mu, spread
        mu, spread = _round(told, mu, spread, mean, covariance)
        scale = np.sqrt(np.diag(spread))
        moved = np.abs(mu - before_mu).max(initial=0.0) / scale.min()
        if max(moved, float(np.abs(spread - before).max() / np.abs(spread).max())) < _CONVERGED:
            break
    return Population(tuple(names), len(patients), mu, spread)


def pool(hospitals: Sequence[Population]) -> Population:
    """Return the population of all hospitals' patients, from what each shares.

    Args:
        hospitals: populations with the same parameters in the same order.

    Raises:
        ValueError: no hospital, or different parameters.
    """
    if not hospitals:
        raise ValueError("no hospital")
    names = hospitals[0].names
    if any(one.names != names for one in hospitals):
        raise ValueError("hospitals with different parameters")
    counts = np.array([one.patients for one in hospitals], dtype=np.float64)
    shares = counts / counts.sum()
    mean = np.einsum("h,hp->p", shares, np.stack([one.mean for one in hospitals]))
    away = np.stack([one.mean - mean for one in hospitals])
    within = np.einsum("h,hpq->pq", shares, np.stack([one.covariance for one in hospitals]))
    covariance = within + np.einsum("h,hp,hq->pq", shares, away, away)
    return Population(names, int(counts.sum()), mean, 0.5 * (covariance + covariance.T))


def _told(patient: PatientPosterior, mean: Values, reference: Values) -> tuple[Values, Values]:
    """Return precision L and information l of what a patient's data say without the reference prior.

    Directions in which the posterior is not narrower than the prior, by sampling error, say nothing: L is kept
    positive semi-definite, and l in its range.
    """
    precision = np.linalg.inv(patient.covariance)
    values, vectors = np.linalg.eigh(precision - reference)
    kept = values > _CONVERGED * values.max(initial=1.0)
    information = precision @ patient.mean - reference @ mean
    inside = vectors[:, kept] @ (vectors[:, kept].T @ information)
    return (vectors[:, kept] * values[kept]) @ vectors[:, kept].T, inside


def _round(
    told: Sequence[tuple[Values, Values]], mu: Values, spread: Values, mean: Values, covariance: Values
) -> tuple[Values, Values]:
    """Return mu and S after one round of expectation and maximisation."""
    inverse = np.linalg.inv(spread)
    own = [np.linalg.inv(precision + inverse) for precision, _ in told]
    middles = [v @ (information + inverse @ mu) for v, (_, information) in zip(own, told, strict=True)]
    count = len(told)
    new = (MEAN_WEIGHT * mean + np.sum(middles, axis=0)) / (MEAN_WEIGHT + count)
    away = np.stack(middles) - new
    drawn = MEAN_WEIGHT * np.outer(new - mean, new - mean)
    total = SPREAD_WEIGHT * covariance + drawn + np.sum(own, axis=0) + away.T @ away
    found = total / (SPREAD_WEIGHT + count)
    return new, 0.5 * (found + found.T)
