"""Maps as a classic MR series, one file a slice: the kind of image that planning systems, PACS and navigation open.

Stored values are whole numbers with slope 1, such as pascal: some readers ignore a slope and others warn of it. Voxels
without a value hold 0, declared as padding; a value that rounds to 0 is stored as 1, so that none is lost. What exceeds
16 bits is stored as their largest number, which the real-world mapping leaves out: readers that honour it show no
value there, and the description says so to everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage

from palpate.imaging.dicom_out.dicom_source import DicomSource
from palpate.imaging.dicom_out.image_grid import ImageGrid, ImageReference, decimals
from palpate.imaging.dicom_out.object_header import SCHEME, ObjectText, coded, save, state_body_part
from palpate.imaging.dicom_out.quantities import DicomQuantity

OUTSIDE: Final = 0
"""Stored value of voxels without a value."""
LARGEST: Final = 2**16 - 1
"""Stored value that means: this much or more."""
_RESEARCH: Final = "Research software, not a medical device."
_SOURCE: Final = Code("121322", "DCM", "Source image for image processing operation")


@dataclass(frozen=True, slots=True)
class WrittenSeries:
    """Series that was written.

    Attributes:
        images: image of each slice.
        series_uid: identifier of the series.
        clipped: number of voxels whose value exceeds 16 bits.
    """

    images: tuple[ImageReference, ...]
    series_uid: str
    clipped: int


def stored_values(values: NDArray[np.floating], quantity: DicomQuantity) -> tuple[NDArray[np.uint16], int]:
    """Return whole numbers for values in the quantity's unit, and the number of values beyond 16 bits.

    Args:
        values: values, NaN where there is none.
        quantity: quantity with its storage.
    """
    scaled = np.rint(np.asarray(values, dtype=np.float64) * quantity.stored.per_unit)
    covered = np.isfinite(scaled)
    clipped = int(np.count_nonzero(scaled[covered] > LARGEST - 1))
    stored = np.full(scaled.shape, OUTSIDE, dtype=np.uint16)
    stored[covered] = np.clip(scaled[covered], 1, LARGEST).astype(np.uint16)
    return stored, clipped


def write_mr_series(
    folder: Path,
    values: NDArray[np.floating],
    grid: ImageGrid,
    quantity: DicomQuantity,
    text: ObjectText,
    *,
    remarks: tuple[str, ...] = (),
    source: DicomSource | None = None,
) -> WrittenSeries:
    """Write a map as one file a slice.

    Args:
        folder: folder to make; the caller makes sure that no partial one is left.
        values: values in the quantity's unit on the grid, shape (i, j, k); NaN where there is none.
        grid: planes of the images.
        quantity: quantity that the values represent.
        text: words and identifiers of the series.
        remarks: sentences about the values for the comments of each image.
        source: scan that the map was computed from; None where it was no DICOM.
    """
    stored, clipped = stored_values(values, quantity)
    folder.mkdir()
    image = _header(grid, quantity, text, clipped, remarks)
    if source is not None:
        item = ImageReference(source.sop_class_uid, source.sop_instance_uid).as_item()
        item.PurposeOfReferenceCodeSequence = [coded(_SOURCE)]
        image.SourceImageSequence = [item]
    images = []
    for k, pixels in enumerate(_slices(stored)):
        _fill(image, k, pixels, grid, text)
        save(image, folder / f"{k + 1:04d}.dcm")
        images.append(ImageReference(str(MRImageStorage), str(image.SOPInstanceUID)))
    return WrittenSeries(tuple(images), str(text.uid("series")), clipped)


def _slices(stored: NDArray[np.uint16]) -> Iterator[NDArray[np.uint16]]:
    """Yield the pixels of each slice, shape (rows, columns)."""
    for k in range(stored.shape[2]):
        yield np.ascontiguousarray(stored[:, :, k].T)


def _header(
    grid: ImageGrid, quantity: DicomQuantity, text: ObjectText, clipped: int, remarks: tuple[str, ...]
) -> Dataset:
    """Return what all slices share."""
    scale = quantity.stored
    image = text.new(MRImageStorage, "MR")
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.DerivationDescription = quantity.meaning
    state_body_part(image, text.identity)
    image.PatientPosition = grid.patient_position
    # What a scanner would state of its measurement does not hold for a computed image, and must not be missing.
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions, image.MRAcquisitionType = "RM", "NONE", "", ""
    image.RepetitionTime = image.EchoTime = image.EchoTrainLength = None
    grid.place(image)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelPaddingValue = OUTSIDE
    image.WindowCenter, image.WindowWidth = scale.window // 2, scale.window
    image.BurnedInAnnotation, image.LossyImageCompression = "NO", "00"
    said = [_RESEARCH, f"Stored value 1 = {scale.words}; 0 = no value."]
    if clipped:
        beyond = LARGEST / scale.per_unit
        said.append(f"{clipped} voxels exceed 16 bits: {LARGEST} = {beyond:.4g} {quantity.unit.value} or more.")
        image.SeriesDescription = f"{LARGEST}=or more: {text.description}"[:64]
    image.ImageComments = " ".join([*said, *remarks])
    image.RealWorldValueMappingSequence = [
        hd.pm.RealWorldValueMapping(
            lut_label=quantity.code,
            lut_explanation=quantity.meaning,
            unit=scale.unit,
            value_range=(1, LARGEST - 1),
            slope=scale.slope,
            intercept=0.0,
            quantity_definition=Code(quantity.code, SCHEME, quantity.meaning),
        )
    ]
    return image


def _fill(image: Dataset, k: int, pixels: NDArray[np.uint16], grid: ImageGrid, text: ObjectText) -> None:
    """Put one slice into the header that all slices share."""
    image.SOPInstanceUID, image.InstanceNumber = text.uid("instance", k + 1), k + 1
    image.ImagePositionPatient = decimals(grid.corner_mm(k))
    if grid.images:
        image.ReferencedImageSequence = [grid.images[k].as_item()]
    image.PixelData = pixels.astype("<u2").tobytes()
