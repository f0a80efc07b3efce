"""The anatomy and the drawn mask at the door: what is believed of a registration, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import settled
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.files.nifti import Volume, read_nifti, write_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.registration.placement import Placement, read_placement
from palpate.imaging.registration.rigid import Rigid
from tests.imaging.scanner import Scan, write_mre

STEM = "sub-01_ses-01"


def _found(moved_mm: float, uncertainty_mm: float, *warnings: str) -> Placement:
    motion = Rigid(np.array([0.0, 0.0, 0.0, moved_mm, 0.0, 0.0]), np.zeros(3))
    status = "failed" if warnings else "registered"
    return Placement(status, motion, 0.01 * np.eye(6), uncertainty_mm, {"moved_mm": moved_mm}, warnings)


@pytest.mark.parametrize(
    ("found", "same_frame", "status", "shift_mm"),
    [
        (_found(0.3, 0.2), True, "aligned", 0.0),
        (_found(0.2, 0.05), True, "aligned", 0.0),
        (_found(0.3, 0.2), None, "aligned", 0.0),
        (_found(0.3, 0.2), False, "registered", 0.3),
        (_found(3.0, 0.2), True, "registered", 3.0),
        (_found(3.0, 0.2, "Odd."), True, "assumed", 0.0),
        (_found(3.0, 0.2, "Odd."), None, "assumed", 0.0),
        (_found(3.0, 0.2, "Odd."), False, "failed", 3.0),
    ],
)
def test_what_is_believed(found: Placement, same_frame: bool | None, status: str, shift_mm: float) -> None:  # noqa: FBT001 - a parameter of the test
    """The scanner's own coordinates are evidence too: noise must not move an image that never moved.

    Where the frames differ there are no common coordinates, so that a failure leaves nothing to believe.
    """
    placement = settled(found, same_frame)
    assert placement.status == status
    assert placement.motion.parameters[3] == shift_mm
    assert placement.usable == (status != "failed")
    if found.status == "failed":
        assert placement.warnings[0] == "Odd."
        assert len(placement.warnings) == 2


@pytest.fixture(scope="module")
def mre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretend scanner's export."""
    folder = tmp_path_factory.mktemp("scan") / "mre"
    write_mre(folder, Scan())
    return folder


@pytest.fixture(scope="module")
def magnitude(mre: Path, tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """The elastogram's magnitude, as ingest writes it without an anatomy."""
    out = tmp_path_factory.mktemp("plain") / "out"
    ingest(mre, STEM, out, anatomy=None, settings=IngestSettings())
    return read_nifti(out / f"{STEM}_magnitude.nii.gz")


def _t1(magnitude: Volume) -> Volume:
    """Intensities on 1.5 mm voxels around the elastogram's."""
    values = np.random.default_rng(3).uniform(100.0, 900.0, (24, 24, 20))
    affine_mm = np.diag([1.5, 1.5, 1.5, 1.0])
    centre_mm = magnitude.affine_mm @ [*(np.array(magnitude.values.shape) - 1) / 2, 1.0]
    affine_mm[:3, 3] = centre_mm[:3] - 1.5 * (np.array(values.shape) - 1) / 2
    return Volume(values, affine_mm)


def _far(t1: Volume) -> Volume:
    affine_mm = t1.affine_mm.copy()
    affine_mm[:3, 3] += 400.0
    return Volume(t1.values, affine_mm)


def _with_hole(t1: Volume) -> Volume:
    values = t1.values.copy()
    values[3, 4, 5] = np.nan
    return Volume(values, t1.affine_mm)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_far, "shows nothing of the elastogram"),
        (_with_hole, "1 voxels that are not finite"),
        (lambda t1: Volume(0.0 * t1.values, t1.affine_mm), "the same intensity everywhere"),
        (lambda t1: Volume(0.0 * t1.values + 7.0, t1.affine_mm), "the same intensity everywhere"),
        (lambda t1: Volume(t1.values[..., None] * np.ones(2), t1.affine_mm), "an array of shape"),
    ],
)
def test_unusable_anatomies_are_refused(
    mre: Path, magnitude: Volume, tmp_path: Path, spoil: Callable[[Volume], Volume], found: str
) -> None:
    """Each of these would be registered to something, or shown to a planner as it is."""
    spoilt = spoil(_t1(magnitude))
    write_nifti(tmp_path / "t1.nii.gz", spoilt.values.astype(np.float32), spoilt.affine_mm)
    with pytest.raises(InputError, match=found):
        ingest(mre, STEM, tmp_path / "out", anatomy=tmp_path / "t1.nii.gz", settings=IngestSettings())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("registration", ["auto", "never"])
