"""Hyperparameters from the data: the dense marginal likelihood agrees, and truth is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.prior.empirical_bayes import (
    CROSS_CORRELATION_BOUNDS,
    HYPERPRIOR_LENGTH_MM,
    HYPERPRIOR_SPREAD,
    HYPERPRIOR_STD,
    LENGTHS_MM,
    REGION_BOUNDS,
    STD_BOUNDS,
    ZoneEvidence,
    fit_prior,
    join_frequencies,
)
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from tests.laws import operators
from tests.laws.ranks import dealt

VOXEL_MM = np.array([3.0, 3.0, 4.0])
ROUNDED_MM = 0.72 * 36.0 ** (1.0 / 3.0)
"""What rounds the cusp of a rough field between means over voxels, docs/theory/prior.md."""
BLOCK = np.ones((7, 7, 5), dtype=bool)
SEARCH = 0.005
"""Log evidence within which the search stops."""

ROUNDING = 1e-5
"""Of a log evidence: terms b^T C b of some 1e7 cancel after a solve with condition 1e3 or so."""

TRUTH = Hyperparameters(
    storage_std=0.35, loss_std=0.2, length_mm=12.0, cross_correlation=0.6, roughness=0.4, region_std=0.3
)
REGION_SCALES = ((1.6, 0.6, 1.0), (0.7, 1.3, 1.0))
"""Of the truth's three regions, in both fields; what lies in none varies by 1."""

START = HyperparameterMixture(
    (
        Hyperparameters(
            storage_std=0.4,
            loss_std=0.4,
            length_mm=26.0,
            cross_correlation=0.5,
            roughness=0.9,
            region_std=0.1,
        ),
    ),
    (1.0,),
    REGION_SCALES,
)
"""Far from TRUTH but in its region scales, so that the search has to move."""


def _zone(seed: int, directions: int = 100) -> tuple[ZoneEvidence, NDArray[np.float64], NDArray[np.float64]]:
    """A block whose fields are drawn from TRUTH and seen through Y^T with unit noise: the zone, Y and what was seen."""
    rng = np.random.default_rng(seed)
    regions = sparse.csr_matrix(rng.dirichlet(np.full(4, 0.2), BLOCK.sum())[:, :3])
    prior = MaternField(
        BLOCK, VOXEL_MM, HyperparameterMixture((TRUTH,), (1.0,), REGION_SCALES), regions, amplitude_spread=0.0
    )
    x = prior.draw(range(1), 100 + seed)[:, 0]
    half = rng.standard_normal((FIELDS * BLOCK.sum(), directions))
    seen = half.T @ x + rng.standard_normal(directions)
    return ZoneEvidence(np.argwhere(BLOCK), regions, half, half @ seen), half, seen


def _dense_log_evidence(
    zones: list, scale: Hyperparameters, region_scales: tuple[tuple[float, ...], ...] = REGION_SCALES
) -> float:
    """The value of log N(seen; 0, I + Y^T C Y) with C entry by entry, plus the log hyper-prior of the rest."""
    total = 0.0
    for zone, half, seen in zones:
        place = zone.ijk * VOXEL_MM
        distance = np.linalg.norm(place[:, None] - place[None], axis=2)
        spread = np.repeat([scale.storage_std, scale.loss_std], len(place))
        coupling = np.array([[1.0, scale.cross_correlation], [scale.cross_correlation, 1.0]])
        rounded = np.hypot(distance, ROUNDED_MM) - ROUNDED_MM
        rough, smooth = rounded / scale.length_mm, np.sqrt(3.0) * distance / scale.length_mm
        along = scale.roughness * np.exp(-rough) + (1.0 - scale.roughness) * (1.0 + smooth) * np.exp(-smooth)
        prior = np.kron(coupling, along) * np.outer(spread, spread)
        fractions = zone.regions.toarray()
        amplitude = np.ravel([1.0 + fractions @ (np.array(tau) - 1.0) for tau in region_scales])
        prior *= np.outer(amplitude, amplitude)
        prior += np.kron(np.eye(2), np.full(distance.shape, scale.mean_std**2))
        prior += scale.region_std**2 * np.kron(coupling, fractions @ fractions.T)
        covariance = np.eye(len(seen)) + half.T @ prior @ half
        total -= 0.5 * (np.linalg.slogdet(covariance)[1] + seen @ np.linalg.solve(covariance, seen))
    for value, median in (
        (scale.storage_std, HYPERPRIOR_STD),
        (scale.loss_std, HYPERPRIOR_STD),
        (scale.region_std, HYPERPRIOR_STD),
        (scale.length_mm, HYPERPRIOR_LENGTH_MM),
    ):
        total -= 0.5 * (np.log(value / median) / HYPERPRIOR_SPREAD) ** 2
    return total


