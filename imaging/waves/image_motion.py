"""Motion of the head between images: shift of each image of an acquisition from their mean, and its correction.

Phase is measured in each voxel over all offsets, so tissue that moves between images mixes with its neighbours'. The
shift d within the slices, and the gain a, of each image are those of the least squares of

    image(x) - a mean(x - d),

by Gauss-Newton steps (Lucas & Kanade 1981) from where the cross-correlation of the middle slice is largest. Images off
by more than a limit are shifted back as complex numbers, so that wraps of the phase do not matter.

Motion across slices and turns are not corrected; the signal-free harmonics measure their effect as noise. The shift
of an image across slices is estimated to first order, from the slope of the mean between neighbouring slices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from palpate.imaging.acquisition import PhaseAcquisition

LIMIT_VOXELS: Final = 0.25
"""Shift below which an image stays as it is, voxels: shifting smooths, and small blocks are known to 0.1 voxels."""
_MOST_SLICES: Final = 12
_MOST_STEPS: Final = 10
_SETTLED_VOXELS: Final = 0.005
_BLUR: Final = 1.0
_EXPLAINED: Final = 0.85
"""Largest share of the mean square difference that a shift may leave in order to count.

Noise that happens to agree leaves 0.90 or more, half a voxel of motion in a block of 22 voxels 0.81 or less
(decision 0057).
"""
_CHANCE: Final = 1e-4
"""Probability that noise of an image alone makes a shift count.

Of n independent samples the two components of a shift leave less than the share s of the noise's mean square with
probability s^((n - 3) / 2): the share required of small images is smaller.
"""
_NOTHING: Final = 1e-12
"""Share of an image's mean square below which its difference from the mean is rounding."""
_EDGE: Final = 2
"""Width of the image's edge whose values shifts may have brought in from outside, voxels."""


@dataclass(frozen=True, slots=True)
class ImageMotion:
    """Shifts of images against their mean.

    Attributes:
        shifts: shifts in voxels along i and j, shape (direction, offset, 2): image(x) = mean(x - shift).
        voxel_mm: edges of a voxel along i and j, mm, shape (2,).
        across_mm: estimated shift of each image across slices, mm, shape (direction, offset); NaN with fewer than three
            slices; 0 where it explains too little.
    """

    shifts: NDArray[np.float64]
    voxel_mm: NDArray[np.float64]
    across_mm: NDArray[np.float64]

    @property
    def moved(self) -> NDArray[np.bool_]:
        """Images that are shifted by more than the limit, shape (direction, offset)."""
        return np.asarray(np.abs(self.shifts).max(axis=-1) > LIMIT_VOXELS)

    @property
    def largest_mm(self) -> float:
        """Largest shift of any image within the slices, mm."""
        return float(np.linalg.norm(self.shifts * self.voxel_mm, axis=-1).max())

    @property
    def largest_across_mm(self) -> float | None:
        """Largest estimated shift of any image across slices, mm; None where there are too few slices."""
        return None if np.isnan(self.across_mm).all() else float(np.nanmax(np.abs(self.across_mm)))


