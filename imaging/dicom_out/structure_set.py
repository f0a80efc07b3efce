"""Regions as a DICOM RT Structure Set: outlines along the edges of voxels, on the slices of the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from palpate.imaging.dicom_out.image_grid import ImageGrid, decimals
from palpate.imaging.dicom_out.moments import in_timezone_of
from palpate.imaging.dicom_out.object_header import ObjectText, save
from palpate.imaging.dicom_out.outlines import outlines
from palpate.imaging.dicom_out.region_masks import COLOURS, RegionMask

_DETACHED_STUDY: Final = "1.2.840.10008.3.1.2.3.1"
"""Class by which structure sets refer to a study; it is retired and still asked for."""


def write_structure_set(path: Path, regions: Sequence[RegionMask], grid: ImageGrid, text: ObjectText) -> None:
    """Write regions as contours.

    Args:
        path: file to write; the caller makes sure that no partial file is left.
        regions: regions on the grid, each with a voxel at least.
        grid: planes of the images, which the contours refer to.
        text: words and identifiers of the object.
    """
    made = text.new(RTStructureSetStorage, "RTSTRUCT")
    moment = in_timezone_of(text.made, text.identity)
    # These belong to images; a structure set has a date of its own.
    del made.ContentDate, made.ContentTime
    made.StructureSetLabel = "palpate"
    made.StructureSetName = text.description[:64]
    made.StructureSetDate, made.StructureSetTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    made.ApprovalStatus = "UNAPPROVED"
    made.OperatorsName = ""
    made.ReferencedFrameOfReferenceSequence = [_frame(grid)]
    numbered = list(enumerate(regions, start=1))
    made.StructureSetROISequence = [_listed(number, one, grid) for number, one in numbered]
    made.ROIContourSequence = [_drawn(number, one, grid) for number, one in numbered]
    made.RTROIObservationsSequence = [_observed(number, one) for number, one in numbered]
    save(made, path)


def _frame(grid: ImageGrid) -> Dataset:
    """Return the item that names the frame of reference and all images of the series."""
    source = grid.identity.source
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    series.ContourImageSequence = [one.as_item() for one in grid.references]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _DETACHED_STUDY, source.study_instance_uid
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = source.frame_of_reference_uid, [study]
    return frame


def _listed(number: int, region: RegionMask, grid: ImageGrid) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = number, region.name
    item.ReferencedFrameOfReferenceUID = grid.identity.source.frame_of_reference_uid
    item.ROIDescription = region.words
    item.ROIGenerationAlgorithm, item.ROIGenerationDescription = "AUTOMATIC", region.algorithm[:64]
    return item


def _drawn(number: int, region: RegionMask, grid: ImageGrid) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber, item.ROIDisplayColor = number, list(COLOURS[region.kind])
    planes = np.flatnonzero(region.mask.any(axis=(0, 1))).tolist()
    drawn = [(k, corners) for k in planes for corners in outlines(region.mask[:, :, k].T)]
    item.ContourSequence = [_contour(at, *one, grid) for at, one in enumerate(drawn, start=1)]
    if len(planes) == 1:
        # Retired in DICOM; without it a reader cannot know how thick a region on a single plane is.
        for contour in item.ContourSequence:
            contour.ContourSlabThickness = decimals(np.array([grid.slice_mm]))[0]
    return item


def _contour(number: int, k: int, corners: NDArray[np.float64], grid: ImageGrid) -> Dataset:
    item = Dataset()
    indices = np.column_stack([corners - 0.5, np.full(len(corners), float(k))])
    points_mm = indices @ grid.affine_lps_mm[:3, :3].T + grid.affine_lps_mm[:3, 3]
    if grid.images:
        item.ContourImageSequence = [grid.images[k].as_item()]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints, item.ContourNumber = len(points_mm), number
    item.ContourData = [f"{value:.4f}" for value in points_mm.ravel()]
    return item


def _observed(number: int, region: RegionMask) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.ROIObservationLabel = region.name
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    return item
