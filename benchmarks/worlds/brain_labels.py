"""A brain with ventricles and a tumour as labels of 1 mm voxels, for benchmarks and pictures of meshing.

Tissue is that of the in-silico head (ICBM152). Ventricles are the fluid deep inside; the tumour is a lobulated body
with a necrotic core beside them, from three balls and a fixed smooth noise, so that three labels meet along lines.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.anatomy.segmentation import Segmentation

type Detail = Literal["brain", "tissues"]

NAMES: Final = {1: "brain", 2: "ventricles", 3: "tumour", 4: "necrosis", 5: "white matter"}

_DEEP_MM: Final = 16.0
"""Least depth below the brain's surface of fluid that is ventricle, not sulcus, millimetres."""
_LEAST_PIECE: Final = 100
"""Least number of voxels of a piece of ventricle."""
_LOBES: Final = (((-30.0, -14.0, 26.0), 13.0), ((-41.0, -4.0, 33.0), 9.0), ((-27.0, -27.0, 36.0), 9.0))
"""Centres, world RAS mm, and radii of the tumour's balls."""
_ROUGH_MM: Final = 2.0
_CORE_MM: Final = 6.0
"""Depth of the necrotic core below the tumour's surface, millimetres."""


def labelled_brain(detail: Detail, atlas: Atlas | None = None) -> Segmentation:
    """Return the labelled brain.

    Args:
        detail: level of detail: "brain" has one label for what is neither ventricle nor tumour, "tissues" tells white
            matter from the rest, whose sulci are thinner than elements of 2 mm.
        atlas: atlas of the brain; None loads it.
    """
    atlas = load_atlas() if atlas is None else atlas
    labels = atlas.brain.astype(np.int32)
    fluid = atlas.brain & (1.0 - atlas.grey - atlas.white > np.maximum(atlas.grey, atlas.white))
    if detail == "tissues":
        labels[atlas.brain & (atlas.white > atlas.grey) & ~fluid] = 5
    labels[_ventricles(atlas, fluid)] = 2
    tumour = _tumour(atlas)
    labels[tumour] = 3
    labels[_largest(ndimage.distance_transform_edt(tumour) > _CORE_MM)] = 4
    present = {int(number): NAMES[int(number)] for number in np.unique(labels) if number}
    return Segmentation(labels, present, atlas.affine_mm)


def _ventricles(atlas: Atlas, fluid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    deep = fluid & (ndimage.distance_transform_edt(atlas.brain) > _DEEP_MM)
    pieces, _ = ndimage.label(deep)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(sizes[pieces] >= _LEAST_PIECE)


def _tumour(atlas: Atlas) -> NDArray[np.bool_]:
    depth = np.max(
        [radius - np.linalg.norm(atlas.points_mm - np.array(centre), axis=-1) for centre, radius in _LOBES], axis=0
    )
    noise = ndimage.gaussian_filter(np.random.default_rng(7).normal(size=depth.shape), 3.0)
    body = (depth + _ROUGH_MM * noise / noise.std() > 0) & atlas.brain
    return _largest(body)


def _largest(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(body)
    return np.asarray(pieces == np.bincount(pieces[pieces > 0]).argmax())
