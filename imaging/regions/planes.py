"""Shape of closed contours by their corners: parallel planes, their thickness, and checks of what they enclose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.regions.contours import ContourShape, slabs_mm
from palpate.imaging.regions.polygon import Points, Polygons, crosses_itself, signed_area
from palpate.quality_warning import QualityWarning

AGAIN: Final = "Draw or export the region again as closed contours on parallel planes."
"""Advice where contours are not of a kind that encloses a volume."""
_FEWEST_CORNERS: Final = 3
_OFF_PLANE_MM: Final = 0.4
"""Thickness up to which a contour counts as plane, mm; files keep 0.01 to 0.1 mm of each coordinate."""
_SAME_PLANE_MM: Final = 0.1
_LEAST_AREA_MM2: Final = 0.01
_AMBIGUOUS: Final = 0.02
"""Share of an area up to which it does not matter."""
_PARALLEL: Final = 0.99


@dataclass(frozen=True, slots=True)
class Space:
    """Surroundings of contours.

    Attributes:
        where: the file, by a name that errors may repeat.
        slices: affine of images whose slices contours on a single plane may have been drawn on; None for none.
    """

    where: Path | str
    slices: NDArray[np.float64] | None


def shape_of(
    contours: Sequence[Points], slab_mm: float | None, space: Space
) -> tuple[ContourShape, tuple[QualityWarning, ...], dict[str, object]]:
    """Return the shape that contours enclose, warnings about it, and facts for the record.

    Args:
        contours: corners of each contour in order, world RAS, mm, each of shape (m, 3).
        slab_mm: thickness that the contours state, for contours on a single plane; None where they state none.
        space: surroundings of the contours.

    Raises:
        InputError: they enclose nothing, lie on no parallel planes, cross themselves, are there twice, or lie on a
            single plane of unknown thickness.
    """
    areal = [one for one in contours if len(one) >= _FEWEST_CORNERS]
    normals = [_area_vector(one) for one in areal]
    sizes = np.array([float(np.linalg.norm(one)) for one in normals])
    if sizes.max(initial=0.0) < _LEAST_AREA_MM2:
        found = "contours that enclose no area, or that cross themselves so that nothing is left"
        raise InputError(space.where, found=found, expected="contours around a region", advice=AGAIN)
    axes = _axes(normals[int(np.argmax(sizes))])
    flat = [one @ axes.T for one in areal]
    off_mm = max(float(np.ptp(one[:, 2])) for one in flat)
    if off_mm > _OFF_PLANE_MM:
        found = f"contours that leave parallel planes by {off_mm:.2g} mm"
        raise InputError(space.where, found=found, expected="contours on parallel planes", advice=AGAIN)
    heights, planes = _by_plane([one for one in flat if _encloses_something(one[:, :2])])
    for corners in (one for of_plane in planes for one in of_plane):
        _demand_simple(corners, space.where)
    overlap_mm2 = sum(_overlap_mm2(one, space.where) for one in planes)
    below, above, gaps = _thickness(heights, slab_mm, axes[2], space)
    shape = ContourShape(axes, heights, below, above, [Polygons.of(one) for one in planes])
    spacing = float(np.median(np.diff(heights))) if len(heights) > 1 else None
    facts: dict[str, object] = {
        "contour_planes": len(heights),
        "contour_spacing_mm": spacing,
        "contour_gaps": gaps,
        "contours_left_out": len(contours) - sum(map(len, planes)),
    }
    return shape, _warnings(overlap_mm2, gaps, spacing), facts


def _area_vector(points: Points) -> Points:
    """Return the normal of a contour in space, as long as its area."""
    spokes = points - points[:1]
    return np.asarray(0.5 * np.sum(np.cross(spokes, np.roll(spokes, -1, axis=0)), axis=0))


def _axes(normal: Points) -> NDArray[np.float64]:
    """Return two unit vectors across a normal and the normal itself, as rows, shape (3, 3)."""
    normal = normal / np.linalg.norm(normal)
    first = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal])


def _by_plane(flat: Sequence[Points]) -> tuple[Points, list[list[Points]]]:
    """Return the positions of the planes, ascending, and the contours of each."""
    placed = sorted(((float(np.median(one[:, 2])), one[:, :2]) for one in flat), key=lambda pair: pair[0])
    heights: list[float] = []
    planes: list[list[Points]] = []
    for height, corners in placed:
        if heights and height - heights[-1] <= _SAME_PLANE_MM:
            planes[-1].append(corners)
        else:
            heights.append(height)
            planes.append([corners])
    return np.array(heights), planes


def _encloses_something(corners: Points) -> bool:
    return abs(signed_area(corners)) > _LEAST_AREA_MM2 or Polygons.of([corners]).area > _LEAST_AREA_MM2


def _demand_simple(corners: Points, where: Path | str) -> None:
    """Refuse a contour that winds around part of its area twice, or both ways, by crossing itself."""
    enclosed = Polygons.of([corners]).area
    if abs(enclosed - abs(signed_area(corners))) > _AMBIGUOUS * enclosed and crosses_itself(corners):
        raise InputError(
            where,
            found="a contour that crosses itself, so that it is not clear what it encloses",
            expected="contours that do not cross themselves",
            advice="Draw that contour again.",
        )


def _overlap_mm2(polygons: Sequence[Points], where: Path | str) -> float:
    """Return the area that contours of one plane share where none lies within the other, mm2.

    Raises:
        InputError: a contour is there twice, and both would vanish by the even-odd rule.
    """
    total = 0.0
    for one, other in combinations(polygons, 2):
        if np.any(one.max(axis=0) <= other.min(axis=0)) or np.any(other.max(axis=0) <= one.min(axis=0)):
            continue
        areas = [Polygons.of([single]).area for single in (one, other)]
        common = 0.5 * (sum(areas) - Polygons.of([one, other]).area)
        if common > (1.0 - _AMBIGUOUS) * max(areas):
            found, advice = "the same contour twice on one plane", "Remove one of the two."
            raise InputError(where, found=found, expected="each contour once", advice=advice)
        if _AMBIGUOUS * min(areas) < common < (1.0 - _AMBIGUOUS) * min(areas):
            total += common
    return total


def _thickness(heights: Points, slab_mm: float | None, normal: Points, space: Space) -> tuple[Points, Points, int]:
    """Return the thickness below and above each plane, and the number of gaps."""
    if len(heights) > 1:
        return slabs_mm(heights)
    if slab_mm is None and space.slices is not None:
        across = np.cross(space.slices[:3, 0], space.slices[:3, 1])
        across = across / np.linalg.norm(across)
        if abs(float(across @ normal)) > _PARALLEL:
            slab_mm = abs(float(across @ space.slices[:3, 2]))
    if slab_mm is None:
        raise InputError(
            space.where,
            found="contours on a single plane, of unknown thickness",
            expected="contours on several planes, or on one slice of the elastogram",
            advice="Draw the region on the elastogram's slices, or on two slices or more of another image.",
        )
    half = np.array([slab_mm / 2.0])
    return half, half, 0


def _warnings(overlap_mm2: float, gaps: int, spacing_mm: float | None) -> tuple[QualityWarning, ...]:
    found = []
    if overlap_mm2 > 0.0:
        sentence = (
            f"Contours of one plane overlap by {overlap_mm2 / 100.0:.2g} cm2 in all; by the even-odd rule the overlap "
            "counts as outside the region."
        )
        advice = "Join these contours if the overlap belongs to the region."
        found.append(QualityWarning("contours-overlap", sentence, advice))
    if gaps:
        sentence = (
            f"The planes of the contours are {spacing_mm:.3g} mm apart as a rule, and further apart in {gaps} places; "
            "what lies between counts as outside the region there."
        )
        advice = "Draw the missing contours if the region is in one piece."
        found.append(QualityWarning("contours-missing", sentence, advice))
    return tuple(found)
