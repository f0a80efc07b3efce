"""Facts in the headers of Philips MRE images: kind, encoding, offset, vibration, and the scale of the phase.

| fact | source; the first one present is taken |
|---|---|
| kind: magnitude, phase, real, imaginary | Complex Image Component; (2005,1011); fourth value or words of Image Type |
| direction of the motion encoding | palpate.imaging.dicom.encoding_scheme |
| time offset | palpate.imaging.dicom.time_order: temporal position, trigger time, acquisition time, instance number |
| value | slope x stored + intercept; over slope x scale slope, (2005,100E), where that is stated |
| slices and offsets to expect | (2001,1018); (2001,1081) and Number of Temporal Positions, 1 meaning "not counted" |
| frequency, motion encoding | VP[us] and ME[um/rad] in an image comment (MRE:); the settings; the description |

The scanner itself states no frequency; the in-silico patient, and any user who wants to, states it in the comment.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.multival import MultiValue

from palpate.errors import InputError
from palpate.imaging.dicom.derived_images import DERIVED_WORDS
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import rescaling
from palpate.imaging.dicom.siemens_comment import comment_frequency_hz, comment_menc_um_per_rad, comment_tokens
from palpate.imaging.dicom.vocabulary import plain

PHASE, MAGNITUDE, REAL, IMAGINARY = "P", "M", "R", "I"
"""Kinds of images, by the letters of Philips' Image Type."""
_COMPONENTS: Final = {"MAGNITUDE": MAGNITUDE, "PHASE": PHASE, "REAL": REAL, "IMAGINARY": IMAGINARY}
_PHASE_WORDS: Final = frozenset(("P", "PHASE", "PHASE MAP", "P_SE", "P_FFE", "P_PCA"))
_MAGNITUDE_WORDS: Final = frozenset(("M", "MAGNITUDE", "M_SE", "M_FFE", "M_PCA"))
_IMAGING, _MR_IMAGING = "Philips Imaging DD 001", "Philips MR Imaging DD 001"
_N_SLICES, _N_DYNAMICS = (0x2001, 0x18), (0x2001, 0x81)
_IMAGE_KIND, _SCALE_SLOPE = (0x2005, 0x11), (0x2005, 0x0E)


def is_philips(header: pydicom.Dataset) -> bool:
    """Return whether a header names Philips as the maker of the scanner."""
    return "PHILIPS" in str(header.get("Manufacturer", "")).upper()


def kind(instance: Instance) -> str | None:
    """Return PHASE, MAGNITUDE, REAL or IMAGINARY; None for other images, such as those derived from several."""
    image_type = [str(value) for value in instance.header.get("ImageType", ()) or ()]
    if image_type[:1] == ["DERIVED"]:
        return None
    component = _COMPONENTS.get(str(instance.header.get("ComplexImageComponent", "")))
    private = _private(instance, _MR_IMAGING, _IMAGE_KIND)
    for candidate in (component, private, *image_type[3:4]):
        if candidate in _COMPONENTS.values():
            return str(candidate)
    # Product sequences have MRE among the words, at any place.
    words = set(image_type)
    if words & DERIVED_WORDS:
        return None
    is_product = "MRE" in words
    if is_product and words & _PHASE_WORDS:
        return PHASE
    return MAGNITUDE if words & _MAGNITUDE_WORDS or (is_product and "FFE" in words) else None


def frequency_hz(instance: Instance, otherwise_hz: float | None) -> float | None:
    """Return the frequency of the vibration: the comment's, or else another; None where there is neither.

    Args:
        instance: the image.
        otherwise_hz: frequency of the settings, or of the series' description, hertz.

    Raises:
        InputError: the comment's period is not positive.
    """
    tokens = comment_tokens(instance)
    if "VP" not in tokens:
        return otherwise_hz
    advice = "Correct VP[..] in the image comment, or remove it and set frequency_hz."
    return comment_frequency_hz(instance, tokens, advice=advice)