@pytest.mark.mpi
def test_hypotheses_are_where_the_dense_marginal_likelihood_is_largest() -> None:
    """At each length and roughness no other spreads and cross-correlation are more probable, as far as it resolves.

    A wrong determinant or a lost half of the formula moves the maximum, and with it every width of every interval.
    Zones are dealt to the ranks: all must find the same.
    """
    zones = [_zone(seed) for seed in range(3)]
    own = dealt([zone for zone, _, _ in zones], MPI.COMM_WORLD)
    found = fit_prior(own, VOXEL_MM, START, MPI.COMM_WORLD)
    assert found.region_scales == REGION_SCALES
    rng = np.random.default_rng(9)
    for scale in found.scales:
        best = _dense_log_evidence(zones, scale)
        for _ in range(15):
            factors = np.exp(rng.normal(0.0, 0.3, 3))
            other = replace(
                scale,
                storage_std=float(np.clip(scale.storage_std * factors[0], *STD_BOUNDS)),
                loss_std=float(np.clip(scale.loss_std * factors[1], *STD_BOUNDS)),
                cross_correlation=float(
                    np.clip(scale.cross_correlation + rng.normal(0.0, 0.15), *CROSS_CORRELATION_BOUNDS)
                ),
                region_std=float(np.clip(scale.region_std * factors[2], *REGION_BOUNDS)),
            )
            assert _dense_log_evidence(zones, other) <= best + SEARCH, (scale, other)


def test_probabilities_are_those_of_the_dense_marginal_likelihood() -> None:
    """Ratios of probabilities are ratios of evidence, each known to what the search resolves.

    They decide how much roughness is left in the prior that data cannot see.
    """
    zones = [_zone(seed) for seed in range(2)]
    found = fit_prior([zone for zone, _, _ in zones], VOXEL_MM, START, MPI.COMM_SELF)
    assert len(found.scales) > 1
    logs = np.array([_dense_log_evidence(zones, scale) for scale in found.scales])
    assert np.log(found.probabilities) - logs == pytest.approx(
        np.full(len(logs), np.log(found.probabilities[0]) - logs[0]), abs=ROUNDING
    )


@pytest.mark.mpi
def test_frequencies_of_a_zone_are_one_zone() -> None:
    """A zone's data in two halves, as at two frequencies on two ranks, are worth as much as together and no more.

    Counted as two zones they would claim two independent tissues, and the spread would be fitted too surely.
    """
    whole = [replace(_zone(seed)[0], number=seed) for seed in range(3)]
    parts = []
    for zone in whole:
        first, second = np.split(zone.hessian_factor, 2, axis=1)
        seen = np.linalg.lstsq(zone.hessian_factor, zone.information, rcond=None)[0]
        for half, values in zip((first, second), np.split(seen, 2), strict=True):
            parts.append(replace(zone, hessian_factor=half, information=half @ values))
    comm = MPI.COMM_WORLD
    joined = join_frequencies(dealt(parts, comm), comm)
    everywhere = sorted((zone for share in comm.allgather(joined) for zone in share), key=lambda zone: zone.number)
    assert [zone.number for zone in everywhere] == [0, 1, 2]
    for found, expected in zip(everywhere, whole, strict=True):
        assert found.information == pytest.approx(expected.information)
        hessian = expected.hessian_factor @ expected.hessian_factor.T
        assert np.allclose(found.hessian_factor @ found.hessian_factor.T, hessian, atol=1e-12 * np.abs(hessian).max())


