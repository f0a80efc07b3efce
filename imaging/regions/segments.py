"""Segments of a DICOM Segmentation: binary, fractional and label maps, as voxels in RAS."""

from __future__ import annotations

from typing import Final

import highdicom as hd
import numpy as np
import pydicom

from palpate.errors import InputError
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.parsing import silence
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.dicom.pixels import demand_decodable
from palpate.imaging.files.nifti import StoredVolume
from palpate.imaging.regions.choice import RegionEntry, chosen
from palpate.imaging.regions.region import DrawnRegion, VoxelShape

_AGAIN: Final = "Export the segmentation again on the grid of one image series."


def read_segment(image: pydicom.FileDataset, stored: int, choice: str, where: str) -> DrawnRegion:
    """Return the region of one segment.

    Args:
        image: DICOM Segmentation with its pixels.
        stored: length of the file, bytes.
        choice: label or number of the segment; empty takes the only one.
        where: name of the file in errors.

    Raises:
        InputError: no segment or several fit the choice, it is empty, or its frames make no volume.
        Exception: one of UNREADABLE, where the file is damaged.
    """
    entries = [
        RegionEntry(int(one.SegmentNumber), str(one.get("SegmentLabel") or ""))
        for one in image.get("SegmentSequence") or []
    ]
    entries = [one for one in entries if one.number > 0]  # 0 is the background of label maps
    one = chosen(entries, choice, where, "segment")
    demand_decodable(image, stored, where)
    frame = str(image.get("FrameOfReferenceUID") or "")
    if not frame:
        raise InputError(where, found="no frame of reference", expected="that of the images", advice=_AGAIN)
    kind = str(image.get("SegmentationType") or "").strip().upper()
    with silence():
        segmentation = hd.seg.Segmentation.from_dataset(image, copy=False)
        if segmentation.get_volume_geometry(allow_missing_positions=True) is None:
            raise InputError(
                where,
                found="frames that do not lie evenly on parallel planes in the patient",
                expected="one volume",
                advice=_AGAIN,
            )
        volume = segmentation.get_volume(segment_numbers=[one.number], allow_missing_positions=True)
    values = np.asarray(volume.array)[..., 0]
    affine_mm = np.eye(4)
    affine_mm[:3] = LPS_TO_RAS @ np.asarray(volume.affine)[:3]
    if not float(values.max(initial=0)) > 0.0:
        raise InputError(
            where, found="a segment without a voxel", expected="a region", advice="Choose another segment."
        )
    facts = {"segmentation_type": kind if kind in ("BINARY", "FRACTIONAL", "LABELMAP") else "not stated"}
    shape = VoxelShape(StoredVolume(values, affine_mm), 1.0)
    return DrawnRegion(
        where,
        "SEG",
        shape,
        one.number,
        one.plain_name,
        frame,
        facts=facts,
        person=person_of(image),
        series_uids=tuple(
            str(one.get("SeriesInstanceUID") or "") for one in image.get("ReferencedSeriesSequence") or []
        ),
    )
