"""Joint draws of a posterior, read a few at a time: all draws of a whole brain need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.stiffness_folder import (
    BLOCK_VALUES,
    MODULI,
    DrawBlock,
    Modulus,
    demand_density_draws,
    read_density,
)
from palpate.machine_failures import machine_fault

_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class DrawsFile:
    """File of draws that fits its grid.

    Attributes:
        path: HDF5 file.
        count: number of draws of each modulus.
        voxels: indices of the N voxels, shape (N, 3).
        density_kg_m3: density rho that each draw assumes, kg/m3, shape (count,); None where it was not kept.
    """

    path: Path
    count: int
    voxels: NDArray[np.int32]
    density_kg_m3: NDArray[np.float64] | None = None

    def log_draws(self, modulus: Modulus) -> Iterator[NDArray[np.float64]]:
        """Yield the logarithm of the modulus in kPa, draw by draw, each of shape (N,)."""
        with h5py.File(self.path) as file:
            stored = file[f"{modulus}_kpa"]
            for first in range(0, self.count, _BLOCK):
                yield from np.log(np.asarray(stored[first : first + _BLOCK], dtype=np.float64))

    def at(self, indices: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the draws of some voxels, G' and G'' in kPa, each of shape (count, n).

        Args:
            indices: numbers of the voxels, ascending, shape (n,).
        """
        with h5py.File(self.path) as file:
            storage, loss = (file[f"{modulus}_kpa"][:, indices].astype(np.float64) for modulus in MODULI)
        return storage, loss

    def blocks(self) -> Iterator[DrawBlock]:
        """Yield the draws of all voxels, a few voxels at a time; each stored chunk is unpacked once."""
        with h5py.File(self.path) as file:
            storage, loss = (file[f"{modulus}_kpa"] for modulus in MODULI)
            chunk = storage.chunks[1] if storage.chunks else 1
            width = max(1, BLOCK_VALUES // self.count // chunk) * chunk
            for first in range(0, len(self.voxels), width):
                here = slice(first, min(first + width, len(self.voxels)))
                yield here, storage[:, here].astype(np.float64), loss[:, here].astype(np.float64)


def open_draws(path: Path, shape: tuple[int, ...]) -> DrawsFile:
    """Open a file of draws and check it without reading the draws.

    Args:
        path: HDF5 file with `storagemodulus_kpa`, `lossmodulus_kpa` (n_samples, n_voxels), `voxels` (n_voxels, 3) and
            perhaps `density_kg_m3` (n_samples).
        shape: shape (i, j, k) of the grid in which the voxels must lie.

    Raises:
        InputError: the file cannot be read, does not fit the grid, or holds fewer than two draws.
    """
    try:
        with h5py.File(path) as file:
            sizes = {tuple(file[f"{modulus}_kpa"].shape) for modulus in MODULI}
            voxels = np.asarray(file["voxels"], dtype=np.int32)
            density_kg_m3 = read_density(file)
    except (OSError, KeyError) as error:
        refusal = InputError(
            path, found="no readable samples", expected="a complete *_samples.h5", advice="Run palpate invert again."
        )
        raise (machine_fault(error, path) or refusal) from error
    size = next(iter(sizes))
    fits = len(sizes) == 1 and len(size) == 2 and voxels.shape == (size[1], 3) and size[0] > 1 and len(voxels) > 0
    if not fits or np.any(voxels < 0) or np.any(voxels >= np.array(shape)):
        raise InputError(
            path,
            found=f"draws of shapes {sorted(sizes)} for {len(voxels)} voxels",
            expected=f"(n_samples, n_voxels) in a grid of {shape}, two draws or more",
            advice="Run palpate invert again.",
        )
    demand_density_draws(path, density_kg_m3, int(size[0]))
    return DrawsFile(path, int(size[0]), voxels, density_kg_m3)
