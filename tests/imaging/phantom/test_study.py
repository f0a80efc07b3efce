"""The written study, read back by the project's own readers and by a DICOM validator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.study import read_study
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.phantom.siemens import stored_phase
from palpate.imaging.phantom.study import write_sessions, write_study
from palpate.provenance import digest
from tests.imaging.phantom.conftest import Vibration

LEVEL_RAD = 2 * np.pi / 4096


def write(vibration: Vibration, folder: Path, **changes: object) -> Path:
    """Write the study with other settings; returns its session's folder."""
    folder.mkdir()
    settings = vibration.settings.model_copy(update=changes)
    _, row = write_study(folder, settings, vibration.head, vibration.grid, vibration.displacement_m)
    write_sessions(folder, [row])
    return folder / "sub-01" / "ses-01"


def test_the_reader_finds_what_was_measured(vibration: Vibration, tmp_path: Path) -> None:
    """Without noise the reader's phase, axes, times and places give back the true wave field.

    Everything that can be swapped between scanner and world is in this chain: tiles, rows and columns, LPS and RAS,
    the mosaic's corner, az and po, the sign of time. The phase is compared modulo 2 pi, so that no unwrapping helps.
    """
    session = write(vibration, tmp_path / "study", noise_percent=0.0, motion_rad=0.0, background_rad=0.0)
    (acquisition,), _ = read_acquisitions(session / "dicom" / "mre")
    (truth,) = read_wave_fields(session / "truth" / "wavefield")
    assert acquisition.affine_mm == pytest.approx(truth.affine_mm, abs=1e-5)
    assert acquisition.frequency_hz == truth.frequency_hz
    assert acquisition.menc_um_per_rad == vibration.settings.menc_um_per_rad
    assert acquisition.slice_time_s is not None
    offsets = np.arange(vibration.settings.offsets)[:, None] / vibration.settings.offsets
    moments = np.exp(2j * np.pi * (offsets + truth.frequency_hz * acquisition.slice_time_s))
    along_rad = 1e6 * truth.displacement_m @ acquisition.encoding_axes.T / acquisition.menc_um_per_rad
    expected = (np.moveaxis(along_rad, -1, 0)[:, None] * moments[:, None, None, :]).real
    difference = np.angle(np.exp(1j * (acquisition.phase_rad - expected)))
    # Half a quantisation level, and what float32 of the truth and whole-degree angles leave.
    assert np.abs(difference).max() < 0.5 * LEVEL_RAD + 1e-3 * np.abs(expected).max()


def test_stored_phase_is_the_nearest_of_4096_levels() -> None:
    """Quantisation must not add a bias, and +pi must not overflow twelve bits."""
    phase = np.linspace(-np.pi, np.pi, 100001)
    stored = stored_phase(phase)
    read = (2.0 * stored - 4096) / 4096 * np.pi
    assert stored.max() <= 4095
    assert np.abs(np.angle(np.exp(1j * (read - phase)))).max() <= LEVEL_RAD / 2 + 1e-12


def test_the_table_leads_to_readable_inputs(vibration: Vibration, tmp_path: Path) -> None:
    """The study must be one that any user could have brought: same table, same readers, one frame of reference."""
    write(vibration, tmp_path / "study")
    (session,) = read_study(tmp_path / "study" / "sessions.tsv")
    assert session.brings_dicom
    assert session.mre is not None
    assert session.anatomy is not None
    assert session.truth is not None
    acquisitions, export = read_acquisitions(session.mre)
    (first, *_) = export.used(acquisitions)
    anatomy = read_anatomy(session.anatomy)
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first.header[name].value == anatomy.series.header[name].value
    inverse = np.linalg.inv(anatomy.volume.affine_mm)
    indices = vibration.grid.points_mm.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    assert (indices > 0).all()
    assert (indices < np.array(anatomy.volume.values.shape) - 1).all()


def test_truth_is_the_modulus_of_the_voxels(vibration: Vibration, tmp_path: Path) -> None:
    """The maps against which every error is measured, in kPa and on the grid of the scan."""
    session = write(vibration, tmp_path / "study")
    storage = read_nifti(session / "truth" / "truth_storagemodulus.nii.gz")
    loss = read_nifti(session / "truth" / "truth_lossmodulus.nii.gz")
    assert storage.affine_mm == pytest.approx(vibration.grid.affine_mm, abs=1e-4)
    assert storage.values == pytest.approx(np.full(vibration.grid.shape, 2.4))
    assert loss.values == pytest.approx(np.full(vibration.grid.shape, 0.9))


def test_one_seed_writes_the_same_bytes(vibration: Vibration, tmp_path: Path) -> None:
    """Reproducibility of the whole patient, identifiers included; another seed is another patient."""
    first, again = (write(vibration, tmp_path / name) for name in ("first", "again"))
    other = write(vibration, tmp_path / "other", seed=8)
    for part in ("dicom", "truth"):
        assert digest(first / part) == digest(again / part)
    assert digest(first / "dicom") != digest(other / "dicom")
    uids = {pydicom.dcmread(f / "dicom/t1/0001.dcm", stop_before_pixels=True).StudyInstanceUID for f in (first, other)}
    assert len(uids) == 2


def test_nobody_can_take_it_for_a_person(vibration: Vibration, tmp_path: Path) -> None:
    """Every image says that it is a phantom; nothing in it could be a real identity."""
    session = write(vibration, tmp_path / "study")
    for path in (session / "dicom").rglob("*.*"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(header.PatientName) == "PHANTOM^PALPATE"
        assert "Not a person" in header.PatientComments
        assert not header.PatientBirthDate
    assert "McConnell" in json.loads((session / "truth" / "truth.json").read_text())["anatomy"]
