"""Interface of an archive: it lists the series of a study and hands over their images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom.dataset import Dataset

type Keep = Callable[[Dataset], None]
"""Function that takes one image, with its file meta information."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Study to retrieve, named by one of two identifiers; the other one is empty.

    Attributes:
        study_uid: StudyInstanceUID.
        accession: AccessionNumber.
    """

    study_uid: str = ""
    accession: str = ""

    def __post_init__(self) -> None:
        """Refuse a wish that names no study, or names it twice."""
        if bool(self.study_uid) == bool(self.accession):
            raise ValueError("either a StudyInstanceUID or an AccessionNumber is needed")


@dataclass(frozen=True, slots=True)
class RemoteSeries:
    """Series as the archive lists it.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        number: SeriesNumber; 0 where the archive does not say.
        modality: DICOM Modality, such as MR.
        images: number of images that the archive states; None where it states none.
    """

    study_uid: str
    series_uid: str
    number: int
    modality: str
    images: int | None


class Archive(Protocol):
    """One archive over one protocol."""

    @property
    def address(self) -> str:
        """Address as the user gave it, for messages."""
        ...

    def find(self, wanted: Wanted) -> Sequence[RemoteSeries]:
        """Return the series of the study; an empty sequence where there is none.

        Raises:
            InputError: the archive cannot be reached, or refuses.
        """
        ...

    def retrieve(self, series: RemoteSeries, keep: Keep) -> None:
        """Hand over every image of a series.

        Raises:
            InputError: the archive cannot be reached, refuses, or fails on the way.
        """
        ...


def series_of(listed: Dataset, study_uid: str) -> RemoteSeries:
    """Return a series from an archive's answer to a query.

    Args:
        listed: answer of the archive for one series.
        study_uid: StudyInstanceUID of the query, taken where the answer leaves it out.
    """

    def whole(name: str) -> int | None:
        value = listed.get(name)
        return int(value) if value not in (None, "") else None

    return RemoteSeries(
        study_uid=str(listed.get("StudyInstanceUID") or study_uid),
        series_uid=str(listed.SeriesInstanceUID),
        number=whole("SeriesNumber") or 0,
        modality=str(listed.get("Modality") or ""),
        images=whole("NumberOfSeriesRelatedInstances"),
    )
