"""Stiffness relative to a reference: the median of the tissue, in each draw, so that what all voxels share cancels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from palpate.config.findings import FindingsSettings
from palpate.imaging.derived.formulas import magnitude_pa
from palpate.imaging.files.nifti import voxel_volume_ml
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.findings.tissue_labels import TissueLabels
from palpate.imaging.region_values.averages import JointDraws


@dataclass(frozen=True, slots=True)
class RelativeStiffness:
    """Stiffness over its reference, in each draw.

    Attributes:
        values: ln(stiffness / reference), shape (count, N); NaN where a draw is no positive number.
        voxels: indices of the N voxels, shape (N, 3).
        informed: whether each voxel is informed, shape (N,).
        affine_mm: voxel indices to world R A S millimetres, shape (4, 4).
        places: place of each voxel of the grid among the N, -1 for none, shape (i, j, k).
    """

    values: NDArray[np.float32]
    voxels: NDArray[np.int32]
    informed: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, run: StiffnessMaps, draws: JointDraws, labels: TissueLabels | None, settings: FindingsSettings) -> Self:
        """Return the relative stiffness of a run.

        Args:
            run: posterior of one run, with at least one informed voxel.
            draws: its joint draws.
            labels: labels of tissue; None where there are none.
            settings: quantity and kind of reference.

        Raises:
            InputError: the labels are not on the grid of the maps.
        """
        at = tuple(draws.voxels.T)
        informed = run.informed[at]
        values = _logarithms(draws, magnitude=settings.quantity == "magnitude")
        found = cls(values, draws.voxels, informed, run.affine_mm, _places(draws.voxels, run.informed.shape))
        numbers = np.zeros(len(informed), dtype=np.int8) if labels is None else labels.on_grid(run.informed.shape)[at]
        found._refer(numbers, settings)
        return found

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, millilitres."""
        return voxel_volume_ml(self.affine_mm)

    def centre_mm(self, voxels: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the mean of the centres of some voxels, world R A S millimetres, shape (3,).

        Args:
            voxels: places of the voxels.
        """
        return np.asarray(self.affine_mm[:3, :3] @ self.voxels[voxels].mean(axis=0) + self.affine_mm[:3, 3])

    def place_mm(self, voxels: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the centre of the one of some voxels that is nearest to their middle, R A S millimetres, shape (3,).

        The middle itself may lie outside the voxels.

        Args:
            voxels: places of the voxels.
        """
        places_mm = self.voxels[voxels] @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3]
        nearest = np.linalg.norm(places_mm - places_mm.mean(axis=0), axis=1).argmin()
        return np.asarray(places_mm[nearest])

    def mask(self, voxels: NDArray[np.intp] | NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask on the grid, shape (i, j, k).

        Args:
            voxels: places of its voxels, or whether each of the N belongs to it.
        """
        found = np.zeros(self.places.shape, dtype=np.bool_)
        found[tuple(self.voxels[voxels].T)] = True
        return found

    def _refer(self, labels: NDArray[np.integer], settings: FindingsSettings) -> None:
        """Subtract the logarithm of each voxel's reference, draw by draw, in place."""
        everywhere = _medians(self.values, self.informed)
        own = np.zeros(len(labels), dtype=np.bool_)
        for number in np.unique(labels[self.informed]) if settings.reference == "labels" else ():
            inside = labels == number
            counted = inside & self.informed
            if number != 0 and np.count_nonzero(counted) * self.voxel_ml >= settings.least_label_ml:
                _shift(self.values, inside, _medians(self.values, counted))
                own |= inside
        _shift(self.values, ~own, everywhere)


def true_relative(
    run: StiffnessMaps, stiffness_kpa: NDArray[np.floating], voxels: NDArray[np.int32]
) -> RelativeStiffness:
    """Return a known truth over its median in informed tissue, as a single draw.

    Args:
        run: posterior of the run that belongs to the truth.
        stiffness_kpa: true stiffness, kPa, shape (i, j, k).
        voxels: indices of the N voxels with draws, shape (N, 3).
    """
    at = tuple(voxels.T)
    informed = run.informed[at]
    values = np.log(stiffness_kpa[at])[None].astype(np.float32)
    _shift(values, np.ones(len(voxels), dtype=np.bool_), _medians(values, informed))
    return RelativeStiffness(values, voxels, informed, run.affine_mm, _places(voxels, run.informed.shape))


def _places(voxels: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return the place of each voxel of the grid among the N, -1 for none, shape (i, j, k)."""
    found = np.full(shape, -1, dtype=np.int32)
    found[tuple(voxels.T)] = np.arange(len(voxels), dtype=np.int32)
    return found


def _logarithms(draws: JointDraws, *, magnitude: bool) -> NDArray[np.float32]:
    """Return the logarithm of the stiffness in kPa, shape (count, N); NaN where a draw is no positive number."""
    values = np.empty((draws.count, len(draws.voxels)), dtype=np.float32)
    for here, storage_kpa, loss_kpa in draws.blocks():
        stiffness = magnitude_pa(storage_kpa, loss_kpa) if magnitude else storage_kpa
        values[:, here] = np.log(np.where(stiffness > 0.0, stiffness, np.nan))
    return values


def _medians(values: NDArray[np.float32], voxels: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the median over voxels of each draw, shape (count,)."""
    at = np.flatnonzero(voxels)
    return np.array([_median(draw[at]) for draw in values], dtype=np.float32)


def _median(values: NDArray[np.float32]) -> float:
    """Return the median of the values that are numbers; np.nanmedian takes several times as long."""
    finite = np.isfinite(values)
    return float(np.median(values if finite.all() else values[finite]))


def _shift(values: NDArray[np.float32], voxels: NDArray[np.bool_], reference: NDArray[np.float32]) -> None:
    """Subtract the reference of each draw in some voxels, in place."""
    for draw, own in zip(values, reference, strict=True):
        draw[voxels] -= own
