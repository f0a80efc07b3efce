"""Files of fields on a mesh of tetrahedra: exact HDF5, and XDMF through which ParaView reads it.

Beside the mesh's own arrays (palpate.meshing.conforming.mesh_file) the HDF5 holds the groups `node_fields` and
`cell_fields` with one array a field, float64, in the order of the mesh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

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
    return xdmf_page(
        name,
        fields.mesh,
        [
            *(MeshArray(one, "Node", f"node_fields/{one}") for one in sorted(fields.nodes)),
            *(MeshArray(one, "Cell", f"cell_fields/{one}") for one in sorted(fields.cells)),
        ],
    )


@dataclass(frozen=True, slots=True)
class MeshArray:
    """Array of an HDF5 file that an XDMF page shows as a field.

    Attributes:
        name: name of the field.
        centre: whether it has a value for each node or for each cell.
        path: path of the array in the file.
        bytes_each: size of a number, bytes.
    """

    name: str
    centre: Literal["Node", "Cell"]
    path: str
    bytes_each: int = 8


def xdmf_page(name: str, mesh: TetrahedralMesh, arrays: Sequence[MeshArray], remark: str | None = None) -> str:
    """Return XDMF 3 that points into an HDF5 file with a mesh.

    Args:
        name: name of the HDF5 file, which lies beside the page.
        mesh: mesh in the file.
        arrays: fields to show, besides the label of each cell.
        remark: words for people who read the page, without two hyphens in a row.
    """
    nodes, cells = len(mesh.points_mm), len(mesh.cells)

    def item(where: str, shape: str, kind: str, size: int = 8) -> str:
        form = f'Dimensions="{shape}" NumberType="{kind}" Precision="{size}" Format="HDF"'
        return f"<DataItem {form}>{name}:/{where}</DataItem>"

    def attribute(one: MeshArray) -> str:
        values = item(one.path, str(nodes if one.centre == "Node" else cells), "Float", one.bytes_each)
        return _attribute(one.name, one.centre, values)

    lines = [
        '<?xml version="1.0"?>',
        *([] if remark is None else [f"<!-- {escape(remark)} -->"]),
        '<Xdmf Version="3.0"><Domain><Grid Name="Grid" GridType="Uniform">',
        f'<Topology TopologyType="Tetrahedron" NumberOfElements="{cells}">',
        f"{item('cells', f'{cells} 4', 'Int')}</Topology>",
        f'<Geometry GeometryType="XYZ">{item("points_mm", f"{nodes} 3", "Float")}</Geometry>',
        _attribute("label", "Cell", item("labels", str(cells), "Int")),
        *(attribute(one) for one in arrays),
        "</Grid></Domain></Xdmf>",
    ]
    return "\n".join(lines) + "\n"


def _attribute(name: str, centre: str, item: str) -> str:
    return f'<Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="{centre}">{item}</Attribute>'
