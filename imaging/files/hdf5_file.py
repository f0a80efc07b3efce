"""HDF5 files, written so that a failing disk raises an error in Python.

HDF5 writes much of a file only as it closes it. Where that fails it can neither close nor release the file: it prints
messages of its own about every object, and crashes as the process ends. Here Python writes for it: after the first
failure HDF5 is told that writing succeeds, and the failure is raised when the file is closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import h5py


class _Disk:
    """File as HDF5 sees it, which remembers why a disk failed.

    Attributes:
        failure: the first failure to write; None where there is none.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        self._descriptor = descriptor
        self._place = 0
        self._end = os.fstat(descriptor).st_size

    def seek(self, place: int, origin: int = os.SEEK_SET) -> int:
        """Go to a place in the file, bytes."""
        self._place = place + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[origin]
        return self._place

    def tell(self) -> int:
        """Return the place in the file, bytes."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Read some bytes, as readinto does."""
        target = bytearray(max(0, self._end - self._place) if size < 0 else size)
        self.readinto(memoryview(target))
        return bytes(target)

    def readinto(self, target: memoryview) -> int:
        """Read what lies here; zeros where the disk did not take what was written."""
        found = os.pread(self._descriptor, len(target), self._place)
        target[:] = found.ljust(len(target), b"\0")
        self._place += len(target)
        return len(target)

    def write(self, content: memoryview) -> int:
        """Write here, or remember why that is not possible."""
        content, done = memoryview(content).cast("B"), 0
        try:
            while self.failure is None and done < len(content):
                done += os.pwrite(self._descriptor, content[done:], self._place + done)
        except OSError as failure:
            self.failure = failure.with_traceback(None)
        self._place += len(content)
        self._end = max(self._end, self._place)
        return len(content)

    def truncate(self, size: int) -> int:
        """Give the file a size, bytes."""
        self._end = size
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as failure:
            self.failure = self.failure or failure.with_traceback(None)
        return size

    def flush(self) -> None:
        """Do nothing: every write goes to the system at once."""


@contextmanager
def writing_hdf5(path: Path, mode: Literal["w", "r+"] = "w", **options: object) -> Iterator[h5py.File]:
    """Open an HDF5 file to write.

    The caller ensures that an interrupted run leaves no partial file (palpate.outputs).

    Args:
        path: file to write.
        mode: mode of writing; "w" makes or replaces the file, "r+" adds to it.
        options: further options of h5py.File.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if mode == "w" else 0), 0o666)
    try:
        disk = _Disk(descriptor)
        try:
            with h5py.File(disk, mode, **options) as file:
                yield file
        except Exception:
            if disk.failure is not None:
                raise disk.failure from None
            raise
        if disk.failure is not None:
            raise disk.failure
    finally:
        os.close(descriptor)
