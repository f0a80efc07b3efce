"""The real liver exam of a GE scanner: what its headers say is understood, de-identified or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.acquired import acquired_matrix, slice_thickness_mm
from palpate.imaging.dicom.files import read_instances
from palpate.imaging.dicom.ge_images import PI_STORED, read_waves
from palpate.imaging.dicom.ge_private import frequency_hz, offsets
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.series import Series, group_series
from palpate.imaging.dicom.sorting import why_no_image
from tests.conftest import CHECKOUT

EXAM = CHECKOUT.parent / "shared" / "data" / "ge-liver" / "exam.zip"
pytestmark = pytest.mark.skipif(not EXAM.exists(), reason="the public exam ge-liver/exam.zip is not here")


def _raw(container: Path) -> Series:
    images = [one for one in read_instances(container) if why_no_image(one) is None]
    return next(one for one in group_series(images) if one.number == 5)


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
    assert frequency_hz(again, None) == 60.0
    assert np.array_equal(read_waves(again).signals, waves.signals)
    assert np.array_equal(read_waves(again).affine_mm, waves.affine_mm)


def test_the_exam_is_refused_for_its_one_direction() -> None:
    """One direction is not read yet; the sentence names that, and shows that everything else was understood."""
    with pytest.raises(InputError, match=r"1 motion-encoding direction .60 Hz, 4 offsets, 8 slices of 256 x 256."):
        read_acquisitions(EXAM)
