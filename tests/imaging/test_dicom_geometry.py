"""Where voxels lie in the world: a flipped or shifted grid puts the stiffness of one side onto the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from nibabel.nicom.dicomwrappers import MosaicWrapper
from scipy.spatial.transform import Rotation

from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.geometry import LPS_TO_RAS, split_mosaic, tiles_per_side
from palpate.imaging.dicom.registry import read_acquisitions
from tests.imaging.scanner import Scan, _joined, write_mre, write_t1

TILT = Rotation.from_euler("xyz", [11, -7, 23], degrees=True).as_matrix()
OBLIQUE = Scan(
    row=tuple(TILT[:, 0]), column=tuple(TILT[:, 1]), corner_mm=(-12.5, 31.25, -7.75), spacing_mm=(1.5, 2.5, 4)
)


@pytest.mark.parametrize("n_slices", range(1, 18))
def test_mosaic_round_trip(n_slices: int) -> None:
    """Split after join must be the identity for every number of slices, square or not."""
    volume = np.random.default_rng(n_slices).integers(0, 4096, size=(5, 3, n_slices)).astype(np.uint16)
    side = tiles_per_side(n_slices)
    assert (side - 1) ** 2 < n_slices <= side**2
    np.testing.assert_array_equal(split_mosaic(_joined(volume, side).astype(float), n_slices), volume)


@pytest.mark.parametrize(
    "scan", [Scan(angles_deg=((0, 180), (270, 90), (180, 90))), OBLIQUE], ids=["straight", "oblique"]
)
def test_mosaic_affine_agrees_with_nibabel(scan: Scan, tmp_path: Path) -> None:
    """The nibabel library places mosaics by code of its own; both must put the slab at the same place."""
    write_mre(tmp_path / "mre", scan)
    acquisitions, _ = read_acquisitions(tmp_path / "mre")
    image = pydicom.dcmread(tmp_path / "mre" / "s46" / "0001.ima")
    normal = np.cross(scan.row, scan.column)
    other = MosaicWrapper(
        image, csa_header={"tags": {"SliceNormalVector": {"items": list(normal)}}}, n_mosaic=scan.shape[2]
    )
    affine = acquisitions[0].affine_mm
    np.testing.assert_allclose(LPS_TO_RAS @ other.image_position, affine[:3, 3], atol=1e-6)
    np.testing.assert_allclose(LPS_TO_RAS @ np.asarray(scan.corner_mm), affine[:3, 3], atol=1e-6)
    columns = np.stack([scan.row, scan.column, normal], axis=1) * scan.spacing_mm
    np.testing.assert_allclose(affine[:3, :3], LPS_TO_RAS @ columns, atol=1e-6)


def test_anatomy_agrees_with_simpleitk(tmp_path: Path) -> None:
    """An independent reader must find the same values at the same places of the patient, for oblique slices."""
    values = np.random.default_rng(0).integers(0, 4000, size=(9, 7, 6)).astype(np.uint16)
    write_t1(tmp_path / "t1", values, OBLIQUE, (1.0, 1.25, 1.5))
    volume = read_anatomy(tmp_path / "t1").volume
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "t1")))
    other = reader.Execute()
    np.testing.assert_array_equal(volume.values, sitk.GetArrayFromImage(other).transpose(2, 1, 0))
    for index in ((0, 0, 0), (8, 0, 0), (0, 6, 0), (0, 0, 5), (8, 6, 5)):
        there = LPS_TO_RAS @ other.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(volume.affine_mm[:3] @ [*index, 1], there, atol=1e-5)
