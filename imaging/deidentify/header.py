"""De-identification of one image's header: a new header, into which only what is allowed is copied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from palpate.imaging.deidentify import allowed
from palpate.imaging.deidentify.key import Key
from palpate.imaging.dicom.vocabulary import has_vocabulary, is_known, is_known_class, known_part, known_words

_DAY: Final = re.compile(r"\d{8}")
_TIME: Final = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")
_MOMENT: Final = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")
_DECIMAL: Final = re.compile(r"[-+ 0-9.eE]+")
_DESCRIPTIONS: Final = ("SeriesDescription", "ProtocolName")
METHOD: Final = "palpate: elements and words by allow-list, keyed UIDs and dates"
"""De-identification Method of images that palpate deidentify wrote, by which they are recognised."""
_METHODS: Final = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113111", "Retain Safe Private Option"),
)


def patient_of(header: Dataset) -> str:
    """Return the text that tells one patient from another in a header: the number, else the name, else the study."""
    stated = (str(header.get(name, "") or "").strip() for name in ("PatientID", "PatientName", "StudyInstanceUID"))
    return next((text for text in stated if text), "")


def without_identity(header: Dataset, key: Key, subject: str) -> Dataset:
    """Return a new header with what is allowed, new identifiers, earlier dates and a subject in place of a patient.

    Args:
        header: header of one image; it is not changed.
        key: key from which identifiers and dates follow.
        subject: label in place of the patient's name and number.
    """
    patient = patient_of(header)
    cleaned = _cleaned(header, key, patient)
    for name in _DESCRIPTIONS:
        words = known_words(str(header.get(name, "") or ""))
        if words:
            setattr(cleaned, name, words[:64])
    for name in allowed.EMPTIED:
        setattr(cleaned, name, "")
    cleaned.PatientID = subject
    cleaned.PatientName = f"{subject}^"
    cleaned.PatientIdentityRemoved = "YES"
    cleaned.DeidentificationMethod = METHOD
    cleaned.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in _METHODS]
    cleaned.LongitudinalTemporalInformationModified = "MODIFIED"
    return cleaned


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _cleaned(dataset: Dataset, key: Key, patient: str) -> Dataset:
    """Return what is allowed of a header or of one item of a sequence."""
    cleaned = Dataset()
    for element in dataset:
        if element.tag.is_private:
            continue
        if element.keyword in allowed.SEQUENCES and element.VR == "SQ":
            cleaned.add_new(element.tag, "SQ", Items([_cleaned(item, key, patient) for item in element.value]))
        elif _has_its_own_type(element):
            value = _kept(element, key, patient)
            if value is not None:
                cleaned.add_new(element.tag, element.VR, value)
    _copy_private(dataset, cleaned)
    return cleaned


def _has_its_own_type(element: DataElement) -> bool:
    """Return whether an element has the type that the standard gives it: text may hide under the tag of a number."""
    return bool(element.keyword) and element.VR in dictionary_VR(element.tag).split(" or ")


def _kept(element: DataElement, key: Key, patient: str) -> object | None:
    """Return the new value of a public element; None where it must go."""
    name, value = element.keyword, element.value
    texts = [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]
    if name in allowed.NUMBERS:
        return _number(element, texts)
    if name in allowed.IDENTIFIERS:
        return key.identifier(texts[0]) if value else None
    if name in allowed.CLASSES:
        return value if is_known_class(value) else None
    if name in allowed.DATES:
        return _shifted(texts[0], key, patient) if _DAY.fullmatch(texts[0]) else None
    if name in allowed.TIMES:
        return value if _TIME.fullmatch(texts[0]) else None
    if name in allowed.MOMENTS:
        return _shifted_moment(texts[0], key, patient)
    if has_vocabulary(name):
        return value if all(is_known(name, text) for text in texts) else _known_of(name, texts)
    return None


def _number(element: DataElement, texts: Sequence[str]) -> object | None:
    """Return a numeric value; decimal strings are text in the file, so that their characters are looked at."""
    if element.VR in ("DS", "IS"):
        return element.value if all(_DECIMAL.fullmatch(text) for text in texts) else None
    return element.value if element.VR == "AT" else allowed.numbers_only(element.value)


def _known_of(name: str, texts: Sequence[str]) -> list[str] | None:
    """Return the known values, in order; an image's type keeps its place with a word that says nothing."""
    if name in ("ImageType", "FrameType"):
        return [text if is_known(name, text) else "OTHER" for text in texts]
    kept = (text if is_known(name, text) else known_part(name, text) for text in texts)
    return [text for text in kept if text is not None] or None


def _shifted(day: str, key: Key, patient: str) -> str | None:
    """Return a date as YYYYMMDD, earlier; None where it is no date."""
    try:
        return key.shifted(datetime.strptime(day, "%Y%m%d").date(), patient).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return None


def _shifted_moment(moment: str, key: Key, patient: str) -> str | None:
    """Return a date with a time, the date earlier and the time as it was."""
    match = _MOMENT.fullmatch(moment)
    day = _shifted(match[1], key, patient) if match is not None else None
    return None if match is None or day is None else day + (match[2] or "") + (match[3] or "")


def _copy_private(dataset: Dataset, cleaned: Dataset) -> None:
    """Copy the private elements that are allowed, reduced to what may be kept of them."""
    for (group, creator), number in allowed.PRIVATE_SEQUENCES.items():
        items = _private_items(dataset, group, creator, number)
        if any(len(item) for item in items):
            cleaned.private_block(group, creator, create=True).add_new(number, "SQ", Items(items))
    for (group, creator), elements in allowed.PRIVATE.items():
        try:
            block = dataset.private_block(group, creator)
        except KeyError:
            continue
        for number, reduced in elements.items():
            value = reduced(block[number].value) if number in block else None
            if value is not None:
                kept = cleaned.private_block(group, creator, create=True)
                kept.add_new(number, block[number].VR, value)


def _private_items(dataset: Dataset, group: int, creator: str, number: int) -> list[Dataset]:
    """Return the items of a private sequence with nothing but the private elements that are allowed."""
    try:
        element = dataset.private_block(group, creator)[number]
    except KeyError:
        return []
    items = []
    for item in element.value if element.VR == "SQ" else ():
        items.append(Dataset())
        _copy_private(item, items[-1])
    return items
