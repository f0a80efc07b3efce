"""Average of quantities over regions in each joint draw.

Sums run from voxel to voxel in the order of the file, whichever regions are asked for together and however the draws
are read: the same region has the same value to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.imaging.derived.quantities import Medium
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.stiffness_folder import DrawBlock
from palpate.imaging.region_values.quantities import RegionQuantity

type Values = NDArray[np.float64]
type _Drawn = tuple[NDArray[np.intp], Values, Values]

_TOGETHER: Final = 1024
"""Number of voxels whose draws are averaged at a time, so that they stay in the processor's cache."""
_AT_ONCE: Final = 8192
"""Number of voxels that are read at a time where they are read one by one."""
_FEW: Final = 0.25
"""Share of the voxels up to which they are read one by one."""


class JointDraws(Protocol):
    """Joint draws of both moduli: those of a file, or those in memory."""

    @property
    def count(self) -> int:
        """Number of draws."""
        ...

    @property
    def voxels(self) -> NDArray[np.int32]:
        """Indices of the N voxels, shape (N, 3)."""
        ...

    def blocks(self) -> Iterator[DrawBlock]:
        """Yield the draws of all voxels, a few voxels at a time."""
        ...


def averages(
    draws: JointDraws, weights: sparse.csr_array, quantities: Sequence[RegionQuantity], medium: Medium
) -> dict[str, Values]:
    """Return the weighted sum of each quantity over the voxels in each draw, by its key, shape (R, draws).

    A value is NaN or infinite where a voxel of the region has no value in the draw.

    Args:
        draws: joint draws of N voxels.
        weights: weight of each voxel in each of R regions, shape (R, N).
        quantities: quantities to average.
        medium: frequency, and density of the draws.
    """
    by_voxel = weights.tocsc()
    rows = weights.shape[0]
    totals = {one.key: np.zeros((rows, draws.count)) for one in quantities}
    terms = np.empty((rows + _TOGETHER, draws.count))
    with np.errstate(invalid="ignore", over="ignore"):
        for chosen, storage_kpa, loss_kpa in _drawn(draws, np.flatnonzero(np.diff(by_voxel.indptr))):
            of_terms = _after_sums(by_voxel, chosen)
            for one in quantities:
                terms[:rows] = totals[one.key]
                terms[rows : rows + len(chosen)] = one.of(storage_kpa.T, loss_kpa.T, medium).T
                totals[one.key] = of_terms @ terms[: rows + len(chosen)]
    return totals


def _after_sums(by_voxel: sparse.csc_array, chosen: NDArray[np.intp]) -> sparse.csr_array:
    """Return the matrix that adds the terms of some voxels to the sums so far, shape (R, R + n).

    The sums stand in front of the terms, so that each row is one sum from voxel to voxel.

    Args:
        by_voxel: weight of each voxel in each region, shape (R, N).
        chosen: voxels, ascending, with every voxel in between that has a weight.
    """
    rows = by_voxel.shape[0]
    begin, end = by_voxel.indptr[chosen[0]], by_voxel.indptr[chosen[-1] + 1]
    lengths = by_voxel.indptr[chosen + 1] - by_voxel.indptr[chosen]
    row = np.concatenate([np.arange(rows), by_voxel.indices[begin:end]])
    column = np.concatenate([np.arange(rows), rows + np.repeat(np.arange(len(chosen)), lengths)])
    order = np.argsort(row, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    data = np.concatenate([np.ones(rows), by_voxel.data[begin:end]])[order]
    return sparse.csr_array((data, column[order], ends), shape=(rows, rows + len(chosen)))


def _drawn(draws: JointDraws, touched: NDArray[np.intp]) -> Iterator[_Drawn]:
    """Yield voxels that are touched and their draws of G' and G'', kPa, each of shape (n, draws), some at a time."""
    few = isinstance(draws, DrawsFile) and len(touched) <= _FEW * len(draws.voxels)
    for chosen, storage_kpa, loss_kpa in _one_by_one(draws, touched) if few else _all_of(draws, touched):
        for first in range(0, len(chosen), _TOGETHER):
            part = slice(first, first + _TOGETHER)
            yield chosen[part], np.ascontiguousarray(storage_kpa.T[part]), np.ascontiguousarray(loss_kpa.T[part])


def _one_by_one(draws: JointDraws, touched: NDArray[np.intp]) -> Iterator[_Drawn]:
    assert isinstance(draws, DrawsFile)
    for first in range(0, len(touched), _AT_ONCE):
        chosen = touched[first : first + _AT_ONCE]
        yield chosen, *draws.at(chosen)


def _all_of(draws: JointDraws, touched: NDArray[np.intp]) -> Iterator[_Drawn]:
    for here, storage_kpa, loss_kpa in draws.blocks():
        first, last = np.searchsorted(touched, (here.start, here.stop))
        inside = touched[first:last] - here.start
        if 2 * len(inside) > here.stop - here.start:  # voxels of no region cost less than a copy without them
            yield np.arange(here.start, here.stop), storage_kpa, loss_kpa
        elif len(inside):
            yield touched[first:last], storage_kpa[:, inside], loss_kpa[:, inside]
