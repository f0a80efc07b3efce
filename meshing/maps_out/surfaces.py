"""Closed surfaces of regions of voxels as STL, in world RAS millimetres.

The surface of a piece of a region is a level set of its blurred mask. The level is the one at which the surface
encloses the volume of the piece's voxels: a level of one half would lose five sixths of a single voxel. Pieces that
touch at a corner are one; each piece is treated by itself, so that a small one is not lost beside a large one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import meshio
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from palpate.imaging.files.nifti import voxel_volume_ml

type Values = NDArray[np.float64]

_BLUR: Final = 0.7
"""Standard deviation of the blur, voxels: enough to take steps off, little enough to keep gaps of two voxels."""
_MARGIN: Final = 4
_HALVINGS: Final = 40
_VOLUME_ERROR: Final = 1e-4
_HEADER: Final = b"palpate: closed surface, world R A S, millimetres".ljust(80)
"""First 80 bytes of a binary STL, which are free text."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Closed surface of triangles, seen anticlockwise from outside.

    Attributes:
        points_mm: corners, world RAS, shape (n, 3).
        triangles: corners of each triangle, shape (m, 3).
    """

    points_mm: Values
    triangles: NDArray[np.int64]

    @property
    def volume_mm3(self) -> float:
        """Volume inside, by the divergence theorem, mm3."""
        a, b, c = (self.points_mm[self.triangles[:, k]] for k in range(3))
        return float(np.einsum("ni,ni->", a, np.cross(b, c)) / 6.0)


def surface_of(mask: NDArray[np.bool_], affine_mm: Values) -> Surface:
    """Return the surface of a region, which encloses the volume of its voxels.

    Args:
        mask: voxels inside, at least one, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    points, triangles, before = [], [], 0
    for number, box in enumerate(ndimage.find_objects(pieces, count), 1):
        start = np.array([one.start for one in box]) - _MARGIN
        corners, faces = _level_set(np.pad(pieces[box] == number, _MARGIN))
        points.append((corners + start) @ affine_mm[:3, :3].T + affine_mm[:3, 3])
        triangles.append(faces + before)
        before += len(corners)
    found = _welded(np.concatenate(points), np.concatenate(triangles))
    return found if found.volume_mm3 > 0.0 else Surface(found.points_mm, found.triangles[:, ::-1])


def write_surfaces(
    folder: Path, stem: str, regions: Sequence[tuple[str, NDArray[np.bool_]]], affine_mm: Values
) -> list[dict[str, object]]:
    """Write the surface of each region as binary STL. The caller makes sure that no partial file is left.

    Args:
        folder: folder of the files, which exists.
        stem: stem of their names.
        regions: name and voxels of each region, shape (i, j, k); regions without a voxel are left out.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).

    Returns:
        Entry of each surface in the record.
    """
    voxel_ml = voxel_volume_ml(affine_mm)
    entries: list[dict[str, object]] = []
    taken: set[str] = set()
    for name, mask in regions:
        if not mask.any():
            continue
        word = _free(_word(name), taken)
        surface = surface_of(mask, affine_mm)
        path = folder / f"{stem}_surface-{word}.stl"
        meshio.Mesh(surface.points_mm.astype(np.float32), [("triangle", surface.triangles)]).write(path, binary=True)
        with path.open("r+b") as file:
            file.write(_HEADER)
        entries.append(
            {
                "file": path.name,
                "name": name,
                "volume_ml": surface.volume_mm3 / 1e3,
                "voxel_volume_ml": int(mask.sum()) * voxel_ml,
                "triangles": len(surface.triangles),
            }
        )
    return entries


def _level_set(inside: NDArray[np.bool_]) -> tuple[Values, NDArray[np.int64]]:
    """Return the level set of a blurred piece that encloses its volume: corners in voxels, and triangles."""
    wanted = float(inside.sum())
    field = ndimage.gaussian_filter(inside.astype(np.float64), _BLUR, mode="constant")
    low, high, level = 0.0, float(field.max()), 0.5 * min(1.0, float(field.max()))
    for _ in range(_HALVINGS):
        points, triangles = _marched(field, level)
        volume = abs(Surface(points, triangles).volume_mm3)
        if abs(volume - wanted) <= _VOLUME_ERROR * wanted:
            break
        low, high = (level, high) if volume > wanted else (low, level)
        level = 0.5 * (low + high)
    return points, triangles


def _marched(field: Values, level: float) -> tuple[Values, NDArray[np.int64]]:
    points, triangles, *_ = marching_cubes(field, level)
    return points.astype(np.float64), triangles.astype(np.int64)


def _welded(points_mm: Values, triangles: NDArray[np.int64]) -> Surface:
    """Return a surface whose corners differ as 32-bit numbers: STL tells corners by their place alone."""
    places, own = np.unique(points_mm.astype(np.float32), axis=0, return_inverse=True)
    faces = own.ravel()[triangles]
    a, b, c = faces.T
    return Surface(places.astype(np.float64), faces[(a != b) & (b != c) & (c != a)])


def _word(name: str) -> str:
    """Return a name with letters and digits of ASCII alone, such as finding-1-stiff."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower() or "region"


def _free(word: str, taken: set[str]) -> str:
    """Return a word that no earlier region has, and note it."""
    found = next(one for one in (word, *(f"{word}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
    taken.add(found)
    return found
