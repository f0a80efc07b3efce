"""Position of the slices of a Siemens mosaic in its tiles and in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.acquired import exceeds
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import (
    affine_from,
    mosaic_corner_mm,
    mosaic_tiles,
    pixel_spacing_mm,
    slice_axes,
    split_mosaic,
    tiles_per_side,
)
from palpate.imaging.dicom.pixels import is_lossy, may_be_lossy
from palpate.imaging.dicom.series import numbers
from palpate.imaging.dicom.siemens_csa import tiles_descend
from palpate.imaging.dicom.siemens_private import common_slice_times_s, slices_in_mosaic
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT

_RESIDUE: Final = 0.02
"""Share of the largest value that lossy compression may leave in an empty tile."""
_EMPTY_TILE: Final = 0.01
"""Share of pixels that may differ from zero in a tile without a slice, as compression with loss leaves them."""


@dataclass(frozen=True, slots=True)
class MosaicLayout:
    """Position of the slices of one series in its mosaics and in the world.

    Attributes:
        n_slices: number of slices.
        mosaic_shape: rows and columns of a mosaic.
        affine_mm: voxel indices to world RAS millimetres, slices along rows x columns, shape (4, 4).
        descending: whether the first tile is the last slice along that normal.
    """

    n_slices: int
    mosaic_shape: tuple[int, int]
    affine_mm: NDArray[np.float64]
    descending: bool

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Columns and rows of one slice."""
        side = tiles_per_side(self.n_slices)
        return self.mosaic_shape[1] // side, self.mosaic_shape[0] // side

    def volume(self, instance: Instance) -> NDArray[np.float64]:
        """Return the pixels of one mosaic as a volume, shape (i, j, k)."""
        return self.along_normal(split_mosaic(self._pixels(instance), self.n_slices))

    def along_normal(self, by_tile: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of tiles in the order of slices along rows x columns; the last axis counts them."""
        return by_tile[..., ::-1] if self.descending else by_tile

    def slice_times_s(self, images: Sequence[Instance]) -> NDArray[np.float64] | None:
        """Return the acquisition time of each slice, in the order of slices along rows x columns, seconds, shape (k,).

        The result is None where headers do not say.

        Args:
            images: mosaics of an acquisition.

        Raises:
            InputError: some mosaics state no times, or times that differ from the others'.
        """
        times_s = common_slice_times_s(images, self.n_slices)
        return None if times_s is None else self.along_normal(times_s)

    def magnitude(self, instance: Instance) -> NDArray[np.float64]:
        """Return the pixels of one mosaic of magnitude as a volume, shape (i, j, k).

        Raises:
            InputError: tiles after the last slice have signal.
        """
        pixels = self._pixels(instance)
        self._demand_empty(instance, pixels)
        return self.along_normal(split_mosaic(pixels, self.n_slices))

    def demand_empty_beyond(self, instance: Instance) -> None:
        """Raise InputError where a mosaic of magnitude has signal in tiles after the last slice."""
        self._demand_empty(instance, self._pixels(instance))

    def _demand_empty(self, instance: Instance, pixels: NDArray[np.float64]) -> None:
        tiles = mosaic_tiles(pixels, tiles_per_side(self.n_slices))
        # Compression with a tolerance leaves small values where there was nothing; it is warned of elsewhere.
        tolerance = may_be_lossy(instance.header) or is_lossy(instance.header)
        nothing = _RESIDUE * float(np.abs(tiles).max()) if tolerance else 0.0
        shares = (np.abs(tiles[..., self.n_slices :]) > nothing).mean(axis=(0, 1))
        beyond = np.flatnonzero(shares > _EMPTY_TILE)
        if beyond.size:
            raise InputError(
                instance.place,
                found=f"signal in tile {self.n_slices + beyond[0] + 1} of the mosaic, where no slice is said to be",
                expected=f"empty tiles after slice {self.n_slices}, the number that (0019,100A) states",
                advice="The header counts too few slices: export the series again from the scanner or archive.",
            )

    def _pixels(self, instance: Instance) -> NDArray[np.float64]:
        pixels = instance.pixels()
        if pixels.shape != self.mosaic_shape:
            raise InputError(
                instance.place,
                found=f"{pixels.shape} pixels",
                expected=f"{self.mosaic_shape} as in its header",
                advice=FULL_EXPORT,
            )
        return pixels


def common_layout(instances: Sequence[Instance]) -> MosaicLayout:
    """Return the layout that all images share.

    Raises:
        InputError: one image has other slices, another size or another place.
    """
    first = mosaic_layout(instances[0])
    for instance in instances[1:]:
        layout = mosaic_layout(instance)
        same = layout.n_slices == first.n_slices and layout.mosaic_shape == first.mosaic_shape
        if not same or not np.allclose(layout.affine_mm, first.affine_mm, atol=1e-3):
            raise InputError(
                instance.place,
                found=f"{layout.n_slices} slices, or another size or place than in {instances[0].place}",
                expected=f"{first.n_slices} slices at the same place in every image",
                advice=FULL_EXPORT,
            )
    return first


def mosaic_layout(instance: Instance) -> MosaicLayout:
    """Return the layout, slices, mosaic size and affine, from one image's header."""
    n_slices = slices_in_mosaic(instance)
    rows, columns = (int(numbers(instance, name, 1)[0]) for name in ("Rows", "Columns"))
    side = tiles_per_side(max(n_slices, 1))
    if n_slices < 1 or rows % side or columns % side:
        raise InputError(
            instance.place,
            found=f"{n_slices} slices in a mosaic of {rows} x {columns} pixels",
            expected=f"a size that divides into {side} x {side} tiles",
            advice=FULL_EXPORT,
        )
    axes = slice_axes(instance)
    spacing_mm = pixel_spacing_mm(instance)
    between_mm = float(numbers(instance, "SpacingBetweenSlices", 1)[0])
    if between_mm <= 0:
        raise InputError(
            instance.place, found=f"slices {between_mm:g} mm apart", expected="a distance above 0", advice=FULL_EXPORT
        )
    if exceeds(instance, columns // side, rows // side):
        raise InputError(
            instance.place,
            found=f"{n_slices} slices, hence tiles of {columns // side} x {rows // side}, of which more were acquired",
            expected="tiles of at least the size in Acquisition Matrix; the number of slices may be wrong",
            advice=FULL_EXPORT,
        )
    corner_mm = mosaic_corner_mm(
        numbers(instance, "ImagePositionPatient", 3), axes, spacing_mm, (rows, columns), (rows // side, columns // side)
    )
    descending = tiles_descend(instance, axes[:, 2])
    if descending:
        corner_mm = corner_mm - (n_slices - 1) * between_mm * axes[:, 2]
    affine_mm = affine_from(axes, np.append(spacing_mm, between_mm), corner_mm)
    return MosaicLayout(n_slices=n_slices, mosaic_shape=(rows, columns), affine_mm=affine_mm, descending=descending)
