"""Stiffness and confidence that the scanner computed, pixel by pixel, beside the voxels of our maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import Map, sidecar_path
from palpate.imaging.files.nifti import read_volume, voxel_indices
from palpate.imaging.files.wavefield_folder import frequency_text

_UNITS: Final = {"stiffness": "kPa", "confidence": "1"}


@dataclass(frozen=True, slots=True)
class ScannerPixels:
    """The scanner's own maps on its own pixels.

    Attributes:
        voxels: our voxel in which each pixel's centre lies, shape (n, 3); only pixels within our grid.
        stiffness_kpa: scanner's stiffness, kPa, shape (n,); None where it computed none, or its unit is not known.
        confidence: scanner's confidence, 0 to 1, shape (n,); None where it computed none, or its scale is not known.
    """

    voxels: NDArray[np.int64]
    stiffness_kpa: NDArray[np.float64] | None
    confidence: NDArray[np.float64] | None

    def confident(self, least: float) -> NDArray[np.bool_]:
        """Return the pixels whose confidence exceeds a limit, shape (n,); all where there is no confidence.

        Args:
            least: limit, 0 to 1.
        """
        return np.ones(len(self.voxels), dtype=bool) if self.confidence is None else self.confidence > least

    def shares(self, chosen: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the share of chosen pixels in each of our voxels, shape (i, j, k); 0 where no pixel lies.

        Args:
            chosen: pixels that count, shape (n,).
            shape: number of our voxels along i, j, k.
        """
        flat = np.ravel_multi_index(tuple(self.voxels.T), shape)
        size = int(np.prod(shape))
        every = np.bincount(flat, minlength=size)
        return np.asarray(np.bincount(flat[chosen], minlength=size) / np.maximum(every, 1)).reshape(shape)


def read_scanner(wavefield: Path, label: str, frequency_hz: float, grid: Map) -> ScannerPixels | None:
    """Return the scanner's maps of one run; None where it computed neither stiffness nor confidence.

    Args:
        wavefield: wave-field folder.
        label: label of the run.
        frequency_hz: frequency of the vibration, hertz.
        grid: one of our maps, on whose voxels the pixels are placed.

    Raises:
        InputError: a map cannot be read.
    """
    stem = f"{label}_acq-{frequency_text(frequency_hz)}Hz_desc-scanner"
    found = {kind: one for kind in _UNITS if (one := _read(wavefield / f"{stem}_{kind}.nii.gz", _UNITS[kind]))}
    if not found:
        return None
    base = found.get("stiffness") or found["confidence"]
    points_mm = _centres(base)
    index = np.rint(voxel_indices(grid.affine_mm, points_mm)).astype(np.int64)
    within = np.all((index >= 0) & (index < grid.values.shape), axis=1)
    values = {kind: _at(one, points_mm[within]) for kind, one in found.items()}
    return ScannerPixels(index[within], values.get("stiffness"), values.get("confidence"))


def _read(path: Path, units: str) -> Map | None:
    """Return a map in a known unit; None where there is none."""
    if not path.exists() or read_json(sidecar_path(path)).get("Units") != units:
        return None
    volume = read_volume(path)
    return Map(volume.values.astype(np.float32), volume.affine_mm, units, "")


def _centres(one: Map) -> NDArray[np.float64]:
    """Return the centres of a map's pixels, RAS, mm, shape (n, 3)."""
    index = np.indices(one.values.shape, dtype=np.float64).reshape(3, -1).T
    return np.asarray(index @ one.affine_mm[:3, :3].T + one.affine_mm[:3, 3])


def _at(one: Map, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of the pixel in which each point lies, shape (n,); NaN outside the map."""
    index = np.rint(voxel_indices(one.affine_mm, points_mm)).astype(np.int64)
    within = np.all((index >= 0) & (index < one.values.shape), axis=1)
    found = np.full(len(points_mm), np.nan)
    found[within] = one.values[tuple(index[within].T)]
    return found
