"""Tetrahedral meshes of a labelled brain with ventricles and a tumour: seconds, angles, volumes and interfaces.

The labels (`brain_labels.py`) are the ICBM152 brain with ventricles and a lobulated tumour with a necrotic core, once
with a label for white matter and once without. "Distance of interfaces" is that of the mesh's interface nodes from the
faces of voxels between the same labels. Seconds are of one core, as the machine runs other programs at the same time.

    python benchmarks/tetrahedra.py --out folder [--short]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from worlds.brain_labels import Detail, labelled_brain

from palpate.config.mesh import TetrahedraSettings
from palpate.imaging.anatomy.segmentation import Segmentation
from palpate.meshing.conforming.mesh_file import write_tetrahedra
from palpate.meshing.conforming.mesher import LEAST_ANGLE_DEG, MeshedLabels, mesh_labels, volume_errors
from palpate.meshing.conforming.quality import dihedral_angles_deg, radius_ratios
from palpate.meshing.conforming.tetrahedral_mesh import interface_faces

EDGES_MM: Final = (3.0, 2.5, 2.0)
GOAL_SECONDS: Final = "<= 120"
_PUBLISHED: Final = {"surface nets + TetGen": 1.2, "CGAL mesh_3": 4.1, "surface nets + fTetWild": 11.9}
"""Least dihedral angles of other meshers on a similar brain, degrees; fTetWild keeps interfaces to about a cell."""


def crop(segmentation: Segmentation) -> Segmentation:
    """Cut out a block around the tumour that holds a part of every label."""
    where = np.argwhere(np.isin(segmentation.labels, [3, 4]))
    first, last = where.min(axis=0) - 3, where.max(axis=0) + 4
    box = tuple(slice(max(int(a), 0), int(b)) for a, b in zip(first, last, strict=True))
    affine_mm = segmentation.affine_mm.copy()
    affine_mm[:3, 3] += affine_mm[:3, :3] @ [one.start for one in box]
    labels = segmentation.labels[box].copy()
    pieces = np.zeros_like(labels)
    for number in segmentation.names:
        found, count = ndimage.label(labels == number)
        if count:
            largest = 1 + int(np.argmax(np.bincount(found.ravel())[1:]))
            pieces[found == largest] = number
    names = {number: name for number, name in segmentation.names.items() if (pieces == number).any()}
    return Segmentation(pieces, names, affine_mm)


def interface_distances_mm(meshed: MeshedLabels, segmentation: Segmentation) -> NDArray[np.float64]:
    """Return the distance of each interface node from the nearest face between voxels of different labels, mm."""
    faces = []
    padded = np.pad(segmentation.labels, 1)
    for axis in range(3):
        near, far = (np.take(padded, range(n, padded.shape[axis] - 1 + n), axis=axis) for n in (0, 1))
        between = np.argwhere(near != far).astype(np.float64) - 1.0
        between[:, axis] += 0.5
        faces.append(between)
    affine_mm = segmentation.affine_mm
    places_mm = np.concatenate(faces) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    nodes = meshed.mesh.points_mm[np.unique(interface_faces(meshed.mesh))]
    return np.asarray(cKDTree(places_mm).query(nodes)[0])


def rows_of(name: str, meshed: MeshedLabels, segmentation: Segmentation, seconds: Sequence[float]) -> list[Row]:
    """Return the rows of one mesh."""
    mesh = meshed.mesh
    angles = dihedral_angles_deg(mesh.points_mm, mesh.cells).min(axis=1)
    errors = volume_errors(mesh, segmentation.volumes_mm3)
    worst = max(abs(100.0 * error) for error in errors.values())
    away_mm = interface_distances_mm(meshed, segmentation)
    crumbs = {name: 100.0 * meshed.crumbs[n] / np.sum(segmentation.labels == n) for n, name in mesh.names.items()}
    on_wall, of_core = seconds
    print(name, meshed.way, dict(mesh.names), errors, crumbs, flush=True)
    return [
        Row(f"{name}: seconds of one core", "s", of_core, None, {"on the wall": on_wall}, GOAL_SECONDS),
        Row(
            f"{name}: least dihedral angle", "degrees", float(angles.min()), None, _PUBLISHED, f">= {LEAST_ANGLE_DEG:g}"
        ),
        Row(f"{name}: cells below 15 degrees", "", int(np.sum(angles < 15.0)), None),
        Row(f"{name}: mean radius ratio", "", float(radius_ratios(mesh.points_mm, mesh.cells).mean()), None),
        Row(f"{name}: tetrahedra", "", len(mesh.cells), None),
        Row(f"{name}: worst label's volume", "%", worst, None, {"CGAL mesh_3, ventricles": 43.0}, "<= 2"),
        Row(f"{name}: ventricles in pieces too small", "%", crumbs["ventricles"], None, {}, "<= 2"),
        Row(f"{name}: distance of interfaces, mean", "mm", float(away_mm.mean()), None),
        Row(f"{name}: distance of interfaces, 99 of 100", "mm", float(np.percentile(away_mm, 99.0)), None),
    ]


def main() -> None:
    """Mesh both sets of labels, coarse to fine, and record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    rows: list[Row] = []
    details: tuple[Detail, ...] = ("tissues",) if chosen.short else get_args(Detail.__value__)
    for detail in details:
        whole = labelled_brain(detail)
        segmentation = crop(whole) if chosen.short else whole
        for edge_mm in EDGES_MM[:1] if chosen.short else EDGES_MM:
            start, core = time.perf_counter(), time.process_time()
            meshed = mesh_labels(segmentation, TetrahedraSettings(edge_mm=edge_mm, largest_memory_mb=8000.0))
            seconds = (time.perf_counter() - start, time.process_time() - core)
            name = f"{'brain' if detail == 'brain' else 'brain and white matter'}, {edge_mm:g} mm"
            rows += rows_of(name, meshed, segmentation, seconds)
            _keep(chosen.out, f"{detail}_{edge_mm:g}mm.h5", meshed)
    write_record(
        "tetrahedra",
        rows,
        published="least angles of other meshers on a similar brain, measured for this project",
        notes=["Labels: brain, ventricles, tumour and its necrosis, of 1 mm; with and without white matter."],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


def _keep(out: Path, name: str, meshed: MeshedLabels) -> None:
    """Leave the mesh for a closer look."""
    out.mkdir(parents=True, exist_ok=True)
    write_tetrahedra(out / name, meshed.mesh)


if __name__ == "__main__":
    main()