def menc_um_per_rad(instance: Instance) -> float | None:
    """Return the motion encoding that the comment states, micrometres per radian; None where there is none.

    Raises:
        InputError: it is not positive.
    """
    advice = "Correct ME[..] in the image comment, or remove it and set menc_um_per_rad."
    return comment_menc_um_per_rad(instance, comment_tokens(instance), advice=advice)


def stated_slices(instance: Instance) -> int | None:
    """Return the number of slices of the scan; None where the header does not say."""
    return _count(_private(instance, _IMAGING, _N_SLICES))


def stated_offsets(instance: Instance) -> tuple[int, ...]:
    """Return the numbers of dynamics that the header states, at most two, each above 1."""
    stated = (_private(instance, _IMAGING, _N_DYNAMICS), instance.header.get("NumberOfTemporalPositions"))
    return tuple(number for value in stated if (number := _count(value)) is not None and number > 1)


def rescaled(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the image's own slope times its stored values, plus its own intercept; other images' differ.

    Raises:
        InputError: slope or intercept is missing, or the slope is 0.
    """
    slope, intercept = rescaling(instance)
    return slope * stored + intercept


def has_scale_slope(instance: Instance) -> bool:
    """Return whether the header states (2005,100E)."""
    return _private(instance, _MR_IMAGING, _SCALE_SLOPE) is not None


def true_value(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values on the one scale that all images of a scan share.

    The shown value, slope * stored + intercept, has a scale of each image's own. Shown / (slope * SS), with Philips'
    scale slope SS of (2005,100E), has that of the measurement: without it, real and imaginary parts of unequal slopes
    make another phase. Where the header has no scale slope, the shown value is taken.

    Raises:
        InputError: slope or intercept is missing, or the scale slope is not above 0.
    """
    shown = rescaled(instance, stored)
    scale = _private(instance, _MR_IMAGING, _SCALE_SLOPE)
    if scale is None:
        return shown
    try:
        factor = float(str(scale)) * float(instance.header.RescaleSlope)
    except ValueError:
        factor = np.nan
    if not (np.isfinite(factor) and factor > 0):
        raise InputError(
            instance.place,
            found="a scale slope in (2005,100E) that is not above 0",
            expected="the factor between shown and measured values",
            advice="Export the images with Philips' own scaling.",
        )
    return np.asarray(shown / factor)


def _phase_with(unit: str) -> str:
    """Say what unit a phase has, in words that cannot be anybody's."""
    if not unit:
        return "a phase without Rescale Type"
    known = plain("RescaleType", unit)
    return "a phase with another Rescale Type" if known is None else f"a phase with Rescale Type {known!r}"


def phase_rad(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the phase within -pi to pi, radian: rescaled values are thousandths of a radian.

    Raises:
        InputError: the values are not stated as mrad, or lie beyond pi.
    """
    unit = str(instance.header.get("RescaleType", "") or "")
    if unit.lower() != "mrad":
        raise InputError(
            instance.place,
            found=_phase_with(unit),
            expected="'mrad', thousandths of a radian",
            advice="Export the images with Philips' own scaling.",
        )
    values = rescaled(instance, stored) / 1e3
    # The scanner's range is that of 12 bits, which ends half a milliradian beyond pi; one step of the scale is allowed.
    if np.abs(values).max() > np.pi + 1e-3 + abs(float(instance.header.RescaleSlope)) / 1e3:
        raise InputError(
            instance.place,
            found=f"a phase of {1e3 * np.abs(values).max():.5g} mrad",
            expected="values within -3142 to 3142, which mean -pi to pi",
            advice="Check that the series holds unprocessed phase images.",
        )
    return np.asarray(values - 2 * np.pi * np.rint(values / (2 * np.pi)))


def _private(instance: Instance, creator: str, element: tuple[int, int]) -> object:
    """Return the value of a private element; None where it is absent."""
    try:
        block = instance.header.private_block(element[0], creator)
    except KeyError:
        return None
    return block[element[1]].value if element[1] in block else None


def _count(value: object) -> int | None:
    """Return a positive whole number; None for anything else."""
    if isinstance(value, MultiValue) or value is None:
        return None
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if number > 0 else None
