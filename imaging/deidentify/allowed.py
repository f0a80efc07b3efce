"""Allow-lists of a DICOM header's elements, by keyword and by private element; all that is not here is removed.

They follow the basic application confidentiality profile of DICOM PS3.15, annex E, in reverse: that table lists what
must be removed, and keeps what it does not know. Here, what is not known is removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydicom.multival import MultiValue

from palpate.imaging.dicom import siemens_csa


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of the measurement, of where pixels lie and what they mean, and of the order within a study.
NUMBERS: Final = _words(
    """
    AcquisitionDuration AcquisitionMatrix AcquisitionNumber DiffusionBValue DiffusionGradientOrientation EchoNumbers
    EchoTime EchoTrainLength EffectiveEchoTime MRAcquisitionFrequencyEncodingSteps
    MRAcquisitionPhaseEncodingStepsInPlane NominalCardiacTriggerDelayTime TemporalPositionTimeOffset FlipAngle
    FrameAcquisitionDuration ImagingFrequency InversionTime InversionTimes MagneticFieldStrength NumberOfAverages
    NumberOfPhaseEncodingSteps NumberOfTemporalPositions PercentPhaseFieldOfView PercentSampling PixelBandwidth
    RepetitionTime TemporalPositionIdentifier TemporalPositionIndex TemporalResolution TriggerTime
    VelocityEncodingDirection VelocityEncodingMaximumValue VelocityEncodingMinimumValue BitsAllocated BitsStored
    Columns HighBit ImageOrientationPatient ImagePositionPatient NumberOfFrames PixelRepresentation PixelSpacing
    RescaleIntercept RescaleSlope RealWorldValueIntercept RealWorldValueSlope RealWorldValueFirstValueMapped
    RealWorldValueLastValueMapped Rows SamplesPerPixel SliceLocation SliceThickness SmallestImagePixelValue
    LargestImagePixelValue LossyImageCompressionRatio SpacingBetweenSlices WindowCenter WindowWidth
    DimensionIndexPointer DimensionIndexValues
    FrameIncrementPointer FrameAcquisitionNumber FunctionalGroupPointer ImagesInAcquisition InConcatenationNumber
    InConcatenationTotalNumber InStackPositionNumber InstanceNumber SeriesNumber
    """
)
"""Keywords that are kept: numbers of the measurement, of place and meaning of pixels, and of the order in a study."""
DATES: Final = _words("AcquisitionDate ContentDate InstanceCreationDate SeriesDate StudyDate")
"""Keywords of dates, which move by the number of days of their patient."""
TIMES: Final = _words("AcquisitionTime ContentTime InstanceCreationTime SeriesTime StudyTime")
"""Keywords of times of day, which are kept."""
MOMENTS: Final = _words("AcquisitionDateTime FrameAcquisitionDateTime FrameReferenceDateTime")
"""Keywords of dates with a time of day; the date moves, the time is kept."""
IDENTIFIERS: Final = _words(
    """
    ConcatenationUID DimensionOrganizationUID FrameOfReferenceUID ReferencedSOPInstanceUID SeriesInstanceUID
    SOPInstanceUID StudyInstanceUID
    """
)
"""Keywords of identifiers, which are replaced by pseudonyms."""
CLASSES: Final = _words("ReferencedSOPClassUID SOPClassUID")
"""Keywords of identifiers of the DICOM standard, which name nobody and are kept."""
SEQUENCES: Final = _words(
    """
    CardiacSynchronizationSequence DiffusionGradientDirectionSequence DimensionIndexSequence
    DimensionOrganizationSequence FrameContentSequence FrameVOILUTSequence MRDiffusionSequence MREchoSequence
    MRFOVGeometrySequence MRImageFrameTypeSequence MRTimingAndRelatedParametersSequence MRVelocityEncodingSequence
    PerFrameFunctionalGroupsSequence PixelMeasuresSequence PixelValueTransformationSequence PlaneOrientationSequence
    PlanePositionSequence SharedFunctionalGroupsSequence TemporalPositionSequence
    """
)
"""Keywords of sequences that are entered; their elements pass by the same lists."""
EMPTIED: Final = ("AccessionNumber", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyID")
"""Elements that an image must have and that may be empty."""


type Reduction = Callable[[object], object | None]
"""Function that returns the part of a private element's value that may be kept; None where nothing may."""


def numbers_only(value: object) -> object | None:
    """Return a number or a list of numbers unchanged; None for anything else."""
    if isinstance(value, MultiValue | list):
        return value if value and all(isinstance(one, int | float) for one in value) else None
    return value if isinstance(value, int | float) else None


def matching(form: str) -> Reduction:
    """Return a function that takes from a text, or a list of texts, the first piece of this form and nothing around it.

    The function returns None where there is no such piece.

    Args:
        form: regular expression; upper and lower case count as one.
    """
    compiled = re.compile(form, re.ASCII | re.IGNORECASE)

    def reduced(value: object) -> object | None:
        texts = value if isinstance(value, MultiValue | list) else (value,)
        found = (compiled.search(text) for text in texts if isinstance(text, str))
        return next((match.group() for match in found if match is not None), None)

    return reduced


PRIVATE: Final[Mapping[tuple[int, str], Mapping[int, Reduction]]] = {
    # Slices in a mosaic, the times at which each was acquired.
    (0x0019, "SIEMENS MR HEADER"): {0x0A: numbers_only, 0x29: numbers_only},
    # The direction in which the tiles of a mosaic follow each other, and their number: a header of nothing else.
    (siemens_csa.GROUP, siemens_csa.CREATOR): {siemens_csa.IMAGE_HEADER: siemens_csa.reduced},
    # The pulse sequence, the vibration's frequency in either of two places.
    (0x0019, "GEMS_ACQU_01"): {
        0x9C: matching(r"mr-touch|(?:epi|fgre)mre(?:_iron)?|iqmre2d|se_iron_mre"),
        0xB4: numbers_only,
        0xBC: numbers_only,
    },
    # Slices.
    (0x0021, "GEMS_RELA_01"): {0x4F: numbers_only},
    # Magnitude, phase, real or imaginary; the site's mains among other words; the vibration's frequency and offsets.
    (0x0043, "GEMS_PARM_01"): {
        0x2F: numbers_only,
        0x82: matching(r"lineFreq ?= ?\d{1,4}(?:\.\d{1,4})?"),
        0xA2: numbers_only,
    },
    # Slices, dynamics; the kind of image.
    (0x2001, "Philips Imaging DD 001"): {0x18: numbers_only, 0x81: numbers_only},
    # The scale of an image's values; the kind of image.
    (0x2005, "Philips MR Imaging DD 001"): {0x0E: numbers_only, 0x11: matching(r"^[MPRI]$")},
}
"""Allowed parts of the private elements that readers of MRE need. The first key is group and the creator's exact text,
the second the last two digits of the element, such as 0x0A of (0019,100A)."""
PRIVATE_SEQUENCES: Final[Mapping[tuple[int, str], int]] = {
    # Of each frame of an enhanced image.
    (0x2005, "Philips MR Imaging DD 005"): 0x0F
}
"""Private sequences whose items hold private elements that PRIVATE allows; nothing else of the items is kept."""
