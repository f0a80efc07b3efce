"""Division of mosaics into one image for each tile, so that a reader need not know how slices were packed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import is_multi_frame, set_own
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.series import Series, texts
from palpate.imaging.dicom.siemens_layout import MosaicLayout, common_layout
from palpate.imaging.dicom.siemens_private import states_slices

_POSITION_DIGITS = 6


class Mosaic:
    """Mosaic and its division into tiles.

    Attributes:
        instance: image that holds the mosaic.
        layout: layout of its tiles.
    """

    def __init__(self, instance: Instance, layout: MosaicLayout) -> None:
        """Keep the image and its layout; nothing is read."""
        self.instance = instance
        self.layout = layout


@dataclass(frozen=True, slots=True)
class Tile(Instance):
    """Slice of a mosaic, with a header that states its position.

    Attributes:
        mosaic: mosaic that holds it.
        slice_index: k, along the normal of rows and columns.
    """

    mosaic: Mosaic | None = None
    slice_index: int = 0

    def pixels(self) -> NDArray[np.float64]:
        """Return the stored values of the slice, shape (rows, columns).

        Raises:
            InputError: the mosaic's pixels cannot be read.
        """
        assert self.mosaic is not None
        return np.asarray(_volume(self.mosaic)[:, :, self.slice_index].T)


def is_mosaic(series: Series) -> bool:
    """Return whether all images of a series are mosaics, by Image Type or by the number of slices in (0019,100A)."""
    return all("MOSAIC" in texts(one.header, "ImageType") or states_slices(one) for one in series.instances)


def single_slices(series: Series) -> bool:
    """Return whether all images of a series are frames or classic images of one slice, at several places."""
    if all(is_multi_frame(one) for one in series.instances):
        return True
    if any("MOSAIC" in texts(one.header, "ImageType") or states_slices(one) for one in series.instances):
        return False
    return len({str(one.header.get("ImagePositionPatient")) for one in series.instances}) > 1


def with_tiles(series: Series) -> Series:
    """Return the series with one instance for each slice of each mosaic; other series stay as they are.

    Raises:
        InputError: a header does not say how the tiles lie, or mosaics differ in that.
    """
    if not is_mosaic(series):
        return series
    layout = common_layout(series.instances)
    mosaics = [Mosaic(one, layout) for one in series.instances]
    return Series(series.number, tuple(_tile(one, k) for one in mosaics for k in range(layout.n_slices)))


def mosaics_of(images: Sequence[Instance]) -> list[Mosaic]:
    """Return the mosaics that hold some tiles, each once and in their order; other images have none."""
    found = {id(one.mosaic): one.mosaic for one in images if isinstance(one, Tile) and one.mosaic is not None}
    return list(found.values())


def _tile(mosaic: Mosaic, k: int) -> Tile:
    layout, instance = mosaic.layout, mosaic.instance
    header = Dataset(dict(instance.header.items()))
    corner = LPS_TO_RAS @ (layout.affine_mm @ [0, 0, k, 1])[:3]
    columns, rows = layout.tile_shape
    set_own(header, "Columns", columns)
    set_own(header, "Rows", rows)
    set_own(header, "ImagePositionPatient", [round(float(value), _POSITION_DIGITS) for value in corner])
    return Tile(header, instance.container, instance.member, mosaic=mosaic, slice_index=k)


@lru_cache(maxsize=1)
def _volume(mosaic: Mosaic) -> NDArray[np.float64]:
    """Return the slices of one mosaic, shape (i, j, k); the last one is kept, as its tiles are asked for in turn."""
    return mosaic.layout.volume(mosaic.instance)
