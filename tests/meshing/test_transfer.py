from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import meshio
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.meshing.clip import clip
from palpate.meshing.conforming.kuhn import kuhn_split
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.field_file import MeshFields, read_fields, write_fields
from palpate.meshing.transfer import Overlap, demand_inside, overlap

GRID = np.array([[-1.3, 0, 0, 8.0], [0, 0.9, 0.2, -3.0], [0, -0.2, 1.1, -2.0], [0, 0, 0, 1.0]])
"""Oblique, mirrored, and no multiple of the mesh's edge."""

SHAPE = (13, 19, 16)


def shaken(seed: int = 0) -> TetrahedralMesh:
    """A block of two labels whose nodes lie anywhere but on a plane of voxels."""
    cubes = np.zeros((4, 4, 4), dtype=np.int16)
    cubes[:2], cubes[2:] = 1, 2
    to_world = np.diag([2.5, 2.5, 2.5, 1.0])
    to_world[:3, 3] = [-3.5, 0.5, 1.5]
    mesh = kuhn_split(cubes, to_world, {1: "left", 2: "right"})
    points = mesh.points_mm + np.random.default_rng(seed).uniform(-0.3, 0.3, mesh.points_mm.shape)
    return TetrahedralMesh(points, mesh.cells, mesh.labels, mesh.names)


@pytest.fixture(scope="module")
def both() -> tuple[TetrahedralMesh, Overlap]:
    mesh = shaken()
    return mesh, overlap(mesh.points_mm, mesh.cells, GRID, SHAPE)


def test_pieces_of_a_corner() -> None:
    """The corner x + y + z < 3 of a cube, cut by the planes 1 and 2: volumes known from combinatorics."""
    corner = np.array([[[0.0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]]]) - 0.5
    pieces = clip(corner)
    volumes = np.zeros((3, 3, 3))
    np.add.at(volumes, tuple(np.rint(pieces.middle).astype(int).T), pieces.fraction * 27 / 6)
    for voxel in itertools.product(range(3), repeat=3):
        expected = {0: 1.0, 1: 5 / 6, 2: 1 / 6}.get(sum(voxel), 0.0)
        assert volumes[voxel] == pytest.approx(expected, abs=1e-12)


def test_measures(both: tuple[TetrahedralMesh, Overlap]) -> None:
    """Shared volumes add up to the cells', and inside the mesh to the voxels'."""
    mesh, shared = both
    assert shared.cell_volumes_mm3 == pytest.approx(mesh.volumes_mm3)
    assert shared.node_volumes_mm3.sum() == pytest.approx(mesh.volumes_mm3.sum())
    assert shared.voxel_volumes_mm3.max() == pytest.approx(abs(np.linalg.det(GRID[:3, :3])))
    assert shared.beyond_mm3 == 0.0


def test_integrals_are_kept(both: tuple[TetrahedralMesh, Overlap]) -> None:
    """Cells of a tumour may move between grids but not appear or disappear: sums agree to rounding, all four ways."""
    mesh, shared = both
    generator = np.random.default_rng(1)
    voxels, cells = generator.uniform(1, 2, SHAPE), generator.uniform(1, 2, len(mesh.cells))
    nodes = generator.uniform(1, 2, len(mesh.points_mm))
    amount = (voxels * shared.voxel_volumes_mm3).sum()
    assert (shared.cells_from_voxels(voxels) * mesh.volumes_mm3).sum() == pytest.approx(amount, rel=1e-12)
    assert (shared.nodes_from_voxels(voxels) * shared.node_volumes_mm3).sum() == pytest.approx(amount, rel=1e-12)
    back = shared.voxels_from_cells(cells, outside=0.0) * shared.voxel_volumes_mm3
    assert back.sum() == pytest.approx((cells * mesh.volumes_mm3).sum(), rel=1e-12)
    exact = (nodes[mesh.cells].mean(axis=1) * mesh.volumes_mm3).sum()  # of the linear function
    back = shared.voxels_from_nodes(nodes, outside=0.0) * shared.voxel_volumes_mm3
    assert back.sum() == pytest.approx(exact, rel=1e-12)


def test_bounds_are_kept(both: tuple[TetrahedralMesh, Overlap]) -> None:
    """A density between 0 and 1 stays there, also at the mesh's border and next to a jump."""
    mesh, shared = both
    generator = np.random.default_rng(2)
    voxels = generator.integers(0, 2, SHAPE).astype(float)
    cells = generator.integers(0, 2, len(mesh.cells)).astype(float)
    nodes = generator.integers(0, 2, len(mesh.points_mm)).astype(float)
    results = [
        shared.cells_from_voxels(voxels),
        shared.nodes_from_voxels(voxels),
        shared.voxels_from_cells(cells, outside=0.5),
        shared.voxels_from_nodes(nodes, outside=0.5),
    ]
    for values in results:
        assert values.min() >= 0.0
        assert values.max() <= 1.0 + 4 * np.finfo(float).eps


@pytest.mark.parametrize("spoil", [np.nan, np.inf, None], ids=["nan", "inf", "shape"])
@pytest.mark.parametrize("way", ["cells_from_voxels", "nodes_from_voxels", "voxels_from_cells", "voxels_from_nodes"])
def test_what_is_unknown_is_not_carried(both: tuple[TetrahedralMesh, Overlap], way: str, spoil: float | None) -> None:
    """Maps are NaN outside their mask; one such voxel would make all nodes around it unknown without a word."""
    mesh, shared = both
    count = len(mesh.cells) if way.endswith("cells") else len(mesh.points_mm)
    values = np.zeros(SHAPE) if way.endswith("from_voxels") else np.zeros(count)
    if spoil is None:
        values = values[:-1]
    else:
        values.flat[5] = spoil
    with pytest.raises(ValueError, match="finite numbers is needed"):
        getattr(shared, way)(values)


