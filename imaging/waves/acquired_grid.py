"""Images of an exam on the matrix that the scanner acquired, where it stored interpolated ones.

Interpolation by zeros in k-space adds voxels, but no data: neighbours share their noise, so that a sigma by voxel says
too much. Cutting k-space to the acquired matrix undoes it. The complex signal is cut, for its noise is white where that
of phase is not, and a wrapped phase has no spectrum of its own.

Product exams have pixels three to four times as long as wide. Their short edge resolves far more than a wave of
centimetres needs, and every voxel costs. So the finer axis is cut further, until edges differ by a factor of two at
most: that averages noise and keeps it white. The voxels' field of view stays what it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.progress import say

_NOTEWORTHY: Final = 1.05
"""Stored over acquired size above which images count as interpolated."""
_LONGEST: Final = 2.0
"""Largest ratio of a pixel's edges."""


def on_chosen_grid(acquisition: PhaseAcquisition, settings: IngestSettings) -> PhaseAcquisition:
    """Return an acquisition on the matrix on which the settings want it, and say what was done.

    Args:
        acquisition: acquisition as a reader delivers it.
        settings: ingest settings of the study.
    """
    partial = len(acquisition.encoding_axes) < 3
    if settings.interpolated == "keep" or (settings.interpolated == "auto" and not partial):
        return acquisition
    made = on_acquired_grid(acquisition)
    if made is not acquisition:
        (columns, rows), used = acquisition.phase_rad.shape[2:4], made.phase_rad.shape[2:4]
        edges_mm = np.linalg.norm(made.affine_mm[:3, :2], axis=0)
        say(
            f"{made.name}: cut in k-space from {columns} x {rows} stored to {used[0]} x {used[1]} pixels of "
            f"{edges_mm[0]:.3g} x {edges_mm[1]:.3g} mm, so that their noise is nearly independent"
        )
    elif acquisition.acquired_matrix is None:
        say(f"{made.name}: no acquired matrix in the headers; whether images were interpolated is not known")
    return made


def on_acquired_grid(acquisition: PhaseAcquisition) -> PhaseAcquisition:
    """Return the acquisition on its acquired matrix, coarser along an axis that is much finer than the other.

    Args:
        acquisition: acquisition as a reader delivers it; it is returned as it is where headers do not state the
            matrix, or where images were not interpolated.
    """
    matrix = acquired_grid(acquisition)
    if matrix is None:
        return acquisition
    stored = acquisition.phase_rad.shape[2:4]
    signal = _cut(_signal(acquisition.magnitude, acquisition.phase_rad), matrix)
    still = acquisition.still_phase_rad
    if still is not None:
        still = np.asarray(np.angle(_cut(_signal(acquisition.magnitude, still), matrix)))
    affine_mm = acquisition.affine_mm.copy()
    factors = np.array([*stored, 1]) / np.array([*matrix, 1])
    affine_mm[:3, 3] += affine_mm[:3, :3] @ ((factors - 1.0) / 2.0)
    affine_mm[:3, :3] *= factors
    return replace(
        acquisition,
        phase_rad=np.angle(signal),
        magnitude=np.abs(signal),
        affine_mm=affine_mm,
        still_phase_rad=still,
        stored_matrix=(int(stored[0]), int(stored[1])),
    )


def acquired_grid(acquisition: PhaseAcquisition) -> tuple[int, int] | None:
    """Return the columns and rows on which on_acquired_grid puts an acquisition; None where it leaves it as it is."""
    acquired = acquisition.acquired_matrix
    stored = np.array(acquisition.phase_rad.shape[2:4])
    if acquired is None or np.all(stored <= _NOTEWORTHY * np.array(acquired)):
        return None
    extent_mm = stored * np.linalg.norm(acquisition.affine_mm[:3, :2], axis=0)
    coarsest_mm = float(np.max(extent_mm / acquired))
    finest = np.floor(extent_mm * (_LONGEST / coarsest_mm) + 1e-9).astype(int)
    columns, rows = np.minimum(np.minimum(acquired, stored), finest).tolist()
    return columns, rows


def _signal(magnitude: NDArray[np.float64], phase_rad: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(magnitude * np.exp(1j * phase_rad), dtype=np.complex128)


def _cut(signal: NDArray[np.complex128], matrix: tuple[int, int]) -> NDArray[np.complex128]:
    """Return images of shape (direction, offset, i, j, k) on fewer columns and rows of the same field of view."""
    for axis, kept in zip((2, 3), matrix, strict=True):
        count = signal.shape[axis]
        cycles = np.fft.ifftshift(np.arange(kept) - kept // 2)
        # The first of the larger voxels begins where the first of the smaller ones did.
        turn = np.exp(2j * np.pi * cycles / count * (count / kept - 1.0) / 2.0) * (kept / count)
        spectrum = np.take(np.fft.fft(signal, axis=axis), cycles % count, axis=axis)
        shape = [1] * signal.ndim
        shape[axis] = kept
        signal = np.fft.ifft(spectrum * turn.reshape(shape), axis=axis)
    return np.asarray(signal, dtype=np.complex128)
