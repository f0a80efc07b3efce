"""Weights of a diffusion step: everything that bounds, mass and order rest on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from palpate.solvers.growth.scheme.stages import stage_weights


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("mean", [0.0, 1e-3, 0.4, 1.0, 3.7, 20.0, 300.0])
def test_weights(mean: float, tolerance: float) -> None:
    """Non-negative with sum one: bounds. Two more moments: second order. Near the Poisson's: accuracy."""
    weights = np.array(stage_weights(mean, tolerance))
    k = np.arange(len(weights))
    assert weights.min() >= 0.0
    scale = 1.0 + mean**2
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert k @ weights == pytest.approx(mean, abs=1e-12 * scale)
    assert (k * (k - 1)) @ weights == pytest.approx(mean**2, abs=1e-12 * scale)
    exact = stats.poisson.pmf(k, mean)
    assert np.abs(weights - exact).sum() + stats.poisson.sf(k[-1], mean) <= tolerance * (1 + 1e-9)


def test_a_looser_step_is_cheaper() -> None:
    """The tolerance buys products with the matrix, which are what a forecast costs."""
    assert len(stage_weights(1.0, 1e-2)) < len(stage_weights(1.0, 1e-6))


def test_no_weights() -> None:
    """A negative or infinite duration is a bug of ours, not a diffusion backwards."""
    for mean in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="mu must be"):
            stage_weights(mean, 1e-3)
