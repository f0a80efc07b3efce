"""Images that a scanner computed from elastography: waves, stiffness, confidence. They hold no raw phase."""

from __future__ import annotations

from typing import Final

from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import frame_kinds
from palpate.imaging.dicom.series import Series, texts

DERIVED_WORDS: Final = frozenset(("WV", "WAVE", "STIFFNESS", "ELASTOGRAM", "CONFIDENCE"))
"""Words of Image Type that only such images have."""
_ELASTOGRAPHY: Final = frozenset(("MRE", "ELASTO"))


def type_words(instance: Instance) -> set[str]:
    """Return the words of Image Type, and of Frame Type in a file with frames, in upper case."""
    words = {word.upper() for word in texts(instance.header, "ImageType")}
    return words | {word.upper() for one in frame_kinds(instance) for word in texts(one, "FrameType")}


def is_derived(series: Series) -> bool:
    """Return whether Image Type says that images were computed from elastography, without reading pixels or raising."""
    words = {word for one in series.instances for word in type_words(one)}
    return bool(words & DERIVED_WORDS) or ("DERIVED" in words and bool(words & _ELASTOGRAPHY))
