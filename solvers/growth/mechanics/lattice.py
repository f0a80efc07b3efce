"""Coarse lattice of boxes over the head for the tumour's pressure, and interpolation from it to control volumes.

The edges of boxes are whole numbers of voxels, so that averages onto them are exact. Each box is cut into Kuhn's six
tetrahedra; all faces match. Coordinates are along the voxel axes from the outer corner of voxel (0, 0, 0), in metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from palpate.errors import InputError
from palpate.imaging.tumour.head import voxels_a_box
from palpate.units import mm_to_m

type Values = NDArray[np.float64]
type Indices = NDArray[np.int64]

EDGE_M: Final = mm_to_m(10.0)
"""Default edge of a box, metres; decision 0052 has its effect on accuracy."""
FARTHEST: Final = 2.0
"""Largest distance of a control volume from the lattice, in box edges; at the skull, half a box is usual."""
POPULATION_PA: Final = {"grey": 2378.0, "white": 2603.0, "csf": 300.0}
"""Median storage moduli of 134 adults at 50 Hz (multifrequency atlas, NLI), and the usual substitute value for CSF,
pascal."""

CORNERS: Final = np.array(list(product((0, 1), repeat=3)), dtype=np.int64)
"""Offsets of a box's corners; corner (a, b, c) is number 4 a + 2 b + c."""
KUHN: Final = np.array(
    [np.concatenate([[0], np.cumsum(np.array([4, 2, 1])[list(order)])]) for order in permutations(range(3))]
)
"""Corners of the six tetrahedra along the diagonal from (0, 0, 0) to (1, 1, 1), shape (6, 4)."""


@dataclass(frozen=True, slots=True)
class BoxLattice:
    """Boxes of which at least half lies inside the skull.

    Attributes:
        edges_m: edges of a box, metres, shape (3,).
        boxes: whether each of the grid's boxes belongs to the lattice, shape (a, b, c).
        numbers: number of each corner of the grid of boxes, -1 where no box touches it, shape (a + 1, b + 1, c + 1).
        corners: numbers of each box's corners, shape (b, 8), in the order of CORNERS.
        storage_pa: storage modulus G' of each box, pascal, shape (b,).
    """

    edges_m: Values
    boxes: NDArray[np.bool_]
    numbers: Indices
    corners: Indices
    storage_pa: Values

    @property
    def size(self) -> int:
        """Number of corners, c."""
        return int(self.corners.max()) + 1

    @property
    def points_m(self) -> Values:
        """Coordinates of the corners, metres, shape (c, 3)."""
        used = np.argwhere(self.numbers >= 0)
        return np.asarray(used * self.edges_m)

    @property
    def tetrahedra(self) -> Indices:
        """Numbers of each tetrahedron's corners, six tetrahedra for each box in turn, shape (6 b, 4)."""
        return np.asarray(self.corners[:, KUHN].reshape(-1, 4))

    @property
    def volumes_m3(self) -> Values:
        """Volume around each corner, an eighth of each box that touches it, shape (c,)."""
        return np.asarray(np.bincount(self.corners.ravel()) * (np.prod(self.edges_m) / 8.0), dtype=np.float64)

    def corner_means(self) -> sparse.csr_matrix:
        """Return the map from values of tetrahedra to means over the boxes around each corner, shape (c, 6 b).

        The means are over whole boxes, since those over Kuhn's tetrahedra alone would favour the diagonal.
        """
        count = len(self.corners)
        rows = np.repeat(self.corners, 6, axis=0).ravel()
        columns = np.repeat(np.arange(6 * count), 8)
        around = np.bincount(self.corners.ravel())
        return sparse.csr_matrix((1.0 / (6.0 * around[rows]), (rows, columns)), shape=(self.size, 6 * count))

    def interpolation(self, points_m: Values) -> sparse.csr_matrix:
        """Return the trilinear interpolation from corners to points, shape (n, c).

        Points beyond the lattice get the values on its nearest face.

        Args:
            points_m: points in the lattice's coordinates, metres, shape (n, 3).

        Raises:
            InputError: a point lies far from all boxes.
        """
        at = points_m / self.edges_m
        cell = np.clip(np.floor(at).astype(np.int64), 0, np.array(self.boxes.shape) - 1)
        nearest = ndimage.distance_transform_edt(
            ~self.boxes, sampling=self.edges_m, return_distances=False, return_indices=True
        )
        cell = nearest[:, *cell.T].T
        inside = np.clip(at - cell, 0.0, 1.0)
        off = float(np.abs(at - cell - inside).max(initial=0.0))
        if not off <= FARTHEST:
            raise InputError(
                "skull",
                found=f"tissue {off:.1f} boxes of the elastic lattice away from the nearest box within the skull",
                expected=f"all tissue within the skull, to {FARTHEST:g} boxes",
                advice="Check that the masks of tissue and skull are of the same place, or make the lattice finer.",
            )
        weights = np.where(CORNERS == 1, inside[:, None], 1.0 - inside[:, None]).prod(axis=2)
        columns = self.numbers[tuple((cell[:, None] + CORNERS).transpose(2, 0, 1))]
        rows = np.repeat(np.arange(len(at)), 8)
        return sparse.csr_matrix((weights.ravel(), (rows, columns.ravel())), shape=(len(at), self.size))


