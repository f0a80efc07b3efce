"""The in-silico MRE scan as Philips stores it, enhanced multi-frame: all encodings, offsets and slices in one file.

Frames are the magnitude block, then the phase block, each encoding by encoding, slice by slice, offset by offset. A
frame is found by its Dimension Index Values: stack, slice in it, offset, kind (1 magnitude, 2 phase), encoding. Offsets
are Temporal Position Index, encodings Velocity Encoding Direction, kinds Complex Image Component; slope and intercept
belong to each frame, and the comment of philips.py stands in Frame Comments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, STUDY_DATE, Identity, decimals, fill, save
from palpate.imaging.phantom.philips import FIRST_SERIES, acquired, comment, mark_as_philips, rescaling
from palpate.imaging.phantom.scan import Scan
from palpate.units import hz_to_rad_s

_COMPONENTS: Final = {"M": ("M_FFE", "MAGNITUDE"), "P": ("PHASE MAP", "PHASE")}
_DIMENSIONS: Final = (
    ("StackID", "FrameContentSequence"),
    ("InStackPositionNumber", "FrameContentSequence"),
    ("TemporalPositionIndex", "FrameContentSequence"),
    ("ComplexImageComponent", "MRImageFrameTypeSequence"),
    ("VelocityEncodingDirection", "MRVelocityEncodingSequence"),
)
_UM_PER_CM: Final = 1e4
_FRAME_MS: Final = 100.0


def write_enhanced(folder: Path, identity: Identity, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
    """Write one multi-frame file into an existing folder."""
    directions, offsets = scan.phase_rad.shape[:2]
    image = identity.image(FIRST_SERIES, 1)
    image.SOPClassUID = EnhancedMRImageStorage
    mark_as_philips(image)
    _state_sequence(image, scan)
    _state_dimensions(image, identity)
    image.SharedFunctionalGroupsSequence = Sequence([_shared(grid)])
    places = [
        (kind, (direction, offset, k))
        for kind in "MP"
        for direction, k, offset in np.ndindex(directions, grid.shape[2], offsets)
    ]
    frames, pixels = [], []
    for kind, where in places:
        stored, slope, intercept, unit = rescaling(kind, scan, where)
        pixels.append(stored)
        frames.append(_frame(settings, grid, scan, kind, where))
        frames[-1].PixelValueTransformationSequence = _one(
            RescaleSlope=f"{slope:.10g}", RescaleIntercept=f"{intercept:g}", RescaleType=unit
        )
    fill(image, pixels[0], bits=12)
    del image.WindowCenter, image.WindowWidth
    image.NumberOfFrames = len(frames)
    image.PixelData = np.ascontiguousarray(np.stack(pixels), dtype="<u2").tobytes()
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    save(image, folder / "mre.dcm")


def _one(**values: object) -> Sequence:
    """Return a sequence of one item with these attributes."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def _frame(settings: PhantomSettings, grid: ScanGrid, scan: Scan, kind: str, where: tuple[int, int, int]) -> Dataset:
    """Return what belongs to one frame alone, but for its scale."""
    direction, offset, k = where
    name, component = _COMPONENTS[kind]
    groups = Dataset()
    groups.FrameContentSequence = _one(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=f"{STUDY_DATE}{acquired(scan, where)}",
        FrameAcquisitionDateTime=f"{STUDY_DATE}{acquired(scan, where)}",
        FrameAcquisitionDuration=_FRAME_MS,
        DimensionIndexValues=[1, k + 1, offset + 1, 1 + "MP".index(kind), direction + 1],
        StackID="1",
        InStackPositionNumber=k + 1,
        TemporalPositionIndex=offset + 1,
        FrameComments=comment(settings),
    )
    groups.PlanePositionSequence = _one(ImagePositionPatient=decimals(RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3]))
    groups.MRImageFrameTypeSequence = _one(
        FrameType=["ORIGINAL", "PRIMARY", name, "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent=component,
        AcquisitionContrast="FLOW_ENCODED",
    )
    # The velocity at which a vibration of this frequency turns the phase by pi.
    limit = np.pi * settings.menc_um_per_rad * hz_to_rad_s(settings.frequency_hz) / _UM_PER_CM
    groups.MRVelocityEncodingSequence = _one(
        VelocityEncodingDirection=[float(value) for value in RAS_TO_LPS @ scan.encoding_axes[direction]],
        VelocityEncodingMinimumValue=-float(limit),
        VelocityEncodingMaximumValue=float(limit),
    )
    groups.FrameVOILUTSequence = _one(
        WindowCenter="0" if kind == "P" else "500", WindowWidth="6284" if kind == "P" else "1000"
    )
    return groups


def _shared(grid: ScanGrid) -> Dataset:
    """Return what all frames share: geometry, timing, coils."""
    groups = Dataset()
    axes = RAS_TO_LPS @ grid.axes
    edges = decimals(grid.voxel_mm)
    groups.PlaneOrientationSequence = _one(
        ImageOrientationPatient=decimals(np.concatenate([axes[:, 0], axes[:, 1]])),
    )
    groups.PixelMeasuresSequence = _one(
        PixelSpacing=[edges[1], edges[0]], SliceThickness=edges[2], SpacingBetweenSlices=edges[2]
    )
    groups.FrameAnatomySequence = _one(
        FrameLaterality="U",
        AnatomicRegionSequence=_one(CodeValue="12738006", CodingSchemeDesignator="SCT", CodeMeaning="Brain"),
    )
    groups.MRTimingAndRelatedParametersSequence = _one(
        RepetitionTime=2300.0,
        FlipAngle=90.0,
        EchoTrainLength=1,
        RFEchoTrainLength=0,
        GradientEchoTrainLength=1,
        OperatingModeSequence=_one(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
        SpecificAbsorptionRateSequence=_one(
            SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=0.1
        ),
        GradientOutputType="DB_DT",
        GradientOutput=1.0,
    )
    groups.MRFOVGeometrySequence = _one(
        InPlanePhaseEncodingDirection="COLUMN",
        MRAcquisitionFrequencyEncodingSteps=grid.shape[0],
        MRAcquisitionPhaseEncodingStepsInPlane=grid.shape[1],
        PercentSampling=100.0,
        PercentPhaseFieldOfView=100.0,
    )
    groups.MREchoSequence = _one(EffectiveEchoTime=65.0)
    groups.MRAveragesSequence = _one(NumberOfAverages=1.0)
    groups.MRModifierSequence = _one(
        InversionRecovery="NO",
        FlowCompensation="NONE",
        Spoiling="RF",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    groups.MRImagingModifierSequence = _one(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=127.7,
        PixelBandwidth=2275.0,
    )
    groups.MRReceiveCoilSequence = _one(
        ReceiveCoilName="HEAD",
        ReceiveCoilManufacturerName="",
        ReceiveCoilType="HEAD",
        QuadratureReceiveCoil="NO",
    )
    groups.MRTransmitCoilSequence = _one(
        TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
    )
    return groups


def _state_sequence(image: Dataset, scan: Scan) -> None:
    """State what the standard demands of the pulse sequence and of the file as a whole."""
    values: dict[str, object] = {
        "DeviceSerialNumber": "0",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER", "NONE"],
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        "ComplexImageComponent": "MIXED",
        "AcquisitionContrast": "FLOW_ENCODED",
        "AcquisitionDateTime": f"{STUDY_DATE}{acquired(scan, (0, 0, 0))}",
        "AcquisitionDuration": 600.0,
        "ContentQualification": "RESEARCH",
        "ResonantNucleus": "1H",
        "KSpaceFiltering": "NONE",
        "ApplicableSafetyStandardAgency": "IEC",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
        "PulseSequenceName": "MRE",
        "MRAcquisitionType": "2D",
        "EchoPulseSequence": "GRADIENT",
        "MultiPlanarExcitation": "NO",
        "PhaseContrast": "YES",
        "TimeOfFlightContrast": "NO",
        "SteadyStatePulseSequence": "NONE",
        "EchoPlanarPulseSequence": "YES",
        "SaturationRecovery": "NO",
        "SpectrallySelectedSuppression": "FAT",
        "OversamplingPhase": "NONE",
        "GeometryOfKSpaceTraversal": "RECTILINEAR",
        "RectilinearPhaseEncodeReordering": "LINEAR",
        "SegmentedKSpaceTraversal": "SINGLE",
        "NumberOfKSpaceTrajectories": 1,
        "AcquisitionContextSequence": Sequence(),
    }
    for name, value in values.items():
        setattr(image, name, value)
    image.VelocityEncodingAcquisitionSequence = Sequence(
        [
            _one(VelocityEncodingDirection=[float(value) for value in RAS_TO_LPS @ axis])[0]
            for axis in scan.encoding_axes
        ]
    )


def _state_dimensions(image: Dataset, identity: Identity) -> None:
    """State what the Dimension Index Values of frames count."""
    uid = identity.uid("dimensions")
    image.DimensionOrganizationSequence = _one(DimensionOrganizationUID=uid)
    image.DimensionIndexSequence = Sequence(
        [
            _one(DimensionOrganizationUID=uid, DimensionIndexPointer=Tag(name), FunctionalGroupPointer=Tag(group))[0]
            for name, group in _DIMENSIONS
        ]
    )
