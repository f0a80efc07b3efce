"""Zones on a lattice of nodes beneath thick voxels: the voxels that they hold, and what the scanner sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.config.mesh import MeshSettings
from palpate.meshing.lattice import Lattice
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
    return zones_of(lattice.nodes, lattice.spacing_mm, settings, where, align=lattice.divisions)


def refined(cut: Sequence[Zone], lattice: Lattice) -> list[Zone]:
    """Return zones of nodes as zones of the lattice's voxels; those of a plain lattice are the same already.

    Args:
        cut: zones of the lattice's nodes, cut like voxels.
        lattice: lattice of nodes of a mask.
    """
    if lattice.plain:
        return list(cut)
    found = [_refined(zone, lattice) for zone in cut]
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
    touched = _joined([lattice.touched(*box) for box in boxes])[place].tocsc()
    inside = np.flatnonzero(lattice.mask.ravel() & (np.diff(touched.indptr) > 0))
    share = touched[:, inside].tocsr()
    modulus = sparse.diags(1.0 / np.asarray(share.sum(axis=1)).ravel()) @ share
    means = _joined([lattice.means(*box) for box in boxes])[inside]
    own = np.zeros(int(np.prod(extent)), dtype=bool)
    own[place] = True
    scanner = means[:, place].tocsr()
    # A voxel's mean is known where all its nodes are the zone's.
    seen = (np.diff(means.indptr) > 0) & (means.getnnz(axis=1) == scanner.getnnz(axis=1))
    scanner = sparse.csr_matrix(sparse.diags(seen.astype(np.float64)) @ scanner)
    ijk = np.stack(np.unravel_index(inside, lattice.mask.shape), axis=1)
    number = np.cumsum(lattice.mask.ravel()) - 1
    return Zone(
        voxels=number[inside].astype(np.int64),
        ijk=ijk.astype(np.int64),
        cells=zone.cells,
        weight=np.where(seen, _taper(ijk, lattice, start, extent), 0.0),
        interior=zone.interior,
        refinement=Refinement(scanner, sparse.csr_matrix(modulus)),
    )


def _joined(along: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    return sparse.csr_matrix(reduce(lambda a, b: sparse.kron(a, b, format="csr"), along))


def _taper(
    ijk: NDArray[np.int64], lattice: Lattice, start: NDArray[np.int64], extent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Raw weights of voxels, as those of nodes at their middles."""
    parts = np.asarray(lattice.divisions)
    middle = np.where(parts == 1, ijk, parts * (ijk + 0.5)) - start
    return tent(middle, extent.tolist())
