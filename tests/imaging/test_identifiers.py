"""One place decides whether two identifiers stand for one thing, and whether a scan is keyed already."""

from __future__ import annotations

import pydicom
import pytest

from palpate.imaging.deidentify.header import without_identity
from palpate.imaging.deidentify.identifiers import (
    Identifiers,
    identifiers_of,
    patient_pseudonym,
    recorded_identifiers,
    same_identifier,
)
from palpate.imaging.deidentify.key import Key

KEY, OTHER = Key(bytes(32)), Key(bytes(range(32)))
ONE, TWO = "1.2.3.4", "1.2.3.5"


@pytest.mark.parametrize("key", [None, KEY])
def test_likeness_does_not_depend_on_the_order_or_on_a_key(key: Key | None) -> None:
    """Two files of the scanner, or two of one de-identification, are compared as they stand."""
    for one in (ONE, KEY.identifier(ONE), OTHER.identifier(ONE)):
        assert same_identifier(one, one, key)
        assert not same_identifier(one, TWO, key)
        assert not same_identifier(TWO, one, key)


def test_scans_own_and_keyed_one_are_alike_for_who_has_the_key() -> None:
    """A planner's contour lies in the scan's own frame, records name the keyed one; nobody else can tie them."""
    for pair in ((ONE, KEY.identifier(ONE)), (KEY.identifier(ONE), ONE)):
        assert same_identifier(*pair, KEY)
        assert not same_identifier(*pair, None)
        assert not same_identifier(*pair, OTHER)
    assert not same_identifier(TWO, KEY.identifier(ONE), KEY)


@pytest.mark.parametrize("key", [None, KEY])
def test_nothing_stated_is_like_nothing(key: Key | None) -> None:
    """Two files that name no frame of reference do not share one."""
    assert not same_identifier("", "", key)
    assert not same_identifier("", KEY.identifier(""), key)


def _header() -> pydicom.Dataset:
    header = pydicom.Dataset()
    header.StudyInstanceUID, header.PatientID = ONE, "A1"
    return header


def test_only_what_palpate_wrote_counts_as_keyed() -> None:
    """Another program's claim to have removed an identity says nothing about its identifiers: they are keyed."""
    header = _header()
    assert identifiers_of(header, KEY) == Identifiers("pseudonymised", KEY.fingerprint)
    assert identifiers_of(header, None) == Identifiers("retained")
    header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", "by hand"
    assert identifiers_of(header, KEY).status == "pseudonymised"
    clean = without_identity(header, OTHER, "sub-01")
    for key in (KEY, OTHER, None):
        assert identifiers_of(clean, key) == Identifiers("pseudonymised before")
    clean.StudyInstanceUID = ONE
    assert identifiers_of(clean, KEY).status == "pseudonymised"


def test_one_key_tells_people_apart_without_naming_them() -> None:
    """Sessions of two people are told by their pseudonyms; a number that is kept stands in no record."""
    header, other = _header(), _header()
    other.PatientID = "A2"
    assert patient_pseudonym(header, KEY) == patient_pseudonym(_header(), KEY) != patient_pseudonym(other, KEY)
    assert "A1" not in patient_pseudonym(header, KEY)
    assert patient_pseudonym(header, None) == ""
    assert patient_pseudonym(without_identity(header, OTHER, "sub-01"), None) == "sub-01"


def test_records_say_what_they_hold() -> None:
    """What is read back decides whether maps look for the scan; older records say nothing and had the scan's own."""
    for one in (Identifiers("pseudonymised", "0123"), Identifiers("pseudonymised before"), Identifiers("retained")):
        assert recorded_identifiers({"identifiers": one.as_record()}) == one
    for unknown in (
        {},
        {"identifiers": None},
        {"identifiers": {"status": ["pseudonymised"]}},
        {"identifiers": "keyed"},
    ):
        assert recorded_identifiers(unknown) == Identifiers("retained")
