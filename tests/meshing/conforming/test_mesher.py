from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.mesh import TetrahedraSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import Segmentation
from palpate.meshing.conforming import mesher
from palpate.meshing.conforming.mesher import LEAST_ANGLE_DEG, mesh_labels
from palpate.meshing.conforming.quality import dihedral_angles_deg, edge_lengths_of
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh, interface_faces
from tests.meshing.conforming.cases import AFFINE, balls, folded

SETTINGS = TetrahedraSettings(edge_mm=3.0)


def faces_of(cells: NDArray[np.int64]) -> Mapping[tuple[int, ...], list[int]]:
    """Cells at each face, found one by one; nothing of the mesher's own bookkeeping."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, cell in enumerate(cells.tolist()):
        for left_out in range(4):
            face = tuple(sorted(cell[:left_out] + cell[left_out + 1 :]))
            found.setdefault(face, []).append(number)
    return found


def demand_conforming(mesh: TetrahedralMesh) -> None:
    """Every face belongs to one or two cells, and each label's surface is closed."""
    edges: dict[tuple[int, int, int], int] = {}
    for (a, b, c), cells in faces_of(mesh.cells).items():
        assert len(cells) <= 2
        labels = {int(mesh.labels[cell]) for cell in cells}
        for label in labels if len(cells) == 1 or len(labels) == 2 else ():
            for one, other in ((a, b), (b, c), (a, c)):
                edges[label, one, other] = edges.get((label, one, other), 0) + 1
    assert edges
    assert all(count % 2 == 0 for count in edges.values())


@pytest.mark.parametrize("segmentation", [balls(11.0, 6.0), folded(2)], ids=["balls", "folded"])
def test_gate(segmentation: Segmentation) -> None:
    """What growth and mechanics rest on: shared interfaces, volumes, angles, orientation, every label there."""
    mesh = mesh_labels(segmentation, SETTINGS).mesh
    demand_conforming(mesh)
    corners = mesh.points_mm[mesh.cells]
    assert (np.linalg.det(corners[:, 1:] - corners[:, :1]) > 0).all()
    assert dihedral_angles_deg(mesh.points_mm, mesh.cells).min() >= LEAST_ANGLE_DEG
    for label in segmentation.names:
        volume_mm3 = np.linalg.det((corners[:, 1:] - corners[:, :1])[mesh.labels == label]).sum() / 6
        assert volume_mm3 == pytest.approx(np.count_nonzero(segmentation.labels == label), rel=0.02)


def test_interfaces_lie_where_the_labels_change() -> None:
    """Volumes alone would allow a body in the wrong place.

    A cube's corner lies within half its diagonal of the surface that runs through it, and MMG may move the interface
    by half an edge: 1.37 edges together. On average half an edge is already a bad surface.
    """
    segmentation = balls(11.0, 6.0)
    mesh = mesh_labels(segmentation, SETTINGS).mesh
    extent = 27
    centre_mm = AFFINE[:3, :3] @ [extent / 2 - 0.4, extent / 2, extent / 2 + 0.3] + AFFINE[:3, 3]
    distance_mm = np.linalg.norm(mesh.points_mm[np.unique(interface_faces(mesh))] - centre_mm, axis=1)
    off_mm = np.minimum(np.abs(distance_mm - 11.0), np.abs(distance_mm - 6.0))
    assert off_mm.max() < (np.sqrt(3) / 2 + 0.5) * SETTINGS.edge_mm
    assert off_mm.mean() < SETTINGS.edge_mm / 2


def test_same_labels_same_mesh() -> None:
    """A study run again must give the same numbers."""
    first, second = (mesh_labels(balls(9.0), SETTINGS).mesh for _ in range(2))
    assert np.array_equal(first.points_mm, second.points_mm)
    assert np.array_equal(first.cells, second.cells)
    assert np.array_equal(first.labels, second.labels)


