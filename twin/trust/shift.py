"""Distribution shift between the patients a twin was tried on and others, in covariates, in outcomes, or in both.

Covariates x are what is known before a forecast (voxel size, field strength, tissue, size and age at the first scan);
outcomes y are what it is about (growth of the visible volume, rank of what was seen among the draws). Two questions are
asked, each by permutation of the patients' group:

    covariate shift    is p(x) another one?        energy distance of x
    label shift        is p(y) another one where x is alike?   energy distance of y - E[y | x], E by ridge regression
                                                                 on the reference alone

    E(A, B) = 2 E|a - b| - E|a - a'| - E|b - b'|     (0 if and only if A and B have one distribution)

A shift of x that carries y along leaves y - E[y | x] as it was, and so is told from one of y. Patients outside the
reference's range of x are left out of the second question, since nothing is known of E[y | x] there. Both p-values are
multiplied by two (Bonferroni).

Source: Szekely, Rizzo, J Stat Plan Inference 143 (2013) 1249.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]
type Verdict = Literal["none", "covariate", "label", "both"]

LEVEL: Final = 0.05
"""Largest adjusted p-value that counts as a shift."""
FEWEST: Final = 10
"""Least number of patients in each group."""
PERMUTATIONS: Final = 999
_BEYOND: Final = 0.25
"""Distance beyond the reference's range at which a patient still counts as like it, standard deviations."""
_RIDGE: Final = 1e-3
"""Weight of the ridge, over the variance of a covariate, per patient."""


@dataclass(frozen=True, slots=True)
class PatientShift:
    """Comparison of two groups of patients.

    Attributes:
        covariate_p: p-value of equal covariates, adjusted for two questions.
        label_p: p-value of equal outcomes where covariates are alike, adjusted likewise; None where too few patients
            are like any of the reference to tell.
        furthest: name of the covariate whose means differ most, in pooled standard deviations.
        furthest_stds: that difference.
    """

    covariate_p: float
    label_p: float | None
    furthest: str
    furthest_stds: float

    @property
    def verdict(self) -> Verdict:
        """Kind of shift that the p-values tell."""
        which = (self.covariate_p <= LEVEL, self.label_p is not None and self.label_p <= LEVEL)
        kinds: dict[tuple[bool, bool], Verdict] = {
            (False, False): "none",
            (True, False): "covariate",
            (False, True): "label",
            (True, True): "both",
        }
        return kinds[which]

    def sentence(self) -> str:
        """Return the finding for a person."""
        if self.verdict == "none":
            return "These patients look like those that the twin was tried on."
        where = f"most in {self.furthest} ({self.furthest_stds:+.1f} standard deviations)"
        alike = "nothing tells how such patients do" if self.label_p is None else "like patients do alike"
        return {
            "covariate": f"These patients differ from those that the twin was tried on, {where}; {alike}.",
            "label": "Outcomes differ from those of like patients that the twin was tried on: its intervals may not "
            "hold here.",
            "both": f"These patients differ from those that the twin was tried on, {where}, and so do their outcomes "
            "beyond that: its intervals may not hold here.",
        }[self.verdict]


def compare(
    names: tuple[str, ...], reference: tuple[Values, Values], others: tuple[Values, Values], seed: int
) -> PatientShift:
    """Compare patients with those of a reference.

    Args:
        names: names of the p covariates.
        reference: covariates and outcomes of the reference, shapes (n, p) and (n, q).
        others: covariates and outcomes of the others, shapes (m, p) and (m, q).
        seed: seed of the permutations.

    Raises:
        ValueError: fewer than FEWEST patients in a group, or numbers that are not finite.
    """
    (x, y), (u, v) = reference, others
    if min(len(x), len(u)) < FEWEST:
        raise ValueError(f"{len(x)} and {len(u)} patients, expected at least {FEWEST} in each group")
    if not all(np.isfinite(part).all() for part in (x, y, u, v)):
        raise ValueError("a covariate or outcome that is not a finite number")
    rng = np.random.default_rng(seed)
    scale = np.vstack([x - x.mean(axis=0), u - u.mean(axis=0)]).std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    apart = (u.mean(axis=0) - x.mean(axis=0)) / scale
    furthest = int(np.argmax(np.abs(apart)))
    expected_x, expected_u = _expected(x / scale, y, x / scale), _expected(x / scale, y, u / scale)
    spread = (y - expected_x).std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    covariate = permuted(x / scale, u / scale, rng)
    inside = ((u >= x.min(axis=0) - _BEYOND * scale) & (u <= x.max(axis=0) + _BEYOND * scale)).all(axis=1)
    label = None
    if inside.sum() >= FEWEST:
        rest = (v - expected_u)[inside] / spread
        label = min(1.0, 2 * permuted((y - expected_x) / spread, rest, rng))
    return PatientShift(min(1.0, 2 * covariate), label, names[furthest], float(apart[furthest]))


def permuted(a: Values, b: Values, rng: np.random.Generator) -> float:
    """Return the p-value of equal distributions: the share of permutations with as large an energy distance.

    Args:
        a: points of one group, shape (n, d).
        b: points of the other, shape (m, d).
        rng: generator of the permutations.
    """
    points = np.vstack([a, b])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    first = np.arange(len(points)) < len(a)
    seen = _energy(distances, first)
    drawn = [_energy(distances, rng.permutation(first)) for _ in range(PERMUTATIONS)]
    return float((1 + np.sum(np.array(drawn) >= seen - 1e-12)) / (PERMUTATIONS + 1))


def _energy(distances: Values, first: NDArray[np.bool_]) -> float:
    """Return the energy distance of two groups from all distances."""
    weights = np.where(first, 1.0 / first.sum(), -1.0 / (~first).sum())
    return float(-(weights @ distances @ weights))


def _expected(x: Values, y: Values, at: Values) -> Values:
    """Return E[y | x] by ridge regression on the reference, at other covariates."""
    middle = x.mean(axis=0)
    design = np.column_stack([np.ones(len(x)), x - middle])
    ridge = _RIDGE * len(x) * np.eye(design.shape[1])
    ridge[0, 0] = 0.0
    coefficients = np.linalg.solve(design.T @ design + ridge, design.T @ y)
    return np.asarray(np.column_stack([np.ones(len(at)), at - middle]) @ coefficients)
