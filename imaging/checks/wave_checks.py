"""Checks of a finished wave field for contradictions within itself, whatever its source and without headers.

`palpate ingest` runs them after it made or read a wave field, `palpate invert` where it reads one that perhaps no
importer checked. Impossible numbers are refused before: by WaveField, and by palpate.imaging.limits.plausible with the
file and key that hold them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_checks import check_components
from palpate.imaging.checks.passivity import apparent_modulus_pa
from palpate.imaging.checks.slice_checks import check_slices
from palpate.imaging.limits.check_limits import (
    ACQUIRED_SHARE,
    DISPLACEMENT_SMALL_UM,
    LOSS_TANGENT,
    MODULUS_IN_RAD_S_KPA,
    MODULUS_KPA,
    NEIGHBOUR_NOISE,
    UNMEASURED_SHARE,
    USUAL_KPA,
)
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.neighbour_noise import noise_along, third_difference_share
from palpate.imaging.waves.signal_voids import with_signal
from palpate.quality_warning import QualityWarning
from palpate.units import m_to_um, pa_to_kpa

_MOST_SLICES = 16
_USUAL_STEP_HZ = 5.0
_SAME_FREQUENCY = 1e-3


def wave_warnings(field: WaveField, *, encoding_axes: NDArray[np.float64] | None = None) -> tuple[QualityWarning, ...]:
    """Check a wave field by its content.

    Args:
        field: wave field to check.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.

    Returns:
        Warnings for the user; empty for a sound wave field. A few voxels of noise alone do not count.
    """
    modulus, sound = apparent_modulus_pa(field), with_signal(field)
    return (
        *_fewer_directions(field),
        *check_components(field, encoding_axes),
        *_sign_of_time(modulus),
        *_modulus(modulus, field),
        *_small(sound),
        *_unmeasured(field),
        *check_slices(field, modulus),
        *_interpolated(field),
        *_neighbour_noise(sound),
    )


def _fewer_directions(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of components that were not measured."""
    if field.directions is None:
        return ()
    sentence = (
        f"Displacement was measured along {len(field.directions)} of three directions: checks of the divergence are "
        "left out, and stiffness rests on assumptions about the components that were not measured."
    )
    advice = "Read intervals with that in mind; three directions in contiguous slices would need no assumption."
    return (QualityWarning("fewer-directions", sentence, advice),)


def _sign_of_time(modulus_pa: complex | None) -> tuple[QualityWarning, ...]:
    if modulus_pa is None or modulus_pa.real <= 0.0 or modulus_pa.imag / modulus_pa.real >= LOSS_TANGENT:
        return ()
    sentence = (
        f"The waves seem to gain energy as they travel (apparent loss tangent "
        f"{modulus_pa.imag / modulus_pa.real:.2f}), as the complex conjugate of a wave field does: the sign of time is "
        "wrong, or the time offsets are in the reverse order."
    )
    advice = (
        "Of DICOM, check the order of the offsets in the export; of DICOM or arrays, time_step_sign in the ingest "
        "settings. A wave-field folder follows exp(+i omega t) whatever that says: there, change the sign of the "
        "imaginary part."
    )
    return (QualityWarning("sign-of-time", sentence, advice),)


