"""DICOM series: instances that belong together, and look-ups whose errors name the file and the attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description
from pydicom.multival import MultiValue

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.grouping import group_studies
from palpate.imaging.dicom.persons import differing, person_of, same_person
from palpate.imaging.dicom.vocabulary import plain

_TECHNICAL = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "MRAcquisitionType",
    "ScanningSequence",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelBandwidth",
    "PatientPosition",
    "InPlanePhaseEncodingDirection",
)
"""Attributes that describe the measurement and never a person; the only ones copied to outputs, with the UIDs. Text is
copied only if palpate.imaging.dicom.vocabulary knows it."""

_REFERENCES = (
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "BodyPartExamined",
)


@dataclass(frozen=True, slots=True)
class Series:
    """Instances of one DICOM series, ordered by InstanceNumber.

    Attributes:
        number: SeriesNumber.
        instances: images of the series, at least one.
    """

    number: int
    instances: tuple[Instance, ...]

    @property
    def header(self) -> pydicom.Dataset:
        """Header of the first instance."""
        return self.instances[0].header

    @property
    def image_type(self) -> tuple[str, ...]:
        """Values of ImageType."""
        return texts(self.header, "ImageType")

    def technical_facts(self) -> dict[str, object]:
        """Return technical parameters by allow-list, as plain JSON values."""
        facts = {name: plain(name, self.header.get(name)) for name in _TECHNICAL}
        facts["BandwidthPerPixelPhaseEncode"] = _phase_bandwidth_hz(self.header)
        return {name: value for name, value in facts.items() if value is not None}

    def references(self) -> dict[str, str]:
        """Return the identifiers that DICOM output refers to, and the part of the body."""
        return {name: str(self.header.get(name, "")) for name in _REFERENCES}


def _phase_bandwidth_hz(header: pydicom.Dataset) -> float | None:
    """Bandwidth of a voxel along the phase encoding, Hz, which Siemens states; None elsewhere."""
    try:
        return float(header.private_block(0x0019, "SIEMENS MR HEADER")[0x28].value)
    except (KeyError, TypeError, ValueError):
        return None


def texts(header: pydicom.Dataset, name: str) -> tuple[str, ...]:
    """Return the values of an attribute as texts; none where it is missing or empty.

    Args:
        header: header of an image.
        name: the attribute's DICOM keyword.
    """
    value = header.get(name)
    if value is None or value == "":
        return ()
    return tuple(str(one) for one in value) if isinstance(value, MultiValue | list) else (str(value),)


def group_series(instances: Sequence[Instance]) -> tuple[Series, ...]:
    """Sort instances into series, ordered by SeriesNumber; all of them must be of one person and one study.

    Raises:
        InputError: two persons or two studies, or a series without usable numbers.
    """
    first, *others = group_studies(instances)
    for other in others:
        instance = other.series[0][0]
        names = differing(first.person, other.person) or ["StudyInstanceUID"]
        raise InputError(
            instance.place,
            found=f"another {dictionary_description(names[0])} than in {first.series[0][0].place}",
            expected="images of one person and one study",
            advice="Give the folder of one session only.",
        )
    return ordered([series_of(group) for group in first.series])


def series_of(group: Sequence[Instance]) -> Series:
    """Return the images of one series in the order of InstanceNumber.

    Raises:
        InputError: SeriesNumber or an InstanceNumber is missing or no number.
    """
    return Series(number=_integer(group[0], "SeriesNumber"), instances=tuple(sorted(group, key=_instance_number)))


def ordered(series: Sequence[Series]) -> tuple[Series, ...]:
    """Return series in the order of their numbers."""
    return tuple(sorted(series, key=lambda one: one.number))


def demand_one_patient(instances: Sequence[Instance]) -> None:
    """Raise InputError, which names nobody, where images are of different persons, by number, name or birth date."""
    first = person_of(instances[0].header)
    for instance in instances:
        other = person_of(instance.header)
        if not same_person(first, other):
            raise InputError(
                instance.place,
                found=f"another {dictionary_description(differing(first, other)[0])} than in {instances[0].place}",
                expected="images of one person",
                advice="Give the folder of one session only.",
            )


def demand(instance: Instance, name: str) -> object:
    """Return the value of an attribute that must be there and not empty.

    Args:
        instance: the image.
        name: the attribute's DICOM keyword.

    Raises:
        InputError: it is missing or empty.
    """
    value = instance.header.get(name)
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise InputError(
            instance.place,
            found=f"no {dictionary_description(name)}",
            expected="a header that states it",
            advice="Export the series again with its full headers.",
        )
    return value


def numbers(instance: Instance, name: str, count: int) -> NDArray[np.float64]:
    """Return the finite numbers of an attribute, shape (count,).

    Raises:
        InputError: it is missing, has another multiplicity, or holds something that is not a finite number.
    """
    value = demand(instance, name)
    try:
        found = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        found = np.empty(0)
    if found.shape != (count,) or not np.all(np.isfinite(found)):
        raise InputError(
            instance.place,
            found=f"an unusable {dictionary_description(name)}",
            expected=f"{count} finite numbers",
            advice="Export the series again with its full headers.",
        )
    return found


def rescaling(instance: Instance) -> tuple[float, float]:
    """Return Rescale Slope and Intercept.

    Raises:
        InputError: one is missing or not a finite number, or the slope is 0, which leaves nothing of an image.
    """
    slope, intercept = (float(numbers(instance, f"Rescale{name}", 1)[0]) for name in ("Slope", "Intercept"))
    if slope == 0.0:
        raise InputError(
            instance.place,
            found="a Rescale Slope of 0",
            expected="the scanner's slope, which is not 0",
            advice="Export the series again with its full headers.",
        )
    return slope, intercept


def demand_one_scale(images: Sequence[Instance]) -> None:
    """Raise InputError where phase images of a series differ in slope, intercept or unit: the scanner writes one.

    Args:
        images: phase images of one series.
    """
    # A unit that no vocabulary knows is no unit, and may be anybody's text: it is neither compared nor repeated.
    scales = [(*rescaling(one), plain("RescaleType", one.header.get("RescaleType"))) for one in images]
    usual = max(scales, key=scales.count) if len(set(scales)) > 1 else scales[0]
    for image, scale in zip(images, scales, strict=True):
        if scale != usual:
            raise InputError(
                image.place,
                found=f"a Rescale Slope of {scale[0]:g}, Intercept of {scale[1]:g} and Type {scale[2] or 'none'}",
                expected=f"{usual[0]:g}, {usual[1]:g} and {usual[2] or 'none'}, as in other phase images of the series",
                advice="Export the series again as the scanner made it.",
            )


def _integer(instance: Instance, name: str) -> int:
    return int(numbers(instance, name, 1)[0])


def _instance_number(instance: Instance) -> int:
    return _integer(instance, "InstanceNumber")