def test_linear_fields_are_exact(both: tuple[TetrahedralMesh, Overlap]) -> None:
    """The mean of a linear function over a full voxel is its value at the centre: volumes and places are exact."""
    mesh, shared = both
    slope = np.array([0.3, -0.7, 1.1])
    centres_mm = np.moveaxis(np.indices(SHAPE), 0, -1) @ GRID[:3, :3].T + GRID[:3, 3]
    full = shared.voxel_volumes_mm3 > abs(np.linalg.det(GRID[:3, :3])) * (1 - 1e-9)
    assert full.sum() > 100
    seen = shared.voxels_from_nodes(mesh.points_mm @ slope)
    assert seen[full] == pytest.approx((centres_mm @ slope)[full], abs=1e-9)


def test_a_mesh_elsewhere_is_refused() -> None:
    """An image of another place would quietly give the border's values to most of the mesh."""
    mesh = shaken()
    shared = overlap(mesh.points_mm + 6.0, mesh.cells, GRID, SHAPE)
    with pytest.raises(InputError, match="outside the voxels"):
        demand_inside(shared.beyond_mm3, float(mesh.volumes_mm3.sum()))


def _fields() -> MeshFields:
    mesh = shaken()
    generator = np.random.default_rng(3)
    return MeshFields(
        mesh, {"density": generator.random(len(mesh.points_mm))}, {"E": generator.random(len(mesh.cells))}
    )


def test_fields_come_back_to_the_last_bit(tmp_path: Path) -> None:
    """A restart must go on as if nothing had happened; ParaView's route is read by code that is not ours."""
    fields = _fields()
    write_fields(tmp_path, "state", fields)
    read = read_fields(tmp_path / "state.h5")
    assert np.array_equal(read.mesh.points_mm, fields.mesh.points_mm)
    assert np.array_equal(read.mesh.cells, fields.mesh.cells)
    assert np.array_equal(read.nodes["density"], fields.nodes["density"])
    assert np.array_equal(read.cells["E"], fields.cells["E"])
    seen = meshio.read(tmp_path / "state.xdmf")
    assert np.array_equal(seen.points, fields.mesh.points_mm)
    assert np.array_equal(seen.cells_dict["tetra"], fields.mesh.cells)
    assert np.array_equal(seen.point_data["density"], fields.nodes["density"])
    assert np.array_equal(seen.cell_data["label"][0], fields.mesh.labels)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.98])
def test_truncated_fields(fraction: float, tmp_path: Path) -> None:
    """Half a state must not be gone on from."""
    write_fields(tmp_path, "state", _fields())
    path = tmp_path / "state.h5"
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(InputError):
        read_fields(path)


def _without_fields(file: h5py.File) -> None:
    del file["node_fields"]


def _longer(file: h5py.File) -> None:
    del file["node_fields/density"]
    file["node_fields/density"] = np.zeros(7)


def _not_finite(file: h5py.File) -> None:
    file["cell_fields/E"][3] = np.nan


def _whole_numbers(file: h5py.File) -> None:
    del file["cell_fields/E"]
    file["cell_fields/E"] = np.zeros(len(file["cells"]), dtype=np.int64)


def _foreign(file: h5py.File) -> None:
    file.attrs["format"] = "another program"


def _newer(file: h5py.File) -> None:
    file.attrs["version"] = 99


def _no_such_node(file: h5py.File) -> None:
    file["cells"][0, 0] = 10**6


def _negative_node(file: h5py.File) -> None:
    file["cells"][0, 0] = -1


def _turned_over(file: h5py.File) -> None:
    file["cells"][0] = file["cells"][0][[1, 0, 2, 3]]


def _point_nowhere(file: h5py.File) -> None:
    file["points_mm"][2, 1] = np.inf


def _nameless(file: h5py.File) -> None:
    file.attrs["names"] = json.dumps({"1": "left"})


def _names_no_text(file: h5py.File) -> None:
    file.attrs["names"] = "{"


SPOILS = (
    _without_fields,
    _longer,
    _not_finite,
    _whole_numbers,
    _foreign,
    _newer,
    _no_such_node,
    _negative_node,
    _turned_over,
    _point_nowhere,
    _nameless,
    _names_no_text,
)


@pytest.mark.parametrize("spoil", SPOILS)
def test_states_that_nobody_should_go_on_from(spoil: Callable[[h5py.File], None], tmp_path: Path) -> None:
    """A file that opens is not yet a state: everything that a solver would trip over is found at the door."""
    write_fields(tmp_path, "state", _fields())
    with h5py.File(tmp_path / "state.h5", "a") as file:
        spoil(file)
    with pytest.raises(InputError, match=r"state\.h5"):
        read_fields(tmp_path / "state.h5")


def test_a_state_that_is_no_file(tmp_path: Path) -> None:
    """A wrong path, or a folder in its place."""
    (tmp_path / "folder.h5").mkdir()
    for name in ("none.h5", "folder.h5"):
        with pytest.raises(InputError, match=name):
            read_fields(tmp_path / name)


@pytest.mark.parametrize("values", [np.zeros(3), np.full(125, np.nan), np.zeros(125, dtype=np.float32)])
def test_fields_that_do_not_fit(values: NDArray[np.floating]) -> None:
    """A field of another mesh, or one that already blew up, is our bug and is found where it is made."""
    with pytest.raises(ValueError, match="density"):
        MeshFields(shaken(), {"density": values}, {})  # type: ignore[dict-item]
