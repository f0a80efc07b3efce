"""Segmentation with the names of its labels: one NIfTI and one table, read strictly.

The table, `labels.tsv`, has a header line with the columns index and name, and one line for each label; further
columns are not read. Label 0 is no region and needs no name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.table import TableColumns, read_table
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import demand_labels
from palpate.imaging.files.nifti import demand_box_voxels, read_stored

_DIGITS = 9
_LONGEST_NAME = 100

_TABLE = "a tab-separated table with the columns index and name, a whole number above 0 and a name on each line"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Voxels with labels that have names.

    Attributes:
        labels: number of each voxel's label, 0 for none, shape (i, j, k).
        names: name of each label that some voxel has, ascending.
        affine_mm: voxel indices to world RAS millimetres, orthogonal axes, shape (4, 4).
    """

    labels: NDArray[np.int32]
    names: Mapping[int, str]
    affine_mm: NDArray[np.float64]

    @property
    def voxel_size_mm(self) -> NDArray[np.float64]:
        """Edges of a voxel along i, j, k, mm, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))

    @property
    def volumes_mm3(self) -> dict[int, float]:
        """Volume of each label's voxels, mm3."""
        one_mm3 = float(np.prod(self.voxel_size_mm))
        return {label: int(np.count_nonzero(self.labels == label)) * one_mm3 for label in self.names}


def read_segmentation(path: Path, table: Path) -> Segmentation:
    """Read labels and their names.

    Args:
        path: segmentation, NIfTI of whole numbers, one a voxel.
        table: table with the names of the labels.

    Raises:
        InputError: a file is unreadable; values are no labels; all are 0; a label has no name; a name or an index
            occurs twice; voxel axes are not orthogonal.
    """
    volume = read_stored(path)
    demand_labels(path, volume)
    names = read_names(table)
    labels = volume.values.astype(np.int32, copy=False)
    present = sorted({int(number) for slab in volume.slabs() for number in np.unique(slab)} - {0})
    if not present:
        raise InputError(
            path,
            found="no voxel with a label above 0",
            expected="at least one region",
            advice="Check the segmentation.",
        )
    nameless = [number for number in present if number not in names]
    if nameless:
        raise InputError(
            path,
            found=f"labels without a name: {', '.join(map(str, nameless[:5]))}",
            expected=f"only labels that {table.name} lists",
            advice="Add them to the table, or set their voxels to 0.",
        )
    demand_box_voxels(path, volume.affine_mm, "segmentation")
    return Segmentation(labels, {number: names[number] for number in present}, volume.affine_mm)


def read_names(table: Path) -> dict[int, str]:
    """Read the names of labels by their number.

    Raises:
        InputError: the file is missing or no table of that form, or an index or name occurs twice.
    """
    columns = TableColumns(("index", "name"), (), further=True)
    advice = "Name the table with --names, or put labels.tsv beside the labels."
    rows = read_table(table, columns, what="a table of labels", advice=advice)
    names: dict[int, str] = {}
    for line, row in rows:
        index, name = row["index"], row["name"]
        sound = index.isascii() and index.isdecimal() and len(index) <= _DIGITS and int(index) > 0
        if not sound or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            found = f"index {index[:20]!r} with name {name[:20]!r} on line {line}"
            raise InputError(table, found=found, expected=_TABLE, advice="Correct that line.")
        if int(index) in names or name in names.values():
            found = f"index {index} or name {name!r} for the second time on line {line}"
            raise InputError(table, found=found, expected="each index and each name once", advice="Correct that line.")
        names[int(index)] = name
    if not names:
        raise InputError(table, found="no line with a label", expected=_TABLE, advice="Write the names of the labels.")
    return names
