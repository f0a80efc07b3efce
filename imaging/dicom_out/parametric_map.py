"""Stiffness maps as DICOM Parametric Maps, in the study and the frame of reference of the scan they came from.

One file and one series for each map. Voxels outside the mask hold 0 kPa, declared as FloatPixelPaddingValue: no tissue
has a modulus or a standard deviation of 0, so that nothing is lost, whereas a NaN spoils the histogram and the window
of viewers that do not look for it.

Patient, study and frame of reference are a MapIdentity's: wholly the scan's own or wholly pseudonyms.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

import palpate
from palpate.errors import InputError
from palpate.imaging.dicom.files import silence
from palpate.imaging.dicom_out.dicom_identity import MapIdentity
from palpate.imaging.dicom_out.dicom_source import source_image
from palpate.imaging.dicom_out.image_grid import RAS_TO_LPS, upright
from palpate.imaging.dicom_out.object_header import (
    MANUFACTURER,
    MODEL,
    SCHEME,
    ObjectText,
    settle_dimensions,
    state_body_part,
)
from palpate.imaging.dicom_out.quantities import QUANTITIES, DicomQuantity, Statistic
from palpate.imaging.files.maps import Map

__all__ = ["QUANTITIES", "DicomQuantity", "Statistic", "to_dicom_planes", "write_parametric_map"]
_OUTSIDE: Final = 0.0


def write_parametric_map(
    path: Path,
    the_map: Map,
    quantity: DicomQuantity,
    identity: MapIdentity,
    *,
    description: str,
    made: datetime,
) -> None:
    """Write one map as a DICOM Parametric Map with float32 pixels in the quantity's unit, such as kPa.

    The same map and identity give the same identifiers, so that sending a repeated result to an archive does not make
    two of it.

    Args:
        path: the file to write; the caller makes sure that no partial file is left.
        the_map: the values, in the quantity's unit; NaN outside the mask.
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
    text = ObjectText(
        identity,
        description,
        quantity.series_number,
        made,
        _digest(identity, quantity, values, affine_lps_mm, description),
    )
    dataset = hd.pm.ParametricMap(
        source_images=[source_image(identity.source)],
        pixel_array=volume,
        series_instance_uid=text.uid("series"),
        series_number=quantity.series_number,
        sop_instance_uid=text.uid("instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=palpate.__version__,
        device_serial_number=palpate.__version__,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(quantity, float(values.max()))],
        voi_lut_transformations=[_window(values)],
        content_label=quantity.code.replace("-", "_"),
        content_description=quantity.meaning,
    )
    state_body_part(dataset, identity)
    dataset.FloatPixelPaddingValue = dataset.FloatPixelPaddingRangeLimit = _OUTSIDE
    text.complete(dataset)
    settle_dimensions(dataset, text)
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
    filled = np.where(the_map.covered, the_map.values, np.float32(_OUTSIDE))
    values, affine_mm = upright(filled, the_map.affine_mm)
    planes = np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32)
    return planes, np.asarray((RAS_TO_LPS @ affine_mm)[:, [2, 1, 0, 3]])


def _mapping(quantity: DicomQuantity, largest: float) -> hd.pm.RealWorldValueMapping:
    """Stored values are in the quantity's unit."""
    return hd.pm.RealWorldValueMapping(
        lut_label=quantity.code,
        lut_explanation=quantity.meaning,
        unit=quantity.unit,
        value_range=(_OUTSIDE, largest),
        slope=1.0,
        intercept=0.0,
        quantity_definition=Code(quantity.code, SCHEME, quantity.meaning),
    )


def _window(values: NDArray[np.float32]) -> hd.VOILUTTransformation:
    """Return a grey-scale window from 0 to just above nearly all of the tissue.

    LINEAR_EXACT is the window for real numbers: the default takes pixels for integers and refuses widths below 1.
    """
    inside = values[values != _OUTSIDE]
    top = round(float(np.percentile(inside, 99.0)), 4) if inside.size else 1.0
    return hd.VOILUTTransformation(window_center=top / 2.0, window_width=top, voi_lut_function="LINEAR_EXACT")


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
