"""Scores of the cortex benchmark, parcel by parcel, for the posterior and for the comparators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scores.other_methods import other_methods
from worlds.cortex_block import FLUID, CortexCase, engineering

from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.moduli import MODULI
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.units import pa_to_kpa

LEAST_VOXELS: Final = 8
"""Least number of voxels of a parcel that is scored."""
LEAST_MM3: Final = 64.0
"""Least volume of a parcel that counts as a region, mm3: eight voxels of 2 mm, at every voxel size."""


@dataclass(frozen=True, slots=True)
class CortexScore:
    """Figures of the parcels of tissue, percent, shape (parcels, 2) for mu and xi.

    Attributes:
        volume_mm3: volume of each parcel inside the block, mm3, shape (parcels,).
        voxels: mean error of each parcel's voxels.
        means: error of each parcel's mean.
        held: 100 where the true mean lies in the 95 % interval, else 0; NaN for a baseline.
    """

    volume_mm3: NDArray[np.float64]
    voxels: NDArray[np.float64]
    means: NDArray[np.float64]
    held: NDArray[np.float64]

    @property
    def regions(self) -> CortexScore:
        """Scores without slivers that the edge of the block leaves of a parcel: less than LEAST_MM3."""
        kept = self.volume_mm3 >= LEAST_MM3
        return CortexScore(self.volume_mm3[kept], self.voxels[kept], self.means[kept], self.held[kept])


def _parcels_of(case: CortexCase) -> Iterator[NDArray[np.bool_]]:
    """Return which voxels belong to each parcel of tissue, shape (N,)."""
    for parcel, share in zip(case.regions.numbers, case.regions.fractions.toarray().T, strict=True):
        if parcel != FLUID and np.count_nonzero(share > 0.5) >= LEAST_VOXELS:
            yield share > 0.5


def score(
    case: CortexCase, modulus_kpa: NDArray[np.complex128], draws_kpa: NDArray[np.complex128] | None = None
) -> CortexScore:
    """Score an estimate of G*, kilopascal, shape (N,), and its joint draws, shape (draws, N)."""
    found = engineering(modulus_kpa)
    drawn = None if draws_kpa is None else engineering(draws_kpa)
    rows, volumes_mm3 = [], []
    for inside in _parcels_of(case):
        volumes_mm3.append(np.count_nonzero(inside) * case.voxel_mm**3)
        row = []
        for which, truth in enumerate((case.mu_kpa, case.xi)):
            estimate, true = found[which][inside], truth[inside]
            usable = np.isfinite(estimate)
            voxels = float(np.mean(np.abs(estimate - true)[usable] / true[usable]))
            mean = abs(float(estimate[usable].mean() / true[usable].mean()) - 1.0)
            held = float("nan")
            if drawn is not None:
                low, high = np.quantile(drawn[which][:, inside].mean(axis=1), [0.025, 0.975])
                held = float(low <= true.mean() <= high)
            row.append((voxels, mean, held))
        rows.append(row)
    voxels_percent, means_percent, held_percent = 100.0 * np.moveaxis(np.array(rows), 2, 0)
    return CortexScore(np.array(volumes_mm3), voxels_percent, means_percent, held_percent)


def score_folder(case: CortexCase, mre: Path) -> CortexScore:
    """Score the maps and the draws of an inversion."""
    parts = [read_nifti(next(mre.glob(f"*_stat-mean_{m}.nii.gz"))).values for m in MODULI]
    file = open_draws(next(mre.glob("*_samples.h5")), parts[0].shape)
    draws, place = file.every("storagemodulus") + 1j * file.every("lossmodulus"), tuple(file.voxels.T)
    return score(case, np.asarray((parts[0] + 1j * parts[1])[place]), draws)


def comparators(case: CortexCase) -> dict[str, CortexScore]:
    """Score the other methods on the same waves, by name; they use no regions."""
    (field,) = read_wave_fields(case.wavefield)
    return {
        name: score(case, pa_to_kpa(result.storage_pa + 1j * result.loss_pa)[field.mask])
        for name, result in other_methods(field).items()
    }
