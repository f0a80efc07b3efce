"""Zones obey the laws that the joint posterior takes for granted: nothing counted twice, nothing outside the tissue."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.mesh import MeshSettings
from palpate.errors import InputError
from palpate.meshing.zone_mesh import coverage, world_mesh, zone_extents, zones_of
from palpate.meshing.zones import Zone, axis_starts, cut_zones
from tests.meshing.masks import ragged_mask

WIDTH, STRIDE = (9, 9, 9), (6, 6, 6)
SHAPES = [(13, 13, 13), (14, 12, 16), (21, 10, 7), (19, 20, 5), (6, 5, 22)]
CASES = [(shape, seed) for shape in SHAPES for seed in (0, 1, 2)]


@pytest.fixture(params=CASES, ids=str)
def mask(request: pytest.FixtureRequest) -> NDArray[np.bool_]:
    """Ragged masks with even and odd extents, thick and thin."""
    shape, seed = request.param
    return ragged_mask(shape, seed)


@pytest.fixture
def zones(mask: NDArray[np.bool_]) -> list[Zone]:
    """The mask's zones."""
    return cut_zones(mask, width_voxels=WIDTH, stride_voxels=STRIDE)


def test_each_datum_counts_once(mask: NDArray[np.bool_], zones: list[Zone]) -> None:
    """Shares that do not sum to one would make the posterior too narrow or too wide where zones overlap."""
    total = np.zeros(np.count_nonzero(mask))
    for zone in zones:
        assert len(np.unique(zone.voxels)) == len(zone.voxels)
        total[zone.voxels] += zone.weight
    assert all((zone.weight > 0).all() for zone in zones)
    np.testing.assert_allclose(total[total > 0], 1.0, rtol=1e-12)


def test_cells_lie_in_the_tissue(mask: NDArray[np.bool_], zones: list[Zone]) -> None:
    """Displacement outside the mask is no datum; a cell there would balance forces with noise."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(np.count_nonzero(mask))
    lattice = np.array(list(itertools.product(range(3), repeat=3)))
    for zone in zones:
        np.testing.assert_array_equal(number[tuple(zone.ijk.T)], zone.voxels)
        nodes = zone.ijk[zone.cells]
        np.testing.assert_array_equal(nodes - nodes[:, :1], np.broadcast_to(lattice, nodes.shape))
        assert set(zone.cells.ravel()) == set(range(len(zone.voxels)))


def test_interior_nodes_are_those_that_cells_surround(zones: list[Zone]) -> None:
    """Equilibrium tested at a node on the zone's surface would claim that no traction acts there."""
    for zone in zones:
        first = zone.ijk[zone.cells[:, 0]]
        for node, interior in zip(zone.ijk, zone.interior, strict=True):
            octants = {
                octant
                for octant in itertools.product((-1, 1), repeat=3)
                if (np.abs(first + 1 - (node + 0.5 * np.array(octant))) < 1).all(axis=1).any()
            }
            assert interior == (len(octants) == 8)


@pytest.mark.parametrize("extent", range(5, 40))
def test_zones_along_an_axis_leave_no_gap(extent: int) -> None:
    """Whatever the extent, all nodes belong to a zone, and all but the outermost are interior to one."""
    starts, nodes = axis_starts(extent, 9, 6)
    assert nodes % 2 == 1
    assert {start + i for start in starts for i in range(nodes)} == set(range(extent))
    assert {start + i for start in starts for i in range(1, nodes - 1)} == set(range(1, extent - 1))
    assert max(np.diff(starts), default=0) <= 6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_order_of_axes_does_not_matter(order: tuple[int, int, int], seed: int) -> None:
    """A scanner that stores sagittal slices must get the zones of one that stores axial ones."""
    mask = ragged_mask((14, 11, 13), seed)
    turned = cut_zones(mask.transpose(order), width_voxels=WIDTH, stride_voxels=STRIDE)
    straight = cut_zones(mask, width_voxels=WIDTH, stride_voxels=STRIDE)
    assert _as_sets(turned) == _as_sets(straight, lambda ijk: ijk[:, list(order)])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("axis", range(3))
