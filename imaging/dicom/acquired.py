"""Size that a scanner measured before it interpolated: columns, rows and slice thickness, as headers state them.

Acquisition Matrix lists frequency rows, frequency columns, phase rows and phase columns, of which two are zero. Vendors
do not agree on which two, so that In-plane Phase Encoding Direction is read: where phase is encoded along columns
(COL, down the rows), the number of phase steps counts rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.time_order import number_or_nan
from palpate.progress import say

_DIRECTION: Final = "InPlanePhaseEncodingDirection"
_FREQUENCY_STEPS, _PHASE_STEPS = "MRAcquisitionFrequencyEncodingSteps", "MRAcquisitionPhaseEncodingStepsInPlane"
_NOTEWORTHY: Final = 1.05
"""Stored over acquired size from which images count as interpolated; below, the difference is one of rounding."""


def acquired_matrix(instance: Instance, columns: int, rows: int) -> tuple[int, int] | None:
    """Return the columns and rows that were measured, at most as many as are stored; None where headers do not say.

    Args:
        instance: an image or a frame with a header of its own.
        columns: number of columns of the stored image, or of one tile of a mosaic.
        rows: number of rows of the stored image, or of one tile of a mosaic.
    """
    stated = _stated(instance)
    return None if stated is None else (min(stated[0], columns), min(stated[1], rows))


def slice_thickness_mm(instance: Instance) -> float | None:
    """Return the thickness of the excited slice; None where the header does not state a positive one."""
    thickness_mm = number_or_nan(instance, "SliceThickness")
    return thickness_mm if thickness_mm > 0 else None


def exceeds(instance: Instance, columns: int, rows: int) -> bool:
    """Return whether more columns and more rows were measured than an image has, so that it is no whole image."""
    stated = _stated(instance)
    return stated is not None and stated[0] > _NOTEWORTHY * columns and stated[1] > _NOTEWORTHY * rows


def say_interpolated(where: str, acquired: tuple[int, int] | None, columns: int, rows: int) -> None:
    """Log that the scanner interpolated images, where it did.

    Args:
        where: name of the images in messages.
        acquired: columns and rows measured; None where headers do not say.
        columns: number of columns of the stored image.
        rows: number of rows of the stored image.
    """
    if acquired is not None and (columns > _NOTEWORTHY * acquired[0] or rows > _NOTEWORTHY * acquired[1]):
        say(
            f"{where}: images were interpolated by the scanner from {acquired[0]} x {acquired[1]} to "
            f"{columns} x {rows} (columns x rows): neighbouring voxels share their noise"
        )


def _stated(instance: Instance) -> tuple[int, int] | None:
    """Return columns and rows as the header states them."""
    header = instance.header
    down_rows = {"COL": True, "COLUMN": True, "ROW": False}.get(str(header.get(_DIRECTION, "") or "").upper())
    steps = np.array([number_or_nan(instance, _FREQUENCY_STEPS), number_or_nan(instance, _PHASE_STEPS)])
    if not np.all(steps >= 1):
        matrix = header.get("AcquisitionMatrix")
        numbers = [int(value) for value in matrix] if matrix is not None and len(matrix) == 4 else []
        frequency, phase = [n for n in numbers[:2] if n > 0], [n for n in numbers[2:] if n > 0]
        if len(frequency) != 1 or len(phase) != 1:
            return None
        steps = np.array([frequency[0], phase[0]], dtype=np.float64)
        if down_rows is None and (numbers[0] > 0) != (numbers[2] > 0):
            down_rows = numbers[0] == 0
    if down_rows is None and steps[0] != steps[1]:
        return None
    first, second = int(steps[0]), int(steps[1])
    return (second, first) if down_rows is False else (first, second)
