"""The scale of the phase: images wrap at a whole turn, or they show that they do not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.checks.phase_scale import check_phase_scale, wrap_period_rad
from palpate.imaging.dicom.series import demand_one_scale
from palpate.imaging.dicom.siemens_mosaic import siemens_phase_rad

SHAPE = (3, 4, 24, 20, 3)


def _phase(*, air: str, amplitude_rad: float = 5.0) -> NDArray[np.float64]:
    """Wrapped phase of a wave in a disc of tissue; noise, zeros or more tissue around it, stored in 4096 steps."""
    generator = np.random.default_rng(3)
    i, j = np.indices(SHAPE[2:4])
    wave = amplitude_rad * np.sin(0.25 * i + generator.uniform(0, 6, size=(3, 4, 1, 1)))[..., None] + np.zeros(SHAPE)
    phase = np.angle(np.exp(1j * (wave + 0.05 * generator.normal(size=SHAPE))))
    outside = np.hypot(i - 12, j - 10)[..., None] > 9
    if air == "noise":
        phase = np.where(outside, generator.uniform(-np.pi, np.pi, size=SHAPE), phase)
    if air == "zeros":
        phase = np.where(outside, 0.0, phase)
    return np.rint(phase / np.pi * 2048) / 2048 * np.pi


@pytest.mark.parametrize("air", ["noise", "zeros", "tissue"])
def test_right_phase_passes_and_wrong_scales_are_refused(air: str) -> None:
    """Wherever wraps come from, air or tissue; factors: another slope, milliradians for steps and the reverse."""
    phase = _phase(air=air)
    check_phase_scale(wrap_period_rad(phase), "series 1")
    for factor in (0.25, 0.5, 3142 / 4096, 4096 / 3142, 2.0, 180 / np.pi):
        with pytest.raises(InputError, match="scale of the phase is wrong") as refused:
            check_phase_scale(wrap_period_rad(factor * phase), "series 1")
        assert "2 pi" in refused.value.expected


@pytest.mark.parametrize("air", ["noise", "zeros"])
def test_one_direction_with_another_scale_is_refused(air: str) -> None:
    """Half a displacement along one axis turns every wave: the range of the other directions must not hide it."""
    phase = _phase(air=air)
    phase[1] *= 0.5
    assert wrap_period_rad(phase) == pytest.approx(np.pi, rel=2e-3)


def test_images_of_another_slope_are_judged_by_themselves() -> None:
    """Every other slice at half its slope, as a header states it; slopes that differ rightly pass.

    The few pixels of these slices reach the ends of their range to 1 %.
    """
    phase = _phase(air="noise")
    slopes = np.ones((3, 4, 3))
    slopes[:, ::2, 1] = 0.5
    check_phase_scale(wrap_period_rad(phase, slopes), "series 1")
    assert wrap_period_rad(phase * slopes[:, :, None, None]) == pytest.approx(2 * np.pi, rel=2e-3)
    assert wrap_period_rad(phase * slopes[:, :, None, None], slopes) == pytest.approx(np.pi, rel=1e-2)


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_phase_without_wraps_shows_no_scale(factor: float) -> None:
    """Air masked, motion small: the range that is used is that of the motion, and no fault."""
    assert wrap_period_rad(factor * _phase(air="zeros", amplitude_rad=2.0)) is None


def test_no_phase_at_all_shows_no_scale() -> None:
    """Empty images are another fault's business."""
    assert wrap_period_rad(np.zeros(SHAPE)) is None


def _stored(unit: str | None, slope: float, intercept: float) -> SimpleNamespace:
    header = Dataset()
    header.RescaleSlope, header.RescaleIntercept = slope, intercept
    if unit is not None:
        header.RescaleType = unit
    return SimpleNamespace(header=header, place="image 1")


@pytest.mark.parametrize(("unit", "slope", "intercept"), [("US", 2, -4096), (None, 2, -4096), ("mrad", 1.5346, -3142)])
def test_a_stated_unit_is_obeyed(unit: str | None, slope: float, intercept: float) -> None:
    """Twelve bits from end to end are a whole turn, in steps of pi / 4096 or in milliradians as the header says."""
    ends = siemens_phase_rad(_stored(unit, slope, intercept), np.array([0.0, 2048.0, 4095.0]))
    assert ends == pytest.approx([-np.pi, 0.0, np.pi], abs=3e-3)


def test_phase_images_of_a_series_have_one_scale() -> None:
    """The image that differs is named, in slope, intercept or unit; a slope of 0 leaves nothing of an image."""
    usual = [_stored(None, 2, -4096) for _ in range(3)]
    demand_one_scale(usual)
    for unit, slope, intercept in ((None, 1, -4096), (None, 2, -2048), ("mrad", 2, -4096)):
        other = _stored(unit, slope, intercept)
        other.place = "image 7"
        with pytest.raises(InputError, match="2, -4096 and none") as refused:
            demand_one_scale([other, *usual])
        assert refused.value.where == "image 7"
    with pytest.raises(InputError, match="Rescale Slope of 0"):
        siemens_phase_rad(_stored(None, 0, 0), np.array([0.0, 4095.0]))


@pytest.mark.parametrize("unit", ["degree", "rad"])
def test_another_unit_is_refused(unit: str) -> None:
    """Nobody has seen such images: a guess would be as sure of itself as a reading."""
    with pytest.raises(InputError, match="Rescale Type"):
        siemens_phase_rad(_stored(unit, 0.0879, -180), np.array([0.0, 4095.0]))
