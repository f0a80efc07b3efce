"""Order in time of the images of a slice: told by headers, never by the names or the order of files.

Scanners state the order of offsets in several ways. The statements are tried one after the other, and the first that
tells all images of every slice apart is taken:

| statement | element |
|---|---|
| number of the offset | Temporal Position Index (or the dimension index of a frame), Temporal Position Identifier |
| place in the vibration's cycle | Trigger Time, or the trigger delay of a frame |
| moment of acquisition | Frame Acquisition DateTime, Acquisition Time |
| number of the image | Instance Number |

Where none does, the images are refused. Where a trigger time contradicts the number of the offset they are refused as
well, for either would give another wave; other contradictions are logged, since scanners may measure in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.progress import say

_SECONDS_A_DAY: Final = 86400.0
_TEMPORAL: Final = ("TemporalPositionIndex", "TemporalPositionIdentifier")

type Groups = Sequence[Sequence[Instance]]
"""Images that only time tells apart, such as those of one slice, one encoding and one kind."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One way in which headers state the order of images.

    Attributes:
        name: name of the statement in messages.
        read: function from an image to its value, of which smaller is earlier; NaN where the header does not say.
        cyclic: whether values start again at midnight.
    """

    name: str
    read: Callable[[Instance], float]
    cyclic: bool = False

    def of(self, images: Sequence[Instance]) -> list[float]:
        """Return the values of images; those of an acquisition that crosses midnight go on rising."""
        values = [self.read(one) for one in images]
        known = [value for value in values if math.isfinite(value)]
        if self.cyclic and known and max(known) - min(known) > _SECONDS_A_DAY / 2:
            values = [value + _SECONDS_A_DAY * (value < _SECONDS_A_DAY / 2) for value in values]
        return values

    def tells(self, groups: Groups) -> bool:
        """Return whether the images of every group have values of their own."""
        for images in groups:
            values = self.of(images)
            if not all(math.isfinite(value) for value in values) or len(set(values)) < len(values):
                return False
        return True

    def order(self, images: Sequence[Instance]) -> list[int]:
        """Return positions of images, the earliest first."""
        values = self.of(images)
        return sorted(range(len(images)), key=values.__getitem__)


def seconds_of_day(instance: Instance) -> float:
    """Return the time at which an image was acquired, in seconds of its day; NaN where its header does not say."""
    text = str(instance.header.get("FrameAcquisitionDateTime", "") or "")[8:]
    text = text or str(instance.header.get("AcquisitionTime", "") or "")
    try:
        return 3600.0 * int(text[:2]) + 60.0 * int(text[2:4]) + float(text[4:].split("+")[0].split("-")[0])
    except ValueError:
        return math.nan


def number_or_nan(instance: Instance, name: str) -> float:
    """Return an attribute as a finite number; NaN where it is missing or something else.

    Args:
        instance: the image.
        name: the attribute's DICOM keyword.
    """
    try:
        value = float(instance.header.get(name))
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _temporal_position(instance: Instance) -> float:
    stated = (number_or_nan(instance, name) for name in _TEMPORAL)
    return next((value for value in stated if math.isfinite(value)), math.nan)


POSITION: Final = Clock("temporal position", _temporal_position)
"""Order by temporal position."""
TRIGGER: Final = Clock("trigger time", lambda one: number_or_nan(one, "TriggerTime"))
"""Order by Trigger Time, ms."""
MOMENT: Final = Clock("acquisition time", seconds_of_day, cyclic=True)
"""Order by Acquisition Time, seconds of the day, which start again at midnight."""
NUMBER: Final = Clock("instance number", lambda one: number_or_nan(one, "InstanceNumber"))
"""Order by Instance Number."""
CLOCKS: Final = (POSITION, TRIGGER, MOMENT, NUMBER)
"""Orders in time, by precedence: the first that tells all images apart is taken (decision 0085)."""


def telling_clock(groups: Groups, where: str, *, what: str = "time offsets") -> Clock:
    """Find the statement that orders the images of every group.

    Args:
        groups: images of each slice, encoding and kind; none is empty.
        where: name of the images in errors.
        what: words for the images of a group, for errors.

    Raises:
        InputError: no statement tells the images apart, or two contradict each other where both cannot be right.
    """
    telling = [clock for clock in CLOCKS if clock.tells(groups)]
    if not telling:
        raise InputError(
            where,
            found=f"nothing that tells the order of the {what}: neither temporal position, trigger time, acquisition "
            "time nor instance number differ from image to image",
            expected="one of them to number the images of each slice",
            advice=f"The order of file names is not taken. {FULL_EXPORT}",
        )
    chosen = telling[0]
    for other in telling[1:]:
        # Where offsets are counted, images may be numbered in any order.
        unasked = chosen is POSITION and other is NUMBER
        if unasked or all(chosen.order(images) == other.order(images) for images in groups):
            continue
        if chosen is POSITION and other is TRIGGER:
            raise InputError(
                where,
                found="trigger times in another order than the temporal positions",
                expected="both to count the offsets of the vibration alike",
                advice="Export the series again from the scanner; if only one of them is right, remove the other.",
            )
        say(f"{where}: {what} ordered by {chosen.name}; by {other.name} they would follow each other otherwise")
    return chosen


def in_order(groups: Groups, where: str, *, what: str = "time offsets") -> tuple[tuple[Instance, ...], ...]:
    """Sort the images of each group by time.

    Args:
        groups: images of each slice, encoding and kind; none is empty.
        where: name of the images in errors.
        what: words for the images of a group, for errors.

    Raises:
        InputError: nothing tells their order.
    """
    clock = telling_clock(groups, where, what=what)
    return tuple(tuple(images[n] for n in clock.order(images)) for images in groups)


def demand_numbered(images: Sequence[Instance], what: str) -> None:
    """Raise InputError where two of some images have the same Instance Number, so that it does not order them.

    Args:
        images: images of one slice or series.
        what: words for the images in the error.
    """
    ordered = sorted(images, key=NUMBER.read)
    for before, after in pairwise(ordered):
        if NUMBER.read(before) == NUMBER.read(after):
            raise InputError(
                after.place,
                found=f"instance number {NUMBER.read(after):.0f} a second time among {what}",
                expected="every image once, with a number of its own that tells their order",
                advice="Remove repeated images, or export the series again with the scanner's own numbering.",
            )
