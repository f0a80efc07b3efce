"""The joint posterior against dense linear algebra, and its independence of how zones are dealt to ranks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.posterior import deflation, log_determinant
from palpate.solvers.inversion.posterior.deflation import Deflation
from palpate.solvers.inversion.posterior.joint import (
    DRAW_TOLERANCE,
    TOLERANCE,
    DivergenceError,
    JointPosterior,
    ZoneCurvature,
)
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from tests.laws.chance import assert_covariance, assert_mean_square
from tests.laws.ranks import dealt

DIRECTIONS = 24
"""Informed directions of each zone."""

CORNERS = ((0, 3, 2), (3, 2, 1), (6, 0, 0))
"""Of cubes that lie whole in the mask, and across zones."""


@dataclass(frozen=True, slots=True)
class Small:
    """A problem small enough for dense matrices.

    Attributes:
        prior: over N voxels.
        zones: overlapping, with random smooth and rough directions of very different weight.
        information: b, shape (2 N,).
        covariance: C, shape (2 N, 2 N).
        hessian: H, shape (2 N, 2 N).
    """

    prior: MaternField
    zones: list[ZoneCurvature]
    information: NDArray[np.float64]
    covariance: NDArray[np.float64]
    hessian: NDArray[np.float64]

    @property
    def posterior(self) -> NDArray[np.float64]:
        """(C^-1 + H)^-1 = C - C H (I + C H)^-1 C, which needs no inverse of C."""
        identity = np.eye(len(self.hessian))
        return np.asarray(np.linalg.solve(identity + self.covariance @ self.hessian, self.covariance))


@pytest.fixture(scope="module")
def small() -> Small:
    mask = np.ones((9, 6, 5), dtype=bool)
    mask[:2, :2, 0] = False
    count = int(mask.sum())
    rng = np.random.default_rng(0)
    scale = Hyperparameters(
        0.4, 0.25, length_mm=6.0, cross_correlation=0.6, roughness=0.5, mean_std=0.7, unresolved_std=0.2, region_std=0.3
    )
    fractions = sparse.csr_matrix(rng.dirichlet(np.ones(3), count)[:, :2])
    hypotheses = HyperparameterMixture((scale,), (1.0,), region_scales=((1.5, 0.7), (0.8, 1.2)))
    prior = MaternField(mask, np.array([2.0, 2.5, 3.0]), hypotheses, fractions, amplitude_spread=0.0)
    zones, hessian = [], np.zeros((FIELDS * count,) * 2)
    for zone in cut_zones(mask, width_voxels=(5, 5, 5), stride_voxels=(2, 1, 1)):
        half = rng.standard_normal((FIELDS * len(zone.voxels), DIRECTIONS))
        half = (half + 3.0 * half.mean(axis=0)) * np.logspace(1.5, -1.5, DIRECTIONS)
        zones.append(ZoneCurvature(zone.voxels, zone.ijk, half))
        at = np.concatenate([zone.voxels, zone.voxels + count])
        hessian[np.ix_(at, at)] += half @ half.T
    assert len(zones) > 3
    truth = prior.draw(range(1), 8)[:, 0]
    return Small(prior, zones, hessian @ truth, prior.apply(np.eye(FIELDS * count)), hessian)


@pytest.fixture(scope="module")
def joint(small: Small) -> JointPosterior:
    return JointPosterior(small.prior, small.zones, MPI.COMM_SELF)


@pytest.fixture(scope="module")
def draws(joint: JointPosterior) -> NDArray[np.float64]:
    return joint.draw(1500, seed=1)


def test_mean_is_the_dense_one(small: Small, joint: JointPosterior) -> None:
    """The mean x = (C^-1 + H)^-1 b within the promised fraction of a standard deviation, and w with x = C w."""
    x, w = joint.improve(small.information)
    expected = small.posterior @ small.information
    assert np.all(np.abs(x - expected) <= TOLERANCE * np.sqrt(np.diag(small.posterior)))
    assert small.covariance @ w == pytest.approx(x, abs=1e-9 * np.abs(x).max())


@pytest.mark.parametrize("turned", ["signs", "rotation"])
def test_draws_do_not_depend_on_the_columns_basis(small: Small, turned: str) -> None:
    """Eigenvectors' signs, and directions among equal eigenvalues, are chosen by rounding: Y and Y R are one Hessian.

    Noise that went with the columns made other draws of them, of the same spread, on another processor.
    """
    count = small.zones[1].columns
    generator = np.random.default_rng(6)
    turn = np.diag(generator.choice([-1.0, 1.0], count))
    if turned == "rotation":
        turn = np.linalg.qr(generator.standard_normal((count, count)))[0]
    zones = list(small.zones)
    zones[1] = replace(zones[1], hessian_factor=zones[1].hessian_factor @ turn)
    plain, other = (JointPosterior(small.prior, own, MPI.COMM_SELF).draw(8, seed=3) for own in (small.zones, zones))
    std = np.sqrt(np.diag(small.posterior))
    # The same conjugate gradients to the same tolerance; their path depends on the basis through rounding alone.
    assert np.all(np.abs(plain - other) <= 2 * DRAW_TOLERANCE * std[:, None])


def test_noise_of_a_zone_is_unit_noise(small: Small) -> None:
    """Y e has the covariance of the Hessian, Y Y^T: draws' spread rests on it."""
    zone = small.zones[0]
    half = zone.hessian_factor
    assert_covariance(half[:40] @ zone.noise(3000, seed=5), half[:40] @ half[:40].T)


