"""The compressed Hessian: what it drops only widens intervals, and the gradient goes with it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.taper import BAND, foot
from palpate.solvers.inversion.zone.curvature import (
    FOLLOW_ABOVE,
    KEEP_ABOVE,
    Informed,
    Whitening,
    informed_directions,
    orthonormal,
)
from tests.laws.operators import ROUNDING, assert_adjoint, assert_not_above
from tests.solvers.inversion.cases import box, linearise, plane_wave_data, varied

ZONE = box(7, 5, 5)
SIZE = 2 * len(ZONE.voxels)
VOXEL_MM = np.full(3, 2.0)
SOLVER = 1e-7


@pytest.fixture(scope="module")
def whitening() -> Whitening:
    return Whitening(ZONE.ijk, VOXEL_MM)


@pytest.fixture(scope="module")
def hessian() -> NDArray[np.float64]:
    raw = linearise(plane_wave_data(ZONE), varied(ZONE, 2)).curvature(np.eye(SIZE))
    return np.asarray(0.5 * (raw + raw.T))


def _informed(whitening: Whitening, followed: int, steps: int) -> Informed:
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, followed)))[0]
    likelihood = linearise(plane_wave_data(ZONE), varied(ZONE, 2))
    for _ in range(steps):
        informed = informed_directions(likelihood, whitening, basis)
        basis = informed.basis
    return informed


@pytest.mark.parametrize(("followed", "steps"), [(15, 1), (80, 1), (80, 2)])
def test_compression_never_adds_information(
    whitening: Whitening, hessian: NDArray[np.float64], followed: int, steps: int
) -> None:
    """Y Y^T <= H however few directions are followed, from random ones too: intervals become wider, never narrower."""
    half = _informed(whitening, followed, steps).hessian_factor
    assert_not_above(half @ half.T, hessian, tolerance=SOLVER)


def test_nothing_that_counts_is_dropped(whitening: Whitening, hessian: NDArray[np.float64]) -> None:
    """From the second step on H - Y Y^T is at most what is dropped knowingly, in units of the reference prior.

    88 of 350 directions count here; random ones find them where somewhat more than twice as many are followed.
    """
    half = _informed(whitening, 200, 2).hessian_factor
    lost = whitening.gather(hessian - half @ half.T)
    values = np.linalg.eigvalsh(whitening.gather(np.ascontiguousarray(lost.T)))
    assert values[-1] <= 1.5 * KEEP_ABOVE  # the Nystroem error of a value near the threshold comes on top


def test_whitening_is_one_matrix_and_its_transpose(whitening: Whitening) -> None:
    """Gather = spread^T, to spread's single precision: else those of most worth would not be followed."""
    x, y = np.random.default_rng(1).standard_normal((2, SIZE, 1))
    assert_adjoint(whitening.spread, whitening.gather, x, y, tolerance=float(np.finfo(np.float32).eps))


def test_gradient_keeps_to_the_informed_directions(whitening: Whitening) -> None:
    """What is known of a direction moves the estimate along it, what is dropped does not; twice is once.

    So it is where directions count in full; those near the threshold count in part, in gradient and Hessian alike.
    """
    informed = _informed(whitening, 200, 2)
    sure = informed.root_weights == 1.0
    assert 1 < sure.sum() < len(sure)
    informed = Informed(informed.hessian_factor[:, sure], informed.basis[:, : sure.sum()], informed.root_weights[sure])
    half = informed.hessian_factor
    dual = np.random.default_rng(2).standard_normal(SIZE)
    once = whitening.project(dual, informed)
    assert whitening.project(once, informed) == pytest.approx(once, abs=ROUNDING * np.abs(dual).max() * SIZE)
    inside = half @ np.random.default_rng(3).standard_normal(half.shape[1])
    assert np.abs(whitening.project(inside, informed) - inside).max() < SOLVER * np.abs(inside).max()
    outside = whitening.gather((dual - once)[:, None])
    assert np.abs(whitening.gather(half).T @ outside).max() < SOLVER * np.abs(whitening.gather(half)).max() * SIZE


class _Scaled:
    """A linearised zone whose data are so many times as precise."""

    def __init__(self, hessian: NDArray[np.float64], scale: float) -> None:
        self._hessian = scale * hessian

    def curvature(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._hessian @ directions)


@pytest.mark.parametrize("number", [5, 30, 45])
@pytest.mark.parametrize("at", [foot(KEEP_ABOVE), KEEP_ABOVE, FOLLOW_ABOVE], ids=["foot", "middle", "followed"])
def test_no_direction_appears_or_goes_at_once(
    whitening: Whitening, hessian: NDArray[np.float64], number: int, at: float
) -> None:
    """Data more precise by 1e-9 change Hessian and gradient by about as much, wherever an eigenvalue then stands.

    Processors round differently by more than that: with a cut, one would drop a direction that the other keeps.
    """
    start = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, 80)))[0]
    directions = whitening.spread(start)
    values = np.linalg.eigvalsh(directions.T @ hessian @ directions)[::-1]
    hair = 1e-9
    found = []
    for step in (-hair, hair):
        scaled = _Scaled(hessian, at / float(values[number]) * (1.0 + step))
        informed = informed_directions(scaled, whitening, start)  # type: ignore[arg-type]
        dual = np.random.default_rng(4).standard_normal(SIZE)
        found.append((whitening.gather(informed.hessian_factor), whitening.project(dual, informed), dual))
    (before, gradient_before, dual), (after, gradient_after, _) = found
    # Roots of weights rise from nothing to one within a factor of BAND, so that weights change by up to 2 / ln(BAND) as
    # much as what they are of. Directions stay: the Hessian was only scaled.
    steepest, largest = 2.0 / np.log(BAND), float(np.linalg.norm(before, 2)) ** 2
    moved = before @ before.T - after @ after.T
    assert np.linalg.norm(moved, 2) <= (2 * hair * (1.0 + steepest) + ROUNDING) * largest
    moved_gradient = np.linalg.norm(whitening.gather((gradient_before - gradient_after)[:, None]))
    size = np.linalg.norm(whitening.gather(dual[:, None]))
    assert moved_gradient <= (2 * hair * steepest + SIZE * ROUNDING) * size


@pytest.mark.parametrize("spread", [1.5, 1e3, 1e9], ids=["nearly orthonormal", "far", "nearly dependent"])
def test_bases_are_orthonormal_and_span_the_columns(spread: float) -> None:
    """The next step's Hessian is B^T H B over them; a basis that is not orthonormal would count directions twice."""
    generator = np.random.default_rng(5)
    turned = np.linalg.qr(generator.standard_normal((12, 12)))[0]
    columns = np.linalg.qr(generator.standard_normal((90, 12)))[0] * np.geomspace(1.0, spread, 12) @ turned
    basis = orthonormal(columns)
    assert np.abs(basis.T @ basis - np.eye(12)).max() < 1e-10
    assert np.abs(columns - basis @ (basis.T @ columns)).max() < 1e-10 * spread
