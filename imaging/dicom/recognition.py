"""Criteria of each vendor's reader, and how many of them are met by images that no reader recognises.

A reader takes images that meet all its criteria. Archives and de-identification take away one of them at a time: the
maker, a word of the image type, a comment, private groups. The refusal then names that one and what to do about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from palpate.imaging.dicom.frames import is_multi_frame
from palpate.imaging.dicom.ge_private import is_mre
from palpate.imaging.dicom.series import Series, texts
from palpate.imaging.dicom.siemens_comment import states_vibration
from palpate.imaging.dicom.siemens_marks import has_mark, is_raw_phase

type Test = Callable[[Series], bool]

_MAKERS: Final = ("SIEMENS", "GE", "PHILIPS")
_NAMED: Final = 3
_TOGETHER: Final = "phase and magnitude images stand under one series number and identifier"
_APART_ADVICE: Final = "Export phase and magnitude as two series, as the scanner stores them."
"""Remedy where images have all marks that a reader asks for and yet make no pair of series."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One property that a reader asks of a series.

    Attributes:
        test: function that returns whether a series has it.
        lacking: words for what a series without it lacks, to follow "no".
        advice: remedy, one sentence or more.
    """

    test: Test
    lacking: str
    advice: str


@dataclass(frozen=True, slots=True)
class Recognition:
    """Result of one reader's criteria on the series of a study.

    Attributes:
        reader: name of the reader.
        passed: number of criteria met by the nearest series, those that meet most.
        criteria: number of all criteria.
        images: number of images of the nearest series that fail the same criteria.
        failed: criteria that these series do not meet, in the order in which the reader asks.
    """

    reader: str
    passed: int
    criteria: int
    images: int
    failed: tuple[Criterion, ...]

    def __str__(self) -> str:
        """Return the obstacle for the reader, as a part of a sentence."""
        if not self.failed:
            return f"{self.reader}: {self.images} images have all marks of its images, but {_TOGETHER}"
        lacking = " and no ".join(one.lacking for one in self.failed)
        met = f"{self.passed} of {self.criteria} marks of its images"
        return f"{self.reader}: {self.images} images have {met}, but no {lacking}"

    @property
    def advice(self) -> tuple[str, ...]:
        """Remedies, one for each criterion that is not met."""
        return tuple(one.advice for one in self.failed) or (_APART_ADVICE,)


def _maker(name: str) -> Criterion:
    def test(series: Series) -> bool:
        return name in str(series.header.get("Manufacturer", "") or "").upper()

    return Criterion(
        test,
        f"Manufacturer (0008,0070) that says {name.title() if len(name) > 2 else name}",
        "Export again with Manufacturer kept, or write it back into the headers.",
    )


def _kind(word: str, lacking: str) -> Criterion:
    return Criterion(
        lambda series: word in series.image_type,
        lacking,
        "Export again from the scanner with Image Type (0008,0008) as it wrote it.",
    )


_COMMENT: Final = Criterion(
    states_vibration,
    "Image Comments (0020,4000) that begin with MRE: and state frequency, direction and offset",
    "De-identify with ImageComments kept, or state what they said in the ingest settings (frequency_hz, "
    "encoding_matrix) where the reader takes them from there; else convert to a wave-field folder (docs/files.md).",
)


def _has_mosaic_private(series: Series) -> bool:
    header = series.header
    return (0x0019, 0x100A) in header or "MOSAIC" in series.image_type


def _has_frames(series: Series) -> bool:
    return all(is_multi_frame(one) for one in series.instances)


def _is_phase(series: Series) -> bool:
    """Return whether a header says phase in any of the words that vendors have for it."""
    kinds = {word.upper() for one in series.instances[:1] for word in texts(one.header, "ImageType")}
    component = {str(one.header.get("ComplexImageComponent", "") or "") for one in series.instances}
    return bool(kinds & {"P", "PHASE", "PHASE MAP"} or component & {"PHASE", "MIXED"} or _phase_in(series))


def _phase_in(series: Series) -> bool:
    return any("P" in texts(one.header, "ImageType") for one in series.instances)


def _several_of_a_slice(series: Series) -> bool:
    """Return whether some slice has at least three images, as a vibration needs; always true of multi-frame files."""
    if any(is_multi_frame(one) for one in series.instances):
        return True
    places = Counter(str(one.header.get("ImagePositionPatient")) for one in series.instances)
    return max(places.values(), default=0) >= _NAMED


def _touches_mre(series: Series) -> bool:
    """Return whether a GE header names one of its elastography sequences, whoever is stated as the maker."""
    header = Dataset()
    header.Manufacturer = "GE"
    for element in series.header:
        if element.tag.group == 0x0019:
            header[element.tag] = element
    first = type(series.instances[0])(header, series.instances[0].container, series.instances[0].member)
    return is_mre(Series(series.number, (first,)))


_PHASE: Final = Criterion(
    _is_phase,
    "phase among the words of Image Type (0008,0008)",
    "Include the phase images of the elastography; magnitude alone holds no motion.",
)
_SIEMENS: Final = (
    _maker("SIEMENS"),
    _PHASE,
    Criterion(_has_mosaic_private, "mosaic (MOSAIC in Image Type, or (0019,100A))", "Export the mosaics."),
    _kind("MOSAIC", "word MOSAIC in Image Type (0008,0008)"),
    _COMMENT,
)
_SIEMENS_ENHANCED: Final = (
    _maker("SIEMENS"),
    _PHASE,
    Criterion(_has_frames, "frames with functional groups (5200,9230)", "Export as enhanced MR, or as mosaics."),
    _COMMENT,
)
_SIEMENS_PRODUCT: Final = (
    _maker("SIEMENS"),
    Criterion(
        is_raw_phase,
        "raw phase (P in Image Type or PHASE as Complex Image Component, without WV, WAVE, STIFFNESS or CONFIDENCE, "
        "which the scanner derived)",
        "Export the raw phase and magnitude series too: waves, stiffness and confidence maps are computed from them.",
    ),
    Criterion(
        # With the comment they are the research sequence's, which the readers before take.
        lambda series: has_mark(series) and not states_vibration(series),
        "name of an elastography sequence (greMR, epiMR, epseM in Sequence Name), word ELASTO in Image Type, or "
        "MRE in Series Description",
        "Export again with Sequence Name (0018,0024) and Image Type (0008,0008) as the scanner wrote them.",
    ),
)
_GE: Final = (
    _maker("GE"),
    Criterion(
        lambda series: series.header.get("NumberOfTemporalPositions") is not None,
        "Number of Temporal Positions (0020,0105), the time offsets",
        "Export the raw elastography series with full headers.",
    ),
    Criterion(
        _touches_mre,
        "private element (0019,109C) with the name of an elastography sequence (such as fgremre, epimre)",
        "De-identify with the private groups 0019, 0021 and 0043 kept: they hold sequence, slices and frequency.",
    ),
)
_PHILIPS: Final = (
    _maker("PHILIPS"),
    _PHASE,
    Criterion(
        _several_of_a_slice,
        "slice with at least three phase images, one for each time offset",
        "Include all dynamics of the elastography.",
    ),
)
CRITERIA: Final[tuple[tuple[str, tuple[Criterion, ...]], ...]] = (
    ("Siemens mosaic", _SIEMENS),
    ("Siemens enhanced", _SIEMENS_ENHANCED),
    ("Siemens product", _SIEMENS_PRODUCT),
    ("GE", _GE),
    ("Philips", _PHILIPS),
)
"""Criteria of each reader of palpate.imaging.dicom.registry, by its name; a test checks that the two lists agree."""


def recognitions(series: Sequence[Series]) -> tuple[Recognition, ...]:
    """Return the result of each reader on the series, first the one that meets the largest share of its criteria.

    Args:
        series: series of a study; no pixels are read.
    """
    found = [_recognition(name, criteria, series) for name, criteria in CRITERIA] if series else []
    return tuple(sorted(found, key=lambda one: -one.passed / one.criteria))


def near(series: Sequence[Series]) -> tuple[Recognition, ...]:
    """Return the results worth naming: those that equal the best one and meet at least half of their criteria."""
    found = recognitions(series)
    if not found:
        return ()
    best = found[0].passed / found[0].criteria
    return tuple(one for one in found if one.passed / one.criteria == best and 2 * one.passed >= one.criteria)


def _recognition(name: str, criteria: Sequence[Criterion], series: Sequence[Series]) -> Recognition:
    met = [(one, [criterion.test(one) for criterion in criteria]) for one in series]
    passed = max(sum(each) for _, each in met)
    nearest = [(one, each) for one, each in met if sum(each) == passed]
    # Of equally near series those that fail at the same criterion as the first are one case.
    pattern = nearest[0][1]
    images = sum(len(one.instances) for one, each in nearest if each == pattern)
    failed = tuple(criterion for criterion, is_met in zip(criteria, pattern, strict=True) if not is_met)
    return Recognition(name, passed, len(criteria), images, failed)
