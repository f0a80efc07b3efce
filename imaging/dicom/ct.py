"""CT of one series, as a planning system exports it, as a volume of Hounsfield units in world axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.uid import CTImageStorage

from palpate.errors import InputError
from palpate.imaging.dicom.anatomy import series_volume
from palpate.imaging.dicom.files import read_contents
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.dicom.series import group_series, texts
from palpate.imaging.files.nifti import Volume, demand_box_voxels, demand_scanner_world, is_volume_file, read_volume
from palpate.imaging.files.plain_names import shown

_ADVICE: Final = "Give the DICOM folder of the CT on which the region was drawn, or a NIfTI file in Hounsfield units."
_AIR_HU, _BONE_HU = -500.0, 200.0
_FEWEST_ALONG_AXIS: Final = 8


@dataclass(frozen=True, slots=True)
class CtImage:
    """CT and what its header states of its place and patient.

    Attributes:
        where: name of its file or folder in errors.
        volume: CT numbers, Hounsfield units, shape (i, j, k).
        frame_uid: frame of reference; empty where it came as NIfTI.
        person: number, name and birth date of its patient, only ever compared; empty where it came as NIfTI.
    """

    where: Path | str
    volume: Volume
    frame_uid: str = ""
    person: tuple[str, ...] = field(default=(), repr=False)


def read_ct(container: Path) -> CtImage:
    """Read a CT.

    Args:
        container: DICOM folder or archive with one series of CT, beside which other objects may lie; or NIfTI.

    Raises:
        InputError: there is no such series or more than one, slices are missing or unevenly spaced, or its values are
            no Hounsfield units.
    """
    if container.is_file() and is_volume_file(container):
        volume = read_volume(container)
        demand_scanner_world(container, volume, "CT")
        demand_box_voxels(container, volume.affine_mm, "CT")
        image = CtImage(container, volume)
    else:
        image = _from_dicom(container)
    _demand_hounsfield(image)
    return image


def _from_dicom(container: Path) -> CtImage:
    found = read_contents(container, advice=_ADVICE)
    slices = [one for one in found.instances if one.header.get("SOPClassUID") == CTImageStorage]
    series = [
        one
        for one in (group_series(slices) if slices else ())
        if len(one.instances) > 1 and "LOCALIZER" not in texts(one.header, "ImageType")
    ]
    if len(series) != 1:
        listed = ", ".join(str(one.number) for one in series) or "none"
        raise InputError(
            shown(container), found=f"{len(series)} series of CT slices ({listed})", expected="one", advice=_ADVICE
        )
    found.demand_whole(series[0].instances)
    header = series[0].header
    frame = str(header.get("FrameOfReferenceUID") or "")
    return CtImage(shown(container), series_volume(series[0]), frame, person_of(header))


def _demand_hounsfield(image: CtImage) -> None:
    values = image.volume.values
    if values.ndim != 3 or min(values.shape) < _FEWEST_ALONG_AXIS or not np.all(np.isfinite(values)):
        found = f"an array of shape {values.shape}, or values that are not finite"
        raise InputError(image.where, found=found, expected="one CT volume, shape (i, j, k)", advice=_ADVICE)
    low, high = float(values.min()), float(values.max())
    if low > _AIR_HU or high < _BONE_HU:
        raise InputError(
            image.where,
            found=f"values from {low:g} to {high:g}",
            expected="Hounsfield units, with air near -1000 and bone above 200",
            advice=_ADVICE,
        )
