"""What tells raw elastography of Siemens' product sequences from other images, and one kind of them from another."""

from __future__ import annotations

import re
from typing import Final

from palpate.imaging.dicom.derived_images import DERIVED_WORDS, type_words
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import frame_kinds
from palpate.imaging.dicom.series import Series, texts
from palpate.imaging.dicom.vocabulary import ELASTOGRAPHY_SEQUENCE, SEQUENCE_NAMES

PHASE, MAGNITUDE = "PHASE", "MAGNITUDE"
_DESCRIPTION: Final = re.compile(r"(?<![a-z])(?:gre|epi|se)?mre(?![a-z])|elasto", re.IGNORECASE | re.ASCII)


def is_siemens(series: Series) -> bool:
    """Whether a series names Siemens as the maker of the scanner."""
    return "SIEMENS" in str(series.header.get("Manufacturer", "") or "").upper()


def has_mark(series: Series) -> bool:
    """Whether sequence, image type or description say elastography; reads no pixels and never raises."""
    header = series.header
    named = (text for name in SEQUENCE_NAMES for text in texts(header, name))
    described = (str(header.get(name, "") or "") for name in ("SeriesDescription", "ProtocolName"))
    return (
        any(ELASTOGRAPHY_SEQUENCE.search(text) for text in named)
        or "ELASTO" in type_words(series.instances[0])
        or any(_DESCRIPTION.search(text) for text in described)
    )


def is_raw_phase(series: Series) -> bool:
    """Whether any image is phase as measured, not derived by the scanner; reads no pixels and never raises."""
    return any(_holds(one, PHASE) for one in series.instances)


def is_magnitude(series: Series) -> bool:
    """Whether any image is magnitude as measured; reads no pixels and never raises."""
    return any(_holds(one, MAGNITUDE) for one in series.instances)


def kind(instance: Instance) -> str | None:
    """Return PHASE or MAGNITUDE of an image or a frame with a header of its own; None for any other image.

    Args:
        instance: of one image; frames as palpate.imaging.dicom.frames lays them flat.
    """
    return next((one for one in (PHASE, MAGNITUDE) if _holds(instance, one)), None)


def _holds(instance: Instance, wanted: str) -> bool:
    words = type_words(instance)
    if words & DERIVED_WORDS:
        return False
    stated = {str(one.get("ComplexImageComponent", "") or "").upper() for one in frame_kinds(instance)} - {""}
    stated = stated or {str(instance.header.get("ComplexImageComponent", "") or "").upper()} - {""}
    # Classic images say it by a letter of the image type; files with frames may have it beside the component.
    return wanted in (stated or words) or (not stated and wanted[0] in words)