def image_motion(acquisition: PhaseAcquisition) -> ImageMotion:
    """Measure the shift of each image from the mean of all.

    Args:
        acquisition: acquisition with at least 8 voxels along rows and columns; no motion is reported in smaller ones.
    """
    magnitude = acquisition.magnitude
    shifts = np.zeros((*magnitude.shape[:2], 2))
    mean = magnitude.mean(axis=(0, 1))
    voxel_mm = np.linalg.norm(acquisition.affine_mm[:3, :2], axis=0)
    step = -(-mean.shape[2] // _MOST_SLICES)
    slices = [k for k in range(0, mean.shape[2], step) if np.ptp(mean[..., k]) > 0.0]
    if min(mean.shape[:2]) >= 8 and slices:
        for place in np.ndindex(*magnitude.shape[:2]):
            shifts[place] = _shift(mean[..., slices], magnitude[place][..., slices])
    across_mm = np.full(magnitude.shape[:2], np.nan)
    if min(mean.shape[:2]) >= 8 and mean.shape[2] >= 3 and slices:
        apart_mm = float(np.linalg.norm(acquisition.affine_mm[:3, 2]))
        for place in np.ndindex(*magnitude.shape[:2]):
            across_mm[place] = apart_mm * _across(mean, magnitude[place], shifts[place])
    return ImageMotion(shifts, voxel_mm, across_mm)


def without_motion(acquisition: PhaseAcquisition, motion: ImageMotion) -> PhaseAcquisition:
    """Return the acquisition with the images that moved shifted back.

    Args:
        acquisition: acquisition as measured.
        motion: motion of its images, from image_motion.
    """
    phase, magnitude = acquisition.phase_rad.copy(), acquisition.magnitude.copy()
    for direction, offset in np.argwhere(motion.moved):
        image = magnitude[direction, offset] * np.exp(1j * phase[direction, offset])
        back = (*-motion.shifts[direction, offset], 0.0)
        shifted = [ndimage.shift(part, back, order=3, mode="nearest") for part in (image.real, image.imag)]
        phase[direction, offset] = np.arctan2(shifted[1], shifted[0])
        magnitude[direction, offset] = np.hypot(*shifted)
    return replace(acquisition, phase_rad=phase, magnitude=magnitude)


def _shift(reference: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift d of a stack of slices against another, voxels; none where it explains too little of their difference."""
    reference, image = (ndimage.gaussian_filter(one, (_BLUR, _BLUR, 0.0)) for one in (reference, image))
    middle = image.shape[2] // 2
    slopes = np.stack([reference, -np.gradient(reference, axis=0), -np.gradient(reference, axis=1)])
    inner = (slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
    columns = slopes[:, *inner].reshape(3, -1).T
    at_rest = _misfit(columns[:, :1], image[inner].ravel())
    if at_rest <= _NOTHING * float(np.mean(image[inner] ** 2)) or np.ptp(reference[..., middle]) == 0.0:
        return np.zeros(2)
    total = _whole_shift(reference[..., middle], image[..., middle])
    for _ in range(_MOST_STEPS):
        back = ndimage.shift(image, (*-total, 0.0), order=3, mode="nearest")[inner].ravel()
        gain, *rest = np.linalg.lstsq(columns, back, rcond=None)[0]
        if not gain > 0.0:
            return np.zeros(2)
        total = total + np.array(rest) / gain
        if np.abs(rest).max() < _SETTLED_VOXELS * gain:
            break
    back = ndimage.shift(image, (*-total, 0.0), order=3, mode="nearest")[inner].ravel()
    return total if _misfit(columns[:, :1], back) < _share_left(len(back)) * at_rest else np.zeros(2)


def _across(reference: NDArray[np.float64], image: NDArray[np.float64], shift: NDArray[np.float64]) -> float:
    """Shift of an image across slices, in slices; 0 where it explains too little of what is left within them."""
    slices = range(1, reference.shape[2] - 1, -(-reference.shape[2] // _MOST_SLICES))
    smooth = ndimage.gaussian_filter(reference, (_BLUR, _BLUR, 0.0))
    inner = (slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE), list(slices))
    back = ndimage.shift(image, (*-shift, 0.0), order=3, mode="nearest") if np.any(shift) else image
    values = ndimage.gaussian_filter(back, (_BLUR, _BLUR, 0.0))[inner].ravel()
    slopes = np.stack([smooth, *(-np.gradient(smooth, axis=axis) for axis in range(3))])
    columns = slopes[:, *inner].reshape(4, -1).T
    gain, *_, across = np.linalg.lstsq(columns, values, rcond=None)[0]
    left, left_within = _misfit(columns, values), _misfit(columns[:, :3], values)
    if gain <= 0.0 or left_within <= _NOTHING * float(np.mean(values**2)):
        return 0.0
    return float(across / gain) if left < _share_left(len(values)) * left_within else 0.0


def _share_left(voxels: int) -> float:
    """Share of the mean square difference that a shift must go below to count, by how many voxels are compared."""
    samples = voxels / (4.0 * np.pi * _BLUR**2)
    return min(_EXPLAINED, _CHANCE ** (2.0 / (samples - 3.0))) if samples > 3.0 else 0.0


def _misfit(reference: NDArray[np.float64], image: NDArray[np.float64]) -> float:
    """Mean square of what an image has besides its share of the references, shape (n, references)."""
    gain = np.linalg.lstsq(reference, image, rcond=None)[0]
    return float(np.mean((image - reference @ gain) ** 2))


def _whole_shift(reference: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift of one slice in whole voxels."""
    # A level, or an edge of the image, would correlate best at no shift, whatever the slices show.
    window = np.hanning(image.shape[0] + 2)[1:-1, None] * np.hanning(image.shape[1] + 2)[1:-1]
    parts = [(one - one.mean()) * window for one in (image, reference)]
    found, _, _ = phase_cross_correlation(parts[0], parts[1], normalization=None)
    return np.asarray(found, dtype=np.float64)
