"""The real liver exam of a GE scanner: read unedited to a wave field; its headers survive de-identification."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palpate.config.ingest import IngestSettings
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.acquired import acquired_matrix, slice_thickness_mm
from palpate.imaging.dicom.files import read_instances
from palpate.imaging.dicom.ge_images import PI_STORED, read_waves
from palpate.imaging.dicom.ge_private import frequency_hz, offsets
from palpate.imaging.dicom.series import Series, group_series
from palpate.imaging.dicom.sorting import why_no_image
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.wavefield import WaveField
from tests.conftest import CHECKOUT

EXAM = CHECKOUT.parent / "shared" / "data" / "ge-liver" / "exam.zip"
NAME = "sub-01_ses-01"
pytestmark = pytest.mark.skipif(not EXAM.exists(), reason="the public exam ge-liver/exam.zip is not here")


def _raw(container: Path) -> Series:
    images = [one for one in read_instances(container) if why_no_image(one) is None]
    return next(one for one in group_series(images) if one.number == 5)


@pytest.mark.long
def test_the_exam_is_understood(tmp_path: Path) -> None:
    """Driven at 60 Hz on a site with 50 Hz mains; 4 offsets of 8 slices, interpolated; waves before magnitudes.

    A plain inversion at 60 Hz agrees with the scanner's own stiffness, at 50 Hz it is 0.69 of it.
    """
    raw = _raw(EXAM)
    assert frequency_hz(raw, None) == 60.0
    assert offsets(raw) == 4
    assert acquired_matrix(raw.instances[0], 256, 256) == (224, 64)
    assert slice_thickness_mm(raw.instances[0]) == 10.0
    waves = read_waves(raw)
    assert waves.signals.shape == (1, 4, 256, 256, 8)
    assert np.linalg.norm(waves.affine_mm[:3, :3], axis=0) == pytest.approx([1.5625, 1.5625, 11.0], abs=2e-3)
    # Noise in air has every phase: the whole range is used, to one stored step.
    phase = np.angle(waves.signals)
    assert phase.max() == pytest.approx(np.pi, abs=np.pi / PI_STORED)
    assert phase.min() == pytest.approx(-np.pi, abs=np.pi / PI_STORED)
    deidentify(EXAM, tmp_path / "clean", tmp_path / "key", subject="01")
    again = _raw(tmp_path / "clean")
    kept = group_series([one for one in read_instances(tmp_path / "clean") if why_no_image(one) is None])
    assert [one.number for one in kept] == [5, 500, 505, 507]
    assert frequency_hz(again, None) == 60.0
    assert np.array_equal(read_waves(again).signals, waves.signals)
    assert np.array_equal(read_waves(again).affine_mm, waves.affine_mm)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wave-field folder of the unedited exam."""
    out = tmp_path_factory.mktemp("exam") / "field"
    ingest(EXAM, NAME, out, anatomy=None, settings=IngestSettings())
    return out


@pytest.fixture(scope="module")
def field(folder: Path) -> WaveField:
    """Its wave field, read back."""
    (found,) = read_wave_fields(folder)
    return found


def test_the_exam_is_read_unedited(folder: Path, field: WaveField) -> None:
    """60 Hz, one direction through the slices, 8 slices of 10 mm, and what was acquired, stored and used of them."""
    assert field.frequency_hz == 60.0
    assert field.directions == pytest.approx(np.cross(*(field.affine_mm[:3, :2] / field.voxel_size_mm[:2]).T)[None])
    assert field.mask.shape == (128, 64, 8)
    assert field.voxel_size_mm == pytest.approx([3.125, 6.25, 11.0], abs=1e-3)
    assert (field.slice_thickness_mm, field.acquired_matrix) == (10.0, (224, 64))
    record = json.loads((folder / f"{NAME}_ingest.json").read_text())
    (found,) = record["frequencies"]
    assert found["matrices"]["stored"] == [256, 256]
    assert found["offset_times"]["residual_ratio"] > 0.95
    assert record["mask"]["organ_segmentation"] is False


def test_the_waves_are_those_of_the_stored_phases(field: WaveField) -> None:
    """Plain differences, ((x0 - x2) - i (x1 - x3)) / 2, without unwrapping or k-space, agree where none wraps."""
    phase = np.angle(read_waves(_raw(EXAM)).signals[0])
    halves = [np.angle(np.exp(1j * (phase[n] - phase[n + 2]))) for n in (0, 1)]
    simple = (halves[0] - 1j * halves[1]) / 2.0
    blocks = simple.reshape(128, 2, 64, 4, 8).mean(axis=(1, 3))
    found = 1e6 * field.displacement_m[..., 0]
    small = field.mask & (np.abs(found) < 1.0)
    assert small.sum() > 1500
    agreement = np.vdot(blocks[small], found[small]) / np.linalg.norm(blocks[small]) / np.linalg.norm(found[small])
    assert agreement.real > 0.95


def test_noise_and_slices_are_measured(folder: Path, field: WaveField) -> None:
    """Noise by voxel in radians of phase, correlated by the scanner's filter; slices in step but for the top two."""
    assert field.noise_map_m is not None
    assert field.noise_correlation is not None
    assert 0.1 < 1e6 * np.median(field.noise_map_m[..., 0][field.mask]) < 0.3
    assert 0.2 < field.noise_correlation[1] < field.noise_correlation[0] < 0.8
    slices = json.loads((folder / f"{NAME}_ingest.json").read_text())["frequencies"][0]["slices"]
    assert max(abs(pair["phase_rad"]) for pair in slices["pairs"][:5]) < 0.2
    assert 0.5 < slices["largest_shift_mm"] < 5.0
    assert slices["shift_across_slices_mm"] is None


def test_the_scanners_own_maps_and_the_region(folder: Path, field: WaveField) -> None:
    """The scanner's stiffness in the reader's region is what its page says; the region by waves holds most of that."""
    maps = {
        kind: read_nifti(folder / f"{NAME}_acq-60Hz_desc-scanner_{kind}.nii.gz") for kind in ("stiffness", "confidence")
    }
    reader = read_nifti(EXAM.with_name("liver_roi.nii.gz"))
    assert np.abs(reader.affine_mm - maps["stiffness"].affine_mm).max() < 1e-3
    inside = reader.values > 0
    sure = inside & (maps["confidence"].values > 0.95)
    assert maps["stiffness"].values[inside].mean() == pytest.approx(2.06, abs=0.005)
    assert maps["stiffness"].values[sure].mean() == pytest.approx(2.055, abs=0.001)
    by_slice = [maps["stiffness"].values[..., k][inside[..., k]].mean() for k in range(8)]
    assert by_slice == pytest.approx([1.61, 1.63, 1.74, 1.66, 1.65, 1.97, 2.41, 4.00], abs=0.006)
    world_mm = np.argwhere(sure) @ reader.affine_mm[:3, :3].T + reader.affine_mm[:3, 3]
    index = np.rint((world_mm - field.affine_mm[:3, 3]) @ np.linalg.inv(field.affine_mm[:3, :3]).T).astype(int)
    assert field.mask[tuple(index.T)].mean() > 0.8
    assert field.mask.sum() < 6000
