"""Conversion of an acquisition's motion encodings, as headers or settings state them, to directions.

Headers of product sequences state neither directions nor frequency. An error names the setting for what is stated
nowhere, but only after everything else was understood. A single encoding that nothing describes is taken for the
product sequences' usual one, through the slices; of two or more, nobody can say which is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.series import numbers
from palpate.imaging.dicom.slice_grid import SliceGrid
from palpate.imaging.waves.encoding_matrix import Demodulated, column_axes, demodulate_as_told, with_background

_DIRECTIONS: Final = ("VelocityEncodingDirection", "DiffusionGradientOrientation")
_DECIMALS: Final = 4
_ROUNDED: Final = 0.01
"""Largest difference from 1 of the length of a unit vector that is written with few digits."""
_FEWEST: Final = 3
"""Directions that determine a vector, and offsets that determine a harmonic."""
THROUGH_SLICES: Final = ((0.0, 0.0, 1.0),)
"""Encoding of a product sequence of one direction, in the image's axes."""


def direction_lps(instance: Instance) -> tuple[float, ...] | None:
    """Return the motion encoding's direction in the patient's axes L, P, S; None where the header does not say."""
    for name in _DIRECTIONS:
        if instance.header.get(name) is not None:
            return tuple(float(value) for value in numbers(instance, name, 3).round(_DECIMALS) + 0.0)
    return None


def stated_directions(instances: Sequence[Instance]) -> list[tuple[float, ...]]:
    """Return the different directions that images state, in an order that no order of files changes."""
    stated = {direction_lps(one) for one in instances}
    return sorted(direction for direction in stated if direction is not None)


def demand_told(
    where: str,
    first: Sequence[Instance],
    shape: tuple[int, ...],
    frequency_hz: float | None,
    settings: IngestSettings,
) -> float:
    """Return the frequency of an acquisition whose frequency and encodings are stated.

    Args:
        where: name of the acquisition in errors.
        first: one image of each encoding.
        shape: shape of its phase: encoding, offset, i, j, k.
        frequency_hz: vibration frequency f, hertz; None where neither headers nor settings state it.
        settings: ingest settings of the study.

    Raises:
        InputError: there are fewer encodings than the settings state, or frequency or directions are stated nowhere.
    """
    in_headers = direction_lps(first[0]) is not None
    offsets = shape[1]
    # One series may hold several encodings that only the matrix could tell apart.
    maybe_several = len(first) == 1 and offsets % _FEWEST == 0 and offsets >= _FEWEST**2
    has_scheme = in_headers or settings.encoding_matrix is not None or (len(first) == 1 and not maybe_several)
    maybe_several = maybe_several and not has_scheme
    if not in_headers and len(first) < min(len(settings.encoding_matrix or ()), _FEWEST):
        raise too_few_directions(where, shape, frequency_hz, len(settings.encoding_matrix or ()))
    if frequency_hz is not None and has_scheme:
        return frequency_hz
    lacking, advice = [], []
    if frequency_hz is None:
        lacking.append("no frequency of the vibration in image comments or series descriptions")
        advice.append("frequency_hz, such as frequency_hz: 60 for 60 Hz")
    if not has_scheme:
        lacking.append("no direction of the motion encoding in the headers")
        advice.append(
            "encoding_matrix, such as [[1,0,0],[0,1,0],[0,0,1]] for encodings along rows, columns and slices of the "
            "image (encoding_frame: image), in the order of series"
        )
    detail = (
        f"{offsets} images of each of {shape[4]} slices, whose encodings and offsets no header tells apart"
        if maybe_several
        else f"1 motion-encoding direction ({_spoken(shape, frequency_hz)})"
        if len(first) == 1
        else f"{_spoken(shape, frequency_hz)}, {len(first)} encodings"
    )
    raise InputError(
        where,
        found=f"{' and '.join(lacking)} ({detail})",
        expected=f"{'both' if len(lacking) > 1 else 'it'} in the settings"
        + ("" if has_scheme else ", one row for each encoding"),
        advice=f"Set in the ingest section: {'; '.join(advice)}.",
    )


