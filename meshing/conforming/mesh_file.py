"""Files of a mesh of tetrahedra: HDF5, exact and read strictly; VTU for viewers.

points_mm (n, 3) float64     cells (m, 4) int64     labels (m,) int64     names: JSON, label to name
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import meshio
import numpy as np

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.machine_failures import machine_fault
from palpate.meshing.conforming.quality import dihedral_angles_deg
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh

MESH_FILE = "labels_mesh.h5"
"""Name of the file that holds the mesh of labels in its folder."""

FORMAT, FORMAT_VERSION = "palpate tetrahedra", 1
"""Name and version of the format of the file."""

_EXPECTED = "a complete mesh of tetrahedra written by palpate mesh"


def write_tetrahedra(path: Path, mesh: TetrahedralMesh, *, packed: bool = True) -> None:
    """Write a mesh; equal meshes give equal bytes. The caller makes sure that no partial file is left.

    Args:
        path: path of the file to write, ending `.h5`.
        mesh: any mesh of tetrahedra.
        packed: whether arrays are compressed.
    """
    packing = {"compression": "gzip", "shuffle": True} if packed else {}
    with writing_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = FORMAT_VERSION
        file.attrs["names"] = json.dumps({str(label): mesh.names[label] for label in sorted(mesh.names)})
        for name in ("points_mm", "cells", "labels"):
            file.create_dataset(name, data=getattr(mesh, name), **packing)


def read_tetrahedra(path: Path) -> TetrahedralMesh:
    """Read and check a mesh.

    Args:
        path: path of a file that write_tetrahedra wrote.

    Raises:
        InputError: missing, truncated, foreign, of another version, or no valid mesh.
    """
    advice = "Run palpate mesh on the labels again."
    if not path.is_file():
        raise InputError(path, found="no such file", expected=_EXPECTED, advice=advice)
    try:
        with h5py.File(path, "r") as file:
            made_as = (file.attrs.get("format"), file.attrs.get("version"))
            if made_as != (FORMAT, FORMAT_VERSION):
                raise InputError(path, found=f"{made_as[0]!r} {made_as[1]!r}", expected=_EXPECTED, advice=advice)
            names = {int(label): str(name) for label, name in json.loads(file.attrs["names"]).items()}
            points, cells, labels = (np.asarray(file[name]) for name in ("points_mm", "cells", "labels"))
            kinds = points.dtype.kind + cells.dtype.kind + labels.dtype.kind
        if kinds != "fii":
            raise ValueError(f"numbers of kind {kinds}")
        return TetrahedralMesh(points.astype(np.float64), cells.astype(np.int64), labels.astype(np.int64), names)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        found = "a file that cannot be read to its end as a mesh"
        refusal = InputError(path, found=found, expected=_EXPECTED, advice=advice)
        raise (machine_fault(error, path) or refusal) from error


def read_label_mesh(path: Path) -> TetrahedralMesh:
    """Read the mesh in a folder of palpate mesh, or in its HDF5 file.

    Args:
        path: path of the folder or the file.

    Raises:
        InputError: it is not there, or no valid mesh.
    """
    if path.is_dir() and not (path / MESH_FILE).exists():
        zones = any(path.glob("*_zones.h5"))
        raise InputError(
            path,
            found="zones of the inversion, which are hexahedra" if zones else f"no {MESH_FILE}",
            expected="tetrahedra of labels",
            advice="Make them: palpate mesh labels.nii.gz --names labels.tsv --out tetrahedra.",
        )
    return read_tetrahedra(path / MESH_FILE if path.is_dir() else path)


def write_vtu(path: Path, mesh: TetrahedralMesh) -> None:
    """Write a mesh with the label and the smallest dihedral angle of each cell for ParaView.

    Args:
        path: path of the file to write, ending `.vtu`.
        mesh: any mesh of tetrahedra.
    """
    angles = dihedral_angles_deg(mesh.points_mm, mesh.cells).min(axis=1)
    data = {"label": [mesh.labels.astype(np.int32)], "least_dihedral_angle_deg": [angles]}
    meshio.Mesh(mesh.points_mm, [("tetra", mesh.cells)], cell_data=data).write(path)
