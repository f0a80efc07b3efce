"""Draws of one modulus as a file of HDF5 stores them: mapped into memory where that is possible, else unpacked.

A contiguous, uncompressed array of 32-bit numbers lies in the file as it lies in memory, at an offset that HDF5 tells.
It is mapped, so that the draws of a few voxels cost the few pages that hold them. Reading beyond the end of a mapped
file kills the process, so the file's size is compared before the mapping and at each use.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.moduli import Modulus
from palpate.machine_failures import machine_fault

type Which = slice | NDArray[np.intp]
"""Voxels by a range of their numbers, or by the numbers."""

VOXEL_MAJOR: Final = "voxel, draw"
"""Attribute `axes` of a file of draws: axes of its arrays, slowest first."""
DRAW_MAJOR: Final = "draw, voxel"
"""Axes of files without the attribute, as older versions wrote them."""

_MAPPED_TYPE: Final = np.dtype("<f4")
_TILE: Final = 4096


class StoredDraws(Protocol):
    """Draws of one modulus, kPa, read a part at a time."""

    @property
    def chunk(self) -> int:
        """Number of neighbouring voxels that cost as much as one."""
        ...

    def of_voxels(self, which: Which) -> NDArray[np.float32]:
        """Return all draws of some voxels, shape (count, n)."""
        ...

    def of_draws(self, which: slice) -> NDArray[np.float32]:
        """Return some draws of all voxels, shape (n, N)."""
        ...


class MappedDraws:
    """Draws in a file that is mapped into memory.

    Args:
        path: file, for errors.
        mapping: its mapping.
        offset: place of the first number, bytes.
        shape: shape of the array in the file.
        voxel_major: whether the first axis of the array is that of the voxels.
    """

    chunk = 1

    def __init__(
        self, path: Path, mapping: mmap.mmap, offset: int, shape: tuple[int, int], *, voxel_major: bool
    ) -> None:
        self._path, self._mapping = path, mapping
        self._end = offset + shape[0] * shape[1] * _MAPPED_TYPE.itemsize
        self._demand_whole(len(mapping))
        self._values = np.frombuffer(mapping, _MAPPED_TYPE, shape[0] * shape[1], offset).reshape(shape)
        self._voxel_major = voxel_major

    def of_voxels(self, which: Which) -> NDArray[np.float32]:
        """Return all draws of some voxels, shape (count, n); those of a slice are not read yet."""
        self._demand_whole(self._mapping.size())
        return np.asarray(self._values[which].T if self._voxel_major else self._values[:, which])

    def of_draws(self, which: slice) -> NDArray[np.float32]:
        """Return some draws of all voxels, shape (n, N)."""
        self._demand_whole(self._mapping.size())
        if not self._voxel_major:
            return np.asarray(self._values[which])
        found = np.empty((len(range(*which.indices(self._values.shape[1]))), len(self._values)), dtype=np.float32)
        for first in range(0, len(self._values), _TILE):  # a tile stays in the processor's cache while it is turned
            here = slice(first, first + _TILE)
            found[:, here] = self._values[here, which].T
        return found

    def _demand_whole(self, size: int) -> None:
        if size < self._end:
            raise InputError(
                self._path,
                found=f"{size} bytes",
                expected=f"at least {self._end} bytes, as the file itself states",
                advice="The file is truncated; copy it again, or run palpate invert again.",
            )


@dataclass(frozen=True, slots=True)
class PackedDraws:
    """Draws that HDF5 has to read: compressed ones of older versions, and any other form.

    Attributes:
        path: file.
        name: name of the array in the file.
        voxel_major: whether the first axis of the array is that of the voxels.
        chunk: number of neighbouring voxels that are stored together.
    """

    path: Path
    name: str
    voxel_major: bool
    chunk: int

    def of_voxels(self, which: Which) -> NDArray[np.float32]:
        """Return all draws of some voxels, shape (count, n); each chunk is unpacked once."""
        with reading(self.path) as file:
            stored = file[self.name]
            if isinstance(which, slice):
                return self._read(stored, which)
            found = np.empty((stored.shape[int(self.voxel_major)], len(which)), dtype=np.float32)
            chunks = which // self.chunk
            for one in np.unique(chunks):
                inside = np.flatnonzero(chunks == one)
                first = int(one) * self.chunk
                found[:, inside] = self._read(stored, slice(first, first + self.chunk))[:, which[inside] - first]
        return found

    def of_draws(self, which: slice) -> NDArray[np.float32]:
        """Return some draws of all voxels, shape (n, N)."""
        with reading(self.path) as file:
            values = file[self.name][:, which].T if self.voxel_major else file[self.name][which]
            return np.asarray(values, dtype=np.float32)

    def _read(self, stored: h5py.Dataset, voxels: slice) -> NDArray[np.float32]:
        values = stored[voxels].T if self.voxel_major else stored[:, voxels]
        return np.asarray(values, dtype=np.float32)


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open a file of draws, and refuse what cannot be read in it.

    Raises:
        InputError: the file, or what is asked of it, cannot be read.
    """
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError, AttributeError, TypeError, ValueError) as error:
        refusal = InputError(
            path, found="no readable samples", expected="a complete *_samples.h5", advice="Run palpate invert again."
        )
        raise (machine_fault(error, path) or refusal) from error


