"""The table biopsies.tsv in the folder of a date's tumour maps: densities of cells at points.

| column | |
|---|---|
| x_mm, y_mm, z_mm | place of the sample, world R A S of this date's maps, mm |
| density | density of tumour cells relative to the most that fits, 0 to 1 |
| error | standard deviation of its error (counting, sampling), above 0 |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.table import TableColumns, read_table
from palpate.errors import InputError
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.history import Biopsy
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.tissue import TumourTissue
from palpate.imaging.tumour.treatment_cells import number_of

BIOPSIES: Final = "biopsies.tsv"
"""Name of the table."""
_PLACE: Final = ("x_mm", "y_mm", "z_mm")
_COLUMNS: Final = TableColumns((*_PLACE, "density", "error"), ())
_FARTHEST_MM: Final = 1000.0
_LEAST_ERROR: Final = 1e-4


def read_biopsies(folder: Path) -> tuple[Biopsy, ...]:
    """Read the samples of a date, in the world of its maps; none where there is no table.

    Args:
        folder: folder of the date's tumour maps.

    Raises:
        InputError: the file is no such table, or a cell cannot be used.
    """
    path = folder / BIOPSIES
    if not path.exists():
        return ()
    rows = read_table(path, _COLUMNS, what="a table of biopsies", advice="See docs/longitudinal.md.")
    if not rows:
        raise InputError(path, found="no sample", expected="a line for each", advice="Fill it in, or remove the file.")
    return tuple(_biopsy(f"{path}, line {line}", row) for line, row in rows)


def on_first_scan(
    biopsies: tuple[Biopsy, ...], motion: Rigid | None, grid: TumourGrid, tissue: TumourTissue, where: Path | str
) -> tuple[Biopsy, ...]:
    """Return samples in the world of the first scan.

    Args:
        biopsies: samples in the world of their own date.
        motion: motion from the first scan's world to that of the date; None where they are one.
        grid: voxels of the history.
        tissue: tissue in which cells may live.
        where: folder of the date's maps, for errors.

    Raises:
        InputError: a sample does not lie in tissue of the images.
    """
    found = []
    for number, one in enumerate(biopsies, start=1):
        point = np.array(one.point_mm)
        if motion is not None:
            point = np.linalg.solve(motion.matrix_mm, [*point, 1.0])[:3]
        index = np.rint(np.linalg.solve(grid.affine_mm, [*point, 1.0])[:3]).astype(int)
        inside = bool(((index >= 0) & (index < np.array(grid.shape))).all())
        if not (inside and tissue.tissue[tuple(index)]):
            raise InputError(
                f"{Path(where) / BIOPSIES}, sample {number}",
                found=f"a point {'outside the tissue of' if inside else 'beyond'} the first scan",
                expected="a point in brain tissue, in world coordinates R A S of this date's maps, mm",
                advice="Check the sign of the axes: DICOM and many navigation systems count towards L and P.",
            )
        x, y, z = (float(each) for each in point)
        found.append(Biopsy((x, y, z), one.density, one.std))
    return tuple(found)


def _biopsy(where: str, row: Mapping[str, str]) -> Biopsy:
    x, y, z = (number_of(where, name, row[name], -_FARTHEST_MM, _FARTHEST_MM) for name in _PLACE)
    density = number_of(where, "density", row["density"], 0.0, 1.0)
    return Biopsy((x, y, z), density, number_of(where, "error", row["error"], _LEAST_ERROR, 1.0))
