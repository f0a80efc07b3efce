"""Regions as a binary DICOM Segmentation, one segment each; segments may overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

import palpate
from palpate.imaging.dicom.files import silence
from palpate.imaging.dicom_out.dicom_source import source_image
from palpate.imaging.dicom_out.image_grid import ImageGrid
from palpate.imaging.dicom_out.object_header import (
    MANUFACTURER,
    MODEL,
    SCHEME,
    ObjectText,
    coded,
    settle_dimensions,
)
from palpate.imaging.dicom_out.region_masks import COLOURS, RegionKind, RegionMask

_TYPES: Final[dict[RegionKind, Code]] = {
    "stiff": Code("STIFF-REGION", SCHEME, "Region stiffer than its surroundings"),
    "soft": Code("SOFT-REGION", SCHEME, "Region softer than its surroundings"),
    "informed": Code("INFORMED-REGION", SCHEME, "Region whose stiffness comes mostly from the scan"),
    "forecast": Code("FORECAST-REGION", SCHEME, "Region of a forecast tumor"),
}
_ABNORMAL: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_PLACE: Final = Code("309825002", "SCT", "Spatial and Relational Concept")
"""Category of informed voxels, which are no finding: a reader's filter for lesions would show them."""
_SEGMENTING: Final = Code("113076", "DCM", "Segmentation")
_SOURCE: Final = Code("121322", "DCM", "Source Image for Image Processing Operation")
_FAMILY: Final = Code("123105", "DCM", "Probabilistic")


def write_segmentation(path: Path, regions: Sequence[RegionMask], grid: ImageGrid, text: ObjectText) -> None:
    """Write regions as segments.

    Args:
        path: file to write; the caller makes sure that no partial file is left.
        regions: regions on the grid, each with a voxel at least.
        grid: planes of the images, which the frames refer to.
        text: words and identifiers of the object.
    """
    masks = np.stack([one.mask.transpose(2, 1, 0) for one in regions], axis=-1).astype(np.uint8)
    volume = hd.Volume(
        masks,
        grid.affine_lps_mm[:, [2, 1, 0, 3]],
        coordinate_system="PATIENT",
        frame_of_reference_uid=grid.identity.source.frame_of_reference_uid,
        channels={"SegmentNumber": list(range(1, len(regions) + 1))},
    )
    made = hd.seg.Segmentation(
        source_images=[source_image(grid.identity.source)],
        pixel_array=volume,
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, one) for number, one in enumerate(regions, start=1)],
        series_instance_uid=text.uid("series"),
        series_number=text.series_number,
        sop_instance_uid=text.uid("instance", 1),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=palpate.__version__,
        device_serial_number=palpate.__version__,
        content_label="PALPATE_REGIONS",
        content_description=text.description[:64],
        omit_empty_frames=True,
    )
    _colour(made, regions)
    _refer(made, grid)
    if grid.identity.source.body_part:
        made.BodyPartExamined = grid.identity.source.body_part
    text.complete(made)
    settle_dimensions(made, text)
    with silence():
        made.save_as(path)


def _description(number: int, region: RegionMask) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=region.name,
        segmented_property_category=_PLACE if region.kind == "informed" else _ABNORMAL,
        segmented_property_type=_TYPES[region.kind],
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="palpate", family=_FAMILY, version=palpate.__version__
        ),
        tracking_uid=None,
        tracking_id=None,
    )


def _colour(made: Dataset, regions: Sequence[RegionMask]) -> None:
    """Recommend the colours of the structure set."""
    for segment, region in zip(made.SegmentSequence, regions, strict=True):
        segment.SegmentDescription = region.words[:64]
        segment.RecommendedDisplayCIELabValue = list(hd.color.CIELabColor.from_rgb(*COLOURS[region.kind]).value)


def _refer(made: Dataset, grid: ImageGrid) -> None:
    """Refer to all images of the series, and from each frame to the image of its slice."""
    series = Dataset()
    series.SeriesInstanceUID = grid.identity.source.series_instance_uid
    series.ReferencedInstanceSequence = [one.as_item() for one in grid.references]
    made.ReferencedSeriesSequence = [series]
    if not grid.images:
        return
    corners = np.stack([grid.corner_mm(k) for k in range(grid.shape[2])])
    for frame in made.PerFrameFunctionalGroupsSequence:
        place = np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
        image = grid.images[int(np.linalg.norm(corners - place, axis=1).argmin())].as_item()
        image.PurposeOfReferenceCodeSequence = [coded(_SOURCE)]
        image.SpatialLocationsPreserved = "YES"
        derivation = Dataset()
        derivation.SourceImageSequence, derivation.DerivationCodeSequence = [image], [coded(_SEGMENTING)]
        frame.DerivationImageSequence = [derivation]
