"""Files of drawn regions as other programs write them: DICOM Segmentations and RT Structure Sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RTStructureSetStorage, generate_uid

FRAME = generate_uid(entropy_srcs=["frame"])
PERSON = "Mustermann^Erika"
LPS = np.diag([-1.0, -1.0, 1.0])


def _plain(kind: str, modality: str, frame: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.Modality = modality
    made.PatientID, made.PatientName, made.PatientBirthDate, made.PatientSex = "4711", PERSON, "19700101", "F"
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(entropy_srcs=["study"]), generate_uid()
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20260101", "120000", "1", ""
    made.ReferringPhysicianName, made.SeriesNumber, made.InstanceNumber = "", 1, 1
    if frame:
        made.FrameOfReferenceUID = frame
    return made


def images(shape: tuple[int, int, int], affine_mm: NDArray[np.float64], frame: str = FRAME) -> list[Dataset]:
    """Headers of a series of MR images, i along rows, j down, one a slice."""
    series, made = generate_uid(), []
    edges = np.linalg.norm(affine_mm[:3, :3], axis=0)
    axes = LPS @ affine_mm[:3, :3] / edges
    for k in range(shape[2]):
        one = _plain(MRImageStorage, "MR", frame)
        one.SeriesInstanceUID, one.InstanceNumber = series, k + 1
        one.Rows, one.Columns = shape[1], shape[0]
        one.PixelSpacing = [float(edges[1]), float(edges[0])]
        one.SliceThickness = one.SpacingBetweenSlices = float(edges[2])
        one.ImageOrientationPatient = [*np.round(axes[:, 0], 9), *np.round(axes[:, 1], 9)]
        corner = LPS @ (affine_mm[:3, :3] @ np.array([0.0, 0.0, k]) + affine_mm[:3, 3])
        one.ImagePositionPatient = [*np.round(corner, 7)]
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 0, 1
        one.PhotometricInterpretation, one.PixelData = "MONOCHROME2", bytes(2 * shape[0] * shape[1])
        made.append(one)
    return made


def write_seg(
    path: Path,
    segments: Mapping[str, NDArray[np.generic]],
    affine_mm: NDArray[np.float64],
    kind: str = "BINARY",
    frame: str = FRAME,
) -> Path:
    """Write a segmentation; each segment has shape (i, j, k), shares of 0 to 1 where it is fractional."""
    stacked = np.stack([np.asarray(one).transpose(2, 1, 0) for one in segments.values()], axis=-1)
    shape = next(iter(segments.values())).shape
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(segments, start=1)
    ]
    made = hd.seg.Segmentation(
        source_images=images(shape, affine_mm, frame),
        pixel_array=stacked.astype(np.float32 if kind == "FRACTIONAL" else np.uint8),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="palpate",
        manufacturer_model_name="palpate",
        software_versions="1",
        device_serial_number="1",
        **({"max_fractional_value": 200} if kind == "FRACTIONAL" else {}),
    )
    made.save_as(path)
    return path


def write_rtstruct(
    path: Path,
    regions: Mapping[str, Sequence[NDArray[np.float64]]],
    kind: str = "CLOSED_PLANAR",
    frame: str = FRAME,
) -> Path:
    """Write contours; each region is a list of contours with corners in RAS, mm, shape (m, 3)."""
    made = _plain(RTStructureSetStorage, "RTSTRUCT", "")
    made.StructureSetLabel = "drawn"
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), start=1):
        listed, drawn = Dataset(), Dataset()
        listed.ROINumber, listed.ROIName, listed.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for corners in contours:
            one = Dataset()
            one.ContourGeometricType, one.NumberOfContourPoints = kind, len(corners)
            one.ContourData = [f"{value:.4f}" for value in (corners @ LPS).ravel()]
            drawn.ContourSequence.append(one)
        made.StructureSetROISequence.append(listed)
        made.ROIContourSequence.append(drawn)
    made.save_as(path, enforce_file_format=True)
    return path
