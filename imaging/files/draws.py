"""Joint draws of a posterior on disk: the one door to `*_samples.h5`.

    storagemodulus_kpa, lossmodulus_kpa (N, count) float32    kPa, contiguous: all draws of a voxel lie together
    voxels (N, 3) int32                                       indices of the voxels on the grid of the maps
    density_kg_m3 (count,) float64                            density that each draw assumes
    attributes: axes = "voxel, draw", affine_mm (4, 4)        order of the moduli's axes; voxel indices to RAS mm

Files of older versions, without `axes`, are (count, N) and compressed; they are read as well, more slowly. All draws of
a whole brain need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.hdf5_file import writing_hdf5
from palpate.imaging.files.moduli import MODULI, Modulus
from palpate.imaging.files.stored_draws import (
    VOXEL_MAJOR,
    StoredDraws,
    axes_of,
    demand_own_data,
    mapping_of,
    reading,
    stored_draws,
)

type DrawBlock = tuple[slice, NDArray[np.float64], NDArray[np.float64]]
"""Joint draws of some voxels: their places among all voxels, and G' and G'' in kPa, each of shape (count, n)."""

BLOCK_VALUES: Final = 2_000_000
"""Values of one modulus in a block of draws: 16 MB."""
_DRAWS_AT_ONCE: Final = 16
_PAGE: Final = 4096


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
    density_kg_m3: NDArray[np.float64] | None
    _stored: Mapping[Modulus, StoredDraws] = field(repr=False)

    def at(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the draws of G' and G'' in some voxels, kPa, each of shape (count, n).

        Args:
            indices: numbers of the voxels among `voxels`, shape (n,), or a mask of them, shape (N,).
        """
        which = np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.intp)
        storage_kpa, loss_kpa = (self._stored[one].of_voxels(which).astype(np.float64) for one in MODULI)
        return storage_kpa, loss_kpa

    def blocks(self) -> Iterator[DrawBlock]:
        """Yield the draws of all voxels, a few voxels at a time; each stored chunk is unpacked once."""
        storage, loss = (self._stored[one] for one in MODULI)
        for here in block_places(len(self.voxels), self.count, storage.chunk):
            yield here, storage.of_voxels(here).astype(np.float64), loss.of_voxels(here).astype(np.float64)

    def log_draws(self, modulus: Modulus) -> Iterator[NDArray[np.float64]]:
        """Yield the logarithm of the modulus in kPa, draw by draw, each of shape (N,)."""
        for first in range(0, self.count, _DRAWS_AT_ONCE):
            some = self._stored[modulus].of_draws(slice(first, first + _DRAWS_AT_ONCE))
            yield from np.log(some, dtype=np.float64)

    def every(self, modulus: Modulus) -> NDArray[np.float32]:
        """Return all draws of a modulus, kPa, shape (count, N): a view of the file where it is mapped."""
        return self._stored[modulus].of_voxels(slice(None))


def block_places(voxels: int, count: int, chunk: int = 1) -> Iterator[slice]:
    """Yield the places of blocks of voxels, of BLOCK_VALUES numbers at most where chunks allow.

    Args:
        voxels: number of voxels.
        count: number of draws.
        chunk: number of neighbouring voxels that must not be parted.
    """
    width = max(1, BLOCK_VALUES // max(1, count) // chunk) * chunk
    for first in range(0, voxels, width):
        yield slice(first, min(first + width, voxels))


def open_draws(path: Path, shape: tuple[int, ...]) -> DrawsFile:
    """Open a file of draws and check it without reading the draws.

    Args:
        path: file as this module describes it, or one of an older version.
        shape: shape (i, j, k) of the grid in which the voxels must lie.

    Raises:
        InputError: the file cannot be read, does not fit the grid, or holds fewer than two draws.
    """
    with reading(path) as file:
        for name in ("voxels", *(f"{modulus}_kpa" for modulus in MODULI)):
            demand_own_data(path, file, name)
        axes = axes_of(path, file)
        sizes = {tuple(file[f"{modulus}_kpa"].shape) for modulus in MODULI}
        kinds = {file[f"{modulus}_kpa"].dtype.kind for modulus in MODULI}
        voxels = np.asarray(file["voxels"], dtype=np.int32)
        density_kg_m3 = np.asarray(file["density_kg_m3"], dtype=np.float64) if "density_kg_m3" in file else None
        size = next(iter(sizes))
        count, number = size[:: -1 if axes == VOXEL_MAJOR else 1] if len(size) == 2 else (0, 0)
        fits = len(sizes) == 1 and kinds == {"f"} and voxels.shape == (number, 3) and count > 1 and number > 0
        if not fits or any(one.min() < 0 or one.max() >= size for one, size in zip(voxels.T, shape, strict=True)):
            raise InputError(
                path,
                found=f"draws of shapes {sorted(sizes)} ({axes}) for {len(voxels)} voxels",
                expected=f"numbers for each voxel in a grid of {shape}, two draws or more",
                advice="Run palpate invert again.",
            )
        _demand_density(path, density_kg_m3, count)
        mapping = mapping_of(path)
        stored = {modulus: stored_draws(path, file, modulus, mapping) for modulus in MODULI}
    return DrawsFile(path, count, voxels, density_kg_m3, stored)


def write_draws(
    path: Path,
    blocks: Iterable[DrawBlock],
    voxels: NDArray[np.integer],
    density_kg_m3: NDArray[np.float64],
    affine_mm: NDArray[np.float64],
) -> None:
    """Write a file of draws a block at a time. The caller makes sure that no partial file is left (palpate.outputs).

    Args:
        path: file to write.
        blocks: draws of G' and G'', kPa, that cover all voxels.
        voxels: indices of the voxels, shape (N, 3).
        density_kg_m3: density that each draw assumes, kg/m3, shape (count,).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    # Arrays begin at a page, so that any program can map them.
    with writing_hdf5(path, track_order=True, alignment_threshold=_PAGE, alignment_interval=_PAGE) as file:
        size = (len(voxels), len(density_kg_m3))
        storage, loss = (
            file.create_dataset(f"{modulus}_kpa", size, np.dtype("<f4"), track_times=False) for modulus in MODULI
        )
        file.create_dataset("voxels", data=voxels.astype("<i4"), track_times=False)
        file.create_dataset("density_kg_m3", data=density_kg_m3, track_times=False)
        file.attrs["axes"] = VOXEL_MAJOR
        file.attrs["affine_mm"] = affine_mm
        for here, storage_kpa, loss_kpa in blocks:
            storage[here] = storage_kpa.T.astype("<f4")
            loss[here] = loss_kpa.T.astype("<f4")


def _demand_density(path: Path, density_kg_m3: NDArray[np.float64] | None, count: int) -> None:
    """Refuse densities that are not one positive number for each draw."""
    if density_kg_m3 is None:
        return
    if density_kg_m3.shape != (count,) or not np.all(np.isfinite(density_kg_m3) & (density_kg_m3 > 0.0)):
        raise InputError(
            path,
            found=f"density_kg_m3 of shape {density_kg_m3.shape} for {count} draws, or values that are no density",
            expected=f"a positive density for each draw, shape ({count},)",
            advice="Run palpate invert again.",
        )
