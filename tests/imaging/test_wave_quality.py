"""What ingest says of its waves: noise that is true in every voxel and direction, a gate, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from worlds.moved_heads import healthy_head
from worlds.shaken_brain import Shake, shaken_brain

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.wave_quality import gate, noise_map_um
from palpate.imaging.waves.reconstruct import reconstruct
from tests.imaging.scanner import Scan, write_mre

STEM = "sub-01_ses-01"


def _ingested(folder: Path, scan: Scan, **settings: object) -> dict:
    write_mre(folder / "mre", scan)
    chosen = IngestSettings.model_validate({"identifiers": "retained", **settings})
    ingest(folder / "mre", STEM, folder / "out", anatomy=None, settings=chosen)
    return json.loads((folder / "out" / f"{STEM}_ingest.json").read_text())["frequencies"][0]


def test_noise_is_known_where_it_is() -> None:
    """Noise of phase is that of the image over the signal, here 0.04 to 0.4 rad: sigma must follow, voxel by voxel.

    In tenths of the brain by true noise the mean of sigma^2 is compared with the true one. Eight offsets give three
    numbers a voxel, 570 voxels a tenth give a relative error of sqrt(2 / 1700) = 3.4 %, three of these are allowed;
    slices' planes take three of 440 numbers, and in weak signal phase noise exceeds its linear approximation, 5 %.
    """
    case = shaken_brain(healthy_head(), Shake(slab=False, amplitude=0.5, snr=10.0))
    made = reconstruct(case.acquisition, case.brain, IngestSettings())
    found = noise_map_um(made, case.brain)
    assert found is not None
    signal = np.sqrt(np.maximum(np.mean(case.acquisition.magnitude**2, axis=(0, 1)) - 0.02, 1e-9))
    usable = case.brain & (signal > 0.3)
    true_square = (0.1 / signal[usable]) ** 2 * 2.0 / 8.0
    order = np.argsort(true_square)
    for direction in range(3):
        squares = found[usable, direction] ** 2
        for tenth in np.array_split(order, 10):
            assert squares[tenth].mean() == pytest.approx(true_square[tenth].mean(), rel=3 * 0.034 + 0.05)


def test_maps_and_picture(tmp_path: Path) -> None:
    """The noise map's mean square is the sidecar's sigma; strain's signal-to-noise is that of the record."""
    figures = _ingested(tmp_path, Scan(shape=(24, 24, 4), noise_rad=0.1))
    out = tmp_path / "out"
    (field,) = read_wave_fields(out)
    noise = read_nifti(out / f"{STEM}_acq-50Hz_desc-noise_map.nii.gz").values
    assert noise.shape == (*field.mask.shape, 3)
    assert np.array_equal(np.isfinite(noise).all(axis=-1), field.mask)
    assert field.noise_std_m is not None
    assert np.sqrt(np.nanmean(noise**2)) == pytest.approx(1e6 * field.noise_std_m, rel=0.05)
    snr = read_map(out / f"{STEM}_acq-50Hz_desc-osssnr_map.nii.gz").values
    assert np.nanmedian(snr) == pytest.approx(figures["oss_snr"], rel=1e-5)
    assert (out / f"{STEM}_acq-50Hz_quality.png").read_bytes().startswith(b"\x89PNG")
    assert figures["waves_strong_enough"] == (figures["oss_snr"] >= 3.0)
    assert figures["image_motion"]["images_moved"] == 0


def test_weak_waves_are_said_or_refused(tmp_path: Path) -> None:
    """A still patient gives a map like any other; the gate is where it stops being taken for one."""
    still = Scan(amplitude_rad=0.02, noise_rad=0.2)
    assert not _ingested(tmp_path / "warned", still)["waves_strong_enough"]
    with pytest.raises(InputError, match="octahedral-shear-strain SNR"):
        _ingested(tmp_path / "refused", still, weak_waves="refuse")
    assert not (tmp_path / "refused" / "out").exists()
    assert _ingested(tmp_path / "enough", still, least_oss_snr=0.01)["waves_strong_enough"]


def test_the_gate() -> None:
    """At the limit waves pass; where nobody could measure, nobody may refuse."""
    assert gate("sub-01", 3.0, 3.0, "refuse")
    assert gate("sub-01", float("nan"), 3.0, "refuse")
    assert not gate("sub-01", 2.9, 3.0, "warn")


def test_compression_is_removed_on_request(tmp_path: Path) -> None:
    """The written field has less divergence, the rest of it stays, and the record says what was taken."""
    scan = Scan(shape=(20, 18, 8), noise_rad=0.1)
    kept = _ingested(tmp_path / "kept", scan)
    removed = _ingested(tmp_path / "removed", scan, compressional="remove")
    assert kept["compressional"] == "kept"
    assert removed["compressional"] == "removed"
    assert 0.0 < removed["compressional_share"] < 1.0
    assert removed["divergence_over_curl"] < 0.5 * kept["divergence_over_curl"]
    before, after = (
        read_wave_fields(tmp_path / which / "out")[0].displacement_m.ravel() for which in ("kept", "removed")
    )
    # An orthogonal projection: the part that is gone is orthogonal to what is left.
    away = before - after
    assert abs(np.vdot(away, after)) < 1e-3 * np.linalg.norm(away) * np.linalg.norm(after)
