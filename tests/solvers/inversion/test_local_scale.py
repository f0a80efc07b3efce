"""The prior is widened where tissue deviates from what it expects, there alone, and never narrowed."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.imaging.anatomy.labels import no_regions
from palpate.solvers.inversion.prior.hyperparameters import HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.local_scale import NOTABLE, local_scale_of, notable
from palpate.solvers.inversion.prior.prior import MaternField

MASK = np.ones((25, 23, 21), dtype=bool)
VOXEL_MM = np.full(3, 2.0)
SCALE = Hyperparameters(0.15, 0.15, 12.0, cross_correlation=0.5, roughness=0.5, unresolved_std=0.08)
PRIOR = MaternField(MASK, VOXEL_MM, HyperparameterMixture.certain(SCALE), no_regions(MASK.sum()).fractions)


def _weights(prior: MaternField, bump: float) -> np.ndarray:
    """Weights of a ball of 5 voxels across in the middle whose ln G* is above that around it by about `bump`."""
    place = (np.argwhere(MASK) - (np.array(MASK.shape) - 1) / 2).astype(np.float64)
    shape = np.tile(np.exp(-0.5 * np.sum((place / 2.0) ** 2, axis=1)), 2)
    field = prior.local_part(shape)[0]
    reached = field.max() - np.median(field)
    return np.asarray(bump / reached * shape)


def test_what_the_prior_expects_is_left_alone() -> None:
    """Draws from the prior itself deviate as expected: few voxels get a wider prior, and by little.

    Where the neighbourhood is smaller than the correlation length, t^2 is nearly chi-square with two degrees of freedom
    over two: it exceeds 3.5, for an amplitude of 1.5, with probability exp(-3.5) = 3 %, and 7, for 2, with 0.1 %.
    """
    mask = np.ones((9, 8, 7), dtype=bool)
    prior = MaternField(mask, VOXEL_MM, PRIOR.hypotheses, no_regions(mask.sum()).fractions)
    covariance = prior.apply(np.eye(2 * mask.sum()))
    weights = np.linalg.solve(covariance, prior.draw(range(40), 0))
    found = np.array([local_scale_of(prior, column) for column in weights.T])
    assert found.min() == 1.0
    assert np.mean(found > 1.5) < 2 * 0.03
    assert np.mean(found > 2.0) < 0.01


def test_a_lesion_is_given_room() -> None:
    """Five standard deviations in the middle: widened there, by about sqrt((1 + 25) / 2), and hardly far away."""
    found = np.zeros(MASK.shape)
    found[MASK] = local_scale_of(PRIOR, _weights(PRIOR, 5 * float(PRIOR.local_std.max())))
    assert found[12, 11, 10] > 2.5
    assert found[12, 11, 10] == found.max()
    assert found[0, 0, 0] < 1.5


def test_an_earlier_local_scale_is_discarded() -> None:
    """The measure is the organ's own spread: widening twice at one point does not go on and on."""
    weights = _weights(PRIOR, 1.0)
    once = local_scale_of(PRIOR, weights)
    wider = MaternField(MASK, VOXEL_MM, PRIOR.hypotheses, PRIOR.regions, once)
    # Weights that give the same deviation under the wider prior, where its scale is the same everywhere.
    even = MaternField(MASK, VOXEL_MM, PRIOR.hypotheses, PRIOR.regions, np.full(MASK.sum(), 2.0))
    assert local_scale_of(even, weights / 4.0) == pytest.approx(once)
    assert wider.local_std == pytest.approx(once * PRIOR.local_std)


def test_a_local_scale_sets_in_gradually() -> None:
    """Nothing where the largest amplitude says nothing, all where it is clear, and no jump between them.

    With a jump, rounding would choose between two priors that differ by a tenth.
    """
    largest = np.linspace(1.0, 2.0 * NOTABLE - 1.0, 101)
    found = np.array([notable(np.array([1.0, amplitude])) for amplitude in largest])
    assert found[0] == 0.0
    assert found[-1] == 1.0
    assert np.all(np.diff(found) >= 0.0)
    assert np.diff(found).max() <= 1.001 * np.diff(largest).max() / (NOTABLE - 1.0)
