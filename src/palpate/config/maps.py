"""The choices in writing stiffness maps as DICOM."""

from __future__ import annotations

from typing import Literal

from palpate.config.section import Section


class MapsSettings(Section):
    """From stiffness maps to DICOM."""

    uids: Literal["retained", "keyed"] = "retained"
    """Study, frame of reference and series that DICOM maps name. retained: the scan's own, read from it again where
    records are keyed, so that a planner's viewer lays the maps over the scan. keyed: those of `palpate deidentify`, for
    maps that are handed on."""
