"""Control volumes on the voxels of the patient's image: each tissue voxel is one.

Two voxels that share a face have the conductance S = face area / distance; with fibres, S follows from Selling's
formula for the tensor T, whose scale is part of D. In both cases S >= 0. Ranks own ranges of tissue voxels in C order,
which are slabs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.solvers.growth.space.selling import decompose
from palpate.solvers.growth.space.space import GrowthSpace, space

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voxels:
    """Space on voxels, with conversion between its vectors and volumes.

    Attributes:
        space: control volumes of this rank.
        mask: tissue voxels, shape (i, j, k), the same on every rank.
        own: flat C-order positions of this rank's voxels, shape (n,).
    """

    space: GrowthSpace
    mask: NDArray[np.bool_]
    own: NDArray[np.int64]

    def from_volume[T: np.generic](self, volume: NDArray[T]) -> NDArray[T]:
        """Return this rank's values of a volume, shape (n,).

        Args:
            volume: values at voxels, shape (i, j, k), the same on every rank.
        """
        if volume.shape != self.mask.shape:
            raise ValueError(f"a volume of shape {volume.shape} on a mask of shape {self.mask.shape}")
        return np.asarray(volume.ravel()[self.own])

    def to_volume(self, values: Values, outside: float = 0.0) -> Values:
        """Return all ranks' values as a volume, on every rank, shape (i, j, k). Collective.

        Args:
            values: this rank's values, shape (n,).
            outside: value of voxels that are not tissue.
        """
        volume = np.full(self.mask.shape, outside)
        volume[self.mask] = self.space.halo.gathered(values)
        return volume


def voxels(
    mask: NDArray[np.bool_], edges_m: Values, comm: MPI.Comm = MPI.COMM_SELF, tensors: Values | None = None
) -> Voxels:
    """Make every tissue voxel a control volume. Collective.

    Args:
        mask: tissue voxels, without CSF, shape (i, j, k), the same on every rank.
        edges_m: voxel edges, shape (3,), metres.
        comm: communicator of the ranks to share them.
        tensors: tensor T of each voxel along the voxel axes, symmetric positive definite, shape (i, j, k, 3, 3), mean
            eigenvalue 1 by convention; None for the unit tensor.

    Raises:
        InputError: there is no tissue.
    """
    if not mask.any():
        raise InputError("mask", found="no tissue", expected="tissue voxels", advice="Check the segmentation.")
    if edges_m.shape != (3,) or not (edges_m > 0).all():
        raise ValueError(f"edges_m must be three positive lengths, not {edges_m}")
    tissue = np.flatnonzero(mask)
    bounds = [len(tissue) * rank // comm.size for rank in (comm.rank, comm.rank + 1)]
    own = tissue[bounds[0] : bounds[1]]
    volume_m3 = float(np.prod(edges_m))
    if tensors is None:
        rows, columns, data = _faces(mask, own, volume_m3 / edges_m**2)
    else:
        lattice = tensors[mask] / np.multiply.outer(edges_m, edges_m)
        rows, columns, data = _fibres(mask, lattice * volume_m3)
        mine = (rows >= bounds[0]) & (rows < bounds[1])
        rows, columns, data = rows[mine] - bounds[0], columns[mine], data[mine]
    matrix = sparse.csr_matrix((data, (rows, columns)), shape=(len(own), len(tissue)))
    return Voxels(space(comm, np.full(len(own), volume_m3), matrix), mask, own)


type Triplets = tuple[NDArray[np.int64], NDArray[np.int64], Values]


def _faces(mask: NDArray[np.bool_], own: NDArray[np.int64], conductances_m: Values) -> Triplets:
    """Return the six neighbours of own voxels: local rows, global columns, conductances."""
    numbers = _numbers(mask)
    at = np.stack(np.unravel_index(own, mask.shape), axis=1)
    parts = []
    for axis in range(3):
        for step in np.eye(3, dtype=np.int64)[axis] * np.array([[-1], [1]]):
            rows, columns = _neighbours(numbers, at, step[None])
            parts.append((rows, columns, np.full(len(rows), conductances_m[axis])))
    rows, columns, data = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, data


def _fibres(mask: NDArray[np.bool_], lattice: Values) -> Triplets:
    """Return conductances along Selling's steps, of which either end gives half: global rows and columns."""
    weights, steps = decompose(lattice)
    numbers = _numbers(mask)
    at = np.stack(np.nonzero(mask), axis=1)
    parts = []
    for k in range(weights.shape[1]):
        for sign in (-1, 1):
            rows, columns = _neighbours(numbers, at, sign * steps[:, k])
            half = 0.5 * weights[rows, k]
            parts += [(rows, columns, half), (columns, rows, half)]
    rows, columns, data = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, data


def _numbers(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of each tissue voxel, -1 elsewhere, shape (i, j, k)."""
    numbers = np.full(mask.shape, -1, dtype=np.int64)
    numbers[mask] = np.arange(np.count_nonzero(mask))
    return numbers


def _neighbours(
    numbers: NDArray[np.int64], at: NDArray[np.int64], step: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of `at` whose neighbour at a step is tissue, and the neighbours' numbers."""
    there = at + step
    inside = ((there >= 0) & (there < numbers.shape)).all(axis=1)
    rows = np.flatnonzero(inside)
    columns = numbers[tuple(there[rows].T)]
    return rows[columns >= 0], columns[columns >= 0]