def test_the_true_hyper_parameters_are_found() -> None:
    """From fields drawn with known spread, within what so much data can tell.

    Six blocks with 100 directions each, of which some 100 exceed the noise, know a standard deviation to about
    1 / sqrt(2 * 100) = 7 %; four of these are allowed, and a typical length between the shortest and the longest.
    """
    found = fit_prior([_zone(seed)[0] for seed in range(10, 16)], VOXEL_MM, START, MPI.COMM_SELF).mean
    assert found.storage_std == pytest.approx(TRUTH.storage_std, rel=0.28)
    assert found.loss_std == pytest.approx(TRUTH.loss_std, rel=0.28)
    assert LENGTHS_MM[0] < found.length_mm < LENGTHS_MM[-1]
    assert found.cross_correlation == pytest.approx(TRUTH.cross_correlation, abs=0.25)
    # 36 means of regions, coupled in pairs, are known to 1 / sqrt(2 * 24) = 14 %.
    assert found.region_std == pytest.approx(TRUTH.region_std, rel=4 * 0.14)


def test_what_is_not_decisive_decides_nothing() -> None:
    """The evidence is asked of the strongest data alone, in half of the time: what is left out must not matter.

    Of the data of a zone whose strengths fall as those of real zones do, the weak ones tell two far priors apart by
    less than half a unit of log evidence, the strong ones by more than ten times that.
    """
    zone, half, _ = _zone(0)
    half = half * np.logspace(0.5, -3.0, half.shape[1])
    rng = np.random.default_rng(17)
    truth = MaternField(BLOCK, VOXEL_MM, HyperparameterMixture((TRUTH,), (1.0,), REGION_SCALES), zone.regions)
    seen = half.T @ truth.draw(range(1), 18)[:, 0] + rng.standard_normal(half.shape[1])
    whole = replace(zone, hessian_factor=half, information=half @ seen)
    strong = whole.decisive(VOXEL_MM)
    assert strong.hessian_factor.shape[1] <= 0.8 * half.shape[1]
    rotated = np.linalg.lstsq(strong.hessian_factor, strong.information, rcond=None)[0]
    far, gains = replace(TRUTH, storage_std=0.1, loss_std=0.8), []
    for case in ((whole, half, seen), (strong, strong.hessian_factor, rotated)):
        right, wrong = (_dense_log_evidence([case], scale) for scale in (TRUTH, far))
        gains.append(right - wrong)
    assert abs(gains[0] - gains[1]) < 0.5 < 5.0 < abs(gains[0])


def test_no_direction_becomes_decisive_at_once() -> None:
    """Where one column more is asked, what is asked hardly changes: rounding would else choose the prior's spread.

    The scale of the data at which that happens is found by bisection.
    """
    zone, half, _ = _zone(0)
    half = half * np.logspace(0.5, -3.0, half.shape[1])
    data = np.random.default_rng(19).standard_normal(half.shape[1])

    def asked(scale: float) -> ZoneEvidence:
        return replace(zone, hessian_factor=scale * half, information=scale * half @ data).decisive(VOXEL_MM)

    low, high = 1.0, 1.5
    fewer = asked(low).hessian_factor.shape[1]
    assert asked(high).hessian_factor.shape[1] > fewer
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if asked(middle).hessian_factor.shape[1] > fewer else (middle, high)
    before, after = asked(low), asked(high)
    assert before.hessian_factor.shape[1] < after.hessian_factor.shape[1]
    moved = np.linalg.norm(before.information - after.information)
    assert moved <= operators.ROUNDING * np.linalg.norm(before.information)
    gone = before.hessian_factor @ before.hessian_factor.T - after.hessian_factor @ after.hessian_factor.T
    assert np.linalg.norm(gone) <= operators.ROUNDING * np.linalg.norm(before.hessian_factor) ** 2
