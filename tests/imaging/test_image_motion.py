"""Images of a head that moved: found to a tenth of a voxel, put back, and left alone where nothing moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from worlds.moved_heads import healthy_head
from worlds.shaken_brain import Shake, Shaken, shaken_brain

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.waves.image_motion import LIMIT_VOXELS, image_motion, without_motion
from palpate.imaging.waves.reconstruct import reconstruct

MOVED = {(0, 2): (1.4, -0.6), (1, 5): (-0.8, 0.5), (2, 7): (0.5, 1.1)}
"""Voxels along i and j by which single images are shifted; the mean of 24 images moves by less than 0.06."""


@pytest.fixture(scope="module")
def case() -> Shaken:
    """The block with the waves of the public scan at half their strength."""
    return shaken_brain(healthy_head(), Shake(slab=False, amplitude=0.5))


def _with_moved_images(acquisition: PhaseAcquisition) -> PhaseAcquisition:
    phase, magnitude = acquisition.phase_rad.copy(), acquisition.magnitude.copy()
    for place, shift in MOVED.items():
        image = magnitude[place] * np.exp(1j * phase[place])
        parts = [ndimage.shift(one, (*shift, 0.0), order=5, mode="nearest") for one in (image.real, image.imag)]
        phase[place], magnitude[place] = np.arctan2(parts[1], parts[0]), np.hypot(*parts)
    return replace(acquisition, phase_rad=phase, magnitude=magnitude)


def test_known_shifts_are_found(case: Shaken) -> None:
    """Within a tenth of a voxel, in a block of 22 voxels as in a whole brain: below what would change a voxel."""
    motion = image_motion(_with_moved_images(case.acquisition))
    for place, shift in MOVED.items():
        np.testing.assert_allclose(motion.shifts[place], shift, atol=0.1 + 0.06)
    assert set(map(tuple, np.argwhere(motion.moved).tolist())) == set(MOVED)
    assert motion.largest_mm == pytest.approx(2.0 * np.hypot(1.4, 0.6), abs=0.3)


@pytest.mark.parametrize("slab", [True, False])
def test_heads_at_rest_stay(slab: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Noise and vibration must not look like motion: no image may be interpolated for nothing."""
    motion = image_motion(shaken_brain(healthy_head(), Shake(slab=slab, snr=8.0)).acquisition)
    assert np.abs(motion.shifts).max() < LIMIT_VOXELS / 2
    assert not motion.moved.any()


def test_images_put_back_give_the_waves_back(case: Shaken) -> None:
    """Of the error that moved images bring into the first harmonic at least half goes, though phase has been rough.

    The phase of tissue with a rough static part cannot be interpolated better than its neighbours agree.
    """
    brain = ndimage.binary_erosion(case.brain, iterations=2, border_value=1)
    brain[[0, 1, -1, -2]] = brain[:, [0, 1, -1, -2]] = False
    moved = _with_moved_images(case.acquisition)
    errors = []
    for acquisition in (case.acquisition, moved, without_motion(moved, image_motion(moved))):
        made = reconstruct(acquisition, case.brain, IngestSettings())
        found = np.stack([one.unwrapped.phase_rad for one in made.directions])
        away = found - (case.vibration_rad - case.vibration_rad.mean(axis=1, keepdims=True))
        errors.append(np.median(np.abs(away[..., brain])))
    at_rest, spoilt, mended = errors
    assert spoilt > at_rest
    assert mended - at_rest < 0.5 * (spoilt - at_rest)


def test_tiny_images_say_nothing() -> None:
    """Four voxels hold no pattern to follow."""
    small = PhaseAcquisition(
        phase_rad=np.zeros((3, 4, 4, 4, 2)),
        magnitude=np.random.default_rng(0).random((3, 4, 4, 4, 2)),
        affine_mm=np.eye(4),
        frequency_hz=50.0,
        encoding_axes=np.eye(3),
        slice_time_s=None,
        menc_um_per_rad=None,
        run=0,
        facts={},
    )
    assert image_motion(small).largest_mm == 0.0


def test_images_without_contrast_say_nothing() -> None:
    """Noise on a level follows no motion: of 24 such images none may be taken for moved, however its noise lies."""
    generator = np.random.default_rng(8)
    magnitude = 100.0 + 3.0 * generator.standard_normal((3, 8, 24, 24, 6))
    flat = PhaseAcquisition(
        phase_rad=np.zeros(magnitude.shape),
        magnitude=magnitude,
        affine_mm=np.eye(4),
        frequency_hz=50.0,
        encoding_axes=np.eye(3),
        slice_time_s=None,
        menc_um_per_rad=None,
        run=0,
        facts={},
    )
    assert not image_motion(flat).moved.any()


@pytest.mark.parametrize("across", [0.0, 0.2, -0.3])
def test_motion_across_slices_is_estimated(across: float) -> None:
    """One image of a block that lies off by part of a slice; noise of 2 % of the signal moves nothing by itself."""
    generator = np.random.default_rng(4)
    smooth = ndimage.gaussian_filter(generator.normal(size=(24, 22, 12)), 2.0)
    block = 1.0 + smooth / np.abs(smooth).max()
    magnitude = np.broadcast_to(block, (3, 4, *block.shape)) + 0.02 * generator.normal(size=(3, 4, *block.shape))
    magnitude[1, 2] += ndimage.shift(block, (0.0, 0.0, across), order=3, mode="nearest") - block
    found = image_motion(
        PhaseAcquisition(
            phase_rad=np.zeros_like(magnitude),
            magnitude=magnitude,
            affine_mm=np.diag([2.0, 2.0, 3.0, 1.0]),
            frequency_hz=50.0,
            encoding_axes=np.eye(3),
            slice_time_s=None,
            menc_um_per_rad=None,
            run=0,
            facts={},
        )
    )
    # The mean of twelve images holds a twelfth of the shift.
    assert found.across_mm[1, 2] == pytest.approx(3.0 * across * 11 / 12, abs=0.1 + 0.05 * abs(across))
    still = np.delete(found.across_mm.ravel(), 6)
    assert np.abs(still).max() < 0.15
    assert found.largest_across_mm == pytest.approx(np.abs(found.across_mm).max())
