"""Conversion of encoding axes from the angles in Siemens headers to world axes.

The axes in which az and po are given are documented nowhere, so they were inferred from a real oblique scan (head
first, supine; slices tilted by 1.6 degrees). Its three axes must be, up to sign, the slice normal, the phase-encoding
and the read direction. Written in the axes (L, A, I) = (L, -P, -S) of a supine, head-first patient,

    slice normal (-0.0283, -0.0043, -0.9996)  az 188.7 po 178.4   header 189, 178
    columns      (-0.0075, -1.0000,  0.0045)  az 269.6 po  89.7   header 270,  90
    -rows        (-0.9996,  0.0076,  0.0283)  az 179.6 po  88.4   header 180,  88

so all six angles agree to the rounding of a degree. The tilt of the normal settles the signs of the horizontal axes:
with either flipped, az would read 351 or 171. These are the scanner's own right-handed device axes, whose relation to
the patient follows PatientPosition; only HFS is confirmed by data, the other three by the rotation of the patient on
the table. What stays unknown is one sign common to all three axes, and that changes no modulus.

Angles written in whole degrees may be off by half a degree, 0.9 % of cross-talk between components. Where all three
axes lie within that rounding of the image's own axes, the image's axes are used instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import LPS_TO_RAS, slice_axes
from palpate.imaging.dicom.series import demand
from palpate.imaging.dicom.siemens_comment import EncodingComment, direction
from palpate.imaging.dicom.vocabulary import is_known

_ROUNDING_DEG: Final = 0.75
"""Half a degree in each of two orthogonal angles, and a little for the header's own digits."""

_ONE_PLANE: Final = 0.1
"""Volume spanned by three unit vectors below which they lie in one plane."""

DEVICE_TO_LPS: Final[Mapping[str, NDArray[np.float64]]] = {
    "HFS": np.diag([1.0, -1.0, -1.0]),
    "HFP": np.diag([-1.0, 1.0, -1.0]),
    "FFS": np.diag([-1.0, -1.0, 1.0]),
    "FFP": np.diag([1.0, 1.0, 1.0]),
}
"""Device axes to LPS for each PatientPosition; see the module's docstring for what is confirmed."""


def encoding_axes(comments: Sequence[EncodingComment], instance: Instance) -> NDArray[np.float64]:
    """Return the unit vectors in RAS along which the directions measure displacement, shape (direction, 3).

    Args:
        comments: comment of each direction, in order.
        instance: image of the series, for the patient's position and the image's axes.

    Raises:
        InputError: the patient's position is not known to this reader, or the axes do not span space.
    """
    position = str(demand(instance, "PatientPosition"))
    if position not in DEVICE_TO_LPS:
        raise InputError(
            instance.place,
            found=f"Patient Position {position if is_known('PatientPosition', position) else 'of another kind'}",
            expected=f"one of {', '.join(DEVICE_TO_LPS)}",
            advice="The encoding axes of other positions are not known yet.",
        )
    stated = np.stack([DEVICE_TO_LPS[position] @ comment.axis_device for comment in comments])
    _demand_degrees(comments, instance)
    if abs(np.linalg.det(stated)) < _ONE_PLANE:
        raise InputError(
            instance.place,
            found="encoding directions that lie in one plane",
            expected="three independent directions",
            advice="A wave field needs all three components of motion.",
        )
    if all(comment.whole_degrees for comment in comments):
        stated = _without_rounding(stated, slice_axes(instance).T)
    return stated @ LPS_TO_RAS.T


def _demand_degrees(comments: Sequence[EncodingComment], instance: Instance) -> None:
    """Raise InputError where angles put all directions into one plane as degrees, and do not as radians."""
    angles = np.array([[one.azimuth_deg, one.polar_deg] for one in comments])
    if np.abs(angles).max() > 2.0 * np.pi:
        return
    in_degrees, in_radians = (
        abs(float(np.linalg.det(np.stack([direction(azimuth, polar) for azimuth, polar in given]))))
        for given in (np.radians(angles), angles)
    )
    if in_degrees < _ONE_PLANE < in_radians:
        raise InputError(
            instance.place,
            found=f"azimuth and polar angles of at most {np.abs(angles).max():.3g}: three directions if they are "
            "radians, one plane if they are degrees",
            expected="az[..] and po[..] in degrees",
            advice="Correct the MRE sequence's ImageComments, or export the series again.",
        )


def _without_rounding(stated: NDArray[np.float64], image_axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the image's axes in place of the stated ones, where rounding explains all differences, in rows."""
    cosines = stated @ image_axes.T
    nearest = np.abs(cosines).argmax(axis=1)
    cosine = np.take_along_axis(cosines, nearest[:, None], axis=1)
    if np.any(np.abs(cosine) < np.cos(np.radians(_ROUNDING_DEG))) or len(set(nearest.tolist())) < 3:
        return stated
    return np.asarray(np.sign(cosine) * image_axes[nearest])
