"""Choice of Philips' series with phase images that may be elastography: a study holds field maps and venograms as well.

Three things tell elastography from other series with phase: a comment that begins with MRE:, the word MRE in Image
Type, as product sequences have it, or, where no series has either, at least three phase images of a slice, for a
vibration is sampled in time and a map of the main field is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from palpate.imaging.dicom import philips_header as header
from palpate.imaging.dicom.frames import is_multi_frame
from palpate.imaging.dicom.series import Series, texts
from palpate.imaging.dicom.siemens_comment import states_vibration

_FEWEST_OFFSETS: Final = 3
_OWN: Final = "PerFrameFunctionalGroupsSequence"


def elastography(series: Sequence[Series]) -> list[Series]:
    """Return the series that may be elastography, in their order, without reading pixels or raising."""
    with_phase = [one for one in series if _has_phase(one)]
    marked = [one for one in with_phase if _says_so(one)]
    return marked or [one for one in with_phase if _phase_images_of_a_slice(one) >= _FEWEST_OFFSETS]


def _has_phase(series: Series) -> bool:
    """Return whether single images say so, or the header of a multi-frame file does not deny it."""
    if not header.is_philips(series.header):
        return False
    kinds = {header.kind(one) for one in series.instances}
    mixed = any(is_multi_frame(one) and one.header.get("ComplexImageComponent") == "MIXED" for one in series.instances)
    return mixed or bool(kinds & {header.PHASE, header.REAL})


def _says_so(series: Series) -> bool:
    """Return whether a comment or, in product sequences, Image Type says elastography."""
    return states_vibration(series) or any("MRE" in texts(one.header, "ImageType") for one in series.instances)


def _phase_images_of_a_slice(series: Series) -> int:
    """Return how many phase (or real) images the slice with the most of them has."""
    places = Counter(place for kind, place in _kinds_and_places(series) if kind in ("PHASE", "REAL"))
    return max(places.values(), default=0)


def _kinds_and_places(series: Series) -> Iterator[tuple[str, str]]:
    """Complex component and position of every image or frame; a frame without a component has the file's."""
    for one in series.instances:
        of_file = str(one.header.get("ComplexImageComponent", ""))
        if not is_multi_frame(one):
            name = {header.PHASE: "PHASE", header.REAL: "REAL"}.get(str(header.kind(one)), of_file)
            yield name, str(one.header.get("ImagePositionPatient"))
            continue
        for own in one.header[_OWN].value or ():
            component = _item(own, "MRImageFrameTypeSequence").get("ComplexImageComponent", of_file)
            place = _item(own, "PlanePositionSequence").get("ImagePositionPatient")
            yield str(component), str(place)


def _item(groups: Dataset, name: str) -> Dataset:
    """Return the first item of a sequence; an empty one where there is none."""
    items = groups.get(name)
    return items[0] if isinstance(items, Items) and len(items) else Dataset()