def test_an_anatomy_that_cannot_be_registered_stays_with_a_doubt(
    mre: Path, magnitude: Volume, tmp_path: Path, registration: str
) -> None:
    """Noise for a T1: nothing is moved, and the record says why; who registered beforehand can switch it off."""
    t1 = _t1(magnitude)
    write_nifti(tmp_path / "t1.nii.gz", t1.values.astype(np.float32), t1.affine_mm)
    settings = IngestSettings.model_validate({"registration": registration})
    ingest(mre, STEM, tmp_path / "out", anatomy=tmp_path / "t1.nii.gz", settings=settings)
    placement = read_placement(tmp_path / "out", STEM)
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())["anatomy"]["registration"]
    assert placement.status == record["status"] == "assumed"
    assert not placement.motion.parameters.any()
    assert bool(record["doubts"]) == (registration == "auto")


def test_a_drawn_mask_is_taken(mre: Path, magnitude: Volume, tmp_path: Path) -> None:
    """Tissue that a user excludes must not come back, and the record says that the mask was drawn."""
    drawn = np.zeros(magnitude.values.shape, dtype=np.uint8)
    drawn[3:9, 2:9] = 255
    write_nifti(tmp_path / "mask.nii.gz", drawn, magnitude.affine_mm)
    out = tmp_path / "out"
    ingest(mre, STEM, out, anatomy=None, settings=IngestSettings(), mask=tmp_path / "mask.nii.gz")
    (field,) = read_wave_fields(out)
    assert field.mask.any()
    assert not field.mask[drawn == 0].any()
    record = json.loads((out / f"{STEM}_ingest.json").read_text())["mask"]
    assert (record["source"], record["on_grid"], record["kept_share"]) == ("user", True, 1.0)


def test_a_mask_on_a_finer_grid_keeps_its_place(tmp_path: Path) -> None:
    """Drawn on the T1, half the voxel edge: the same voxels come out, and the share of volume that was kept is told."""
    coarse = Volume(np.ones((6, 6, 4)), np.diag([2.0, 2.0, 4.0, 1.0]))
    coarse.values[0, 0, 0] = 0.5
    fine_mm = np.diag([1.0, 1.0, 2.0, 1.0])
    fine_mm[:3, 3] = [-0.5, -0.5, -1.0]
    drawn = np.zeros((12, 12, 8), dtype=np.uint8)
    drawn[2:8, 4:10, 2:6] = 1
    write_nifti(tmp_path / "mask.nii.gz", drawn, fine_mm)
    mask, facts = read_user_mask(tmp_path / "mask.nii.gz", coarse)
    expected = np.zeros((6, 6, 4), dtype=bool)
    expected[1:4, 2:5, 1:3] = True
    np.testing.assert_array_equal(mask, expected)
    assert not facts["on_grid"]
    assert facts["kept_share"] == pytest.approx(1.0)


MASK_GRID_MM = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.mark.parametrize(
    ("values", "shift_mm", "found"),
    [
        (np.zeros((8, 8, 8)), 0.0, "no voxel above 0"),
        (np.full((8, 8, 8), -1.0), 0.0, "no voxel above 0"),
        (np.linspace(0.0, 1.0, 512).reshape(8, 8, 8), 0.0, "512 different values"),
        (np.repeat([0.0, 1.0, 2.0, 3.0], 128).reshape(8, 8, 8), 0.0, "4 different values"),
        (np.repeat([-1.0, 1.0], 256).reshape(8, 8, 8), 0.0, "2 different values"),
        (np.where(np.arange(512) == 5, np.nan, 1.0).reshape(8, 8, 8), 0.0, "1 values that are not finite"),
        (np.ones((8, 8, 8, 2)), 0.0, "an array of shape"),
        (np.ones((8, 8, 8)), 100.0, "touches no voxel"),
        (np.repeat([0.0, 1.0], 256).reshape(8, 8, 8), 0.0, "0 % show any signal"),
    ],
)
def test_what_is_no_mask_is_refused(values: np.ndarray, shift_mm: float, found: str, tmp_path: Path) -> None:
    """A probability map, a segmentation or an inverted mask would invert air, and nothing would say so."""
    magnitude = Volume(np.repeat([500.0, 1.0], 256).reshape(8, 8, 8), MASK_GRID_MM)
    affine_mm = MASK_GRID_MM.copy()
    affine_mm[:3, 3] = shift_mm
    write_nifti(tmp_path / "mask.nii.gz", values.astype(np.float32), affine_mm)
    with pytest.raises(InputError, match=found):
        read_user_mask(tmp_path / "mask.nii.gz", magnitude)


def test_a_wave_field_folder_has_its_own_mask(mre: Path, magnitude: Volume, tmp_path: Path) -> None:
    """Two masks for one field: which of them holds would be a guess."""
    ingest(mre, STEM, tmp_path / "out", anatomy=None, settings=IngestSettings())
    write_nifti(tmp_path / "mask.nii.gz", np.ones(magnitude.values.shape, dtype=np.uint8), magnitude.affine_mm)
    with pytest.raises(InputError, match="finished wave-field folder"):
        ingest(
            tmp_path / "out",
            STEM,
            tmp_path / "again",
            anatomy=None,
            settings=IngestSettings(),
            mask=tmp_path / "mask.nii.gz",
        )
