"""Settings of the export of stiffness maps to DICOM."""

from __future__ import annotations

from typing import Literal

from palpate.config.section import Section


class MapsSettings(Section):
    """Settings of the export of stiffness maps to DICOM."""

    identity: Literal["scan", "pseudonym"] = "scan"
    """Patient, study and frame of reference that DICOM maps carry. scan: all are the scan's own, read from it again, so
    that an archive files the maps in the original study and a viewer lays them over it; only the folder dicom holds
    them. pseudonym: all are replaced, for maps that are handed on; they form a study of their own and need no scan."""