def axes_of(path: Path, file: h5py.File) -> str:
    """Return the axes of the arrays in an open file.

    Raises:
        InputError: the attribute states other axes.
    """
    stated = file.attrs.get("axes", DRAW_MAJOR)
    stated = stated.decode(errors="replace") if isinstance(stated, bytes) else stated
    if not isinstance(stated, str) or stated not in (VOXEL_MAJOR, DRAW_MAJOR):
        raise InputError(
            path,
            found=f"the attribute axes = {stated!r}",
            expected=f"{VOXEL_MAJOR!r} or {DRAW_MAJOR!r}",
            advice="Run palpate invert again.",
        )
    return stated


def demand_own_data(path: Path, file: h5py.File, name: str) -> None:
    """Refuse an array whose numbers lie in another file: a link out of it, a virtual array or external storage.

    Args:
        path: the file.
        file: the file, open.
        name: name of the array.

    Raises:
        InputError: they do.
        KeyError: there is no such array.
    """
    link, stored = file.get(name, getlink=True), file[name]
    array = isinstance(stored, h5py.Dataset)  # anything else holds no numbers, which the reader says
    elsewhere = array and (stored.is_virtual or stored.id.get_create_plist().get_external_count() > 0)
    if elsewhere or not isinstance(link, h5py.HardLink):
        raise InputError(
            path,
            found=f"{name} whose numbers lie in another file",
            expected="a file that holds its own numbers",
            advice="Run palpate invert again.",
        )


def stored_draws(path: Path, file: h5py.File, modulus: Modulus, mapping: mmap.mmap) -> StoredDraws:
    """Return the draws of a modulus in an open file, of which nothing is read yet.

    Args:
        path: the file.
        file: the file, open.
        modulus: modulus to read.
        mapping: mapping of the file.

    Raises:
        InputError: the file is shorter than it states.
    """
    stored, voxel_major = file[f"{modulus}_kpa"], axes_of(path, file) == VOXEL_MAJOR
    form = stored.id.get_create_plist()
    contiguous = form.get_layout() == h5py.h5d.CONTIGUOUS and form.get_external_count() == 0
    offset = stored.id.get_offset() if contiguous and stored.dtype == _MAPPED_TYPE and stored.size else None
    if offset is None:
        chunk = stored.chunks[0 if voxel_major else 1] if stored.chunks else 1
        return PackedDraws(path, f"{modulus}_kpa", voxel_major, chunk)
    return MappedDraws(path, mapping, offset, stored.shape, voxel_major=voxel_major)


def mapping_of(path: Path) -> mmap.mmap:
    """Map a file into memory to read it.

    Args:
        path: file that is not empty.
    """
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
