"""HDF5 files are opened without locks, from the first import on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pytest

from tests.conftest import user_environment

READ: Final = """
import sys
from pathlib import Path
from typing import Final
from palpate.imaging.files.hdf5_file import writing_hdf5
import h5py
path = Path(sys.argv[1])
with h5py.File(path) as file:
    print(file["numbers"][2])
with writing_hdf5(path.with_name("written.h5")) as file:
    file["numbers"] = [4, 5]
with h5py.File(path.with_name("written.h5")) as file:
    print(file["numbers"][1])
"""

HOLD: Final = """
import sys, h5py
with h5py.File(sys.argv[1], "r+"):
    print("open", flush=True)
    sys.stdin.read()
"""
"""A viewer that opens a file for changes, as HDF5 does it by default."""

REFUSES: Final = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ENOLCK; return -1; }
"""
"""A file system without locks, as a parallel one that was mounted without them answers."""


def _environment() -> dict[str, str]:
    """A user's own environment, which says nothing of locks."""
    return {name: value for name, value in user_environment().items() if name != "HDF5_USE_FILE_LOCKING"}


def _read(path: Path, extra: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Read and write files in another process, in a user's own environment, as palpate does."""
    return subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        env=_environment() | dict(extra),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A finished HDF5 file."""
    with h5py.File(tmp_path / "file.h5", "w", locking=False) as made:
        made["numbers"] = np.arange(3)
    return tmp_path / "file.h5"


def test_file_that_another_process_holds(file: Path) -> None:
    """A viewer or notebook that keeps a result open for changes must not stop a study that reads it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    done = _read(file, {})
    locked = _read(file, {"HDF5_USE_FILE_LOCKING": "TRUE"})
    holder.communicate("")
    assert done.stdout.split() == ["2", "5"], done.stderr
    assert "unable to lock file" in locked.stderr  # the user's own choice is kept, and this is what it does


def test_file_system_without_locks(file: Path, tmp_path: Path) -> None:
    """Parallel file systems are often mounted without locks; HDF5 could then open nothing."""
    (tmp_path / "refuses.c").write_text(REFUSES)
    library = tmp_path / "refuses.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "refuses.c"], check=True)
    done = _read(file, {"LD_PRELOAD": str(library)})
    assert done.stdout.split() == ["2", "5"], done.stderr
    locked = _read(file, {"LD_PRELOAD": str(library), "HDF5_USE_FILE_LOCKING": "TRUE"})
    assert "unable to lock file" in locked.stderr
