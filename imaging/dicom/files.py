"""DICOM instances from a folder or an archive: headers at once, pixels on demand, errors that name no patient."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.containers import PassedOver, Walk
from palpate.imaging.dicom.image_file import Damaged, image_file
from palpate.imaging.dicom.no_image import no_image
from palpate.imaging.dicom.parsing import UNREADABLE, is_dicom, silence
from palpate.imaging.dicom.pixels import COMPLETE, COPY_AGAIN, stored_values
from palpate.imaging.dicom.sources import OnDisk, Source
from palpate.imaging.files.plain_names import is_plain_name, shown
from palpate.imaging.limits.input_limits import Budget
from palpate.progress import say

__all__ = [
    "UNREADABLE", "Contents", "Damaged", "Instance", "contents", "read_contents", "read_instances", "shown", "silence",
]  # fmt: skip
_COPY: Final = "copy of another image, byte by byte"


@dataclass(frozen=True, slots=True)
class Instance:
    """DICOM image: its header, and the place of its pixels.

    Attributes:
        header: everything but the pixels.
        container: the folder or archive that the user named.
        member: the file's path inside the container.
        frame: index of the image in a file that holds several; None in a file of one image.
        source: place of the bytes; None where the container is a folder or the file itself.
        padding: number of zeros after the pixels that other files of the series have as well.
    """

    header: pydicom.Dataset
    container: Path
    member: str
    frame: int | None = None
    source: Source | None = None
    padding: int = 0

    @property
    def place(self) -> str:
        """Name of this file in errors: its base name where that is a mere number or word, else its instance number."""
        name = PurePosixPath(self.member).name
        if not is_plain_name(name):
            name = f"instance {_number(self.header, 'InstanceNumber')}"
        frame = "" if self.frame is None else f", frame {self.frame + 1}"
        return f"series {_number(self.header, 'SeriesNumber')}, {name}{frame}"

    def pixels(self) -> NDArray[np.float64]:
        """Return the stored pixel values, before any rescaling, shape (rows, columns).

        Raises:
            InputError: the pixels are missing, truncated or compressed in a way that cannot be read.
        """
        source = self._source()
        if self.frame is None:
            values = stored_values(source.content(), self.place, self.padding)
        else:
            frames = _frames(source, _changed_ns(source), self.padding, replace(self, frame=None).place)
            if self.frame >= len(frames):
                raise InputError(
                    self.place, found="fewer frames than the header says", expected=COMPLETE, advice=COPY_AGAIN
                )
            values = frames[self.frame]
        return np.asarray(values, dtype=np.float64)

    def content(self) -> bytes:
        """Return the bytes of the file."""
        return self._source().content()

    def _source(self) -> Source:
        if self.source is not None:
            return self.source
        return OnDisk(self.container / self.member if self.container.is_dir() else self.container)


@dataclass(frozen=True, slots=True)
class Contents:
    """Content of a container.

    Attributes:
        instances: DICOM images, each once.
        passed: number of files that are no images, by reason.
        damaged: images that cannot be read.
    """

    instances: tuple[Instance, ...]
    passed: PassedOver
    damaged: tuple[Damaged, ...]

    def demand_whole(self, used: tuple[Instance, ...]) -> tuple[Damaged, ...]:
        """Return the damaged files that belong to none of the images in use.

        A damaged file that says of which series it is belongs to that; one that does not, to the images beside it.

        Args:
            used: images in use.

        Raises:
            InputError: a damaged file may be one of those in use.
        """
        series = {str(one.header.get("SeriesInstanceUID", "")) for one in used}
        numbers = {_number(one.header, "SeriesNumber") for one in used}
        folders = {str(PurePosixPath(one.member).parent) for one in used}
        for one in self.damaged:
            uid, number = str(one.header.get("SeriesInstanceUID", "")), _number(one.header, "SeriesNumber")
            known = uid != "" and number != "?"
            if uid in series or number in numbers or (not known and one.folder in folders):
                raise one.error
        return self.damaged


def read_contents(container: Path, *, advice: str | None = None) -> Contents:
    """Return the headers of all DICOM images in a folder (searched deeply, links followed), an archive, or one file.

    Args:
        container: folder, archive or file.
        advice: remedy that the error names where there is no image; None takes the one for an MRE.

    Raises:
        InputError: the path does not exist, an archive is damaged or passes the limits, or there is no image.
    """
    if not container.exists():
        raise InputError(container, found="no such file or folder", expected="DICOM images", advice="Check the path.")
    instances: dict[bytes, Instance] = {}
    damaged: list[Damaged] = []
    passed = PassedOver()
    walk, budget = Walk(container, passed), Budget(shown(container))
    tails: dict[str, Counter[int]] = defaultdict(Counter)
    for position, entry in enumerate(walk, start=1):
        found = image_file(entry, position, walk, budget, passed)
        if isinstance(found, Damaged):
            damaged.append(found)
        elif found is not None:
            header, source, tail, digest = found
            if digest in instances:
                passed.add(_COPY)
                continue
            instances[digest] = Instance(header, container, entry.member, source=source, padding=tail)
            tails[str(header.get("SeriesInstanceUID", ""))][tail] += 1
    if not instances:
        if damaged:
            raise damaged[0].error
        raise no_image(shown(container), passed.counts, advice)
    usual = {uid: counts.most_common(1)[0][0] for uid, counts in tails.items()}
    kept = []
    for one in instances.values():
        is_usual = one.padding == usual[str(one.header.get("SeriesInstanceUID", ""))]
        kept.append(one if is_usual else replace(one, padding=0))
    return Contents(tuple(kept), passed, tuple(damaged))


def read_instances(container: Path, *, advice: str | None = None) -> tuple[Instance, ...]:
    """Return all DICOM images of a folder, an archive or a file, for callers that need every image.

    Args:
        container: folder, archive or file.
        advice: remedy that the error names where there is no image; None takes the one for an MRE.

    Raises:
        InputError: an image is damaged, or `read_contents` refuses the container.
    """
    found = read_contents(container, advice=advice)
    for one in found.damaged:
        raise one.error
    if found.passed.counts:
        say(f"passed over: {found.passed}")
    return found.instances


def contents(container: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every file of an input that begins as DICOM does, in the order of names.

    Raises:
        InputError: an archive is damaged or passes the limits.
    """
    walk = Walk(container, PassedOver())
    for entry in walk:
        if is_dicom(entry.head):
            yield entry.member, walk.content(entry)


@lru_cache(maxsize=1)
def _frames(source: Source, changed_ns: int, padding: int, place: str) -> NDArray[np.generic]:  # noqa: ARG001 - see below
    """All images of a multi-frame file, shape (frame, rows, columns).

    The last file is kept: its frames are asked for one by one, and headers of thousands of frames are slow to parse.
    `changed_ns` tells versions of the file apart.
    """
    values = stored_values(source.content(), place, padding)
    return values if values.ndim == 3 else values[np.newaxis]


def _changed_ns(source: Source) -> int:
    """Return when a file's bytes were last written; those in archives name it themselves."""
    return source.path.stat().st_mtime_ns if isinstance(source, OnDisk) else 0


def _number(header: pydicom.Dataset, name: str) -> str:
    """Return a whole number of a header; "?" where it is missing or, in a damaged or odd header, text."""
    value = header.get(name)
    return str(int(value)) if isinstance(value, int) else "?"
