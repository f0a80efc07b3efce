"""MRtrix reads the MR series: the grid and the values of the map on the T1 that NIfTI holds."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from palpate.imaging.files.maps import read_map
from palpate.imaging.files.nifti import read_nifti
from tests.imaging.viewers.conftest import Session

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("mrconvert") is None, reason="needs MRtrix (Debian: mrtrix3)"),
]


def _said(*words: object) -> str:
    """What a program of MRtrix prints."""
    done = subprocess.run([str(one) for one in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("statistic", ["mean", "std", "lower", "upper"])
def test_mrtrix_reads_grid_and_values(statistic: str, session: Session, tmp_path: Path) -> None:
    """Researchers give MRtrix the folder of one series, and must get what the NIfTI beside it says, within 1 Pa."""
    name = f"{session.mean.name.partition('_stat-')[0]}_stat-{statistic}_storagemodulus"
    folder, expected = session.dicom / name, read_map(session.anatomy / f"{name}.nii.gz")
    _said("mrinfo", folder, "-json_all", tmp_path / "info.json", "-quiet")
    info = json.loads((tmp_path / "info.json").read_text())
    assert sorted(info["size"]) == sorted(expected.values.shape)
    assert info["spacing"][:3] == pytest.approx([1.0, 1.0, 1.0], abs=1e-4)
    stated = _said("mrstats", folder, "-output", "max", "-output", "count", "-ignorezero", "-quiet").split()
    covered = np.isfinite(expected.values)
    assert float(stated[0]) == pytest.approx(1e3 * np.nanmax(expected.values), abs=1.0)
    assert int(float(stated[1])) == int(covered.sum())
    strides = ",".join(str(one) for one in _strides(expected.affine_mm))
    _said("mrconvert", folder, tmp_path / "out.nii", "-strides", strides, "-quiet")
    found = read_nifti(tmp_path / "out.nii")
    np.testing.assert_allclose(found.affine_mm, expected.affine_mm, atol=1e-3)
    np.testing.assert_array_equal(found.values > 0, covered)
    assert np.abs(found.values - 1e3 * expected.values)[covered].max() <= 1.0


def _strides(affine_mm: np.ndarray) -> list[int]:
    """MRtrix' order of axes R, A, S in memory with the sign of each, as the map's voxels lie."""
    along = np.abs(affine_mm[:3, :3]).argmax(axis=1)
    return [int((axis + 1) * np.sign(affine_mm[world, axis])) for world, axis in enumerate(along)]
