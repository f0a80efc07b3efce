"""Multi-frame DICOM as if each frame were a file of its own, so that readers need not know how images were packed.

A multi-frame file states what all frames share and what each has for itself in functional groups, sequences within
sequences. Here they are laid flat into one header a frame, under the keywords that one-image files use:

    ImagePositionPatient, ImageOrientationPatient, PixelSpacing, SliceThickness, SpacingBetweenSlices,
    RescaleSlope, RescaleIntercept, RescaleType               from the groups of the same content
    ImageType, ImageComments                                  from FrameType and FrameComments
    EchoTime, TriggerTime                                     from EffectiveEchoTime and a trigger delay
    ComplexImageComponent, TemporalPositionIndex, FrameAcquisitionDateTime, StackID,
    VelocityEncodingDirection, DiffusionGradientOrientation,
    InPlanePhaseEncodingDirection and numbers of steps        as they are

A frame's own statement comes before the shared one, and that before the file's. A frame without Temporal Position Index
takes its Dimension Index Value for time, where the file has one. Private groups are not laid flat: Philips repeats
public attributes there with other values (the position of a voxel's corner, not of its centre). Only its scale slope
and kind of image are taken from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

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
    "CardiacSynchronizationSequence",
    "TemporalPositionSequence",
    "MREchoSequence",
    "MRFOVGeometrySequence",
)
_CLASSIC_NAMES: Final = {
    "FrameType": "ImageType",
    "FrameComments": "ImageComments",
    "EffectiveEchoTime": "EchoTime",
    "TemporalPositionTimeOffset": "TriggerTime",
    "NominalCardiacTriggerDelayTime": "TriggerTime",
}
"""Keyword in one-image files for attributes of frames; where two have the same, the later one is taken."""
_TIME_DIMENSIONS: Final = tuple(
    Tag(name) for name in ("TemporalPositionIndex", "NominalCardiacTriggerDelayTime", "TemporalPositionTimeOffset")
)
_PHILIPS: Final = (0x2005, "Philips MR Imaging DD 001")
_PHILIPS_ELEMENTS: Final = (0x0E, 0x11)
"""Scale slope and kind of image, in a private sequence of each frame."""


def is_multi_frame(instance: Instance) -> bool:
    """Return whether a file describes its frames by functional groups."""
    return _OWN in instance.header


def with_frames(series: Series) -> Series:
    """Return the series with one instance for each frame, in the order of files and frames.

    Other instances stay as they are. Frames are numbered through all files, which their Instance Numbers order; where
    those repeat, each file's frames are counted from 1, so that no number depends on the order of file names. Within a
    file their Dimension Index Values count them where these tell all frames apart, else the order in which they lie.

    Raises:
        InputError: a file has more or fewer frames than descriptions of frames.
    """
    numbers = [one.header.get("InstanceNumber") for one in series.instances]
    ordered = len(set(numbers)) == len(numbers)
    frames: list[Instance] = []
    for one in series.instances:
        frames += _frames(one, len(frames) if ordered else 0)
    return Series(series.number, tuple(frames))


def set_own(header: pydicom.Dataset, name: str, value: object) -> None:
    """Set an attribute of a header whose elements other headers share, without changing theirs.

    Args:
        header: a copy that holds the elements of another.
        name: the attribute's DICOM keyword.
        value: new value of the attribute.
    """
    # Assigning to an attribute that is there changes the element itself.
    if name in header:
        del header[name]
    setattr(header, name, value)


def frame_comments(instance: Instance) -> list[str]:
    """Return FrameComments of all frames, "" where a frame has none, without reading pixels or raising."""
    comments = []
    for own in instance.header.get(_OWN, None) or ():
        content = own.get("FrameContentSequence", None) or [Dataset()]
        comment = content[0].get("FrameComments", "")
        # Some exports hold text as a list of characters.
        comments.append(comment if isinstance(comment, str) else "".join(str(one) for one in comment or ()))
    return comments


def frame_kinds(instance: Instance) -> list[Dataset]:
    """Return the MR image frame types of a file, shared and of each frame, without reading pixels or raising."""
    groups = [*(instance.header.get(_SHARED, None) or ()), *(instance.header.get(_OWN, None) or ())]
    kinds = []
    for one in groups:
        items = one.get("MRImageFrameTypeSequence", None) if isinstance(one, Dataset) else None
        kinds += list(items[:1]) if isinstance(items, Items) else []
    return kinds


def _frames(instance: Instance, before: int) -> Sequence[Instance]:
    """Return the frames of a file, numbered after so many others."""
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
        _take_private(shared, common)
    time_dimension = _time_dimension(header)
    frames = []
    for index, (own, rank) in enumerate(zip(described, _ranks(described), strict=True)):
        flat = Dataset(dict(common.items()))
        _lay_flat(own, flat)
        _take_private(own, flat)
        index_values = flat.get("DimensionIndexValues")
        if time_dimension is not None and index_values is not None and flat.get("TemporalPositionIndex") is None:
            values = index_values if isinstance(index_values, MultiValue | list) else [index_values]
            if time_dimension < len(values):
                set_own(flat, "TemporalPositionIndex", int(values[time_dimension]))
        for theirs, classic in _CLASSIC_NAMES.items():
            if theirs in flat:
                set_own(flat, classic, flat[theirs].value)
        set_own(flat, "InstanceNumber", before + rank + 1)
        frames.append(replace(instance, header=flat, frame=index))
    return frames


def _ranks(described: Sequence[Dataset]) -> list[int]:
    """Return the place of each frame by its Dimension Index Values; as the frames lie where these tell nothing."""
    indices = []
    for own in described:
        content = own.get("FrameContentSequence", None) or [Dataset()]
        values = content[0].get("DimensionIndexValues", None)
        indices.append(tuple(int(one) for one in values) if isinstance(values, MultiValue | list) else (values,))
    if len(set(indices)) < len(indices) or len({len(one) for one in indices}) > 1 or (None,) in indices:
        return list(range(len(indices)))
    order = sorted(range(len(indices)), key=indices.__getitem__)
    return [rank for _, rank in sorted(zip(order, range(len(order)), strict=True))]


def _time_dimension(header: pydicom.Dataset) -> int | None:
    """Return which of the Dimension Index Values counts time; None where none does."""
    items = header.get("DimensionIndexSequence", None) or ()
    pointers = [item.get("DimensionIndexPointer") for item in items]
    return next((pointers.index(tag) for tag in _TIME_DIMENSIONS if tag in pointers), None)


def _take_private(groups: pydicom.Dataset, flat: pydicom.Dataset) -> None:
    """Copy the elements of Philips' private sequence that readers need into one header."""
    group, creator = _PHILIPS
    for element in groups:
        if element.VR != "SQ" or not element.tag.is_private or element.tag.group != group:
            continue
        for item in element.value:
            try:
                block = item.private_block(group, creator)
            except KeyError:
                continue
            for number in _PHILIPS_ELEMENTS:
                if number in block:
                    theirs = block[number]
                    flat.private_block(group, creator, create=True).add_new(number, theirs.VR, theirs.value)


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
