"""Comparison of headers' promises with what came: number of images, frame of reference, compression without loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import pydicom

from palpate.errors import InputError
from palpate.imaging.dicom.pixels import is_lossy, may_be_lossy
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.vocabulary import is_identifier
from palpate.quality_warning import QualityWarning

_IMAGES_PROMISED: Final = (
    ("ImagesInAcquisition", "(0020,1002) Images in Acquisition"),
    ("NumberOfSeriesRelatedInstances", "(0020,1209) Number of Series Related Instances"),
)
_SLICES_PROMISED: Final = (
    (0x2001, "Philips Imaging DD 001", 0x18, "(2001,1018) Number of Slices"),
    (0x0021, "GEMS_RELA_01", 0x4F, "(0021,104F) Locations in Acquisition"),
)


_CREDIBLE: Final = 100
"""A promise of more than so many times the images is no count; what it is may not be shown."""


def missing_images(series: Sequence[Series], *, one_volume: bool = False) -> tuple[QualityWarning, ...]:
    """Return a warning for each series that has fewer images than its headers promise.

    Args:
        series: series in use.
        one_volume: whether each image is one slice of one volume, so that a promised number of slices counts as well.
    """
    warnings = []
    for one in series:
        here = sum(max(1, int(image.header.get("NumberOfFrames") or 1)) for image in one.instances)
        for promised, said_by in _promises(one, one_volume=one_volume):
            if here < promised <= _CREDIBLE * here:
                warnings.append(
                    QualityWarning(
                        "fewer-images-than-promised",
                        f"Series {one.number} has {here} of the {promised} images that {said_by} promises; "
                        f"{promised - here} are missing or were passed over.",
                        "Look at what the log lists as passed over, and export the complete series again.",
                    )
                )
                break
    return tuple(warnings)


def no_frame_of_reference(series: Sequence[Series]) -> tuple[QualityWarning, ...]:
    """Return a warning where images do not say in which frame of reference their positions hold.

    Args:
        series: series in use.
    """
    lacking = [one.number for one in series if not has_frame_of_reference(one.header)]
    if not lacking:
        return ()
    return (
        QualityWarning(
            "no-frame-of-reference",
            f"{_named(lacking)} without a Frame of Reference UID, so no DICOM object can lie on them: maps will be "
            "NIfTI only, and whether an anatomy was acquired in the same position is unknown.",
            "Export the series again with the identifiers kept or replaced, not removed, if you need DICOM maps.",
        ),
    )


def has_frame_of_reference(header: pydicom.Dataset) -> bool:
    """Return whether an image names its frame of reference by a valid identifier."""
    return is_identifier(header.get("FrameOfReferenceUID") or "")


def demand_lossless(series: Sequence[Series]) -> None:
    """Raise InputError where phase may have gone through compression that changes values.

    Such compression smooths across the wraps of phase, where neighbours differ by two pi and mean the same.

    Args:
        series: series with phase images.
    """
    for one in series:
        for image in one.instances:
            if is_lossy(image.header):
                raise InputError(
                    image.place,
                    found="phase images after lossy compression (by Lossy Image Compression, its ratio or method, or "
                    "the transfer syntax), which destroys phase",
                    expected="images as the scanner made them, uncompressed or compressed without loss",
                    advice="Fetch the series from the scanner, or from an archive's original copy.",
                )


def maybe_lossy(series: Sequence[Series]) -> tuple[QualityWarning, ...]:
    """Return a warning where values may have been changed by compression.

    Args:
        series: series in use.
    """
    said = [one.number for one in series if any(is_lossy(image.header) for image in one.instances)]
    unsaid = [one.number for one in series if any(may_be_lossy(image.header) for image in one.instances)]
    if not said and not unsaid:
        return ()
    sentence = (
        f"{_named(said)} compressed with loss: small structures and noise are changed."
        if said
        else f"{_named(unsaid)} in a compression that may be lossy, and no header says whether it was."
    )
    return (QualityWarning("lossy-compression", sentence, "Export the series uncompressed or from the scanner."),)


def _promises(series: Series, *, one_volume: bool) -> list[tuple[int, str]]:
    if "DERIVED" in series.image_type[:1]:
        # Processed series keep the counts of the one that they were made of.
        return []
    promises = []
    for keyword, name in _IMAGES_PROMISED:
        promises.append((_most_stated([_count(one.header.get(keyword)) for one in series.instances]), name))
    if one_volume:
        for group, creator, element, name in _SLICES_PROMISED:
            stated = [_count(_private(one.header, group, creator, element)) for one in series.instances]
            promises.append((_most_stated(stated), name))
    return promises


def _most_stated(numbers: Sequence[int]) -> int:
    """Return the number that most images state; 0 where they state none."""
    return Counter(numbers).most_common(1)[0][0]


def _count(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _private(header: pydicom.Dataset, group: int, creator: str, element: int) -> object:
    try:
        block = header.private_block(group, creator)
    except KeyError:
        return None
    return block[element].value if element in block else None


def _named(numbers: Sequence[int]) -> str:
    named = ", ".join(str(one) for one in numbers)
    return f"Series {named} is" if len(numbers) == 1 else f"Series {named} are"
