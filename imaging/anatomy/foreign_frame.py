"""Frames of reference of a session, of a region or dose, and what a user names to get from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from palpate.config.registration import RegistrationSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.persons import same_person
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.registration.way import FrameWay


@dataclass(frozen=True, slots=True)
class KnownFrame:
    """Frame of reference to which the way is known, such as that of the elastogram or of a T1.

    Attributes:
        name: name of its image in messages, such as "the T1".
        frame_uid: its identifier; empty where its files state none.
        way: way to it from where the search for a way begins.
    """

    name: str
    frame_uid: str
    way: FrameWay


@dataclass(frozen=True, slots=True)
class ForeignFrame:
    """Frame of reference of a region or dose.

    Attributes:
        where: its file, by a name that errors may repeat.
        frame_uid: its identifier; empty where the file states none, as NIfTI.
        person: number, name and birth date of the file's patient, only ever compared; empty where it states none.
    """

    where: Path | str
    frame_uid: str
    person: tuple[str, ...] = field(default=(), repr=False)


def of_region(region: DrawnRegion) -> ForeignFrame:
    """Return the frame of reference in which a region was drawn."""
    return ForeignFrame(region.where, region.frame_uid, region.person)


@dataclass(frozen=True, slots=True)
class GivenRegistration:
    """Registration or CT that a user names to carry a region or dose from another frame of reference.

    Attributes:
        file: DICOM Spatial Registration or ITK transform; None for none.
        contour_image: CT on which the region was drawn, DICOM folder or NIfTI; None for none.
        settings: uncertainty of the file, and the fixed image of an ITK transform.
        key: key by which some of the identifiers may have been pseudonymised; None where nobody has it.
    """

    file: Path | None = None
    contour_image: Path | None = None
    settings: RegistrationSettings = field(default_factory=RegistrationSettings)
    key: Key | None = None

    def __post_init__(self) -> None:
        """Refuse two ways at once.

        Raises:
            InputError: a registration and a CT are named.
        """
        if self.file is not None and self.contour_image is not None:
            raise InputError(
                "--contour-image",
                found="a CT beside a registration",
                expected="one of them",
                advice="Leave out the CT to use the registration file, or the file to have the CT registered.",
            )

    @property
    def named(self) -> bool:
        """Whether the user names anything."""
        return self.file is not None or self.contour_image is not None

    def same(self, one: str, other: str) -> bool:
        """Return whether two identifiers stand for one frame of reference."""
        return same_identifier(one, other, self.key)


@dataclass(frozen=True, slots=True)
class FixedImage:
    """MR image to which a CT may be registered.

    Attributes:
        path: its file, NIfTI.
        frame: its frame of reference.
    """

    path: Path
    frame: KnownFrame


def demand_one_person(where: str, person: tuple[str, ...], foreign: ForeignFrame, key: Key | None) -> None:
    """Refuse a file of another patient than the region's, unless a key shows that one is the other's pseudonym.

    Args:
        where: name of the file in errors.
        person: number, name and birth date that it states; empty where it states none.
        foreign: region or dose.
        key: key that may have made one pseudonym from the other; None where nobody has it.

    Raises:
        InputError: the persons differ. It repeats neither.
    """
    if not any(foreign.person) or not any(person) or same_person(person, foreign.person):
        return
    numbers = (person[0], foreign.person[0])
    if key is not None and (key.pseudonym(numbers[0]) == numbers[1] or key.pseudonym(numbers[1]) == numbers[0]):
        return
    raise InputError(
        where,
        found="another patient than in the file of the region or dose",
        expected="files of one patient",
        advice="Check whose files these are; where one was pseudonymised, give the key or do the same with the other.",
    )