def test_direction_of_axes_does_not_matter(axis: int, seed: int) -> None:
    """Left and right must be treated alike; extents are such that the zones' places are themselves symmetric."""
    mask = ragged_mask((15, 13, 9), seed)
    straight = cut_zones(mask, width_voxels=WIDTH, stride_voxels=STRIDE)
    flipped = cut_zones(np.flip(mask, axis), width_voxels=WIDTH, stride_voxels=STRIDE)
    sign, offset = np.ones(3, dtype=int), np.zeros(3, dtype=int)
    sign[axis], offset[axis] = -1, mask.shape[axis] - 1
    assert _as_sets(flipped) == _as_sets(straight, lambda ijk: sign * ijk + offset)


@pytest.mark.parametrize("edges", list(itertools.permutations((1.9, 2.0, 4.0))))
def test_zones_have_the_asked_size(edges: tuple[float, float, float]) -> None:
    """Physical zones see the same share of a wavelength whatever the resolution of the scan."""
    nodes, stride = zone_extents(np.array(edges), MeshSettings())
    for count, step, edge in zip(nodes, stride, edges, strict=True):
        assert abs((count - 1) * edge - 24.0) <= edge
        assert 18.0 - edge < step * edge <= 18.0 + 1e-9
        assert step <= count - 2


def test_default_zone_of_common_voxels() -> None:
    """Sizes from a float32 affine must not lose a voxel to rounding."""
    edges = np.array([2.0, np.nextafter(2.0, 3.0), 2.000001])
    assert zone_extents(edges, MeshSettings()) == ([13, 13, 13], [9, 9, 9])


def test_slab_of_five_slices() -> None:
    """The real scan has five slices: two layers of cells, and equilibrium on the three slices between."""
    mask = np.ones((20, 18, 5), dtype=bool)
    zones = zones_of(mask, np.array([2.0, 2.0, 4.0]), MeshSettings())
    counted = coverage(zones, mask.sum())
    assert counted.covered_voxels == mask.sum()
    assert counted.interior_voxels == 18 * 16 * 3


@pytest.mark.parametrize("shape", [(20, 20, 4), (4, 20, 20), (2, 2, 2), (30, 1, 30)])
def test_too_thin_tissue_is_refused(shape: tuple[int, int, int]) -> None:
    """Without a surrounded node there is no equation, hence nothing to infer: better no map than the prior's."""
    with pytest.raises(InputError, match="too thin"):
        zones_of(np.ones(shape, dtype=bool), np.array([2.0, 2.0, 2.0]), MeshSettings())


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_world_mesh_fills_the_cells(mirror: float, zones: list[Zone]) -> None:
    """ParaView must show the tissue where it is: volumes positive and of the cells' size, also in mirrored grids."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * np.sign(np.linalg.det(turn)) * [mirror * 2.0, 2.0, 4.0]
    affine[:3, 3] = -40.0, 3.0, 7.0
    mesh = world_mesh(zones, affine)
    corners = mesh.points[mesh.cells_dict["hexahedron"]]
    edges = corners[:, [1, 3, 4]] - corners[:, :1]
    np.testing.assert_allclose(np.linalg.det(edges), 4.0 * 4.0 * 8.0, rtol=1e-9)
    np.testing.assert_allclose(corners[:, 6], corners[:, 0] + edges.sum(axis=1), atol=1e-9)
    assert mesh.cell_data["zones"][0].sum() == sum(len(zone.cells) for zone in zones)
    assert len(np.unique(np.sort(mesh.cells_dict["hexahedron"]), axis=0)) == len(corners)


def _as_sets(zones: list[Zone], move: Callable[[NDArray[np.int64]], NDArray[np.int64]] = np.asarray) -> set:
    """Zones without the order of zones, nodes and cells."""
    return {
        frozenset(
            (*map(int, place), round(float(weight), 12), bool(interior))
            for place, weight, interior in zip(move(zone.ijk), zone.weight, zone.interior, strict=True)
        )
        for zone in zones
    } | {
        frozenset(
            frozenset(map(tuple, nodes.tolist()))
            for nodes in move(zone.ijk[zone.cells].reshape(-1, 3)).reshape(-1, 27, 3)
        )
        for zone in zones
    }
