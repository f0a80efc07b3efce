"""Multi-frame DICOM as if each frame were a file of its own, so that readers need not know how images were packed.

A multi-frame file states what all frames share and what each has for itself in functional groups, sequences within
sequences. Here they are laid flat into one header a frame, under the keywords that one-image files use:

    ImagePositionPatient, ImageOrientationPatient, PixelSpacing, SliceThickness, SpacingBetweenSlices,
    RescaleSlope, RescaleIntercept, RescaleType               from the groups of the same content
    ImageType, ImageComments                                  from FrameType and FrameComments
    ComplexImageComponent, TemporalPositionIndex, FrameAcquisitionDateTime,
    VelocityEncodingDirection, DiffusionGradientOrientation   as they are

A frame's own statement comes before the shared one, and that before the file's. Private groups are not laid flat:
Philips repeats the public attributes there with other values (the position of a voxel's corner, not of its centre).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import Series

_SHARED: Final = "SharedFunctionalGroupsSequence"
_OWN: Final = "PerFrameFunctionalGroupsSequence"
_GROUPS: Final = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "MRImageFrameTypeSequence",
    "MRVelocityEncodingSequence",
    "MRDiffusionSequence",
    "DiffusionGradientDirectionSequence",
)
_CLASSIC_NAMES: Final = {"FrameType": "ImageType", "FrameComments": "ImageComments"}


def is_multi_frame(instance: Instance) -> bool:
    """Whether a file describes its frames by functional groups."""
    return _OWN in instance.header


def with_frames(series: Series) -> Series:
    """The series with one instance for each frame, in the order of files and frames; other instances stay as they are.

    Raises:
        InputError: a file has more or fewer frames than descriptions of frames.
    """
    return Series(series.number, tuple(frame for one in series.instances for frame in _frames(one)))


def frame_comments(instance: Instance) -> list[str]:
    """FrameComments of all frames, "" where a frame has none; reads no pixels and never raises."""
    comments = []
    for own in instance.header.get(_OWN, None) or ():
        content = own.get("FrameContentSequence", None) or [Dataset()]
        comment = content[0].get("FrameComments", "")
        # Some exports hold text as a list of characters.
        comments.append(comment if isinstance(comment, str) else "".join(str(one) for one in comment or ()))
    return comments


def _frames(instance: Instance) -> Sequence[Instance]:
    if not is_multi_frame(instance):
        return (instance,)
    header = instance.header
    described = header[_OWN].value
    stated = int(header.get("NumberOfFrames", 0) or 0)
    if stated != len(described) or stated == 0:
        raise InputError(
            instance.place,
            found=f"{stated} frames and descriptions of {len(described)}",
            expected="one description for every frame",
            advice="Export the series again from the scanner or archive.",
        )
    common = Dataset({element.tag: element for element in header if element.keyword not in (_SHARED, _OWN)})
    for shared in header.get(_SHARED, None) or ():
        _lay_flat(shared, common)
    frames = []
    for index, own in enumerate(described):
        flat = Dataset(dict(common.items()))
        _lay_flat(own, flat)
        for theirs, classic in _CLASSIC_NAMES.items():
            if theirs in flat:
                setattr(flat, classic, flat[theirs].value)
        flat.InstanceNumber = index + 1
        frames.append(replace(instance, header=flat, frame=index))
    return frames


def _lay_flat(groups: pydicom.Dataset, header: pydicom.Dataset) -> None:
    """Copy the attributes of the known functional groups, however deep, into one header."""
    for element in groups:
        if element.VR != "SQ":
            continue
        if element.keyword in _GROUPS and len(element.value) == 1:
            item = element.value[0]
            for inner in item:
                if inner.VR != "SQ":
                    header[inner.tag] = inner
            _lay_flat(item, header)
