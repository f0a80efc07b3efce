"""What may stay in a DICOM header, by keyword and by private element; everything that is not here goes.

Based on the basic application confidentiality profile of DICOM PS3.15, annex E, turned round: that table lists what
must go, and what it does not know stays. Here what is not known goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.multival import MultiValue


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of the measurement, of where pixels lie and what they mean, and of the order within a study.
NUMBERS: Final = _words(
    """
    AcquisitionDuration AcquisitionMatrix AcquisitionNumber DiffusionBValue DiffusionGradientOrientation EchoNumbers
    EchoTime EchoTrainLength EffectiveEchoTime FlipAngle FrameAcquisitionDuration ImagingFrequency InversionTime
    InversionTimes MagneticFieldStrength NumberOfAverages NumberOfPhaseEncodingSteps NumberOfTemporalPositions
    PercentPhaseFieldOfView PercentSampling PixelBandwidth RepetitionTime TemporalPositionIdentifier
    TemporalPositionIndex TemporalResolution TriggerTime VelocityEncodingDirection VelocityEncodingMaximumValue
    VelocityEncodingMinimumValue BitsAllocated BitsStored Columns HighBit ImageOrientationPatient
    ImagePositionPatient NumberOfFrames PixelRepresentation PixelSpacing RescaleIntercept RescaleSlope
    RealWorldValueIntercept RealWorldValueSlope RealWorldValueFirstValueMapped RealWorldValueLastValueMapped Rows
    SamplesPerPixel SliceLocation SliceThickness SmallestImagePixelValue LargestImagePixelValue SpacingBetweenSlices
    WindowCenter WindowWidth DimensionIndexPointer DimensionIndexValues FrameIncrementPointer FrameAcquisitionNumber
    FunctionalGroupPointer ImagesInAcquisition InConcatenationNumber InConcatenationTotalNumber
    InStackPositionNumber InstanceNumber SeriesNumber
    """
)
DATES: Final = _words("AcquisitionDate ContentDate InstanceCreationDate SeriesDate StudyDate")
TIMES: Final = _words("AcquisitionTime ContentTime InstanceCreationTime SeriesTime StudyTime")
MOMENTS: Final = _words("AcquisitionDateTime FrameAcquisitionDateTime FrameReferenceDateTime")
IDENTIFIERS: Final = _words(
    """
    ConcatenationUID DimensionOrganizationUID FrameOfReferenceUID ReferencedSOPInstanceUID SeriesInstanceUID
    SOPInstanceUID StudyInstanceUID
    """
)
CLASSES: Final = _words("ReferencedSOPClassUID SOPClassUID")
SEQUENCES: Final = _words(
    """
    DiffusionGradientDirectionSequence DimensionIndexSequence DimensionOrganizationSequence FrameContentSequence
    FrameVOILUTSequence MRDiffusionSequence MREchoSequence MRImageFrameTypeSequence
    MRTimingAndRelatedParametersSequence MRVelocityEncodingSequence PerFrameFunctionalGroupsSequence
    PixelMeasuresSequence PixelValueTransformationSequence PlaneOrientationSequence PlanePositionSequence
    SharedFunctionalGroupsSequence
    """
)
EMPTIED: Final = ("AccessionNumber", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyID")
"""Elements that an image must have and that may be empty."""


@dataclass(frozen=True, slots=True)
class PrivateElement:
    """A private element that readers of MRE need.

    Attributes:
        group: such as 0x0019.
        creator: the exact text of the private creator.
        element: the last two digits, such as 0x0A of (0019,100A).
        reduced: what may be kept of a value; None where nothing may.
    """

    group: int
    creator: str
    element: int
    reduced: Callable[[object], object | None]


def numbers_only(value: object) -> object | None:
    """A number or a list of numbers as it is; None for anything else."""
    if isinstance(value, MultiValue | list):
        return value if value and all(isinstance(one, int | float) for one in value) else None
    return value if isinstance(value, int | float) else None


def matching(form: str) -> Callable[[object], object | None]:
    """The first piece of a text, or of a list of texts, of this form and nothing around it; None where there is none.

    Args:
        form: a regular expression.
    """
    compiled = re.compile(form, re.ASCII)

    def reduced(value: object) -> object | None:
        texts = value if isinstance(value, MultiValue | list) else (value,)
        found = (compiled.search(text) for text in texts if isinstance(text, str))
        return next((match.group() for match in found if match is not None), None)

    return reduced


_SIEMENS, _GE, _GE_PARAMETERS, _PHILIPS = (
    "SIEMENS MR HEADER",
    "GEMS_ACQU_01",
    "GEMS_PARM_01",
    "Philips Imaging DD 001",
)
PRIVATE: Final[Mapping[tuple[int, str], Mapping[int, PrivateElement]]] = {
    (group, creator): {
        element: PrivateElement(group, creator, element, reduced) for element, reduced in elements.items()
    }
    for group, creator, elements in (
        # Slices in a mosaic, the times at which each was acquired.
        (0x0019, _SIEMENS, {0x0A: numbers_only, 0x29: numbers_only}),
        # Name of the pulse sequence, vibration frequency in either of two places.
        (
            0x0019,
            _GE,
            {0x9C: matching(r"^(?:epi|fgre|efgre3d|ssfse|se)?_?mre$"), 0xB4: numbers_only, 0xBC: numbers_only},
        ),
        # Vibration frequency among the sequence's other words.
        (0x0043, _GE_PARAMETERS, {0x82: matching(r"\blineFreq=\d{1,4}(?:\.\d{1,4})?")}),
        # Slices, dynamics.
        (0x2001, _PHILIPS, {0x18: numbers_only, 0x81: numbers_only}),
    )
}
"""By group and creator, then by element."""
