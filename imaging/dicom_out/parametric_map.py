"""Stiffness maps as DICOM Parametric Maps, in the study and the frame of reference of the scan they came from.

One file and one series for each map. Voxels outside the mask hold 0 kPa, declared as FloatPixelPaddingValue: no tissue
has a modulus or a standard deviation of 0, so that nothing is lost, whereas a NaN spoils the histogram and the window
of viewers that do not look for it.

Patient, study and frame of reference are a MapIdentity's: wholly the scan's own or wholly pseudonyms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

import palpate
from palpate.errors import InputError
from palpate.imaging.dicom.files import silence
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.dicom_source import source_image
from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import Modulus

type Statistic = Literal["mean", "std"]

_KILOPASCAL = Code("kPa", "UCUM", "kilopascal")
_SCHEME: Final = "99PALPATE"
_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_OUTSIDE_KPA: Final = 0.0


@dataclass(frozen=True, slots=True)
class DicomQuantity:
    """Quantity that a parametric map shows.

    Attributes:
        code: the code value in palpate's private scheme, at most 16 characters.
        meaning: the quantity in words, at most 64 characters.
        series_number: the number of the map's series in the study.
    """

    code: str
    meaning: str
    series_number: int


# DICOM has no code for a shear modulus, so the scheme is private; the unit is UCUM's.
QUANTITIES: Final[Mapping[tuple[Statistic, Modulus], DicomQuantity]] = {
    ("mean", "storagemodulus"): DicomQuantity("STORAGE-MEAN", "Shear storage modulus, posterior mean", 9001),
    ("std", "storagemodulus"): DicomQuantity("STORAGE-SD", "Shear storage modulus, posterior standard deviation", 9002),
    ("mean", "lossmodulus"): DicomQuantity("LOSS-MEAN", "Shear loss modulus, posterior mean", 9003),
    ("std", "lossmodulus"): DicomQuantity("LOSS-SD", "Shear loss modulus, posterior standard deviation", 9004),
}
"""Codes and words of the maps, by statistic and modulus."""


def write_parametric_map(
    path: Path,
    the_map: Map,
    quantity: DicomQuantity,
    identity: MapIdentity,
    *,
    description: str,
    made: datetime,
) -> None:
    """Write one map as a DICOM Parametric Map with float32 pixels in kPa.

    The same map and identity give the same identifiers, so that sending a repeated result to an archive does not make
    two of it.

    Args:
        path: the file to write; the caller makes sure that no partial file is left.
        the_map: the values, kPa; NaN outside the mask.
        quantity: quantity that the values represent.
        identity: patient, study and frame of reference of the map, and the scan that it was computed from.
        description: the description of the series, at most 64 characters.
        made: time at which the map was computed.

    Raises:
        InputError: the voxel axes of the map are not at right angles, which DICOM planes cannot express.
    """
    values, affine_lps_mm = to_dicom_planes(the_map)
    try:
        volume = hd.Volume(
            values,
            affine_lps_mm,
            coordinate_system="PATIENT",
            frame_of_reference_uid=identity.source.frame_of_reference_uid,
        )
    except ValueError as error:
        raise InputError(
            path.name,
            found="voxel axes that are not at right angles",
            expected="a grid without shear, as DICOM planes need",
            advice="Resample the wave field onto a grid without shear, or use the NIfTI maps.",
        ) from error
    uid_base = _digest(identity, quantity, values, affine_lps_mm, description)
    dataset = hd.pm.ParametricMap(
        source_images=[source_image(identity.source)],
        pixel_array=volume,
        series_instance_uid=generate_uid(entropy_srcs=[uid_base, "series"]),
        series_number=quantity.series_number,
        sop_instance_uid=generate_uid(entropy_srcs=[uid_base, "instance"]),
        instance_number=1,
        manufacturer="palpate",
        manufacturer_model_name="palpate (research software, not a medical device)",
        software_versions=palpate.__version__,
        device_serial_number=palpate.__version__,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(quantity, float(values.max()))],
        voi_lut_transformations=[_window(values)],
        content_label=quantity.code.replace("-", "_"),
        content_description=quantity.meaning,
    )
    _complete(dataset, identity, description, made, uid_base)
    with silence():
        # Odd values of the scan's identity are passed on as they are: an archive compares what it has.
        dataset.save_as(path)


def to_dicom_planes(the_map: Map) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the map as frames of rows and columns, with its affine in DICOM's world axes.

    Frames run along k, rows along j and columns along i; rows and columns are turned so that, as far as the obliquity
    of the slab allows, columns run to the left, rows to the back or down: the way a reader expects an image.

    Args:
        the_map: values (i, j, k), kPa, NaN outside the mask; affine to RAS.

    Returns:
        Values, shape (k, j, i), 0 outside the mask; affine from (k, j, i) to LPS millimetres, shape (4, 4).
    """
    values = np.where(the_map.covered, the_map.values, np.float32(_OUTSIDE_KPA)).transpose(2, 1, 0)
    affine = (_RAS_TO_LPS @ the_map.affine_mm)[:, [2, 1, 0, 3]]
    for axis in (1, 2):
        direction = affine[:3, axis]
        dominant = int(np.argmax(np.abs(direction)))
        wanted = -1.0 if dominant == 2 else 1.0
        if direction[dominant] * wanted < 0.0:
            values = np.flip(values, axis)
            affine[:3, 3] += direction * (values.shape[axis] - 1)
            affine[:3, axis] = -direction
    return np.ascontiguousarray(values, dtype=np.float32), affine