def _modulus(modulus_pa: complex | None, field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of a modulus that no tissue has, and name the unit that would explain it."""
    if modulus_pa is None:
        return ()
    kpa, (low, high) = float(pa_to_kpa(abs(modulus_pa))), MODULUS_KPA
    if low <= kpa <= high and not (kpa > MODULUS_IN_RAD_S_KPA and _in_rad_s(field.frequency_hz)):
        return ()
    turn_square, stated_hz = (2.0 * np.pi) ** 2, field.frequency_hz
    in_hz, as_rad_s = stated_hz / (2.0 * np.pi), 2.0 * np.pi * stated_hz
    suppositions = {
        f"the frequency is in rad/s ({stated_hz:g} rad/s are {in_hz:.3g} Hz)": kpa / turn_square,
        f"the frequency is {as_rad_s:.3g} Hz, of which {stated_hz:g} is the 2 pi-th part": kpa * turn_square,
        "the edges of the voxels are in centimetres instead of millimetres": kpa * 1e2,
    }
    causes = [f"{words}, it is {one:.2g} kPa" for words, one in suppositions.items() if _usual(one)]
    told = f" If {'; if '.join(causes)}." if causes else ""
    sentence = (
        f"The waves are those of a modulus of about {kpa:.3g} kPa, which tissue at "
        f"{field.frequency_hz:g} Hz does not have.{told}"
    )
    advice = "Check the unit of the frequency (Hz, not rad/s), of the density (kg/m3) and of the voxels (mm)."
    return (QualityWarning("implausible-modulus", sentence, advice),)


def _usual(kpa: float) -> bool:
    return USUAL_KPA[0] <= kpa <= USUAL_KPA[1]


def _in_rad_s(frequency_hz: float) -> bool:
    """Return whether a frequency is 2 pi times one of the round numbers of hertz that vibrations have."""
    steps = frequency_hz / (2.0 * np.pi) / _USUAL_STEP_HZ
    return round(steps) > 0 and abs(steps / round(steps) - 1.0) < _SAME_FREQUENCY


def _small(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of a displacement so small that it is in another unit or hardly measurable."""
    if not field.motion_encoding_known:
        return ()
    largest_um = float(m_to_um(np.linalg.norm(np.abs(field.displacement_m[field.mask]), axis=-1).max()))
    if largest_um >= DISPLACEMENT_SMALL_UM:
        return ()
    sentence = (
        f"The largest displacement is {largest_um:.2g} um, which elastography hardly resolves; if the values are in "
        f"millimetres, it is {1e3 * largest_um:.2g} um."
    )
    advice = "Check the unit of the displacement: Units of the sidecar, arrays.units, or menc_um_per_rad."
    return (QualityWarning("small-displacement", sentence, advice),)


def _unmeasured(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of voxels of the mask that hold exactly no displacement: nobody measured there."""
    empty = int(np.count_nonzero(~field.displacement_m[field.mask].any(axis=-1)))
    count = int(field.mask.sum())
    if empty <= UNMEASURED_SHARE * count:
        return ()
    sentence = (
        f"The mask holds {empty} of {count} voxels ({100 * empty / count:.1f} %) of exactly no "
        "displacement: they were not measured, and would be inverted as tissue at rest."
    )
    advice = "Leave voxels without a measurement out of the mask."
    return (QualityWarning("mask-without-data", sentence, advice),)


def _interpolated(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of images that the scanner interpolated: noise of neighbours is then not independent."""
    if field.acquired_matrix is None:
        return ()
    acquired = field.acquired_matrix
    stored = field.mask.shape[:2]
    # Whether rows or columns are i depends on who wrote the file; interpolation lets either be too large.
    if np.prod(acquired) >= ACQUIRED_SHARE * np.prod(stored):
        return ()
    sentence = (
        f"The images were interpolated: the scanner acquired {acquired[0]} x {acquired[1]} voxels and "
        f"stored {stored[0]} x {stored[1]}, so the noise of neighbours is correlated and intervals may be too narrow."
    )
    advice = "Reconstruct the images at the acquired matrix, or read the intervals as lower limits."
    return (QualityWarning("interpolated-images", sentence, advice),)


def _neighbour_noise(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn where neighbours differ by less than the stated noise makes independent voxels differ."""
    if field.noise_std_m is None:
        return ()
    slices = np.flatnonzero(field.mask.any(axis=(0, 1)))
    slices = slices[:: -(-len(slices) // _MOST_SLICES)]
    displacement, mask = field.displacement_m[:, :, slices], field.mask[..., slices]
    along = {"ij"[axis]: noise_along(displacement, mask, axis) for axis in range(2)}
    known = dict(zip("ij", field.noise_correlation or (0.0, 0.0), strict=True))
    shares = {
        axis: noise_m / (field.noise_std_m * third_difference_share(known[axis]))
        for axis, noise_m in along.items()
        if noise_m is not None
    }
    low = {axis: share for axis, share in shares.items() if share < NEIGHBOUR_NOISE}
    if not low:
        return ()
    sentence = (
        f"Neighbours along image axis {' and '.join(low)} differ by {100 * min(low.values()):.0f} % of what the stated "
        "noise makes independent voxels differ: images were interpolated or smoothed, or the noise is overstated."
    )
    advice = "Give images at their acquired matrix and unfiltered, and check NoiseStd; intervals rest on both."
    return (QualityWarning("correlated-noise", sentence, advice),)