def too_few_directions(
    where: str, shape: tuple[int, ...], frequency_hz: float | None, stated: int, images: str = "phase images"
) -> InputError:
    """Return the refusal of an acquisition that was understood, but has fewer encodings than the settings state.

    Args:
        where: name of the acquisition in the error.
        shape: shape of its phase: encoding, offset, i, j, k.
        frequency_hz: vibration frequency f, hertz; None where neither headers nor settings state it.
        stated: number of rows of the settings' encoding_matrix.
        images: words for the images that were understood.
    """
    count = shape[0]
    wanted = "three independent directions" if stated == _FEWEST else f"{stated} encodings"
    return InputError(
        where,
        found=f"{images} of {count} motion-encoding direction{'s' if count > 1 else ''} "
        f"({_spoken(shape, frequency_hz)})",
        expected=f"{wanted}, as encoding_matrix has rows, in series of their own or in one",
        advice="Export the other encodings too; if no more were acquired, state only theirs as encoding_matrix in the "
        "ingest settings, such as [[0,0,1]] for one through the slices.",
    )


def directions_of(
    phase_rad: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    first: Sequence[Instance],
    grid: SliceGrid,
    settings: IngestSettings,
    where: str,
) -> tuple[Demodulated, NDArray[np.float64]]:
    """Return the directions that the encodings measure, and their axes in RAS, shape (direction, 3).

    Args:
        phase_rad: phase, radian, shape (encoding, offset, i, j, k).
        magnitude: magnitude of the signal, same shape.
        first: one image of each encoding.
        grid: grid on which the images lie.
        settings: ingest settings of the study.
        where: name of the acquisition in errors.

    Raises:
        InputError: there are more or fewer encodings than are stated, or no directions can be made of them.
    """
    if direction_lps(first[0]) is not None:
        rows = np.stack([_exact_direction_lps(one) for one in first]) @ LPS_TO_RAS.T
        columns = np.eye(3)
    else:
        rows = np.asarray(settings.encoding_matrix or THROUGH_SLICES, dtype=np.float64)
        # The slices' normal is one of the image's axes, whatever frame the settings state for a matrix.
        frame = "image" if direction_assumed(first, settings) else settings.encoding_frame
        columns = column_axes(frame, grid.affine_mm)
    if len(rows) != len(first):
        raise InputError(
            where,
            found=f"{len(first)} motion encodings",
            expected=f"{len(rows)} as encoding_matrix has rows",
            advice="Give all scans of the acquisition, or correct encoding_matrix.",
        )
    signals = np.asarray(magnitude * np.exp(1j * phase_rad), dtype=np.complex128)
    made = demodulate_as_told(signals, with_background(rows), settings.encoding_polarity, where)
    return made, made.axes_in_world(columns)


def direction_assumed(first: Sequence[Instance], settings: IngestSettings) -> bool:
    """Return whether neither headers nor settings state the direction of an acquisition's one encoding.

    Args:
        first: one image of each encoding.
        settings: ingest settings of the study.
    """
    return settings.encoding_matrix is None and direction_lps(first[0]) is None


def _exact_direction_lps(instance: Instance) -> NDArray[np.float64]:
    """Return the unit vector of a direction, shape (3,), 0 for no encoding; only where direction_lps is not None.

    Raises:
        InputError: its length is neither 1 nor 0, so that it is no direction.
    """
    name = next(name for name in _DIRECTIONS if instance.header.get(name) is not None)
    direction = numbers(instance, name, 3)
    length = float(np.linalg.norm(direction))
    if abs(length - 1.0) > _ROUNDED and length > 0.0:
        raise InputError(
            instance.place,
            found=f"a direction of motion encoding of length {length:.4g}",
            expected="a unit vector, or zeros where motion was not encoded",
            advice="Export the series again with its full headers, or remove the direction and state encoding_matrix.",
        )
    return direction / length if length > 0.0 else direction


def _spoken(shape: tuple[int, ...], frequency_hz: float | None) -> str:
    hz = "frequency not stated" if frequency_hz is None else f"{frequency_hz:g} Hz"
    return f"{hz}, {shape[1]} offsets, {shape[4]} slices of {shape[2]} x {shape[3]}"
