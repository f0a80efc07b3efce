"""The in-silico patient's T1-weighted anatomy as a DICOM series of axial 1 mm slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.phantom.grid import ScanGrid, block
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.tissue import Head

ANATOMY_SERIES = 12
"""Series number of the T1."""
_WHITE = 800.0
"""Stored value of the brightest tissue."""
_AIR_MM = 4.0
"""Width of the empty border around the brain, mm."""
_MATRIX_STEP = 8
"""Number that divides rows and columns of an image."""


def anatomy_grid(head: Head, slice_mm: float = 1.0) -> ScanGrid:
    """Return the grid of axial slices around the whole brain, in the order DICOM stores them."""
    points = head.brain_points_mm
    low, high = points.min(axis=0) - _AIR_MM, points.max(axis=0) + _AIR_MM
    counts = np.ceil((high - low) / slice_mm).astype(int) + 1
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    return block((low + high) / 2, np.diag([-1.0, -1.0, 1.0]), shape, slice_mm)


def write_anatomy(folder: Path, identity: Identity, head: Head) -> None:
    """Write the series into an existing folder, one file a slice."""
    grid = anatomy_grid(head)
    values = np.rint(head.t1_at(grid.points_mm) / head.t1.max() * _WHITE).astype(np.uint16)
    write_t1_slices(folder, identity, grid, values, brightest=_WHITE)


def write_t1_slices(
    folder: Path, identity: Identity, grid: ScanGrid, values: NDArray[np.uint16], *, brightest: float
) -> None:
    """Write a T1 into an existing folder, one file a slice.

    Rows and columns are filled up with zeros to multiples of eight, as scanners' matrices are: several viewers misread
    segmentations of one bit a pixel on images of any other size.

    Args:
        folder: folder of the series.
        identity: study of the fictitious patient.
        grid: voxels of the image, in the order DICOM stores them.
        values: stored values, of 12 bits, shape (i, j, k).
        brightest: stored value of the brightest tissue, for the display window.
    """
    grid, values = _filled_up(grid, values)
    for k in range(grid.shape[2]):
        image = identity.image(ANATOMY_SERIES, k + 1)
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
        image.SeriesDescription = image.ProtocolName = "t1_mprage"
        image.ScanningSequence, image.SequenceVariant, image.ScanOptions = ["GR", "IR"], ["SP", "MP"], ""
        image.MRAcquisitionType = "3D"
        image.RepetitionTime, image.EchoTime, image.InversionTime, image.EchoTrainLength = 2300, 3, 900, 1
        image.FlipAngle, image.NumberOfAverages = 9, 1
        place(image, grid, RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3])
        fill(image, values[:, :, k].T, bits=12)
        image.WindowCenter, image.WindowWidth = brightest / 2, brightest
        save(image, folder / f"{k + 1:04d}.dcm")


def _filled_up(grid: ScanGrid, values: NDArray[np.uint16]) -> tuple[ScanGrid, NDArray[np.uint16]]:
    """Return grid and values with zeros behind the ends of rows and columns, all voxels where they were."""
    more = [-size % _MATRIX_STEP for size in grid.shape[:2]]
    filled = np.pad(values, ((0, more[0]), (0, more[1]), (0, 0)))
    return replace(grid, shape=(filled.shape[0], filled.shape[1], filled.shape[2])), filled
