"""Grouping of images into studies and series, by what the physics needs where archives rewrote the identifiers.

Archives split a series over several Series Instance UIDs, give every image its own, or every volume a study of its own.
So a series consists of one person's images with the same number, description, grid and contrast, as long as their
instance numbers complete each other: two runs of a protocol have numbers of their own, and a repeated series repeats
them. A study consists of the series with one Study Instance UID; studies that share a series count as one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.persons import person_of, same_person

SPLIT_SERIES: Final = "series under several Series Instance UIDs, joined by number, geometry and instance numbers"
"""Reason in the list of series: one series with several identifiers."""
SPLIT_STUDY: Final = "study under several Study Instance UIDs, joined by the series that they share"
"""Reason in the list of series: one study with several identifiers."""
COPIES: Final = "copy of another image, with the same header and pixels"
"""Reason in the list of series: an image that is there twice."""
SAME_IDENTIFIER: Final = "image under the SOP Instance UID of another one, told apart by its instance number"
"""Reason in the list of series: different images with one identifier."""
_COMPONENTS: Final = frozenset(("M", "P", "R", "I", "MAGNITUDE", "PHASE", "REAL", "IMAGINARY", "M_FFE", "P_FFE"))
_CONTRAST: Final = ("SeriesNumber", "SeriesDescription", "Modality", "Manufacturer", "Rows", "Columns", "SequenceName")
_VOLATILE: Final = frozenset(
    ("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "SpecificCharacterSet")
)
_STRAY_SHARE: Final = 1 / 8
_PLACES: Final = 3
_ANGLE_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class Study:
    """Images of one study.

    Attributes:
        person: number, name and birth date of the first image, as `person_of` gives them.
        uid: StudyInstanceUID of the first image.
        series: its series, each of at least one image, in the order of InstanceNumber where all have one.
        notes: corrections that were made, by reason, with the number of images or series.
    """

    person: tuple[str, ...]
    uid: str
    series: tuple[tuple[Instance, ...], ...]
    notes: Counter[str]


def group_studies(instances: Sequence[Instance]) -> tuple[Study, ...]:
    """Sort images into studies and series, in the order of their first images."""
    studies: list[Study] = []
    for images in _by_person(instances):
        notes: Counter[str] = Counter()
        series = [part for joined in _joined(_parts(images), notes) for part in _without_strays(joined)]
        for members in _studies_of(series):
            first = members[0][0].header
            uids = {_text(one.header, "StudyInstanceUID") for part in members for one in part}
            own = notes if len(members) == len(series) else _notes_of(members, notes)
            if len(uids) > 1:
                own = own + Counter({SPLIT_STUDY: 1})
            kept = tuple(_without_copies(part, own) for part in members)
            studies.append(Study(person_of(first), _text(first, "StudyInstanceUID"), kept, own))
    return tuple(studies)


def series_regardless(instances: Sequence[Instance]) -> tuple[tuple[Instance, ...], ...]:
    """Return images by series as if all were of one person and one study, to find what other identifiers hide.

    Args:
        instances: images of any persons.
    """
    return tuple(tuple(part) for part in _joined(_parts(instances), Counter()))


def _by_person(instances: Sequence[Instance]) -> list[list[Instance]]:
    groups: list[tuple[tuple[str, ...], list[Instance]]] = []
    for one in instances:
        person = person_of(one.header)
        for known, images in groups:
            if same_person(known, person):
                images.append(one)
                break
        else:
            groups.append((person, [one]))
    return [images for _, images in groups]


def _parts(images: Sequence[Instance]) -> list[list[Instance]]:
    """Return images of one Series Instance UID and number; where there is no identifier, of one study and number."""
    parts: dict[Hashable, list[Instance]] = defaultdict(list)
    for one in images:
        uid = _text(one.header, "SeriesInstanceUID") or ("without", _text(one.header, "StudyInstanceUID"))
        parts[uid, _text(one.header, "SeriesNumber")].append(one)
    return list(parts.values())


def _joined(parts: list[list[Instance]], notes: Counter[str]) -> list[list[Instance]]:
    """Return parts that complete each other as one series; parts that repeat each other stay apart."""
    series: list[list[Instance]] = []
    by_contrast: dict[Hashable, list[list[Instance]]] = defaultdict(list)
    for part in parts:
        by_contrast[_contrast(part[0].header)].append(part)
    for alike in by_contrast.values():
        groups: list[tuple[set[str], list[Instance], int]] = []
        for part in alike:
            numbers = {_text(one.header, "InstanceNumber") for one in part}
            for place, (seen, images, count) in enumerate(groups):
                if "" in numbers | seen or (numbers & seen and not _repeats(part, images)):
                    continue
                images.extend(part)
                groups[place] = seen | numbers, images, count + 1
                break
            else:
                groups.append((numbers, list(part), 1))
        series += [images for _, images, _ in groups]
        notes[SPLIT_SERIES] += sum(count > 1 for _, _, count in groups)
    return series


def _contrast(header: Dataset) -> Hashable:
    """Return what the images of one series have in common, identifiers aside."""
    kinds = tuple(one for one in _values(header, "ImageType") if one not in _COMPONENTS)
    return (
        tuple(_text(header, name) for name in _CONTRAST),
        kinds,
        _rounded(header, "PixelSpacing", _PLACES),
        _rounded(header, "ImageOrientationPatient", _ANGLE_PLACES),
        # One frame of reference is one position of the patient on the table.
        _text(header, "FrameOfReferenceUID"),
        # Enhanced files state their grid frame by frame, and one file may be one series.
        _text(header, "NumberOfFrames"),
    )


def _repeats(part: Sequence[Instance], images: Sequence[Instance]) -> bool:
    """Return whether every image of a part that bears the number of one before is that image once more."""
    known = {_text(one.header, "InstanceNumber"): one for one in images}
    shared = [(one, known[number]) for one in part if (number := _text(one.header, "InstanceNumber")) in known]
    return all(_same_image(one, other) for one, other in shared)


def _same_image(one: Instance, other: Instance) -> bool:
    """Return whether two files hold one image: headers alike but for identifiers and creation, and the same pixels."""
    if _compared(one.header) != _compared(other.header):
        return False
    return bool(np.array_equal(one.pixels(), other.pixels())) if one.frame is None else False


def _compared(header: Dataset) -> dict[int, object]:
    return {
        int(element.tag): element.value
        for element in header
        if element.VR != "UI" and element.keyword not in _VOLATILE and not element.tag.is_private
    }


def _without_strays(part: list[Instance]) -> list[list[Instance]]:
    """Return a series without few images that alone name another study: archives rewrite all images alike, not one."""
    by_study: dict[str, list[Instance]] = defaultdict(list)
    for one in part:
        by_study[_text(one.header, "StudyInstanceUID")].append(one)
    largest = max(by_study.values(), key=len)
    if len(by_study) > 1 and (len(part) - len(largest)) <= _STRAY_SHARE * len(part):
        return list(by_study.values())
    return [part]


def _studies_of(series: Sequence[list[Instance]]) -> list[list[list[Instance]]]:
    """Return series by study: those that share a Study Instance UID with any image of a series are of its study.

    Where a series shows that studies were rewritten, a frame of reference names the study as well: every image may
    then have its own study, so that magnitude and phase share none.
    """
    groups: list[tuple[set[Hashable], list[list[Instance]]]] = []
    rewritten = {
        _text(one.header, "StudyInstanceUID")
        for part in series
        if len({_text(image.header, "StudyInstanceUID") for image in part}) > 1
        for one in part
    }
    visits = {
        _session(one.header) for part in series for one in part if _text(one.header, "StudyInstanceUID") in rewritten
    } - {None}
    for part in series:
        keys: set[Hashable] = {_text(one.header, "StudyInstanceUID") for one in part}
        sessions = {_session(one.header) for one in part} - {None}
        # A series of the same visit belongs to it, also where its own identifiers were left as they were.
        if keys & rewritten or sessions & visits:
            keys |= sessions
        touching = [group for group in groups if group[0] & keys]
        merged = set(keys).union(*(group[0] for group in touching))
        members = [one for group in touching for one in group[1]] + [part]
        groups = [group for group in groups if all(group is not one for one in touching)] + [(merged, members)]
    return [members for _, members in groups]


def _session(header: Dataset) -> Hashable:
    """Return what names a visit besides its study: day, time and frame of reference; None if too little is stated."""
    frame, day, time = (_text(header, name) for name in ("FrameOfReferenceUID", "StudyDate", "StudyTime"))
    return ("visit", frame, day, time) if frame or (day and time) else None


def _notes_of(members: Sequence[Sequence[Instance]], notes: Counter[str]) -> Counter[str]:
    """Return the notes that concern some of a person's series."""
    split = sum(len({_text(one.header, "SeriesInstanceUID") for one in part}) > 1 for part in members)
    return Counter({SPLIT_SERIES: split}) if notes[SPLIT_SERIES] and split else Counter()


def _without_copies(part: Sequence[Instance], notes: Counter[str]) -> tuple[Instance, ...]:
    """Return the images of a series, each once; those that share an identifier and differ stay, and are counted."""
    kept: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    identifiers: Counter[str] = Counter()
    for one in part:
        number = _text(one.header, "InstanceNumber")
        uid = _text(one.header, "SOPInstanceUID")
        same = kept[number, ""] if number else kept["", uid]
        if any(_same_image(one, other) for other in same):
            notes[COPIES] += 1
            continue
        same.append(one)
        identifiers[uid] += 1
    notes[SAME_IDENTIFIER] += sum(count - 1 for uid, count in identifiers.items() if uid and count > 1)
    return tuple(one for images in kept.values() for one in images)


def _text(header: Dataset, name: str) -> str:
    value = header.get(name)
    return "" if value is None else str(value).strip()


def _values(header: Dataset, name: str) -> tuple[str, ...]:
    value = header.get(name)
    if value is None or value == "":
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(one) for one in value)


def _rounded(header: Dataset, name: str, places: int) -> tuple[float, ...]:
    try:
        return tuple(round(float(one), places) + 0.0 for one in header.get(name) or ())
    except (TypeError, ValueError):
        return ()
