"""Zones on a lattice of nodes beneath thick voxels: the voxels that they hold, and what the scanner sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.config.mesh import MeshSettings
from palpate.meshing.lattice import Lattice, tensor_product
from palpate.meshing.zone_mesh import zones_of
from palpate.meshing.zones import Refinement, Zone, tent


def zones_on(lattice: Lattice, settings: MeshSettings, where: str = "mask") -> list[Zone]:
    """Cover a lattice's tissue with zones.

    Args:
        lattice: lattice of nodes of a mask.
        settings: width and stride of the zones.
        where: name of the mask in the error.

    Raises:
        InputError: the mask is too thin for two cells along each axis.
    """
    return refined(nodes_zones(lattice, settings, where), lattice)


def nodes_zones(lattice: Lattice, settings: MeshSettings, where: str = "mask") -> list[Zone]:
    """Cover a lattice's tissue with zones of its nodes, as if these were voxels.

    Args:
        lattice: lattice of nodes of a mask.
        settings: width and stride of the zones.
        where: name of the mask in the error.

    Raises:
        InputError: the mask is too thin for two cells along each axis.
    """
    return zones_of(lattice.nodes, lattice.spacing_mm, settings, where, thick=not lattice.plain)


def refined(cut: Sequence[Zone], lattice: Lattice) -> list[Zone]:
    """Return zones of nodes as zones of the lattice's voxels, without those that hold no whole voxel.

    Those of a plain lattice are the same already.

    Args:
        cut: zones of the lattice's nodes, cut like voxels.
        lattice: lattice of nodes of a mask.
    """
    if lattice.plain:
        return list(cut)
    found = [one for zone in cut if (one := _refined(zone, lattice)).weight.any()]
    total = np.zeros(np.count_nonzero(lattice.mask))
    for zone in found:
        total[zone.voxels] += zone.weight
    whole = np.where(total > 0.0, total, 1.0)
    return [replace(zone, weight=zone.weight / whole[zone.voxels]) for zone in found]


def _refined(zone: Zone, lattice: Lattice) -> Zone:
    """One zone, its weights not yet normalised."""
    start, extent = zone.ijk.min(axis=0), np.ptp(zone.ijk, axis=0) + 1
    boxes = list(zip(range(3), start.tolist(), extent.tolist(), strict=True))
    place = np.ravel_multi_index(tuple((zone.ijk - start).T), tuple(extent))
    modulus, inside = _moduli(lattice, boxes, place)
    means = tensor_product([lattice.means(*box) for box in boxes])[inside]
    scanner = means[:, place].tocsr()
    # A voxel's mean is known where all its nodes are the zone's.
    seen = (np.diff(means.indptr) > 0) & (means.getnnz(axis=1) == scanner.getnnz(axis=1))
    ijk = np.stack(np.unravel_index(inside, lattice.mask.shape), axis=1)
    number = np.cumsum(lattice.mask.ravel()) - 1
    return Zone(
        voxels=number[inside].astype(np.int64),
        ijk=ijk.astype(np.int64),
        cells=zone.cells,
        weight=np.where(seen, tent(lattice.middle(ijk) - start, extent.tolist()), 0.0),
        interior=zone.interior,
        refinement=Refinement(sparse.csr_matrix(sparse.diags(seen.astype(np.float64)) @ scanner), modulus),
    )


def _moduli(
    lattice: Lattice, boxes: list[tuple[int, int, int]], place: NDArray[np.int64]
) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Means of ln G* at nodes of a box over voxels, shape (M, n), and these voxels, flat in the mask's grid.

    Nodes beyond the tissue have the mean of the voxels for which they are needed.
    """
    tissue = sparse.diags(lattice.mask.ravel().astype(np.float64))
    near, far = (
        (tensor_product([of(*box) for box in boxes])[place] @ tissue).tocsr() for of in (lattice.share, lattice.reached)
    )
    beyond = (np.asarray(near.sum(axis=1)).ravel() <= 0.0).astype(np.float64)
    both = (near + sparse.diags(beyond) @ far).tocsc()
    both.eliminate_zeros()
    inside = np.flatnonzero(np.diff(both.indptr) > 0)
    own = both[:, inside].tocsr()
    return sparse.csr_matrix(sparse.diags(1.0 / np.asarray(own.sum(axis=1)).ravel()) @ own), inside
