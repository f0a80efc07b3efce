"""Files of stiffness on the cells of a mesh: HDF5 with XDMF pages, and VTU.

Mean and standard deviation stand in files of their own, so that a program that needs them alone loads no draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import meshio
import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.imaging.files.moduli import MODULI
from palpate.meshing.conforming.mesh_file import write_tetrahedra
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.field_file import MeshArray, xdmf_page
from palpate.meshing.maps_out.cell_fields import MeshedMap

FRAME: Final = "world R A S, millimetres"
"""Frame of points, in files and records."""
_FIELDS: Final = "cell_fields"


@dataclass(frozen=True, slots=True)
class InFiles:
    """Facts that files state beside the fields.

    Attributes:
        world: words for the mesh's world.
        draws: number of draws to write.
    """

    world: str
    draws: int

    @property
    def remark(self) -> str:
        """Words about units and frame, for people who open a page in an editor."""
        return f"palpate: points in {FRAME}, of the {self.world}; moduli in kPa; NaN outside the map"


def write_cell_files(folder: Path, stem: str, carried: MeshedMap, mesh: TetrahedralMesh, facts: InFiles) -> None:
    """Write the fields of one run; the caller makes sure that no partial file is left (palpate.outputs).

    Args:
        folder: folder of the files, which exists.
        stem: stem of their names.
        carried: transfer of the run to the mesh.
        mesh: the mesh.
        facts: facts that the files state beside the fields.
    """
    path = folder / f"{stem}_mesh.h5"
    write_tetrahedra(path, mesh, packed=False)
    fields, drawn = _write_fields(path, carried, facts)
    for page, names, size in (("mesh", tuple(fields), 8), ("mesh-draws", tuple(drawn), 4)):
        if names:
            shown = [MeshArray(name, "Cell", f"{_FIELDS}/{name}", size) for name in names]
            (folder / f"{stem}_{page}.xdmf").write_text(
                xdmf_page(path.name, mesh, shown, facts.remark), encoding="utf-8"
            )
    _write_vtu(folder / f"{stem}_mesh.vtu", mesh, {"label": mesh.labels, **fields})
    if drawn:
        _write_vtu(folder / f"{stem}_mesh-draws.vtu", mesh, _stored_draws(path, drawn))


def _write_fields(path: Path, carried: MeshedMap, facts: InFiles) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Add the fields to the HDF5 file; return those that are not draws, and the names of the draws."""
    fields: dict[str, NDArray[np.float64]] = {"covered_share": carried.covered_share}
    drawn: list[str] = []
    with writing_hdf5(path, "r+") as file:
        file.attrs["frame"], file.attrs["world"] = FRAME, facts.world
        for modulus in MODULI:
            fields[f"{modulus}_mean_kpa"] = carried.mean(modulus)
            spread = _Spread()
            for number, values in enumerate(carried.each_draw(modulus), 1):
                spread.add(values)
                if number <= facts.draws:
                    drawn.append(f"{modulus}_draw-{number:03d}_kpa")
                    _store(file, drawn[-1], values.astype("<f4"))
            fields[f"{modulus}_std_kpa"] = spread.std
        for name, values in fields.items():
            _store(file, name, values)
    return fields, drawn


@dataclass(slots=True)
class _Spread:
    """Standard deviation of arrays that come one after the other (Welford, Technometrics 4 (1962) 419)."""

    count: int = 0
    mean: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Take another array."""
        self.count += 1
        step = values - self.mean
        self.mean = self.mean + step / self.count
        self.squares = self.squares + step * (values - self.mean)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of the arrays so far, which are two at least."""
        return np.sqrt(np.asarray(self.squares) / (self.count - 1))


def _store(file: h5py.File, name: str, values: NDArray[np.floating]) -> None:
    stored = file.create_dataset(f"{_FIELDS}/{name}", data=values, track_times=False)
    stored.attrs["unit"] = "kPa" if name.endswith("_kpa") else "1"


def _stored_draws(path: Path, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return the draws of each modulus in the file, shape (m, draws)."""
    with h5py.File(path) as file:
        return {
            f"{modulus}_draws_kpa": np.stack(
                [file[f"{_FIELDS}/{name}"][:] for name in names if name.startswith(modulus)], axis=1
            )
            for modulus in MODULI
        }


def _write_vtu(path: Path, mesh: TetrahedralMesh, fields: Mapping[str, NDArray[np.generic]]) -> None:
    cells = [("tetra", mesh.cells)]
    meshio.Mesh(mesh.points_mm, cells, cell_data={name: [one] for name, one in fields.items()}).write(path)
