"""An ordinary MR series, one slice a file, as a volume in world axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance, read_contents, shown
from palpate.imaging.dicom.geometry import affine_from, pixel_spacing_mm, slice_axes
from palpate.imaging.dicom.no_image import ANATOMY_ADVICE
from palpate.imaging.dicom.promised import maybe_lossy, missing_images
from palpate.imaging.dicom.series import Series, group_series, numbers
from palpate.imaging.dicom.slices import FULL_EXPORT, even_spacing_mm
from palpate.imaging.dicom.sorting import SeriesRow, passed_rows, why_no_image
from palpate.imaging.nifti import Volume
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class Anatomy:
    """An anatomical volume and the series it came from.

    Attributes:
        volume: values, shape (i, j, k), and affine.
        series: the DICOM series.
        instances: every DICOM image found beside it.
        passed: lines of the files beside it that are no readable images.
        warnings: of the series.
    """

    volume: Volume
    series: Series
    instances: tuple[Instance, ...]
    passed: tuple[SeriesRow, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()


def read_anatomy(container: Path) -> Anatomy:
    """Read the one volume series of a folder or zip.

    Raises:
        InputError: there is no such series or more than one; slices are missing, doubled, tilted or truncated.
    """
    found = read_contents(container, advice=ANATOMY_ADVICE)
    every = found.instances
    reasons = [why_no_image(one) for one in every]
    instances = tuple(one for one, reason in zip(every, reasons, strict=True) if reason is None)
    found_series = group_series(instances) if instances else ()
    series = [one for one in found_series if len(one.instances) > 1 and "MOSAIC" not in one.image_type]
    if len(series) != 1:
        listed = ", ".join(str(one.number) for one in series) or "none"
        left_out = sorted({reason for reason in reasons if reason is not None})
        listed += f"; left out: {'; '.join(left_out)}" if left_out else ""
        raise InputError(
            shown(container),
            found=f"{len(series)} series with one slice per file ({listed})",
            expected="exactly one, the T1-weighted anatomy",
            advice="Give the folder of that one series.",
        )
    others = [one for other in found_series if other is not series[0] for one in other.instances]
    no_images = [one for one, reason in zip(every, reasons, strict=True) if reason is not None]
    _demand_no_strays(series[0], [*others, *no_images])
    damaged = found.demand_whole(series[0].instances)
    counts = found.passed.counts + Counter(f"{one.error.found}, of another series" for one in damaged)
    warnings = (*missing_images(series, one_volume=True), *maybe_lossy(series))
    return Anatomy(_volume(series[0]), series[0], instances, passed_rows(counts), warnings)


def _demand_no_strays(series: Series, others: Sequence[Instance]) -> None:
    """Raise InputError where another image bears the series' number or identifier and is no part of it.

    A slice with a damaged header would be missing, and at an end of the stack no gap would show it.
    """
    for one in others:
        same = [one.header.get(name) == series.header.get(name) for name in ("SeriesNumber", "SeriesInstanceUID")]
        if any(same):
            raise InputError(
                one.place,
                found=f"an image of the number or identifier of series {series.number} that is no part of it",
                expected="all slices of the anatomy under one Series Instance UID, as MR images without burned-in text",
                advice="Export the series again from the scanner or archive.",
            )


def _volume(series: Series) -> Volume:
    """Slices of one series, sorted along their normal."""
    instances = series.instances
    axes = slice_axes(instances[0])
    spacing_mm = pixel_spacing_mm(instances[0])
    for instance in instances[1:]:
        if not np.allclose(slice_axes(instance), axes, atol=1e-4) or not np.allclose(
            pixel_spacing_mm(instance), spacing_mm, rtol=1e-4
        ):
            raise InputError(
                instance.place,
                found="another slice orientation or pixel spacing than in the slices before",
                expected="parallel slices of one size",
                advice="Give the folder of one series only.",
            )
    corners = np.stack([numbers(instance, "ImagePositionPatient", 3) for instance in instances])
    heights = corners @ axes[:, 2]
    order = np.argsort(heights)
    between_mm = even_spacing_mm([instances[n].place for n in order], heights[order])
    slices = [_rescaled(instances[n]) for n in order]
    if len({one.shape for one in slices}) != 1:
        raise InputError(
            f"series {series.number}",
            found="slices of different sizes",
            expected="one matrix size",
            advice=FULL_EXPORT,
        )
    values = np.stack([one.T for one in slices], axis=2)
    return Volume(values, affine_from(axes, np.append(spacing_mm, between_mm), corners[order[0]]))


def _rescaled(instance: Instance) -> NDArray[np.float64]:
    """Pixel values after slope and intercept, shape (rows, columns)."""
    slope = float(numbers(instance, "RescaleSlope", 1)[0]) if "RescaleSlope" in instance.header else 1.0
    intercept = float(numbers(instance, "RescaleIntercept", 1)[0]) if "RescaleIntercept" in instance.header else 0.0
    return slope * instance.pixels() + intercept
