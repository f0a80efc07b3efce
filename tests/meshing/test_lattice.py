"""Nodes beneath thick voxels: what the scanner sees of them, and that thin voxels are left as they are."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.config.mesh import MeshSettings
from palpate.meshing.lattice import Lattice, lattice_of
from palpate.meshing.refined_zones import zones_on
from palpate.meshing.zone_mesh import zones_of

MASK = np.ones((9, 8, 4), dtype=bool)
SIZE_MM = np.array([3.0, 3.0, 10.0])
SLICES = Lattice(MASK, (3.0, 3.0, 10.0), (None, None, 16), (1.0, 1.0, 0.8))


@pytest.mark.parametrize("intervals", [4, 6, 16])
def test_mean_over_a_slice_is_exact_for_quadratics(intervals: int) -> None:
    """A slice of 8 in 10 mm sees the mean of the elements' own polynomial, with nodes nearer or further than slices."""
    lattice = Lattice(MASK, (3.0, 3.0, 10.0), (None, None, intervals), (1.0, 1.0, 0.8))
    nodes = np.linspace(0.0, 4.0, intervals + 1)
    found = lattice.means(2, 0, intervals + 1) @ (nodes**2 - 3.0 * nodes)
    low, high = np.arange(4) + 0.1, np.arange(4) + 0.9
    exact = ((high**3 - low**3) / 3.0 - 1.5 * (high**2 - low**2)) / (high - low)
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_voxels_that_reach_out_of_the_nodes_are_not_seen() -> None:
    """Half a slice is no mean of it: its datum belongs to another zone."""
    rows = np.diff(SLICES.means(2, 4, 9).indptr) > 0
    assert rows.tolist() == [False, True, True, False]


def test_thin_voxels_are_the_nodes() -> None:
    """Where nothing is thick, zones are those of the voxels, array by array."""
    lattice = lattice_of(np.ones((9, 9, 9), dtype=bool), np.array([2.0, 2.0, 2.5]), 50.0)
    assert lattice.plain
    for ours, plain in zip(
        zones_on(lattice, MeshSettings()), zones_of(lattice.mask, lattice.spacing_mm, MeshSettings()), strict=True
    ):
        assert ours.refinement is None
        assert np.array_equal(ours.cells, plain.cells)
        assert np.array_equal(ours.weight, plain.weight)


@pytest.mark.parametrize("intervals", [(None, None, 16), (6, 6, 8)], ids=["thick slices", "coarse in plane"])
@pytest.mark.parametrize("holes", [False, True])
def test_each_datum_is_counted_once(intervals: tuple[int | None, ...], holes: bool) -> None:  # noqa: FBT001
    """Weights of a voxel's datum sum to one over the zones that see it; a constant is seen as itself."""
    mask = MASK.copy()
    if holes:
        mask[0, :3] = False
    lattice = Lattice(mask, (3.0, 3.0, 10.0), intervals, (1.0, 1.0, 0.8))
    zones = zones_on(lattice, MeshSettings(zone_width_mm=9.0, zone_stride_mm=4.0))
    assert len(zones) > 1
    total = np.zeros(np.count_nonzero(mask))
    for zone in zones:
        assert zone.refinement is not None
        total[zone.voxels] += zone.weight
        scanner, modulus = zone.refinement.scanner, zone.refinement.modulus
        seen = np.asarray(scanner.sum(axis=1)).ravel()
        np.testing.assert_allclose(seen, np.where(zone.weight > 0.0, 1.0, 0.0), atol=1e-12)
        np.testing.assert_allclose(np.asarray(modulus.sum(axis=1)).ravel(), 1.0, atol=1e-12)
    np.testing.assert_allclose(total[total > 0.0], 1.0, atol=1e-12)
    assert np.mean(total > 0.0) > 0.9


def test_slices_thick_for_the_wave_are_divided() -> None:
    """10 mm at 60 Hz hold too little of a wavelength in soft tissue for one interval; at 20 Hz they are thin."""
    assert lattice_of(MASK, SIZE_MM, 60.0, 10.0).intervals == (None, None, 8)
    assert lattice_of(MASK, SIZE_MM, 20.0, 10.0).plain
    assert lattice_of(MASK, SIZE_MM, 60.0, 8.0).width == (1.0, 1.0, 0.8)
