"""Scene of the interactive viewer: images below, maps above them, outlines, and each voxel's numbers.

A scene has frames: the runs of a session, or the days of a forecast. The viewer holds one frame at a time and loads the
chosen map alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.compact_nifti import NO_NUMBER, compact_hundredths, compact_image, compact_map
from palpate.service.report.outlines import STEP, ViewerOutline, outline_volume
from palpate.service.report.pieces import PagePiece
from palpate.service.report.scales import Scale, colour_nodes


@dataclass(frozen=True, slots=True)
class MapLayer:
    """Map that can be shown above the images.

    Attributes:
        key: name for programs, such as "mean-storagemodulus".
        name: name for people.
        values: values of the map, shape (i, j, k); NaN is not painted.
        scale: its colours.
        about: one sentence on how to read the map; may be empty.
    """

    key: str
    name: str
    values: NDArray[np.floating]
    scale: Scale
    about: str = ""


@dataclass(frozen=True, slots=True)
class CrossHairFigure:
    """Number that the line at the cross-hair states.

    Attributes:
        name: name before the number.
        unit: unit after it; may be empty.
        mean: values of the native map, shape (i, j, k); NaN is "unknown".
        lower: lower ends of the 95 % intervals; None where there are none.
        upper: upper ends of the 95 % intervals; None where there are none.
    """

    name: str
    unit: str
    mean: NDArray[np.floating]
    lower: NDArray[np.floating] | None = None
    upper: NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True)
class FrameImage:
    """Image of one frame, on the grid of its maps.

    Attributes:
        key: name for programs, such as "magnitude".
        name: name for people.
        values: greys of the image, shape (i, j, k).
    """

    key: str
    name: str
    values: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class SceneImage:
    """Image that lies below all frames.

    Attributes:
        key: name for programs, such as "anatomy".
        name: name for people.
        data: compact NIfTI of the image.
        preview: compact NIfTI of the image with coarser voxels, for the first picture; None where it is quick itself.
    """

    key: str
    name: str
    data: bytes
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Run of a session or day of a forecast.

    Attributes:
        title: name of the frame for people.
        affine_mm: voxel indices of the maps to world R A S millimetres, shape (4, 4).
        centre_mm: point at which the cross-hair begins, R A S millimetres.
        layers: maps of the frame, the first of which is shown first.
        figures: numbers of the line at the cross-hair; a voxel without the first of them is outside the map.
        tail: end of that line.
        images: images of this frame alone, on the grid of the maps.
        veil: voxels that are faded, shape (i, j, k), with the ends of the line in and outside it; None for no veil.
        outlines: outlines that can be switched.
    """

    title: str
    affine_mm: NDArray[np.float64]
    centre_mm: Sequence[float]
    layers: Sequence[MapLayer]
    figures: Sequence[CrossHairFigure]
    tail: str
    images: Sequence[FrameImage]
    veil: tuple[NDArray[np.bool_], str, str] | None
    outlines: Sequence[ViewerOutline]


LARGEST: Final = 6_000_000
"""Number of voxels above which an image is averaged down, so that a browser without a graphics card is quick enough."""
QUICK: Final = 900_000
"""Number of voxels above which the first picture lies on a coarser image, which the whole one replaces."""


def scene(frames: Sequence[Frame], image: SceneImage | None, first: int = 0) -> dict[str, Any]:
    """Return all data that the viewer's script reads, as JSON values; volumes are pieces.

    Args:
        frames: frames in their order, with the same kinds of layers.
        image: image that lies below all frames; None for none.
        first: place of the frame that is shown first.
    """
    colours = {layer.scale.colours for frame in frames for layer in frame.layers}
    return {
        "colours": {name: colour_nodes(name) for name in sorted(colours)},
        "image": None if image is None else _image(image),
        "first": first,
        "frames": [_frame(one) for one in frames],
    }


def _image(image: SceneImage) -> dict[str, Any]:
    preview = None if image.preview is None else PagePiece.of(image.preview)
    return {"key": image.key, "name": image.name, "data": PagePiece.of(image.data), "preview": preview}


def _frame(frame: Frame) -> dict[str, Any]:
    affine_mm = frame.affine_mm
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    shape = frame.layers[0].values.shape
    return {
        "title": frame.title,
        "centre_mm": [round(float(one), 2) for one in frame.centre_mm],
        "step_mm": round(float(edges_mm.min()), 3),
        "images": [
            {"key": one.key, "name": one.name, "data": PagePiece.of(compact_image(grey(one.values), affine_mm))}
            for one in frame.images
        ],
        "layers": [_layer(one, affine_mm) for one in frame.layers],
        "numbers": _numbers(frame, affine_mm, shape),
        "veil": None if frame.veil is None else PagePiece.of(compact_image(frame.veil[0], affine_mm)),
        "outlines": [{"name": one.name, "rgb": list(one.rgb), "shown": one.shown} for one in frame.outlines],
        "outline_step": STEP,
        "outline_data": PagePiece.of(outline_volume(frame.outlines, affine_mm)) if frame.outlines else None,
    }


def _layer(layer: MapLayer, affine_mm: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "key": layer.key,
        "name": layer.name,
        "about": layer.about,
        "colours": layer.scale.colours,
        "top": layer.scale.top,
        "unit": layer.scale.unit,
        "end": layer.scale.end_words,
        "data": PagePiece.of(compact_map(layer.values, affine_mm)),
    }


def _numbers(frame: Frame, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what the line at the cross-hair states: the native maps' numbers to two decimals, and their grid.

    A voxel without the first number has no numbers at all, whatever other maps hold there.
    """
    known = np.isfinite(frame.figures[0].mean)

    def packed(values: NDArray[np.floating] | None) -> PagePiece | None:
        if values is None:
            return None
        kept = np.where(known, values, np.float32(np.nan))
        return PagePiece.of(compact_hundredths(kept, affine_mm))

    return {
        "shape": list(shape),
        "inverse": np.linalg.inv(affine_mm)[:3].tolist(),
        "none": NO_NUMBER,
        "figures": [
            {"name": one.name, "unit": one.unit}
            | {end: packed(values) for end, values in (("mean", one.mean), ("lower", one.lower), ("upper", one.upper))}
            for one in frame.figures
        ],
        "tail": frame.tail,
        "veiled": None if frame.veil is None else list(frame.veil[1:]),
    }


def grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return 8-bit greys with some room above the brightest tissue; only the brightest thousandth is cut off.

    Args:
        values: image, any shape; NaN is black.
    """
    filled = np.nan_to_num(values, nan=0.0)
    bottom, top = np.percentile(filled, [0.5, 99.9])
    return np.asarray(np.clip(225.0 * (filled - bottom) / max(top - bottom, 1e-12), 0, 255), dtype=np.uint8)
