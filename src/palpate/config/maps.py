"""Settings of the export of stiffness maps to DICOM."""

from __future__ import annotations

from typing import Final, Literal, get_args

from palpate.config.section import Section

type Kind = Literal["mr", "rtstruct", "seg", "sr", "registration", "pm"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind.__value__)
"""Kinds of DICOM objects that palpate maps writes."""


class MapsSettings(Section):
    """Settings of the export of stiffness maps to DICOM."""

    identity: Literal["scan", "pseudonym"] = "scan"
    """Patient, study and frame of reference that DICOM maps carry. scan: all are the scan's own, read from it again, so
    that an archive files the maps in the original study and a viewer lays them over it; only the folder dicom holds
    them. pseudonym: all are replaced, for maps that are handed on; they form a study of their own and need no scan."""

    kinds: tuple[Kind, ...] | None = None
    """Kinds of DICOM objects: mr (series of 16 bits, in pascal), rtstruct and seg (regions), sr (report of their
    figures), registration, pm (float Parametric Maps, kPa). None writes all: pm on the elastogram's grid, and all on
    the planning image's grid, where the T1 came as DICOM. Without a planning image, exams of an organ get all on the
    elastogram's grid, and other sessions the kinds that are named here."""
