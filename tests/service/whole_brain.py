"""Session of a whole brain on disk: 190,000 voxels under a T1 of 1 mm, as large as a page has to carry."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.maps import read_map, write_map
from tests.service import conftest
from tests.service.conftest import SessionFiles, write_session

SHAPE: Final = (70, 88, 66)
VOXELS: Final = 189_128
"""Number of voxels with a value."""
_HEAD: Final = (164, 204, 178)


def write_whole_brain(home: Path) -> SessionFiles:
    """Write the session of one run, with draws, wave field and a T1 whose head fills the largest image of a page.

    Args:
        home: folder for the session and its truth.
    """
    with mock.patch.object(conftest, "SHAPE", SHAPE):
        files = write_session(home / "results" / "sub-01" / "ses-01", home / "truth", anatomy=False)
    maps = read_map(files.mre / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz")
    middle_mm = maps.affine_mm[:3, :3] @ (np.array(SHAPE) / 2.0) + maps.affine_mm[:3, 3]
    _write_head(files.wavefield / "sub-01_ses-01_T1w.nii.gz", middle_mm)
    return files


def _write_head(path: Path, middle_mm: NDArray[np.float64]) -> None:
    """Write a head of 1 mm with skull, folds and noise around the middle of the maps."""
    x, y, z = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in _HEAD), indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    folds = np.sin(25.0 * x) * np.cos(21.0 * y) * np.sin(23.0 * z)
    values = np.where(radius < 0.8, 600.0 + 220.0 * np.tanh(3.0 * folds), 0.0)
    values = np.where((radius > 0.88) & (radius < 1.0), 900.0, values)
    values += np.random.default_rng(11).normal(0.0, 20.0, _HEAD)
    affine_mm = np.eye(4)
    affine_mm[:3, 3] = middle_mm - np.array(_HEAD) / 2.0
    write_map(path, values, affine_mm, units="1", description="T1-weighted")
