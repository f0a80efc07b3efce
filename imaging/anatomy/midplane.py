"""Mid-plane of a head or body: where left meets right on a planning image.

The mid-plane is the plane across which the image is most like its own mirror image: brightness at points of the head is
correlated with brightness at their mirror points. It follows a head that is turned or tilted, and an ear, a lesion or a
coil on one side hardly moves it. Where much of the head is cut by the left or right border of the image, or is not like
its mirror image, nothing is stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

_AIR: Final = 0.1
"""Brightness over that of bright tissue below which a voxel is air."""
_VOXEL_MM: Final = 4.0
"""Edge to which finer voxels are blurred and thinned out, mm."""
_AROUND: Final = 2
"""Number of coarse voxels around the head whose brightness counts, too."""
_POINTS: Final = 15_000
_CUT: Final = 0.2
"""Largest share of the lines from left to right that end at the border of the image."""
_ALIKE: Final = 0.75
"""Least correlation with the mirror image."""
_COMPARED: Final = 0.6
"""Least share of the points whose mirror point lies on the image."""
_STEPS: Final = (8.0, 0.12, 0.12)
"""First steps of the search: shift, mm, and slopes of the plane."""
_STEEPEST: Final = 0.6
"""Largest slope of the plane: a head that is turned by more than 30 degrees lies otherwise than its image states."""


@dataclass(frozen=True, slots=True)
class MidPlane:
    """Plane between left and right.

    Attributes:
        point_mm: a point of the plane, world R A S millimetres, shape (3,).
        normal: its unit normal, which points to the right of the patient, shape (3,).
    """

    point_mm: NDArray[np.float64]
    normal: NDArray[np.float64]

    def to_the_right_mm(self, point_mm: NDArray[np.float64]) -> float:
        """Return the distance of a point from the plane, positive on the right, mm.

        Args:
            point_mm: point, world R A S millimetres, shape (3,).
        """
        return float((point_mm - self.point_mm) @ self.normal)

    def mirrored_mm(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mirror points of points, world R A S millimetres, shape (n, 3).

        Args:
            points_mm: points, shape (n, 3).
        """
        distances_mm = (points_mm - self.point_mm) @ self.normal
        return np.asarray(points_mm - 2.0 * distances_mm[:, None] * self.normal)


def midplane_of(values: NDArray[np.floating], affine_mm: NDArray[np.float64]) -> MidPlane | None:
    """Return the mid-plane of the head on an image; None where the image shows none clearly.

    Args:
        values: planning image, shape (i, j, k).
        affine_mm: voxel indices to world R A S millimetres, shape (4, 4).
    """
    steps = np.maximum(1, np.round(_VOXEL_MM / np.linalg.norm(affine_mm[:3, :3], axis=0))).astype(int)
    blurred = ndimage.gaussian_filter(np.nan_to_num(values).astype(np.float32), np.where(steps > 1, 0.4 * steps, 0.0))
    bright = blurred[:: steps[0], :: steps[1], :: steps[2]]
    bright = np.minimum(bright / max(float(np.percentile(bright, 99.5)), 1e-12), 1.0)
    head = _head(bright)
    if not head.any() or _cut_share(head, int(np.abs(affine_mm[0, :3]).argmax())) > _CUT:
        return None
    mirror = _Mirror.of(bright, head, affine_mm @ np.diag([*steps.astype(float), 1.0]))
    start = np.array([np.zeros(3), *np.diag(_STEPS)])
    options = {"initial_simplex": start, "xatol": 0.01, "fatol": 1e-5, "maxiter": 200}
    found = optimize.minimize(mirror.unlikeness, start[0], method="Nelder-Mead", options=options).x
    if 1.0 - mirror.unlikeness(found) < _ALIKE or np.abs(found[1:]).max() > _STEEPEST:
        return None
    return mirror.plane(found)


def _head(bright: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the largest piece that is brighter than air."""
    pieces, count = ndimage.label(bright > _AIR)
    if count == 0:
        return np.zeros(bright.shape, dtype=bool)
    return np.asarray(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _cut_share(head: NDArray[np.bool_], across: int) -> float:
    """Return the share of the lines of voxels from left to right through the head that a border cuts."""
    lines = np.moveaxis(head, across, -1)
    cut = lines[..., 0] | lines[..., -1]
    return float(cut.sum() / lines.any(axis=-1).sum())


@dataclass(frozen=True, slots=True)
class _Mirror:
    """Image whose likeness to its mirror image is asked for.

    Attributes:
        bright: brightness, shape (i, j, k).
        to_voxels: world millimetres to its voxel indices, shape (4, 4).
        points_mm: points that are compared, shape (n, 3).
        own: brightness at these points, shape (n,).
        middle_mm: middle of the head, shape (3,).
    """

    bright: NDArray[np.floating]
    to_voxels: NDArray[np.float64]
    points_mm: NDArray[np.float64]
    own: NDArray[np.floating]
    middle_mm: NDArray[np.float64]

    @classmethod
    def of(cls, bright: NDArray[np.floating], head: NDArray[np.bool_], affine_mm: NDArray[np.float64]) -> _Mirror:
        """Return an image with points in and around its head."""
        near = np.argwhere(ndimage.binary_dilation(head, iterations=_AROUND))
        near = near[:: max(1, len(near) // _POINTS)]
        points_mm = near @ affine_mm[:3, :3].T + affine_mm[:3, 3]
        middle_mm = np.argwhere(head).mean(axis=0) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
        return cls(bright, np.linalg.inv(affine_mm), points_mm, bright[tuple(near.T)], middle_mm)

    def plane(self, shift_and_slopes: NDArray[np.float64]) -> MidPlane:
        """Return the plane of a shift from the middle of the head, mm, and slopes along A and S."""
        shift_mm, *slopes = shift_and_slopes
        normal = np.array([1.0, *slopes])
        return MidPlane(self.middle_mm + np.array([shift_mm, 0.0, 0.0]), normal / np.linalg.norm(normal))

    def unlikeness(self, shift_and_slopes: NDArray[np.float64]) -> float:
        """Return 1 minus the correlation with the mirror image; 2 where too little of it can be compared."""
        mirrored = self.plane(shift_and_slopes).mirrored_mm(self.points_mm)
        index = mirrored @ self.to_voxels[:3, :3].T + self.to_voxels[:3, 3]
        inside = np.all((index >= 0.0) & (index <= np.array(self.bright.shape) - 1.0), axis=1)
        if inside.mean() < _COMPARED:
            return 2.0
        other = ndimage.map_coordinates(self.bright, index[inside].T, order=1)
        own = self.own[inside]
        spread = float(own.std() * other.std())
        return 2.0 if spread == 0.0 else 1.0 - float(np.mean((own - own.mean()) * (other - other.mean()))) / spread
