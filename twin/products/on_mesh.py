"""Forecast on a mesh of tetrahedra: the fields of voxels are transferred to the nodes with their integrals.

<label>_day-<d>_mesh.h5, .xdmf    on the nodes, linear in each cell:
    density_{mean,std}                       mean and standard deviation of the draws, 0..1
    density_{lower,upper}                    5 % and 95 % quantiles of the draws, each transferred by itself
    {enhancing,visible}_probability          probability of tumour that images show, 0..1

With W_vn the integral of node n's hat function over voxel v and M_n over everything (palpate.meshing.transfer),

    u_n = sum_v W_vn Q_v / M_n,        sum_n M_n u_n = sum_v Q_v |v and mesh|,

so that cells neither appear nor vanish, and no value leaves 0..1. Beyond the lattice, which ends some centimetres from
all that is visible, and outside tissue the density is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.field_file import MeshFields, write_fields
from palpate.meshing.transfer import overlap
from palpate.twin.forecast.predict import Forecast
from palpate.twin.products.figures import THRESHOLDS

type Values = NDArray[np.float64]

ENDS: Final = (0.05, 0.95)
"""Quantiles that bound the interval."""
LEAST_HELD: Final = 0.5
"""Smallest share of the tumour's cells that a mesh must hold; less means another place or another head."""


@dataclass(frozen=True, slots=True)
class MeshedLattice:
    """Mesh of tetrahedra with the transfer of fields from the lattice to its nodes.

    Attributes:
        mesh: mesh of tetrahedra in the world of the first scan.
        carry: matrix from tissue voxels in C order to nodes, shape (nodes, voxels); rows sum to one at most.
        node_volumes_mm3: volume M_n of each node, mm3, shape (nodes,).
        voxel_mm3: volume of a voxel of the lattice, mm3.
        where: file of the mesh, named in errors.
    """

    mesh: TetrahedralMesh
    carry: sparse.csr_matrix
    node_volumes_mm3: Values
    voxel_mm3: float
    where: Path

    def fields(self, found: Forecast) -> dict[str, Values]:
        """Return the fields that the module's description lists, shape (nodes,) each.

        Args:
            found: forecast on the lattice.
        """
        tissue = found.calibration.history.tissue
        near = np.flatnonzero(np.diff(self.carry.indptr))
        draws = np.asarray(self.carry[near] @ found.densities.astype(np.float64).T)
        lower, upper = np.quantile(draws, ENDS, axis=1)
        parts = {
            "mean": draws.mean(axis=1),
            "std": draws.std(axis=1, ddof=min(1, draws.shape[1] - 1)),
            "lower": lower,
            "upper": upper,
        }
        named = {f"density_{name}": _spread(values, near, self.carry.shape[0]) for name, values in parts.items()}
        for name, kind in THRESHOLDS.items():
            probability = found.probability_above(found.thresholds(kind))[tissue]
            named[f"{name.removesuffix('_ml')}_probability"] = np.asarray(self.carry @ probability)
        # Rounding of the weights, some 1e-16, must not leave the range.
        return {name: np.clip(values, 0.0, 1.0) for name, values in named.items()}

    def held(self, found: Forecast) -> float:
        """Return the share of the forecast's cells that lies within the mesh.

        Args:
            found: forecast on the lattice.

        Raises:
            InputError: less than LEAST_HELD.
        """
        mean = found.mean_density()[found.calibration.history.tissue]
        share = float(self.node_volumes_mm3 @ (self.carry @ mean)) / (float(mean.sum()) * self.voxel_mm3)
        if share < LEAST_HELD:
            raise InputError(
                self.where,
                found=f"a mesh that holds {share:.0%} of the tumour's cells",
                expected=f"at least {LEAST_HELD:.0%}, in the world of the tumour's first scan (RAS, mm)",
                advice="Mesh the labels of the first scan's row of the table.",
            )
        return share


def meshed_lattice(history: TumourHistory, mesh: TetrahedralMesh, where: Path) -> MeshedLattice:
    """Find the volumes that tissue voxels share with the nodes' hat functions.

    Args:
        history: history on the lattice.
        mesh: mesh of tetrahedra in the world of the first scan.
        where: file of the mesh, named in errors.
    """
    # A margin of one voxel takes all that lies beyond, because outermost voxels reach outwards without end.
    padded = np.pad(history.tissue, 1)
    affine_mm = history.affine_mm.copy()
    affine_mm[:3, 3] -= affine_mm[:3, :3].sum(axis=1)
    to_index = np.linalg.inv(history.affine_mm)
    index = (mesh.points_mm @ to_index[:3, :3].T + to_index[:3, 3])[mesh.cells]
    beyond = (index.max(axis=1) < -0.5) | (index.min(axis=1) > np.array(history.tissue.shape) - 0.5)
    near = ~beyond.any(axis=1)  # the mesh of a head is mostly elsewhere, and clipping is what costs time
    i, j, k = padded.shape
    shared = overlap(mesh.points_mm, mesh.cells[near], affine_mm, (i, j, k))
    volumes = np.zeros(len(mesh.points_mm))
    np.add.at(volumes, mesh.cells.ravel(), np.repeat(mesh.volumes_mm3 / 4.0, 4))
    carry = sparse.diags(1.0 / volumes) @ shared.nodes[np.flatnonzero(padded)].T
    return MeshedLattice(mesh, carry.tocsr(), volumes, float(np.prod(history.edges_mm)), where)


def write_on_mesh(folder: Path, stem: str, place: MeshedLattice, found: Forecast) -> dict[str, object]:
    """Write one day's forecast on the mesh. The caller makes sure that no partial file is left (palpate.outputs).

    Args:
        folder: folder of the forecast, which exists.
        stem: stem of both files' names.
        place: mesh and transfer.
        found: forecast on the lattice.

    Returns:
        The mesh's entry in the forecast's record.

    Raises:
        InputError: the mesh does not hold the tumour.
    """
    held = place.held(found)
    write_fields(folder, stem, MeshFields(place.mesh, place.fields(found), {}))
    return {"day": found.day, "file": f"{stem}.xdmf", "share_of_cells_in_mesh": held}


def _spread(values: Values, near: NDArray[np.int64], count: int) -> Values:
    """Return values at some nodes, 0 at the others, shape (count,)."""
    every = np.zeros(count)
    every[near] = values
    return every
