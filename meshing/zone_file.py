"""HDF5 file of zones: all zones' arrays end to end, read strictly.

    voxels    (n,)      int64     ijk    (n, 3)   int32     share (n,) float64     interior (n,) bool
    cells     (c, 27)   int32     nodes of each cell, counted within its zone
    first_node, first_cell (z + 1,) int64   where each zone begins

with n nodes and c cells of all z zones; see palpate.meshing.zones.Zone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.machine_failures import machine_fault
from palpate.meshing.zones import CELL_SPAN, NODES_PER_CELL, Zone

FORMAT, FORMAT_VERSION = "palpate zones", 1
"""Name and version of the format of the file."""

_NODE_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "voxels": ("i", ()),
    "ijk": ("i", (3,)),
    "share": ("f", ()),
    "interior": ("b", ()),
}
"""Kind of number, and shape behind the nodes' axis."""

_LATTICE = np.array(list(itertools.product(range(CELL_SPAN + 1), repeat=3)))
"""Voxel offsets of a cell's nodes, in their order."""

_EXPECTED = "a complete file of zones written by palpate mesh"
_ADVICE = "Run palpate mesh again."

WEIGHT_TOLERANCE = 1e-9
"""Largest distance of the sum of weights of a voxel from one; it is rounding."""


def write_zones(path: Path, zones: Sequence[Zone]) -> None:
    """Write zones; equal zones give equal bytes. The caller makes sure that no partial file is left.

    Args:
        path: path of the file to write, ending `.h5`.
        zones: zones of one mask, at least one.
    """
    with writing_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = FORMAT_VERSION
        arrays = {
            "voxels": np.concatenate([zone.voxels for zone in zones]).astype(np.int64),
            "ijk": np.concatenate([zone.ijk for zone in zones]).astype(np.int32),
            "share": np.concatenate([zone.weight for zone in zones]),
            "interior": np.concatenate([zone.interior for zone in zones]),
            "cells": np.concatenate([zone.cells for zone in zones]).astype(np.int32),
            "first_node": np.cumsum([0, *(len(zone.voxels) for zone in zones)]),
            "first_cell": np.cumsum([0, *(len(zone.cells) for zone in zones)]),
        }
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)


def read_zones(path: Path) -> list[Zone]:
    """Read and check zones.

    Args:
        path: path of a file that write_zones wrote.

    Returns:
        The zones in the order in which they were written.

    Raises:
        InputError: missing, truncated, foreign, of another version, or arrays that contradict each other.
    """
    if not path.is_file():
        raise InputError(path, found="no such file", expected=_EXPECTED, advice="Run palpate mesh on the wave field.")
    try:
        with h5py.File(path, "r") as file:
            made_as = (file.attrs.get("format"), file.attrs.get("version"))
            if made_as != (FORMAT, FORMAT_VERSION):
                raise InputError(path, found=f"{made_as[0]!r} {made_as[1]!r}", expected=_EXPECTED, advice=_ADVICE)
            arrays = {name: np.asarray(file[name]) for name in (*_NODE_ARRAYS, "cells", "first_node", "first_cell")}
    except (OSError, KeyError, TypeError) as error:
        refusal = InputError(
            path, found="a file that cannot be read to its end as zones", expected=_EXPECTED, advice=_ADVICE
        )
        raise (machine_fault(error, path) or refusal) from error
    fault = _fault_of_arrays(arrays)
    zones = [] if fault else _split(arrays)
    fault = fault or next((found for zone in zones if (found := _fault_of_zone(zone))), None)
    if fault:
        raise InputError(path, found=fault, expected=_EXPECTED, advice=_ADVICE)
    return zones


def check_zones(zones: Sequence[Zone], mask: NDArray[np.bool_], where: Path | str = "mesh") -> None:
    """Refuse zones that were cut from another mask.

    Args:
        zones: zones of the whole mesh.
        mask: tissue voxels, shape (i, j, k).
        where: file or folder of the zones, named in errors.

    Raises:
        InputError: a node outside the mask, nodes numbered for another mask, or weights that do not sum to one.
    """
    expected = "the mesh of this wave field's mask"
    advice = "Run palpate mesh on this wave field."
    number = np.full(mask.shape, -1, dtype=np.int64)
    number[mask] = np.arange(np.count_nonzero(mask))
    total = np.zeros(np.count_nonzero(mask))
    for zone in zones:
        if (zone.ijk >= mask.shape).any() or (number[tuple(zone.ijk.T)] != zone.voxels).any():
            raise InputError(where, found="zones of another mask", expected=expected, advice=advice)
        np.add.at(total, zone.voxels, zone.weight)
    if (np.abs(total[total > 0] - 1.0) > WEIGHT_TOLERANCE).any():
        raise InputError(where, found="zones that count data twice or in part", expected=expected, advice=advice)


def _split(arrays: dict[str, NDArray[np.generic]]) -> list[Zone]:
    nodes, cells = ([int(first) for first in arrays[name]] for name in ("first_node", "first_cell"))
    return [
        Zone(
            voxels=arrays["voxels"][n0:n1].astype(np.int64),
            ijk=arrays["ijk"][n0:n1].astype(np.int64),
            cells=arrays["cells"][c0:c1].astype(np.int64),
            weight=arrays["share"][n0:n1].astype(np.float64),
            interior=arrays["interior"][n0:n1].astype(np.bool_),
        )
        for (n0, n1), (c0, c1) in zip(itertools.pairwise(nodes), itertools.pairwise(cells), strict=True)
    ]


def _fault_of_arrays(arrays: dict[str, NDArray[np.generic]]) -> str | None:
    """Return what is wrong with kinds, shapes or the zones' beginnings; None where nothing is."""
    nodes, cells = arrays["voxels"].size, len(arrays["cells"]) if arrays["cells"].ndim else 0
    shapes = {name: (kind, (nodes, *tail)) for name, (kind, tail) in _NODE_ARRAYS.items()}
    shapes["cells"] = ("i", (cells, NODES_PER_CELL))
    for name, (kind, shape) in shapes.items():
        if arrays[name].dtype.kind != kind or arrays[name].shape != shape:
            return f"{name} of shape {arrays[name].shape} and type {arrays[name].dtype}"
    for name, total in (("first_node", nodes), ("first_cell", cells)):
        first = arrays[name]
        if first.ndim != 1 or first.dtype.kind != "i" or len(first) < 2:
            return f"no beginnings of zones in {name}"
        if first[0] != 0 or first[-1] != total or (np.diff(first.astype(np.int64)) <= 0).any():
            return f"zones that do not follow each other in {name}"
    if len(arrays["first_node"]) != len(arrays["first_cell"]):
        return "another number of zones for nodes than for cells"
    return None


def _fault_of_zone(zone: Zone) -> str | None:
    """Return what is wrong inside one zone; None where nothing is."""
    if zone.cells.min() < 0 or zone.cells.max() >= len(zone.voxels):
        return "cells with nodes that do not exist"
    if zone.voxels.min() < 0 or zone.ijk.min() < 0:
        return "negative voxel indices"
    if (zone.ijk[zone.cells] - zone.ijk[zone.cells[:, :1]] != _LATTICE).any():
        return "cells that are no blocks of voxels"
    if not ((zone.weight > 0) & (zone.weight <= 1 + WEIGHT_TOLERANCE)).all():
        return "weights outside (0, 1]"
    return None
