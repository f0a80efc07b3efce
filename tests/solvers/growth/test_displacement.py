"""How far a tumour pushes: laws of the displacement by boxes of two sizes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.tumour.head import COARSER
from palpate.solvers.growth.mechanics.coupling import Pressure, middles_m
from palpate.solvers.growth.mechanics.displacement import (
    AROUND_MM,
    DisplacementSystem,
    ElasticHead,
    brain_around,
    displacement_system,
    lengths_mm,
)
from palpate.solvers.growth.mechanics.finite_strain import finite_strain
from palpate.solvers.growth.space.voxels import voxels
from palpate.units import mm_to_m

type Values = NDArray[np.float64]

SHAPE, EDGE_MM = (24, 24, 24), 2.0
SOLVED = 1e-9
"""Two solutions of one system, over the largest."""


def tumour(shape: tuple[int, int, int] = SHAPE) -> Values:
    """A Gaussian off the middle, 7 mm wide."""
    at = (np.indices(shape) + 0.5) * EDGE_MM
    away = np.linalg.norm(at - np.array([20.0, 26.0, 24.0])[:, None, None, None], axis=0)
    return np.exp(-0.5 * (away / 7.0) ** 2)


def head(storage_pa: Values) -> ElasticHead:
    """A cube of brain inside its skull."""
    inside = np.ones(storage_pa.shape, dtype=np.bool_)
    edges_m = np.full(3, mm_to_m(EDGE_MM))
    place = voxels(inside, edges_m)
    return ElasticHead(place.space, middles_m(place, edges_m), inside, edges_m, storage_pa)


def pushed(storage_pa: Values, density: Values, box_mm: float, coarser: float = COARSER) -> Values:
    """Displacement in voxels, shape (i, j, k, 3)."""
    system = displacement_system(head(storage_pa), Pressure(10e3, 0.0), mm_to_m(box_mm), coarser)
    (moved,) = system.displacements_m(density.reshape(1, -1))
    return moved.reshape(*density.shape, 3)


def stiffness() -> Values:
    """Varies by a factor of two over some centimetres."""
    x, y, z = (np.indices(SHAPE) + 0.5) * EDGE_MM
    return 2500.0 * np.exp(0.35 * np.sin(x / 9.0) * np.cos(y / 11.0 + z / 15.0))


@pytest.mark.long
def test_extrapolation_is_worth_finer_boxes() -> None:
    """Boxes as wide as the tumour's front are off by a sixth, as much as a population's stiffness costs.

    The reference has boxes of 4 and 6 mm, whose own error is under a half of that of 6 and 8 by the square of the edge,
    so that a difference of 3 % bounds the error by 6.
    """
    true = pushed(stiffness(), tumour(), 4.0, 1.5)
    found = displacement_system(head(stiffness()), Pressure(10e3, 0.0), mm_to_m(6.0))
    density = tumour().reshape(1, -1)
    around = brain_around(np.ones(SHAPE, dtype=np.bool_), tumour() > 0.18, np.full(3, EDGE_MM))
    plain, both = (
        float(lengths_mm(one.displacements_m(density).reshape(true.shape))[around].mean())
        for one in (found.fine, found)
    )
    right = float(lengths_mm(true)[around].mean())
    assert abs(plain / right - 1.0) > 0.1
    assert abs(both / right - 1.0) < 0.03


def test_displacement_is_linear_in_density_and_push() -> None:
    """One factor serves all draws of density and lambda / s; an odd number of densities fills its last pair alone."""
    system = displacement_system(head(stiffness()), Pressure(10e3, 0.0), mm_to_m(8.0))
    one, other = tumour().ravel(), np.roll(tumour(), 3, axis=1).ravel()
    first, second, mixed = system.displacements_m(np.stack([one, other, 0.3 * one + 2.0 * other]))
    np.testing.assert_allclose(mixed, 0.3 * first + 2.0 * second, rtol=0, atol=SOLVED * np.abs(mixed).max())
    halves = [replace(part.mechanics, pressure=Pressure(10e3, 0.0, 2.0)) for part in (system.fine, system.coarse)]  # type: ignore[attr-defined]
    softer = DisplacementSystem(*(type(system.fine)(half) for half in halves), system.weight)  # type: ignore[call-arg]
    (half,) = softer.displacements_m(one[None])
    np.testing.assert_allclose(2.0 * half, first, rtol=0, atol=SOLVED * np.abs(first).max())


@pytest.mark.parametrize("axes", [(1, 2, 0), (0, 2, 1)])
def test_the_order_of_axes_is_of_no_account(axes: tuple[int, int, int]) -> None:
    """Components of w must follow the axes of the voxels, or a vector map would point elsewhere."""
    plain = pushed(stiffness(), tumour(), 8.0)
    turned = pushed(stiffness().transpose(axes), tumour().transpose(axes), 8.0)
    expected = plain.transpose(*axes, 3)[..., list(axes)]
    np.testing.assert_allclose(turned, expected, rtol=0, atol=SOLVED * np.abs(plain).max())


def test_all_axes_backwards_turn_it_around() -> None:
    """A scan is stored either way; Kuhn's tetrahedra look the same from their other end, if boxes fill the head."""
    plain = pushed(stiffness(), tumour(), 6.0)
    turned = pushed(np.flip(stiffness()), np.flip(tumour()), 6.0)
    expected = -np.flip(plain, axis=(0, 1, 2))
    np.testing.assert_allclose(turned, expected, rtol=0, atol=SOLVED * np.abs(plain).max())


def test_finite_strain_agrees_where_little_is_pushed() -> None:
    """The truth may have the other law; at a hundredth of the push both are the same to a percent."""
    little, density = Pressure(100.0, 0.0), tumour().reshape(1, -1)
    small, finite = (
        displacement_system(head(stiffness()), little, mm_to_m(12.0), **law).displacements_m(density)
        for law in ({}, {"law": finite_strain})
    )
    assert np.linalg.norm(finite - small) < 0.01 * np.linalg.norm(small)


def test_brain_around_is_a_shell_of_tissue() -> None:
    """Figures are means over it: neither the tumour nor fluid nor brain far away may dilute them."""
    visible = np.zeros((40, 40, 40), dtype=np.bool_)
    visible[18:22, 18:22, 18:22] = True
    tissue = np.ones_like(visible)
    tissue[:, :, :15] = False
    around = brain_around(tissue, visible, np.full(3, EDGE_MM))
    assert not (around & visible).any()
    assert not (around & ~tissue).any()
    far = np.argwhere(around) * EDGE_MM
    inside = np.argwhere(visible) * EDGE_MM
    gaps = [np.linalg.norm(inside - one, axis=1).min() for one in far[::50]]
    assert 0.9 * AROUND_MM < max(gaps) <= AROUND_MM
    reached = itertools.product((17, 22), repeat=3)
    assert all(around[one] for one in reached)


def test_lengths_are_in_millimetres() -> None:
    """Metres inside, millimetres in every figure."""
    assert lengths_mm(np.array([[3e-3, 0.0, 4e-3]])) == pytest.approx([5.0])
