"""Files of fields on a mesh of tetrahedra: exact HDF5, and XDMF through which ParaView reads it.

Beside the mesh's own arrays (palpate.meshing.conforming.mesh_file) the HDF5 holds the groups `node_fields` and
`cell_fields` with one array a field, float64, in the order of the mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.machine_failures import machine_fault
from palpate.meshing.conforming.mesh_file import read_tetrahedra, write_tetrahedra
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh

type Fields = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class MeshFields:
    """Mesh of tetrahedra with fields on its nodes and cells.

    Attributes:
        mesh: mesh of tetrahedra.
        nodes: fields that are linear in each cell, by name, each of shape (n,).
        cells: fields that are constant in each cell, by name, each of shape (m,).
    """

    mesh: TetrahedralMesh
    nodes: Fields
    cells: Fields

    def __post_init__(self) -> None:
        for fields, count in ((self.nodes, len(self.mesh.points_mm)), (self.cells, len(self.mesh.cells))):
            for name, values in fields.items():
                if values.shape != (count,) or values.dtype != np.float64 or not np.all(np.isfinite(values)):
                    raise ValueError(f"field {name!r} must be {count} finite numbers")


def write_fields(folder: Path, stem: str, fields: MeshFields) -> None:
    """Write `<stem>.h5` and `<stem>.xdmf`. The caller makes sure that no partial file is left (palpate.outputs).

    Args:
        folder: folder of both files, which exists.
        stem: name of both files, which name each other.
        fields: mesh and fields to write.
    """
    path = folder / f"{stem}.h5"
    write_tetrahedra(path, fields.mesh)
    with writing_hdf5(path, "r+") as file:
        for group, content in (("node_fields", fields.nodes), ("cell_fields", fields.cells)):
            made = file.create_group(group)
            for name in sorted(content):
                made.create_dataset(name, data=content[name], compression="gzip", shuffle=True)
    (folder / f"{stem}.xdmf").write_text(_xdmf(path.name, fields), encoding="utf-8")


def read_fields(path: Path) -> MeshFields:
    """Read and check a mesh with its fields.

    Args:
        path: path of the `.h5` file that write_fields wrote.

    Raises:
        InputError: missing, truncated, foreign, or fields that do not fit the mesh.
    """
    mesh = read_tetrahedra(path)
    try:
        with h5py.File(path, "r") as file:
            nodes, cells = (
                {str(name): np.asarray(values) for name, values in file[group].items()}
                for group in ("node_fields", "cell_fields")
            )
        return MeshFields(mesh, nodes, cells)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        refusal = InputError(
            path,
            found="a mesh without whole fields",
            expected="a complete file of fields",
            advice="Run the step that wrote it again.",
        )
        raise (machine_fault(error, path) or refusal) from error


def _xdmf(name: str, fields: MeshFields) -> str:
    """XDMF 3 that points into the HDF5 file."""
    nodes, cells = len(fields.mesh.points_mm), len(fields.mesh.cells)

    def item(where: str, shape: str, kind: str) -> str:
        return (
            f'<DataItem Dimensions="{shape}" NumberType="{kind}" Precision="8" Format="HDF">{name}:/{where}</DataItem>'
        )

    lines = [
        '<?xml version="1.0"?>',
        '<Xdmf Version="3.0"><Domain><Grid Name="Grid" GridType="Uniform">',
        f'<Topology TopologyType="Tetrahedron" NumberOfElements="{cells}">',
        f"{item('cells', f'{cells} 4', 'Int')}</Topology>",
        f'<Geometry GeometryType="XYZ">{item("points_mm", f"{nodes} 3", "Float")}</Geometry>',
        _attribute("label", "Cell", item("labels", str(cells), "Int")),
        *(_attribute(one, "Node", item(f"node_fields/{one}", str(nodes), "Float")) for one in sorted(fields.nodes)),
        *(_attribute(one, "Cell", item(f"cell_fields/{one}", str(cells), "Float")) for one in sorted(fields.cells)),
        "</Grid></Domain></Xdmf>",
    ]
    return "\n".join(lines) + "\n"


def _attribute(name: str, centre: str, item: str) -> str:
    return f'<Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="{centre}">{item}</Attribute>'
