"""Encoding axes: a wrong sign of one of them turns shear waves into something no tissue does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from palpate.errors import InputError
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.registry import read_acquisitions
from tests.imaging.scanner import Scan, write_mre

# The direction cosines and angles of the real, oblique scan that the axes were inferred from.
ROW = (0.99957047139965, 0.00762738801645, 0.02829656618606)
COLUMN = (-0.0075018365816, 0.99996155243479, -0.0045404955805)
ANGLES = ((189, 178), (270, 90), (180, 88))


def _axes(folder: Path, **changes: object) -> np.ndarray:
    """Encoding axes that the reader finds, in LPS, one per row."""
    write_mre(folder, Scan(row=ROW, column=COLUMN, shape=(4, 4, 2), **{"angles_deg": ANGLES, **changes}))
    acquisitions, _ = read_acquisitions(folder)
    return acquisitions[0].encoding_axes @ LPS_TO_RAS


def test_real_angles_are_the_image_axes(tmp_path: Path) -> None:
    """The real scan encodes slice normal, phase encoding and read-out; the angles' rounding must not tilt them."""
    expected = np.stack([np.cross(ROW, COLUMN), COLUMN, -np.asarray(ROW)])
    np.testing.assert_allclose(_axes(tmp_path / "mre"), expected, atol=1e-6)


def test_stated_decimals_are_believed(tmp_path: Path) -> None:
    """Angles that are not rounded say more than the image's axes and must not be replaced by them."""
    axes = _axes(tmp_path / "mre", angles_deg=((189.4, 178.2), (270.0, 90.0), (180.0, 88.0)))
    azimuth, polar = np.radians([189.4, 178.2])
    device = [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
    np.testing.assert_allclose(axes[0], np.array([1, -1, -1]) * device, atol=1e-12)


def test_axes_far_from_the_image_stay(tmp_path: Path) -> None:
    """Encoding need not follow the slices; whole degrees are no reason to turn axes by more than their rounding."""
    axes = _axes(tmp_path / "mre", angles_deg=((189, 175), (270, 90), (180, 85)))
    assert np.degrees(np.arccos(abs(axes[0] @ np.cross(ROW, COLUMN)))) > 2


@pytest.mark.parametrize("position", ["HFP", "FFS", "FFP"])
def test_turning_the_patient_turns_the_axes(position: str, tmp_path: Path) -> None:
    """The encoding belongs to the magnet: a patient turned on the table sees it turned the other way."""
    straight = {"row": (1, 0, 0), "column": (0, 1, 0)}
    write_mre(tmp_path / "a", Scan(shape=(4, 4, 2), angles_deg=((30, 60), (120, 70), (200, 20)), **straight))
    turned = Scan(
        shape=(4, 4, 2), angles_deg=((30, 60), (120, 70), (200, 20)), extra={"PatientPosition": position}, **straight
    )
    write_mre(tmp_path / "b", turned)
    axes = [read_acquisitions(tmp_path / name)[0][0].encoding_axes for name in "ab"]
    turn = {"HFP": [0, 0, 180], "FFS": [0, 180, 0], "FFP": [180, 0, 0]}[position]
    rotation = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    np.testing.assert_allclose(axes[1], axes[0] @ rotation.T, atol=1e-12)


def test_angles_in_radians_are_called_so(tmp_path: Path) -> None:
    """Read as degrees they put all directions within a few degrees: "in one plane" would send the user elsewhere."""
    radians = tuple((round(np.radians(azimuth), 4), round(np.radians(polar), 4)) for azimuth, polar in ANGLES)
    with pytest.raises(InputError, match="three directions if they are radians"):
        _axes(tmp_path / "mre", angles_deg=radians)


def test_nearly_parallel_directions_are_refused(tmp_path: Path) -> None:
    """Two directions 11.5 degrees apart multiply the noise of the component between them by ten."""
    with pytest.raises(InputError, match=r"condition number 9\.93, the closest two 11\.5 degrees apart"):
        _axes(tmp_path / "mre", angles_deg=((0.5, 90.0), (12.0, 90.0), (0.0, 0.0)))
