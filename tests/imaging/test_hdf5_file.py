"""HDF5 files that Python writes: the same content, and a disk that fails at any byte is one exception and no crash."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.imaging.files.hdf5_file import writing_hdf5

DRAWS = np.random.default_rng(0).random((50, 400))


def _write(path: Path, **options: object) -> None:
    with writing_hdf5(path, **options) as file:
        file.create_dataset("draws", data=DRAWS, compression="gzip", shuffle=True, track_times=False)
        file.create_group("below").attrs["names"] = np.array(["a", "b"], dtype=h5py.string_dtype())


def test_content_and_bytes(tmp_path: Path) -> None:
    """Other programs read it as any HDF5 file, it can be added to, and equal content gives equal bytes."""
    for name in ("one.h5", "two.h5"):
        _write(tmp_path / name)
        with writing_hdf5(tmp_path / name, "r+") as file:
            file["more"] = np.arange(5)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    with h5py.File(tmp_path / "one.h5") as file:
        np.testing.assert_array_equal(file["draws"], DRAWS)
        np.testing.assert_array_equal(file["more"], np.arange(5))
        assert list(file["below"].attrs["names"]) == ["a", "b"]


def test_shorter_file_replaces_a_longer_one(tmp_path: Path) -> None:
    """Nothing of what lay there before may stand behind the new end."""
    path = tmp_path / "file.h5"
    path.write_bytes(b"x" * 10_000_000)
    _write(path)
    assert path.stat().st_size < 1_000_000
    with h5py.File(path) as file:
        assert file["draws"].shape == DRAWS.shape


@pytest.mark.parametrize("room", [0, 1, 100, 2_000, 20_000, 120_000])
def test_disk_that_fills(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the disk ends, the system's failure arrives, and HDF5 has closed the file and can write others."""
    written, write = 0, os.pwrite
    opened = h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)

    def limited(descriptor: int, content: memoryview, place: int) -> int:
        nonlocal written
        if written + len(content) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += len(content)
        return write(descriptor, content, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", limited)
        with pytest.raises(OSError, match="No space left") as caught:
            _write(tmp_path / "full.h5")
    assert caught.value.errno == errno.ENOSPC
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == opened
    _write(tmp_path / "next.h5")


def test_failure_of_the_block_is_its_own(tmp_path: Path) -> None:
    """A bug while writing is not taken for the disk's failure."""
    with pytest.raises(ZeroDivisionError), writing_hdf5(tmp_path / "file.h5") as file:
        file["x"] = 1
        raise ZeroDivisionError
