"""Statements of Siemens MRE sequences in ImageComments about vibration and encoding.

    MRE: fI[0]dI[1]az[270]po[90]tI[3]VP[50000]TC[...]

fI, dI and tI count frequencies, encoding directions and time offsets; az and po are the angles of the encoding axis in
degrees; VP is the vibration period in microseconds. ME, where present, is the motion encoding in um per radian.
TC lists slice delays for the first slices only; the header's own slice times are complete and are used instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import frame_comments
from palpate.imaging.dicom.series import Series, texts

_MARK = "MRE:"
_TOKEN = re.compile(r"([A-Za-z]{2})\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class EncodingComment:
    """Place of one phase image in the acquisition.

    Attributes:
        frequency_index: index of the frequency, fI.
        direction: index of the encoding direction, dI.
        offset: index of the time offset, tI.
        azimuth_deg: azimuth of the encoding axis, az, degrees.
        polar_deg: polar angle of the encoding axis, po, degrees.
        whole_degrees: whether both angles were written without decimals, hence rounded to a degree.
        frequency_hz: vibration frequency, 1e6 / VP, hertz.
        menc_um_per_rad: motion encoding, ME, micrometres per radian; None where the comment does not say.
    """

    frequency_index: int
    direction: int
    offset: int
    azimuth_deg: float
    polar_deg: float
    whole_degrees: bool
    frequency_hz: float
    menc_um_per_rad: float | None

    @property
    def axis_device(self) -> NDArray[np.float64]:
        """Unit vector of the encoding axis in the scanner's device axes, shape (3,)."""
        return direction(*np.radians([self.azimuth_deg, self.polar_deg]))


def direction(azimuth_rad: float, polar_rad: float) -> NDArray[np.float64]:
    """Return the unit vector with an azimuth and a polar angle, radian, shape (3,)."""
    level = np.sin(polar_rad)
    return np.array([level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.cos(polar_rad)])


def has_comment(instance: Instance) -> bool:
    """Return whether the image carries an MRE comment."""
    return comment_text(instance).startswith(_MARK)


def states_vibration(series: Series) -> bool:
    """Return whether any image or frame of a series carries an MRE comment, without reading pixels or raising."""
    frames = (text for one in series.instances for text in frame_comments(one))
    return any(has_comment(one) for one in series.instances) or any(text.startswith(_MARK) for text in frames)


def comment_text(instance: Instance) -> str:
    """Return ImageComments as one line; some exports store it as a list of single characters."""
    return "".join(texts(instance.header, "ImageComments")).strip()


def parse_comment(instance: Instance) -> EncodingComment:
    """Read the comment of a phase image.

    Raises:
        InputError: a token is missing or not a number, or the vibration period is not positive.
    """
    tokens = comment_tokens(instance)
    unread = "The frequency cannot be read; check the MRE sequence's ImageComments."
    frequency_hz = comment_frequency_hz(instance, tokens, advice=unread)
    correct = "Correct the header, or remove ME[] and set menc_um_per_rad."
    menc_um_per_rad = comment_menc_um_per_rad(instance, tokens, advice=correct)
    return EncodingComment(
        frequency_index=int(comment_number(instance, tokens, "fI")),
        direction=int(comment_number(instance, tokens, "dI")),
        offset=int(comment_number(instance, tokens, "tI")),
        azimuth_deg=comment_number(instance, tokens, "az"),
        polar_deg=comment_number(instance, tokens, "po"),
        whole_degrees="." not in tokens["az"] + tokens["po"],
        frequency_hz=frequency_hz,
        menc_um_per_rad=menc_um_per_rad,
    )


def comment_tokens(instance: Instance) -> dict[str, str]:
    """Return the tokens of the MRE comment by name, such as VP; none where the image has no such comment."""
    return dict(_TOKEN.findall(comment_text(instance))) if has_comment(instance) else {}


def comment_frequency_hz(instance: Instance, tokens: dict[str, str], *, advice: str) -> float:
    """Return the frequency of the vibration whose period a comment states, hertz.

    Args:
        instance: the image.
        tokens: tokens of its comment by name.
        advice: remedy that the error names.

    Raises:
        InputError: the period is missing, no finite number, or not positive.
    """
    period_us = comment_number(instance, tokens, "VP")
    if period_us <= 0:
        found = f"a vibration period of {period_us:g} us"
        raise InputError(instance.place, found=found, expected="a period above 0", advice=advice)
    return 1e6 / period_us


def comment_menc_um_per_rad(instance: Instance, tokens: dict[str, str], *, advice: str) -> float | None:
    """Return the motion encoding that a comment states, micrometres per radian; None where there is none.

    Args:
        instance: the image.
        tokens: tokens of its comment by name.
        advice: remedy that the error names.

    Raises:
        InputError: it is no finite number, or not positive.
    """
    if "ME" not in tokens:
        return None
    menc = comment_number(instance, tokens, "ME")
    if menc <= 0:
        found = f"a motion encoding of {menc:g} um/rad"
        raise InputError(instance.place, found=found, expected="a value above 0", advice=advice)
    return menc


def comment_number(instance: Instance, tokens: dict[str, str], name: str) -> float:
    """Return the finite number of one token.

    Raises:
        InputError: the token is missing or no finite number.
    """
    try:
        value = float(tokens[name])
    except (KeyError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(
            instance.place,
            found=f"an MRE comment without a usable {name}[...]",
            expected="fI[..]dI[..]az[..]po[..]tI[..]VP[..]",
            advice="Export the series again with its full headers.",
        )
    return value