def _mapping(quantity: DicomQuantity, largest_kpa: float) -> hd.pm.RealWorldValueMapping:
    """Stored values are kilopascals."""
    return hd.pm.RealWorldValueMapping(
        lut_label=quantity.code,
        lut_explanation=quantity.meaning,
        unit=_KILOPASCAL,
        value_range=(_OUTSIDE_KPA, largest_kpa),
        slope=1.0,
        intercept=0.0,
        quantity_definition=Code(quantity.code, _SCHEME, quantity.meaning),
    )


def _window(values: NDArray[np.float32]) -> hd.VOILUTTransformation:
    """Return a grey-scale window from 0 to just above nearly all of the tissue.

    LINEAR_EXACT is the window for real numbers: the default takes pixels for integers and refuses widths below 1.
    """
    inside = values[values != _OUTSIDE_KPA]
    top = round(float(np.percentile(inside, 99.0)), 4) if inside.size else 1.0
    return hd.VOILUTTransformation(window_center=top / 2.0, window_width=top, voi_lut_function="LINEAR_EXACT")


def _complete(dataset: Dataset, identity: MapIdentity, description: str, made: datetime, uid_base: str) -> None:
    """Add what highdicom leaves open: padding, body part, identity, and times that do not change on a re-run."""
    dataset.SeriesDescription = description[:64]
    if identity.source.body_part:
        dataset.BodyPartExamined = identity.source.body_part
    else:
        # Without a body part, DICOM asks for a laterality; an empty one says that it does not apply.
        dataset.Laterality = None
    dataset.FloatPixelPaddingValue = _OUTSIDE_KPA
    dataset.FloatPixelPaddingRangeLimit = _OUTSIDE_KPA
    identity.give_to(dataset)
    made = _in_timezone(made, identity)
    date, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    dataset.InstanceCreationDate = dataset.ContentDate = date
    dataset.InstanceCreationTime = dataset.ContentTime = time
    if identity.is_pseudonym:
        dataset.TimezoneOffsetFromUTC = "+0000"
    for equipment in dataset.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time
    organization = generate_uid(entropy_srcs=[uid_base, "dimensions"])
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in dataset.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization


def _in_timezone(made: datetime, identity: MapIdentity) -> datetime:
    """Return the moment in the time zone that the map's header states: one offset holds for all its times.

    Where the scan states none, its times are local ones, and so are the map's.
    """
    if identity.is_pseudonym:
        return made.astimezone(UTC)
    stated = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(identity.elements.get("TimezoneOffsetFromUTC") or ""))
    if stated is None:
        return made.astimezone()
    minutes = 60 * int(stated[2]) + int(stated[3])
    return made.astimezone(timezone(timedelta(minutes=-minutes if stated[1] == "-" else minutes)))


def _digest(
    identity: MapIdentity,
    quantity: DicomQuantity,
    values: NDArray[np.float32],
    affine_mm: NDArray[np.float64],
    description: str,
) -> str:
    """Return the digest of what makes a map itself and no other; when it was written is no part of that."""
    total = sha256(values.tobytes() + affine_mm.tobytes())
    total.update(repr((identity.source, quantity, description, palpate.__version__)).encode())
    return total.hexdigest()