def test_sizes_follow_waves_and_distance() -> None:
    """Short waves need short edges; far from interfaces edges may be long. The measure is the mean edge."""
    body = balls(13.0)
    lengths = {}
    for name, change in {
        "grown": {"gradation": 0.8},
        "even": {"gradation": 0.0},
        "wave": {
            "gradation": 0.8,
            "frequency_hz": 100.0,
            "modulus_kpa": {"shell1": 1.0},
            "elements_per_wavelength": 4.0,
        },
    }.items():
        mesh = mesh_labels(body, TetrahedraSettings(edge_mm=4.0, largest_mm=12.0, **change)).mesh
        lengths[name] = float(edge_lengths_of(mesh.points_mm, mesh.cells).mean())
    assert lengths["wave"] < lengths["even"] < lengths["grown"]
    wave_mm = 1000.0 * np.sqrt(1.0) / 100.0
    assert lengths["wave"] < wave_mm / 4.0 * 1.3


def test_the_lattice_is_the_last_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MMG gives nothing usable, a mesh of stairs that says so is better than none, or than a bad one."""
    monkeypatch.setattr(mesher, "remesh", lambda *_: None)
    meshed = mesh_labels(balls(11.0, 6.0), SETTINGS)
    assert "lattice" in meshed.way
    assert dihedral_angles_deg(meshed.mesh.points_mm, meshed.mesh.cells).min() == pytest.approx(45.0)


def _sheet() -> Segmentation:
    labels = np.ones((20, 20, 20), dtype=np.int32)
    labels[:, :, 10] = 2
    return Segmentation(labels, {1: "body", 2: "sheet"}, AFFINE)


def _far_pieces() -> Segmentation:
    labels = np.zeros((40, 40, 12), dtype=np.int32)
    labels[:12, :12] = 1
    labels[2:38:3, 38, 6] = 1
    labels[14:40, 2:10, 3:9] = 2
    labels[36, 36, 2:11:2] = 2
    return Segmentation(labels, {1: "body", 2: "scattered"}, AFFINE)


def _one_voxel() -> Segmentation:
    labels = np.zeros((5, 5, 5), dtype=np.int32)
    labels[2, 2, 2] = 7
    return Segmentation(labels, {7: "dot"}, AFFINE)


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (_sheet(), ("label 2 'sheet' thinner than an element", "of its 400 voxels", "RAS", "edge_mm = 3")),
        (_one_voxel(), ("label 7 'dot'",)),
    ],
    ids=["sheet", "one voxel"],
)
def test_too_thin(segmentation: Segmentation, said: tuple[str, ...]) -> None:
    """A region that vanished without a word would be missing in every number that comes after."""
    with pytest.raises(InputError) as refused:
        mesh_labels(segmentation, SETTINGS)
    for part in said:
        assert part in str(refused.value)


def test_crumbs_are_counted() -> None:
    """Pieces smaller than an element are left out, but never without saying how many voxels that were."""
    segmentation = _far_pieces()
    meshed = mesh_labels(segmentation, SETTINGS)
    assert meshed.crumbs[1] > 0
    assert meshed.crumbs[1] <= 12


def test_touching_edges() -> None:
    """Two blocks of one label that share only an edge make a surface that is none; it must be mended, not meshed."""
    labels = np.zeros((26, 26, 14), dtype=np.int32)
    labels[1:13, 1:13, 1:13] = 1
    labels[13:25, 13:25, 1:13] = 1
    segmentation = Segmentation(labels, {1: "blocks"}, AFFINE)
    demand_conforming(mesh_labels(segmentation, SETTINGS).mesh)


def test_too_large() -> None:
    """A mesh that does not fit is refused before hours are spent, with an edge that fits."""
    with pytest.raises(InputError, match=r"largest_memory_mb = 1\b.*Use edge_mm"):
        mesh_labels(balls(11.0), TetrahedraSettings(edge_mm=1.0, largest_memory_mb=1.0))
