"""Honest forest: trees whose structure and whose leaves' values come from different patients.

A tree that picks its splits and takes its leaves' means from the same patients makes effects where there are none. Here
each tree takes a subsample, grows on one half of it, and takes means from the other (Athey and Imbens, PNAS 113 (2016)
7353; Wager and Athey, J Am Stat Assoc 113 (2018) 1228).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

type Values = NDArray[np.float64]

TREES: Final = 100
"""Number of trees."""
_MOST: Final = 2000
"""Largest number of patients of a tree's subsample."""
_DEPTH: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class HonestForest:
    """Forest that predicts an effect from covariates.

    Attributes:
        trees: trees, each with the values of its leaves by number.
        importance: share of each covariate in the forest's splits, shape (covariates,).
    """

    trees: tuple[tuple[DecisionTreeRegressor, Values], ...]
    importance: Values

    def predict(self, covariates: Values) -> Values:
        """Return the predicted effects, shape (patients,).

        Args:
            covariates: covariates, shape (patients, covariates).
        """
        total = np.zeros(len(covariates))
        for tree, values in self.trees:
            total += values[tree.apply(covariates.astype(np.float32))]
        return total / len(self.trees)


def honest_forest(covariates: Values, effect: Values, rng: np.random.Generator) -> HonestForest:
    """Return a forest of the patients' effects by covariates.

    Args:
        covariates: covariates, shape (patients, covariates).
        effect: effect of each patient, shape (patients,).
        rng: random numbers.
    """
    size = min(len(effect) // 2 * 2, _MOST)
    least = max(5, size // 40)
    trees, importance = [], np.zeros(covariates.shape[1])
    for _ in range(TREES):
        chosen = rng.permutation(len(effect))[: max(size // 2, 2 * least)]
        grown, valued = np.array_split(chosen, 2)
        tree = DecisionTreeRegressor(
            max_depth=_DEPTH,
            min_samples_leaf=least,
            max_features=max(1, -(-2 * covariates.shape[1] // 3)),
            random_state=int(rng.integers(2**31)),
        ).fit(covariates[grown], effect[grown])
        leaves = tree.apply(covariates[valued].astype(np.float32))
        counts = np.bincount(leaves, minlength=tree.tree_.node_count)
        sums = np.bincount(leaves, weights=effect[valued], minlength=tree.tree_.node_count)
        values = np.where(counts > 0, sums / np.maximum(counts, 1), effect[valued].mean())
        trees.append((tree, values))
        importance += tree.feature_importances_
    total = importance.sum()
    return HonestForest(tuple(trees), importance / total if total > 0.0 else importance)