def test_noise_needs_no_column_that_shows_nothing(small: Small) -> None:
    """A zone that waves hardly see keeps one direction, of weight zero perhaps; it must not spoil the others."""
    zone = small.zones[0]
    more = replace(zone, hessian_factor=np.column_stack([zone.hessian_factor, np.zeros(len(zone.hessian_factor))]))
    nothing = replace(zone, hessian_factor=np.zeros_like(zone.hessian_factor[:, :1]))
    expected = zone.hessian_factor @ zone.noise(4, seed=5)
    assert more.hessian_factor @ more.noise(4, seed=5) == pytest.approx(expected, abs=1e-9 * np.abs(expected).max())
    assert np.array_equal(nothing.noise(4, seed=5), np.zeros((1, 4)))


def test_draws_have_the_dense_covariance(small: Small, draws: NDArray[np.float64]) -> None:
    """Every voxel's spread and every pair's correlation: regions' intervals are made of nothing else."""
    assert_covariance(draws, small.posterior)


def test_regions_get_the_exact_interval(small: Small, draws: NDArray[np.float64]) -> None:
    """The mean over a region, across zones: assembled from voxels' own spreads it would be several times too narrow."""
    count = len(small.hessian) // FIELDS
    place = np.argwhere(small.prior.mask)
    regions = np.zeros((4, FIELDS * count))
    regions[0, :count] = 1.0 / count
    regions[1, count:] = 1.0 / count
    regions[2, :count] = (place[:, 0] < 4) / np.sum(place[:, 0] < 4)
    regions[3, :count] = np.where(place[:, 0] < 4, 1.0, -1.0)
    assert_covariance(regions @ draws, regions @ small.posterior @ regions.T)


@pytest.mark.parametrize("field", range(FIELDS))
@pytest.mark.parametrize("edge", [1, 2, 3, None], ids=["1 voxel", "8 voxels", "27 voxels", "all voxels"])
def test_a_region_has_its_exact_mean_and_spread(
    small: Small, joint: JointPosterior, draws: NDArray[np.float64], edge: int | None, field: int
) -> None:
    """From one voxel to the organ: the mean a^T x, and over the draws the exact spread sqrt(a^T Sigma a).

    This is all that the interval of a region claims. The mean is exact to the solver's promise, TOLERANCE standard
    deviations of any linear functional. For independent draws from N(0, Sigma) the sum of squares of a^T x over
    a^T Sigma a is chi-square with one degree of freedom a draw, exactly: 1500 draws leave 7 % either way.
    """
    x, _ = joint.improve(small.information)
    exact = small.posterior @ small.information
    for corner in CORNERS[: len(CORNERS) if edge else 1]:
        inside = np.zeros_like(small.prior.mask)
        inside[tuple(slice(low, low + edge) if edge else slice(None) for low in corner)] = True
        a = np.zeros((FIELDS, int(small.prior.mask.sum())))
        a[field] = (inside & small.prior.mask)[small.prior.mask]
        assert a.sum() == (edge**3 if edge else small.prior.mask.sum())
        a /= a.sum()
        variance = float(a.ravel() @ small.posterior @ a.ravel())
        assert abs(a.ravel() @ (x - exact)) <= TOLERANCE * np.sqrt(variance)
        assert_mean_square(a.ravel() @ draws, variance)
        assert_mean_square(np.array([np.sqrt(draws.shape[1]) * np.mean(a.ravel() @ draws)]), variance)


