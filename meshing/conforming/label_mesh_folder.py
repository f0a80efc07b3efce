"""Output folder of a mesh of labels: the exact mesh, a copy for viewers, its quality and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palpate.config.mesh import TetrahedraSettings
from palpate.imaging.anatomy.segmentation import Segmentation, read_segmentation
from palpate.meshing.conforming.mesh_file import MESH_FILE, write_tetrahedra, write_vtu
from palpate.meshing.conforming.mesher import MeshedLabels, mesh_labels, volume_errors
from palpate.meshing.conforming.picture import write_picture
from palpate.meshing.conforming.quality import dihedral_angles_deg, edge_lengths_of, radius_ratios
from palpate.meshing.conforming.sizes import wave_limit_mm
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import input_digests, versions
from palpate.renamed import record_text


def write_label_mesh(labels: Path, table: Path, out: Path, settings: TetrahedraSettings) -> None:
    """Mesh a segmentation and write `labels_mesh.h5`, `.vtu`, `.json` and `.png`.

    Args:
        labels: path of a NIfTI image of whole numbers.
        table: path of `labels.tsv`, with index and name of each label.
        out: path of the folder to write; an interrupted run leaves no partial result.
        settings: edge lengths, millimetres, and the memory that may be used.

    Raises:
        InputError: the labels cannot be read or meshed, or `out` holds somebody else's files.
    """
    target = claim_folder(out, "mesh", {"labels": labels, "names": table})
    segmentation = read_segmentation(labels, table)
    meshed = mesh_labels(segmentation, settings, str(labels))
    with target.writing() as folder:
        write_tetrahedra(folder / MESH_FILE, meshed.mesh)
        write_vtu(folder / "labels_mesh.vtu", meshed.mesh)
        write_picture(folder / "labels_mesh.png", meshed.mesh)
        report = _report(meshed, segmentation, settings)
        report["input_digests"] = input_digests({"labels": labels, "names": table})
        (folder / "labels_mesh.json").write_text(record_text("label mesh", report), encoding="utf-8")
    for label, voxels in meshed.crumbs.items():
        if voxels:
            name = meshed.mesh.names[label]
            say(f"label {label} {name!r}: {voxels} voxels in pieces too small for an element left out")


def _report(meshed: MeshedLabels, segmentation: Segmentation, settings: TetrahedraSettings) -> dict[str, object]:
    """Return figures of quality, whole and by label, in the units of users."""
    mesh = meshed.mesh
    angles = dihedral_angles_deg(mesh.points_mm, mesh.cells)
    ratios = radius_ratios(mesh.points_mm, mesh.cells)
    edges_mm = edge_lengths_of(mesh.points_mm, mesh.cells)
    wanted_mm3, errors = segmentation.volumes_mm3, volume_errors(mesh, segmentation.volumes_mm3)
    return {
        "method": meshed.way,
        "non_manifold_places": meshed.pinched,
        "nodes": len(mesh.points_mm),
        "tetrahedra": len(mesh.cells),
        "least_dihedral_angle_deg": float(angles.min()),
        "largest_dihedral_angle_deg": float(angles.max()),
        "least_radius_ratio": float(ratios.min()),
        "mean_radius_ratio": float(ratios.mean()),
        "least_cell_volume_mm3": float(mesh.volumes_mm3.min()),
        "labels": [
            {
                "index": label,
                "name": mesh.names[label],
                "tetrahedra": int(np.count_nonzero(mesh.labels == label)),
                "voxel_volume_mm3": wanted_mm3[label],
                "mesh_volume_mm3": mesh.label_volumes_mm3[label],
                "relative_volume_error": errors[label],
                "voxels_left_out": meshed.crumbs[label],
                "mean_edge_mm": float(edges_mm[mesh.labels == label].mean()),
                "longest_edge_for_waves_mm": wave_limit_mm(settings, mesh.names[label]),
            }
            for label in mesh.names
        ],
        "settings": settings.model_dump(),
        "versions": versions(),
    }
