"""Noisy voxels of a region: one rule, which takes noise away and leaves the largest waves in."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.anatomy.noisy_voxels import without_noisy_voxels
from palpate.imaging.waves.reconstruct import reconstruct

SHAPE = (40, 36, 2)
SETTINGS = IngestSettings(max_noise_rad=0.3)
REGION = np.ones(SHAPE, dtype=bool)
LOUD, QUIET = np.s_[6:12, 12:24], np.s_[28:34, 12:24]
"""Spots amid strong and amid weak waves."""


def _acquisition(
    offsets: int, *, second_rad: float = 0.0, noise_rad: float = 0.0, still: bool = False
) -> PhaseAcquisition:
    """Waves of 2 rad in half of the rows and 0.1 rad in the others; in the spots a second harmonic, or noise."""
    generator, place = np.random.default_rng(offsets), np.indices(SHAPE)
    waves = np.where(place[0] < 20, 2.0, 0.1) * np.exp(-0.4j * place[0] - 0.3j * place[1])
    spots = np.zeros(SHAPE)
    spots[LOUD] = spots[QUIET] = 1.0
    second = second_rad * spots * np.where(place[0] % 2, 1.0, -1.0)
    times = np.exp(2j * np.pi * np.arange(offsets) / offsets)[:, None, None, None]
    noise = (0.02 + noise_rad * spots) * generator.standard_normal((3, offsets, *SHAPE))
    phase = (waves * times + second * times**2).real + noise
    return PhaseAcquisition(
        phase_rad=np.angle(np.exp(1j * phase)),
        magnitude=np.ones((3, offsets, *SHAPE)),
        affine_mm=np.diag([3.0, 3.0, 10.0, 1.0]),
        frequency_hz=60.0,
        encoding_axes=np.eye(3),
        slice_time_s=None,
        menc_um_per_rad=1.0,
        run=0,
        facts={},
        still_phase_rad=noise if still else None,
    )


def _kept(acquisition: PhaseAcquisition) -> NDArray[np.bool_]:
    return without_noisy_voxels([reconstruct(acquisition, REGION, SETTINGS)], REGION, SETTINGS)


@pytest.mark.parametrize(("offsets", "second_rad"), [(4, 0.4), (5, 0.5)])
def test_motion_in_the_noise_takes_no_strong_waves_away(offsets: int, second_rad: float) -> None:
    """The second harmonic of motion counts as noise there: it costs a voxel only where waves are weak too."""
    kept = _kept(_acquisition(offsets, second_rad=second_rad))
    assert kept[LOUD].all()
    assert not kept[QUIET].any()


@pytest.mark.parametrize("offsets", [6, 8])
def test_noise_takes_a_voxel_away_whatever_its_waves(offsets: int) -> None:
    """Higher harmonics hold no motion: a phase beyond the limit is noise, which no wave makes readable."""
    kept = _kept(_acquisition(offsets, noise_rad=1.5))
    assert kept[LOUD].mean() < 0.15
    assert kept[QUIET].mean() < 0.15
    assert kept[:4].all()


def test_a_scan_without_motion_measures_noise_alone() -> None:
    """There four offsets tell the noise from motion, and no voxel is noisy."""
    assert _kept(_acquisition(4, second_rad=0.4, still=True)).all()
