"""Search for the series that holds the magnitude of a phase series."""

from __future__ import annotations

from collections.abc import Sequence

from palpate.errors import InputError
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.slice_grid import SliceGrid, slice_grid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.files.nifti import same_grid


def magnitude_partner(phase: Series, grid: SliceGrid, candidates: Sequence[Series]) -> Series | None:
    """Return the magnitude of a phase series: the nearest number among series of as many images on the same grid.

    The result is None where there is none.

    Args:
        phase: phase series of images or frames of one slice each.
        grid: grid on which they lie.
        candidates: series of magnitude images that belong to no other phase series.
    """
    # Scanners number the magnitude of a pair first, so of two equally near the one before is the partner.
    by_number = sorted(candidates, key=lambda one: (abs(one.number - phase.number), one.number > phase.number))
    for candidate in by_number:
        if len(candidate.instances) == len(phase.instances) and _lies_on(candidate, grid):
            return candidate
    return None


def demand_partner(phase: Series, grid: SliceGrid, candidates: Sequence[Series]) -> Series:
    """Return the magnitude of a phase series as `magnitude_partner` finds it.

    Args:
        phase: phase series of images or frames of one slice each.
        grid: grid on which they lie.
        candidates: series of magnitude images that belong to no other phase series.

    Raises:
        InputError: there is none.
    """
    found = magnitude_partner(phase, grid, candidates)
    if found is not None:
        return found
    raise InputError(
        f"series {phase.number}",
        found=f"{len(phase.instances)} phase images without a series of as many magnitude images on the same grid",
        expected="the magnitude series of the same acquisition",
        advice=FULL_EXPORT,
    )


def _lies_on(series: Series, grid: SliceGrid) -> bool:
    try:
        theirs = slice_grid(series.instances)
    except InputError:
        # Series of other kinds need not be volumes; the refusal would be of no use.
        return False
    return theirs.shape == grid.shape and same_grid(theirs.affine_mm, grid.affine_mm, grid.shape)
