"""Marks that tell raw elastography of Siemens' product sequences from other images, and its kinds from one another."""

from __future__ import annotations

import re
from typing import Final

from palpate.imaging.dicom.derived_images import DERIVED_WORDS, type_words
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import frame_kinds
from palpate.imaging.dicom.series import Series, texts
from palpate.imaging.dicom.vocabulary import ELASTOGRAPHY_SEQUENCE, SEQUENCE_NAMES

PHASE, MAGNITUDE = "PHASE", "MAGNITUDE"
"""Kinds of images of the elastography."""
_DESCRIPTION: Final = re.compile(r"(?<![a-z])(?:gre|epi|se)?mre(?![a-z])|elasto", re.IGNORECASE | re.ASCII)


def is_siemens(series: Series) -> bool:
    """Return whether a series names Siemens as the maker of the scanner."""
    return "SIEMENS" in str(series.header.get("Manufacturer", "") or "").upper()


def has_mark(series: Series) -> bool:
    """Return whether sequence, image type or description say elastography, without reading pixels or raising."""
    header = series.header
    named = (text for name in SEQUENCE_NAMES for text in texts(header, name))
    described = (str(header.get(name, "") or "") for name in ("SeriesDescription", "ProtocolName"))
    return (
        any(ELASTOGRAPHY_SEQUENCE.search(text) for text in named)
        or "ELASTO" in type_words(series.instances[0])
        or any(_DESCRIPTION.search(text) for text in described)
    )


def is_raw_phase(series: Series) -> bool:
    """Return whether any image is phase as measured, not derived by the scanner, without reading pixels or raising."""
    return any(_holds(one, PHASE) for one in series.instances)


def is_magnitude(series: Series) -> bool:
    """Return whether any image is magnitude as measured, without reading pixels or raising."""
    return any(_holds(one, MAGNITUDE) for one in series.instances)


def kind(instance: Instance) -> str | None:
    """Return PHASE or MAGNITUDE of an image or a frame with a header of its own; None for any other image.

    Args:
        instance: image of a one-image file, or a frame as palpate.imaging.dicom.frames lays it flat.
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