def lattice(skull: NDArray[np.bool_], edges_m: Values, storage_pa: Values, edge_m: float = EDGE_M) -> BoxLattice:
    """Cover the inside of the skull with boxes. A box's modulus is the mean of ln G' over its voxels inside.

    Args:
        skull: voxels inside the skull, tissue and CSF, shape (i, j, k).
        edges_m: voxel edges, metres, shape (3,).
        storage_pa: storage modulus G', pascal, shape (i, j, k); read inside the skull only.
        edge_m: edge of a box, metres; rounded to whole voxels on each axis.

    Raises:
        InputError: the skull is empty or thinner than a box, or a modulus is not positive and finite.
    """
    if skull.shape != storage_pa.shape or edges_m.shape != (3,) or not edge_m > 0.0:
        raise ValueError(f"a skull of shape {skull.shape}, moduli of {storage_pa.shape}, boxes of {edge_m} m")
    demand_moduli(storage_pa[skull])
    counts = voxels_a_box(edges_m, edge_m)
    inside = _box_sums(skull.astype(np.float64), counts)
    boxes = inside >= 0.5 * counts.prod()
    if not boxes.any():
        raise InputError(
            "skull",
            found="no box of the elastic lattice that is half inside",
            expected="a head that is larger than a box",
            advice="Check the mask of the head, or make the lattice finer.",
        )
    touched = np.zeros(np.array(boxes.shape) + 1, dtype=np.bool_)
    at = np.argwhere(boxes)[:, None] + CORNERS
    touched[tuple(at.transpose(2, 0, 1))] = True
    numbers = np.full(touched.shape, -1, dtype=np.int64)
    numbers[touched] = np.arange(np.count_nonzero(touched))
    means = np.exp(box_means(skull, edges_m, np.log(storage_pa, where=skull, out=np.zeros(skull.shape)), edge_m))
    return BoxLattice(edges_m * counts, boxes, numbers, numbers[tuple(at.transpose(2, 0, 1))], means)


def box_means(skull: NDArray[np.bool_], edges_m: Values, volume: Values, edge_m: float = EDGE_M) -> Values:
    """Return means over each box's voxels inside the skull, in the lattice's order, shape (b,).

    Args:
        skull: voxels inside the skull, shape (i, j, k).
        edges_m: voxel edges, metres, shape (3,).
        volume: values to average, shape (i, j, k).
        edge_m: edge of a box, metres, as in `lattice`.
    """
    counts = voxels_a_box(edges_m, edge_m)
    inside = _box_sums(skull.astype(np.float64), counts)
    boxes = inside >= 0.5 * counts.prod()
    return np.asarray(_box_sums(np.where(skull, volume, 0.0), counts)[boxes] / inside[boxes])


def storage_by_tissue(
    measured_pa: Values | None, tissues: NDArray[np.integer], population_pa: Mapping[int, float]
) -> Values:
    """Return G' of every voxel, pascal, shape (i, j, k).

    It is measured where there is a measurement, and the tissue's population value elsewhere.

    Args:
        measured_pa: patient's map of G', pascal, NaN where there is none; None without elastography.
        tissues: label of each voxel, shape (i, j, k).
        population_pa: modulus G' of each label, pascal (POPULATION_PA has the values of grey and white matter and CSF).

    Raises:
        InputError: a tissue that was not measured has no population value.
    """
    filled = np.full(tissues.shape, np.nan) if measured_pa is None else measured_pa.copy()
    missing = np.isnan(filled)
    for label in np.unique(tissues[missing]):
        if int(label) not in population_pa:
            raise InputError(
                "stiffness",
                found=f"no measurement and no population value for voxels of label {int(label)}",
                expected="a storage modulus everywhere inside the skull",
                advice="Give a population value for this tissue.",
            )
        filled[missing & (tissues == label)] = population_pa[int(label)]
    return filled


def demand_moduli(storage_pa: Values) -> None:
    """Refuse values that are no moduli.

    Raises:
        InputError: a value is not positive and finite.
    """
    bad = ~(np.isfinite(storage_pa) & (storage_pa > 0.0))
    if bad.any():
        raise InputError(
            "stiffness",
            found=f"{int(bad.sum())} voxels inside the skull whose storage modulus is not positive and finite",
            expected="positive moduli",
            advice="Fill what elastography did not measure with population values of the tissue.",
        )


def _box_sums(volume: Values, counts: Indices) -> Values:
    """Return sums over boxes; boxes at the far ends may reach beyond the grid."""
    pad = [(0, int(-size % step)) for size, step in zip(volume.shape, counts, strict=True)]
    padded = np.pad(volume, pad)
    i, j, k = (size // int(step) for size, step in zip(padded.shape, counts, strict=True))
    a, b, c = (int(step) for step in counts)
    return np.asarray(padded.reshape(i, a, j, b, k, c).sum(axis=(1, 3, 5)))