def test_draws_repeat_with_their_seed(joint: JointPosterior) -> None:
    """A published interval can be reproduced, and another seed is another sample."""
    assert np.array_equal(joint.draw(3, seed=1), joint.draw(3, seed=1))
    assert not np.allclose(joint.draw(3, seed=1), joint.draw(3, seed=2))


def _log_determinant(small: Small) -> float:
    """The value of ln det (I + C H), which is that of I + Y^T C Y."""
    return float(np.linalg.slogdet(np.eye(len(small.hessian)) + small.covariance @ small.hessian)[1])


def test_draws_leave_the_mean_alone(small: Small) -> None:
    """A step after draws is as exact as one before: what served draws in single precision must not serve a step."""
    fresh = JointPosterior(small.prior, small.zones, MPI.COMM_SELF)
    before, _ = fresh.improve(small.information)
    fresh.draw(12, seed=0)
    assert np.array_equal(fresh.improve(small.information)[0], before)


def test_draws_that_diverge_are_made_again_in_double(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eigenvalues may be too far apart for single precision; a run of an hour must not end with that."""
    fresh = JointPosterior(small.prior, small.zones, MPI.COMM_SELF)
    single = fresh.draw(5, seed=1)
    solve = JointPosterior._solve

    def only_double(
        self: JointPosterior, rhs: NDArray[np.float64], used: Deflation, tolerance: float, *, single: bool = False
    ) -> NDArray[np.float64]:
        if single:
            raise DivergenceError("too far apart")
        return solve(self, rhs, used, tolerance)

    monkeypatch.setattr(JointPosterior, "_solve", only_double)
    spread = np.sqrt(np.diag(small.posterior))[:, None]
    assert np.abs((fresh.draw(5, seed=1) - single) / spread).max() <= 2 * DRAW_TOLERANCE


@pytest.mark.mpi
def test_determinant_is_the_dense_one(small: Small) -> None:
    """What the evidence charges for freedom, exactly where the system is small, on any number of ranks."""
    shared = JointPosterior(small.prior, dealt(small.zones, MPI.COMM_WORLD), MPI.COMM_WORLD)
    found = shared.log_determinant(0)
    assert found.standard_error == 0.0
    assert found.value == pytest.approx(_log_determinant(small), rel=1e-9)


@pytest.mark.long
@pytest.mark.mpi
def test_determinant_of_a_large_system_states_its_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates scatter around the dense value by what they state, and neither ranks nor deflation shift them.

    A lost projection or a complement taken twice would be off by the deflated part, which is most of it. A mean of 40
    probes is nearly normal: four of its errors are allowed to each of five seeds, and chi-square to all of them.
    """
    monkeypatch.setattr(log_determinant, "DENSE", 0)
    monkeypatch.setattr(deflation, "MOST", 2 * len(small.zones))
    alone = JointPosterior(small.prior, small.zones, MPI.COMM_SELF)
    shared = JointPosterior(small.prior, dealt(small.zones, MPI.COMM_WORLD), MPI.COMM_WORLD)
    found = [alone.log_determinant(seed) for seed in range(5)]
    expected = _log_determinant(small)
    errors = [(one.value - expected) / one.standard_error for one in found]
    assert max(np.abs(errors)) < 4.0, errors
    assert np.mean(np.square(errors)) > 0.05, "stated errors are far too wide"
    assert all(one.standard_error < 0.05 * expected for one in found)
    together = shared.log_determinant(0)
    assert together.value == pytest.approx(found[0].value, abs=2 * log_determinant.SETTLED)


@pytest.mark.mpi
def test_dealing_zones_to_ranks_changes_nothing(small: Small, joint: JointPosterior) -> None:
    """Mean and draws are the same on every rank and for every number of ranks, to the solver's tolerance."""
    comm = MPI.COMM_WORLD
    shared = JointPosterior(small.prior, dealt(small.zones, comm), comm)
    spread = np.sqrt(np.diag(small.posterior))
    for alone, together, tolerance in (
        (joint.improve(small.information)[0], shared.improve(small.information)[0], TOLERANCE),
        (joint.draw(5, seed=1), shared.draw(5, seed=1), DRAW_TOLERANCE),
    ):
        error = np.abs(alone - together).reshape(len(spread), -1) / spread[:, None]
        assert error.max() <= 2 * tolerance
        assert np.array_equal(together, comm.bcast(together, root=0))
