"""Inside of the skull, and whether it is large enough for the boxes on which displacement is computed.

Displacement is computed on boxes of two sizes and extrapolated to boxes of size zero. Where the head holds few boxes,
the result depends on which of them count as inside, and the extrapolation fails: in balls as wide as 4 to 5 of the
larger boxes the mean displacement is off by up to 41 %, of 3.3 boxes by up to 87 %, and one of 2 boxes is not
displaced at all (docs/decisions/0081).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.quality_warning import QualityWarning

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

CLOSED_MM: Final = 12.0
"""Half the width of the widest fluid that counts as inside the skull, such as ventricles and sulci, mm."""
BEYOND_MM: Final = 9.0
"""Distance by which the tissue at the faces of the images is continued, mm; its end is held as by the skull."""
COARSER: Final = 4.0 / 3.0
"""Edge of the second boxes over that of the first; at least one voxel more."""
LEAST_BOXES: Final = 4
"""Least diameter of a ball inside the skull, in edges of the second boxes."""
ENOUGH_BOXES: Final = 6
"""Diameter of a ball inside the skull below which a warning is given, in edges of the second boxes.

In smaller heads displacements may be off by more than their intervals allow for.
"""
_HALF: Final = 0.5
_ROUNDING_MM: Final = 1e-3
"""Tolerance of edges, mm: they come from affines in single precision."""


def inside_skull(tissue: Mask, edges_mm: Values) -> Mask:
    """Return tissue and the fluid enclosed by it: what is closer to tissue than to anything wide without it.

    Args:
        tissue: brain without fluid, shape (i, j, k).
        edges_mm: edges of a voxel, mm, shape (3,).
    """
    reach = [int(np.ceil(CLOSED_MM / edge)) + 1 for edge in edges_mm]
    # The images' edge is not the head's: what is there goes on.
    padded = np.pad(tissue, [(one, one) for one in reach], mode="edge")
    near = ndimage.distance_transform_edt(~padded, sampling=edges_mm) <= CLOSED_MM
    closed = ndimage.distance_transform_edt(np.pad(near, 1, mode="edge"), sampling=edges_mm) > CLOSED_MM
    closed = closed[1:-1, 1:-1, 1:-1] | padded
    return np.asarray(closed[tuple(slice(one, -one) for one in reach)])


def beyond_voxels(edges_mm: Values) -> list[tuple[int, int]]:
    """Return the number of voxels by which the tissue at the images' faces is continued, as numpy.pad takes it.

    Args:
        edges_mm: edges of a voxel, mm, shape (3,).
    """
    return [(int(one), int(one)) for one in np.ceil(BEYOND_MM / edges_mm - 1e-6)]


def voxels_a_box(edges: Values, box: float) -> NDArray[np.int64]:
    """Return the whole number of voxels of a box along each axis, shape (3,).

    Args:
        edges: edges of a voxel, shape (3,).
        box: wanted edge of a box, in the same unit.
    """
    return np.maximum(np.round(box / edges).astype(np.int64), 1)


def second_box(edges: Values, box: float, coarser: float = COARSER) -> float:
    """Return the wanted edge of the larger boxes; they have a voxel more than the smaller ones on some axis.

    Args:
        edges: edges of a voxel, shape (3,).
        box: edge of the smaller boxes, in the same unit.
        coarser: edge of the larger boxes over that of the smaller ones.
    """
    wanted = max(coarser * box, box + float(edges.max()))
    first = voxels_a_box(edges, box)
    # Rounding to whole voxels may make both alike (voxels of 6 mm, boxes of 9), which leaves nothing to extrapolate.
    return float(((first + 1) * edges).max()) if np.array_equal(first, voxels_a_box(edges, wanted)) else wanted


def demand_head(
    where: str, tissue: Mask, edges_mm: Values, box_mm: float, voxel_mm: float
) -> tuple[QualityWarning, ...]:
    """Refuse a head that is too small for the boxes of displacement, before anything is calibrated.

    Args:
        where: images, for the error.
        tissue: brain without fluid on the images' grid, shape (i, j, k).
        edges_mm: edges of a voxel, mm, shape (3,).
        box_mm: edge of the smaller boxes, mm (twin.displacement_box_mm).
        voxel_mm: edge to which the twin averages voxels, mm (twin.voxel_mm).

    Returns:
        A warning where the head is large enough and no larger.

    Raises:
        InputError: no ball of LEAST_BOXES of the larger boxes fits into the skull.
    """
    factors = np.maximum(1, np.floor(voxel_mm / edges_mm + 1e-3)).astype(int)
    coarse, coarse_mm = _blocks(tissue, factors), edges_mm * factors
    larger_mm = float((coarse_mm * voxels_a_box(coarse_mm, second_box(coarse_mm, box_mm))).max())
    found_mm = _ball_mm(coarse, coarse_mm)
    if found_mm < LEAST_BOXES * larger_mm - _ROUNDING_MM:
        raise InputError(
            where,
            found=f"a head that holds a ball of {found_mm:.0f} mm and no larger one",
            expected=f"at least {LEAST_BOXES * larger_mm:.0f} mm, {LEAST_BOXES} boxes of {larger_mm:.3g} mm on which "
            "displacement is computed (voxels and twin.displacement_box_mm set their size)",
            advice="Check the unit of the affine and the labels of the brain, and give images of the whole head; for a "
            "head that is so small set twin.displacement_box_mm lower, or twin.mechanics to false.",
        )
    if found_mm >= ENOUGH_BOXES * larger_mm - _ROUNDING_MM:
        return ()
    sentence = (
        f"The head that the images show holds a ball of {found_mm:.0f} mm only, {found_mm / larger_mm:.1f} boxes of "
        f"{larger_mm:.3g} mm on which displacement is computed: displacements may be off by 40 %."
    )
    advice = "Give images of the whole head, or set twin.displacement_box_mm lower."
    return (QualityWarning("head-small", sentence, advice),)


def _ball_mm(tissue: Mask, edges_mm: Values) -> float:
    """Return the diameter of the largest ball inside the skull, to about a voxel, mm."""
    skull = np.pad(inside_skull(tissue, edges_mm), beyond_voxels(edges_mm), mode="edge")
    return 2.0 * float(ndimage.distance_transform_edt(np.pad(skull, 1), sampling=edges_mm).max())


def _blocks(tissue: Mask, factors: NDArray[np.int_]) -> Mask:
    """Return which blocks of voxels are tissue by half; blocks at the far faces may be cut."""
    pad = [(0, int(-size % step)) for size, step in zip(tissue.shape, factors, strict=True)]
    padded = np.pad(tissue.astype(np.float32), pad, mode="edge")
    (i, j, k), (a, b, c) = (int(n) for n in padded.shape), (int(n) for n in factors)
    shares = padded.reshape(i // a, a, j // b, b, k // c, c).mean(axis=(1, 3, 5))
    return np.asarray(shares >= _HALF)
