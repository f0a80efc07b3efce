"""Arrays of MATLAB files (up to version 7), read in a separate process.

scipy's reader is compiled and crashes on some damaged bytes; such a crash must not end palpate.
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import scipy.io
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.limits.input_limits import MIB, Budget, Scope

_NEWER_VERSION: Final = 3
"""Exit code where the file is of version 7.3."""
_SECONDS: Final = 120.0
_HEADER_BYTES: Final = 128
_ORDER: Final = {b"IM": "<", b"MI": ">"}
"""Byte order, by the last two bytes of the header of versions 5 to 7."""
_COMPRESSED: Final = 15
"""Type of an element whose data are compressed."""


def read_matlab(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the numeric arrays of a file by name.

    Raises:
        InputError: the file is missing, of version 7.3, cannot be read to its end, or unpacks to more than the limits
            allow.
    """
    if not path.exists():
        raise InputError(path, found="no such file", expected="a MATLAB file", advice="Check the path.")
    _demand_fits(path)
    command = [sys.executable, "-P", "-m", "palpate.imaging.files.matlab_file", str(path.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode == 0:
            with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        newer = done.returncode == _NEWER_VERSION
    except (subprocess.TimeoutExpired, ValueError, OSError, zipfile.BadZipFile):
        newer = False
    if newer:
        raise InputError(
            path,
            found="a MATLAB file of version 7.3",
            expected="version 7 or older",
            advice="Save it again with save(..., '-v7').",
        )
    raise InputError(path, found="no readable MATLAB file", expected="a complete .mat", advice="Copy the file again.")


def _demand_fits(path: Path) -> None:
    """Unpack the compressed elements once without keeping them; raise InputError where they pass the limits."""
    scope = Scope(Budget(path), path.stat().st_size)
    with path.open("rb") as stream:
        order = _ORDER.get(stream.read(_HEADER_BYTES)[-2:])
        while order is not None and len(tag := stream.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            end = stream.tell() + length
            if kind == _COMPRESSED:
                try:
                    _count(stream.read(length), scope)
                except zlib.error:
                    return  # the reader says that the file is damaged
            stream.seek(end)


def _count(packed: bytes, scope: Scope) -> None:
    """Count what one element unpacks to, in pieces of which none fills the memory."""
    unpacking = zlib.decompressobj()
    while packed:
        scope.add(len(unpacking.decompress(packed, MIB)))
        packed = unpacking.unconsumed_tail


def main() -> int:
    """Write the numeric arrays of the file that the command line names to stdout, as numpy's archive."""
    try:
        content = scipy.io.loadmat(sys.argv[1])
    except NotImplementedError:
        return _NEWER_VERSION
    numeric = {
        name: value
        for name, value in content.items()
        if not name.startswith("__") and isinstance(value, np.ndarray) and value.dtype.kind in "biufc"
    }
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **numeric)
    sys.stdout.buffer.write(packed.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
