"""The lesion benchmark's own figures and waves against exact answers: a wrong ruler measures nothing."""

from __future__ import annotations

import numpy as np
import pytest
from lesions import LESIONS
from numpy.typing import NDArray
from scipy.special import erfc
from scores.lesion_score import GAP_MM, regions, seen_in, true_mean_kpa
from worlds.lesion_block import BACKGROUND_KPA, VOXEL_MM, Lesion, distance_mm, waves_through

LARGE = Lesion(20.0, 2.0, 19)
WIDTH_OF_BLUR = 2 * 1.2815515655446004
"""10-90 % width of a step blurred by a Gaussian of standard deviation one."""


def blurred(radius_mm: float, blur_mm: float, step_kpa: float = 2.0) -> NDArray[np.float64]:
    """G' of a sphere whose edge is an error function, kPa."""
    r = distance_mm(LARGE.grid.points_mm)
    return np.asarray(2.0 + 0.5 * step_kpa * erfc((r - radius_mm) / (np.sqrt(2.0) * blur_mm)))


@pytest.mark.parametrize("lesion", LESIONS, ids=lambda lesion: lesion.name)
def test_the_truth_scores_as_true(lesion: Lesion) -> None:
    """On the true map the contrast is exact and size and edge are exact to the voxel, the finest a map can show."""
    noise = 1e-3 * np.random.default_rng(0).standard_normal(lesion.grid.shape)
    seen = seen_in(lesion.modulus_kpa(lesion.grid.points_mm).real + noise, lesion)
    assert seen.contrast == pytest.approx(lesion.contrast, rel=1e-3)
    assert seen.edge_mm is not None
    assert seen.size_mm is not None
    assert seen.edge_mm < VOXEL_MM
    assert abs(seen.size_mm - lesion.diameter_mm) < VOXEL_MM


@pytest.mark.parametrize(("radius_mm", "blur_mm"), [(10.0, 1.0), (9.0, 2.0), (7.0, 1.7)])
def test_the_edge_of_a_blurred_step_is_known(radius_mm: float, blur_mm: float) -> None:
    """2.563 standard deviations of the blur, and a size that blur of the edge alone does not change."""
    seen = seen_in(blurred(radius_mm, blur_mm), LARGE)
    assert seen.edge_mm == pytest.approx(WIDTH_OF_BLUR * blur_mm, rel=1e-3)
    assert seen.size_mm == pytest.approx(2 * radius_mm, rel=1e-3)


def test_cnr_is_the_step_over_the_noise() -> None:
    """Exactly, for a background of two values; and no unit enters."""
    inside, background = regions(LARGE)
    values = np.where(inside, 3.0, 2.0)
    even = np.flatnonzero(background)[: 2 * (background.sum() // 2)]
    values.ravel()[even[::2]] += 0.1
    values.ravel()[even[1::2]] -= 0.1
    deviation = float(values[background].std())
    assert seen_in(values, LARGE).cnr == pytest.approx(1.0 / deviation, rel=1e-3)
    assert deviation == pytest.approx(0.1, rel=1e-2)
    assert seen_in(1e3 * values, LARGE).cnr == pytest.approx(seen_in(values, LARGE).cnr)


def test_what_is_not_there_has_no_edge() -> None:
    """A soft spot where a stiff one was put, or plain noise, must not count as an edge that was found."""
    noise = 2.0 + 0.1 * np.random.default_rng(0).standard_normal(LARGE.grid.shape)
    for values in (blurred(10.0, 1.0, step_kpa=-1.0), noise):
        seen = seen_in(values, LARGE)
        assert seen.edge_mm is None
        assert seen.size_mm is None


@pytest.mark.long
def test_partial_volumes_agree_with_the_exact_integral() -> None:
    """All voxels together hold the whole sphere: (contrast - 1) times its volume more than plain background."""
    for lesion in LESIONS:
        everywhere = np.ones(lesion.grid.shape, dtype=bool)
        excess = true_mean_kpa(lesion, everywhere) / BACKGROUND_KPA.real - 1.0
        share = np.pi / 6 * lesion.diameter_mm**3 / (lesion.voxels * VOXEL_MM) ** 3
        assert excess == pytest.approx((lesion.contrast - 1.0) * share, rel=0.01)


def test_background_is_clear_of_the_sphere() -> None:
    """Blur of the edge would count as noise; and of every sphere enough background is left to have a spread."""
    for lesion in LESIONS:
        inside, background = regions(lesion)
        distance = distance_mm(lesion.grid.points_mm)
        assert distance[inside].max() <= lesion.diameter_mm / 2
        assert distance[background].min() >= lesion.diameter_mm / 2 + GAP_MM
        assert background.sum() > 300


def test_without_a_lesion_waves_pass_unchanged() -> None:
    """In homogeneous tissue the waves obey the Helmholtz equation with the modulus that the benchmark calls true.

    A wrong unit, density, frequency or sign of time shows. Second differences are off by (k h)^2 / 12 along an axis.
    """
    field = waves_through(Lesion(6.0, 1.0, voxels=5))
    u, h = field.displacement_m, VOXEL_MM * 1e-3
    middle = (slice(1, -1),) * 3
    laplacian = sum(np.roll(u, 1, axis) + np.roll(u, -1, axis) - 2 * u for axis in range(3))[middle] / h**2
    inertia = field.density_kg_m3 * (2 * np.pi * field.frequency_hz) ** 2
    found = -inertia * np.vdot(laplacian, u[middle]) / np.vdot(laplacian, laplacian)
    true = 1e3 * BACKGROUND_KPA
    assert abs(found / true - 1) <= inertia * h**2 / abs(true) / 12
