"""An ordinary MR series, one slice a file or enhanced multi-frame, as a volume in world axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance, read_contents
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.header_promises import maybe_lossy, missing_images
from palpate.imaging.dicom.no_image import ANATOMY_ADVICE
from palpate.imaging.dicom.series import Series, group_series, numbers, texts
from palpate.imaging.dicom.slice_grid import slice_grid
from palpate.imaging.dicom.sorting import SeriesRow, passed_rows, why_no_image
from palpate.imaging.files.nifti import Volume
from palpate.imaging.files.plain_names import shown
from palpate.quality_warning import QualityWarning

_TOLD_APART_BY: Final = ("EchoTime", "TemporalPositionIndex", "TemporalPositionIdentifier", "ImageType")
"""Attributes in which images of one slice may differ; image types tell magnitude from phase."""
_SEPARATOR: Final = "/"


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Anatomical volume and the series it came from.

    Attributes:
        volume: values, shape (i, j, k), and affine.
        series: DICOM series of the volume.
        instances: all MR images found in the folder or archive, those of the series among them.
        passed: table lines for the files beside it that are no readable images.
        warnings: warnings about the series.
    """

    volume: Volume
    series: Series
    instances: tuple[Instance, ...]
    passed: tuple[SeriesRow, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()


def read_anatomy(container: Path) -> Anatomy:
    """Read the one volume series of a folder or archive.

    Raises:
        InputError: there is no such series or more than one; slices are missing, doubled, tilted or truncated.
    """
    found = read_contents(container, advice=ANATOMY_ADVICE)
    every = found.instances
    reasons = [why_no_image(one) for one in every]
    instances = tuple(one for one, reason in zip(every, reasons, strict=True) if reason is None)
    found_series = [with_frames(one) for one in (group_series(instances) if instances else ())]
    series = [one for one in found_series if len(one.instances) > 1 and "MOSAIC" not in one.image_type]
    if len(series) != 1:
        listed = ", ".join(str(one.number) for one in series) or "none"
        left_out = sorted({reason for reason in reasons if reason is not None})
        listed += f"; left out: {'; '.join(left_out)}" if left_out else ""
        raise InputError(
            shown(container),
            found=f"{len(series)} series of slices, one a file or a frame ({listed})",
            expected="exactly one, the T1-weighted anatomy",
            advice="Give the folder of that one series.",
        )
    others = [one for other in found_series if other is not series[0] for one in other.instances]
    no_images = [one for one, reason in zip(every, reasons, strict=True) if reason is not None]
    _demand_no_strays(series[0], [*others, *no_images])
    damaged = found.demand_whole(series[0].instances)
    counts = found.passed.counts + Counter(f"{one.error.found}, of another series" for one in damaged)
    warnings = (*missing_images(series, one_volume=True), *maybe_lossy(series))
    return Anatomy(series_volume(series[0]), series[0], instances, passed_rows(counts), warnings)


def _demand_no_strays(series: Series, others: Sequence[Instance]) -> None:
    """Raise InputError where another image bears the series' number or identifier and is no part of it.

    A slice with a damaged header would be missing, and at an end of the stack no gap would show it.
    """
    within = {one.member for one in series.instances}
    for one in others:
        same = [one.header.get(name) == series.header.get(name) for name in ("SeriesNumber", "SeriesInstanceUID")]
        if one.member not in within and any(same):
            raise InputError(
                one.place,
                found=f"an image of the number or identifier of series {series.number} that is no part of it",
                expected="all slices of the anatomy under one Series Instance UID, as MR images without burned-in text",
                advice="Export the series again from the scanner or archive.",
            )


def series_volume(series: Series) -> Volume:
    """Return the slices of one series, sorted along their normal.

    Raises:
        InputError: slices lie on no rectangular grid, or there are several images of one.
    """
    _demand_one_of("StackID", [one for one in series.instances if one.frame is not None])
    by_place: dict[tuple[float, ...], list[Instance]] = {}
    for one in series.instances:
        by_place.setdefault(tuple(numbers(one, "ImagePositionPatient", 3).round(2)), []).append(one)
    _demand_one_image(by_place.values())
    grid = slice_grid(series.instances)
    slices = grid.by_slice(series.instances)
    _demand_one_image(slices)
    values = np.stack([_rescaled(images[0], grid.pixels(images[0])) for images in slices], axis=2)
    return Volume(values, grid.affine_mm)


def _demand_one_image(slices: Iterable[Sequence[Instance]]) -> None:
    """Raise InputError where a slice has several images; the sentence says by what they differ."""
    for images in slices:
        for name in _TOLD_APART_BY:
            _demand_one_of(name, images)
        if len(images) > 1:
            raise InputError(
                images[1].place,
                found=f"{len(images)} images of one slice, at one place",
                expected="every slice once",
                advice="Give one series only, without repeated images.",
            )


def _demand_one_of(name: str, images: Sequence[Instance]) -> None:
    """Raise InputError where images differ in an attribute by which scanners tell several volumes apart."""
    found = {_SEPARATOR.join(texts(one.header, name)) for one in images}
    if len(found) > 1:
        what = dictionary_description(name)
        raise InputError(
            f"series {images[0].header.get('SeriesNumber', '?')}",
            found=f"several volumes in one series: images that differ in {what} ({len(found)} different values)",
            expected="one volume, one image a slice",
            advice="Export the T1-weighted volume as a series of its own, or convert it to NIfTI.",
        )


def _rescaled(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return stored values after the image's own slope and intercept."""
    slope = float(numbers(instance, "RescaleSlope", 1)[0]) if "RescaleSlope" in instance.header else 1.0
    intercept = float(numbers(instance, "RescaleIntercept", 1)[0]) if "RescaleIntercept" in instance.header else 0.0
    return slope * stored + intercept
