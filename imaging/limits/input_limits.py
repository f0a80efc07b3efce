"""Limits on the unpacked size of an input: small files that unpack to gigabytes must not fill the machine.

The size that a file states is not trusted: bytes are counted while they are unpacked.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from palpate.errors import InputError

MIB: Final = 1 << 20
"""Bytes of a mebibyte."""
_PIECE_BYTES: Final = MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one input: a folder, an archive or a file that a user names.

    Attributes:
        total_bytes: bytes that all archives and compressed files of the input may unpack to.
        ratio: unpacked bytes for each stored byte that every archive or compressed file may have.
        free_bytes: bytes that may exceed that ratio, summed over the input: small files of zeros compress 1000 times.
        files: number of files and of members of archives.
        depth: number of archives or compressed files that may lie within one another.
        file_bytes: size of one DICOM file or member of an archive.
        pixels: rows x columns x frames of one DICOM image.
        nifti_free_bytes: bytes that a compressed NIfTI may exceed the ratio by: masks are mostly zeros.
        nifti_bytes: bytes that a compressed NIfTI may unpack to.
    """

    total_bytes: int = 16 * 1024 * MIB
    ratio: int = 200
    free_bytes: int = 64 * MIB
    files: int = 200_000
    depth: int = 4
    file_bytes: int = 4 * 1024 * MIB
    pixels: int = 2_000_000_000
    nifti_free_bytes: int = 512 * MIB
    nifti_bytes: int = 8 * 1024 * MIB


LIMITS: Final = Limits()
"""Limits in force; docs/reading.md and decision 0086 give the reasons."""
_ADVICE: Final = "Check where the file comes from; if it is sound, unpack it and give the folder."


class Budget:
    """Count of the files and bytes to which one input has been unpacked so far."""

    def __init__(self, where: Path | str, limits: Limits = LIMITS) -> None:
        self.where = where
        self.limits = limits
        self._files = 0
        self._total = 0
        self._excess = 0

    def count_file(self) -> None:
        """Count one more file or member.

        Raises:
            InputError: the number exceeds the limit.
        """
        self._files += 1
        if self._files > self.limits.files:
            self._refuse(f"more than {self.limits.files} files", f"at most {self.limits.files} files in one input")

    def demand_depth(self, depth: int) -> None:
        """Raise InputError where archives lie deeper within one another than the limit."""
        if depth > self.limits.depth:
            self._refuse(
                f"archives or compressed files within one another, {depth} deep", f"at most {self.limits.depth}"
            )

    def demand_file_size(self, length: int) -> None:
        """Raise InputError where one file is larger than the limit."""
        if length > self.limits.file_bytes:
            self._refuse(
                f"a DICOM file or archive member of more than {_gib(self.limits.file_bytes)}",
                f"at most {_gib(self.limits.file_bytes)} a file",
            )

    def _spend(self, unpacked: int, excess: int) -> None:
        self._total += unpacked
        self._excess += excess
        if self._total > self.limits.total_bytes:
            self._refuse(
                f"archives that unpack to more than {_gib(self.limits.total_bytes)}",
                f"at most {_gib(self.limits.total_bytes)} in all",
            )
        if self._excess > self.limits.free_bytes:
            self._refuse(
                f"compressed data that unpack to more than {self.limits.ratio} times their stored size",
                f"images, which compress 2 to 20 times (at most {self.limits.free_bytes // MIB} MiB beyond "
                f"{self.limits.ratio} times)",
            )

    def _refuse(self, found: str, expected: str) -> None:
        raise InputError(self.where, found=found, expected=expected, advice=_ADVICE)


class Scope:
    """Count of the bytes to which one archive or compressed file of an input has been unpacked.

    Args:
        budget: budget of the whole input.
        stored: bytes of the file as it is stored.
    """

    def __init__(self, budget: Budget, stored: int) -> None:
        self.budget = budget
        self._allowed = budget.limits.ratio * stored
        self._unpacked = 0

    def add(self, unpacked: int) -> None:
        """Count unpacked bytes.

        Raises:
            InputError: a limit of the input is passed.
        """
        before = max(0, self._unpacked - self._allowed)
        self._unpacked += unpacked
        self.budget._spend(unpacked, max(0, self._unpacked - self._allowed) - before)


class Counted(io.RawIOBase):
    """Stream whose bytes are counted as they are unpacked, in small pieces so that none fills the memory.

    Args:
        stream: unpacking stream.
        scope: counter of its bytes.
    """

    def __init__(self, stream: BinaryIO, scope: Scope) -> None:
        super().__init__()
        self._stream = stream
        self._scope = scope

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, or all that are left."""
        wanted = -1 if size is None else size
        pieces: list[bytes] = []
        length = 0
        while wanted < 0 or length < wanted:
            piece = self._stream.read(_PIECE_BYTES if wanted < 0 else min(_PIECE_BYTES, wanted - length))
            if not piece:
                break
            self._scope.add(len(piece))
            length += len(piece)
            self._scope.budget.demand_file_size(length)
            pieces.append(piece)
        return b"".join(pieces)


def demand_gzip_fits(path: Path, declared_bytes: Callable[[bytes], int | None], limits: Limits = LIMITS) -> None:
    """Unpack a compressed volume once without keeping it, to check its checksum and its stated size.

    Args:
        path: gzip file.
        declared_bytes: function of the first 1024 unpacked bytes that returns the size of the whole stated by the
            format's header; None where it states none.
        limits: limits of the unpacked size.

    Raises:
        InputError: the header states, or the file holds, more than the limits allow.
        OSError, EOFError, zlib.error: the compressed data are damaged.
    """
    allowed = min(limits.nifti_bytes, limits.ratio * path.stat().st_size + limits.nifti_free_bytes)
    with gzip.open(path) as stream:
        head = stream.read(1024)
        declared = declared_bytes(head)
        if declared is not None:
            if declared > allowed:
                _refuse_volume(path, f"a header that states {_gib(declared)} of voxels", allowed)
            # Some writers append; a file that goes on far beyond its voxels is none of them.
            allowed = min(allowed, declared + limits.free_bytes)
        length = len(head)
        while piece := stream.read(_PIECE_BYTES):
            length += len(piece)
            if length > allowed:
                _refuse_volume(path, f"a compressed file that unpacks to more than {_gib(allowed)}", allowed)


def _refuse_volume(path: Path, found: str, allowed: int) -> None:
    raise InputError(
        path,
        found=found,
        expected=f"at most {_gib(allowed)} from a compressed file of this size and header",
        advice="Write the file again with a true header; if it is sound, store it uncompressed.",
    )


def _gib(length: int) -> str:
    """Return a number of bytes for people."""
    return f"{length / (1024 * MIB):.3g} GiB" if length >= 100 * MIB else f"{length / MIB:.3g} MiB"
