"""Distortion by off-resonance, from what headers state: along the right axis, and silent where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.distortion import off_resonance

PLANAR = {"ScanningSequence": ["EP", "SE"], "PixelBandwidth": 2000.0, "InPlanePhaseEncodingDirection": "COL"}


def _acquisition(facts: object) -> PhaseAcquisition:
    images = np.zeros((3, 4, 20, 10, 2))
    return PhaseAcquisition(
        phase_rad=images,
        magnitude=images,
        affine_mm=np.diag([2.0, 3.0, 4.0, 1.0]),
        frequency_hz=50.0,
        encoding_axes=np.eye(3),
        slice_time_s=None,
        menc_um_per_rad=None,
        run=0,
        facts={} if facts is None else {"acquisition": facts},
    )


@pytest.mark.parametrize(
    ("facts", "mm", "axis"),
    [
        # 10 lines share 2000 Hz, 200 Hz a voxel of 3 mm; along rows 20 lines, 100 Hz a voxel of 2 mm.
        (PLANAR, 1.5, "j"),
        (PLANAR | {"InPlanePhaseEncodingDirection": "ROW"}, 2.0, "i"),
        (PLANAR | {"BandwidthPerPixelPhaseEncode": 50.0}, 6.0, "j"),
        # A spin-warp image is shifted along its readout, by 100 Hz over the bandwidth of a pixel.
        (PLANAR | {"ScanningSequence": "GR", "PixelBandwidth": 400.0}, 0.5, "i"),
    ],
)
def test_shift_for_100_hz(facts: dict[str, object], mm: float, axis: str) -> None:
    """Bandwidth and direction decide; a stated bandwidth along the phase encoding is believed over the estimate."""
    found = off_resonance(_acquisition(facts | {"MagneticFieldStrength": 3.0}))
    assert found["mm_per_100_hz"] == pytest.approx(mm)
    assert found["axis"] == axis
    assert found["ppm_of_100_hz"] == pytest.approx(100 / (42.577 * 3))


@pytest.mark.parametrize("facts", [None, {}, {"PixelBandwidth": 400.0}, PLANAR | {"PixelBandwidth": "n/a"}])
def test_nothing_is_guessed(facts: object) -> None:
    """No figure is better than one that rests on a default."""
    found = off_resonance(_acquisition(facts))
    assert found["mm_per_100_hz"] is None
    assert "does not state" in str(found["reason"])


def test_the_matrix_of_the_images_changes_nothing() -> None:
    """Interpolated or cut, tissue lies where the bandwidth puts it: 16 acquired pixels of 2.5 mm, 400 Hz each."""
    facts = PLANAR | {"ScanningSequence": "GR", "PixelBandwidth": 400.0}
    stored = replace(_acquisition(facts), acquired_matrix=(16, 10))
    assert off_resonance(stored)["mm_per_100_hz"] == pytest.approx(0.625)
    cut = replace(_acquisition(PLANAR | {"BandwidthPerPixelPhaseEncode": 50.0}), stored_matrix=(40, 20))
    # The stated 50 Hz are those of a stored pixel of 1.5 mm.
    assert off_resonance(cut)["mm_per_100_hz"] == pytest.approx(3.0)
