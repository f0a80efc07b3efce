"""How much each region varies, from the data: the dense marginal likelihood agrees, and truth is found."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI

from palpate.solvers.inversion.prior.hyperparameters import HyperparameterMixture
from palpate.solvers.inversion.prior.region_scales import (
    BOUNDS,
    HYPERPRIOR_SPREAD,
    expected_region_scales,
    fit_region_scales,
)
from tests.laws.ranks import dealt
from tests.solvers.inversion.test_evidence import REGION_SCALES, TRUTH, VOXEL_MM, _dense_log_evidence, _zone

EXPECTED = np.array([2.0, 1.0, 1.0])
START = HyperparameterMixture((TRUTH,), (1.0,), expected_region_scales(EXPECTED))


@pytest.mark.mpi
def test_region_scales_are_where_the_dense_marginal_likelihood_is_largest() -> None:
    """No other scales are more probable, on any number of ranks.

    They scale every interval of a tissue; a wrong gradient would leave them where they were expected.
    """
    zones = [_zone(seed) for seed in range(3)]
    found = fit_region_scales(
        dealt([z for z, _, _ in zones], MPI.COMM_WORLD), VOXEL_MM, START, EXPECTED, MPI.COMM_WORLD
    )
    assert found.region_scales != START.region_scales

    def log_posterior(logs: np.ndarray) -> float:
        strange = (logs - np.log(EXPECTED)) / HYPERPRIOR_SPREAD
        region_scales = tuple(tuple(field) for field in np.exp(logs))
        return _dense_log_evidence(zones, TRUTH, region_scales) - 0.5 * float(np.sum(strange**2))

    logs = np.log(found.region_scales)
    best, rng = log_posterior(logs), np.random.default_rng(3)
    for size in (0.02, 0.1, 0.4):
        for _ in range(4):
            other = np.clip(logs + rng.normal(0.0, size, logs.shape), *np.log(BOUNDS))
            assert log_posterior(other) <= best + 1e-3, (size, np.exp(other))


def test_the_true_region_scales_are_found() -> None:
    """From regions drawn with known scales, within four times what six blocks can tell.

    Each block has some 100 directions above the noise, shared by two fields and four parts: 75 of each in all know a
    standard deviation to 1 / sqrt(2 * 75) = 8 %, twice that where shares are mixed as here.
    """
    zones = [_zone(seed)[0] for seed in range(10, 16)]
    found = fit_region_scales(zones, VOXEL_MM, START, EXPECTED, MPI.COMM_SELF)
    assert np.log(found.region_scales) == pytest.approx(np.log(REGION_SCALES), abs=4 * 0.16)
    assert found.region_scales[0][0] > 1.3 * found.region_scales[0][1]


@pytest.mark.parametrize("regions", [0, 43])
def test_no_region_scales_where_nothing_could_tell_them(regions: int) -> None:
    """Without regions, and with a parcellation, of which each zone sees little: all tissue varies alike."""
    assert expected_region_scales(np.ones(regions)) == ()
