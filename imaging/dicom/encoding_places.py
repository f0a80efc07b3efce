"""Encoding and time offset that an image shows, where its header states neither frequency nor direction.

A series of one encoding has its offsets in the order that headers state (palpate.imaging.dicom.time_order). A series of
several encodings repeats its temporal positions or trigger times for each of them; where it does not, its images are
taken encoding by encoding in the order of time, and the log says so. Later code checks whether offsets then fill one
period.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.image_table import Place
from palpate.imaging.dicom.slice_grid import SliceGrid
from palpate.imaging.dicom.time_order import POSITION, TRIGGER, Clock, number_or_nan, telling_clock
from palpate.progress import say

_FEWEST_OFFSETS: Final = 3


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """Image and the index of the motion encoding of its acquisition that it shows."""

    instance: Instance
    encoding: int


def offset_places(images: Sequence[EncodedImage], grid: SliceGrid, where: str) -> list[Place]:
    """Return images with their time offsets, which are counted or follow the order that headers state (time_order).

    Args:
        images: images of one kind, such as phase, with their encodings.
        grid: grid on which they lie.
        where: name of the images in errors.

    Raises:
        InputError: nothing but the order of files tells the offsets of a slice apart.
    """
    groups: dict[tuple[int, int], list[Instance]] = {}
    for one in images:
        groups.setdefault((one.encoding, grid.index_of(one.instance)), []).append(one.instance)
    positions = [POSITION.read(one.instance) for one in images]
    counted = all(math.isfinite(one) for one in positions) and len(set(positions)) > 1
    # Asked even where positions decide: statements that contradict each other are refused.
    asked = not counted or POSITION.tells(list(groups.values()))
    clock = telling_clock(list(groups.values()), where) if asked else POSITION
    if counted or clock is POSITION:
        # Numbers as stated: then a missing or doubled offset is found.
        return [Place(one.instance, one.encoding, int(POSITION.read(one.instance)) - 1) for one in images]
    return [
        Place(of_slice[number], encoding, offset)
        for (encoding, _), of_slice in groups.items()
        for offset, number in enumerate(clock.order(of_slice))
    ]


def split_places(instances: Sequence[Instance], grid: SliceGrid, encodings: int, where: str) -> list[Place]:
    """Return the images of one series with encoding and time offset, where it holds several encodings.

    Args:
        instances: images of one kind, such as phase; for each slice a multiple of the number of encodings.
        grid: grid on which they lie.
        encodings: number of encodings.
        where: name of the series in errors.

    Raises:
        InputError: nothing but the order of files tells the images of a slice apart.
    """
    slices = grid.by_slice(instances)
    repeated = _repeated_clock(slices)
    if repeated is None:
        clock = telling_clock(slices, where, what="images of a slice")
        offsets = _usual_count(slices) // encodings
        say(f"{where}: {encodings} encodings of {offsets} offsets, one after the other by {clock.name}")
        return [
            Place(images[number], *divmod(rank, offsets))
            for images in slices
            for rank, number in enumerate(clock.order(images))
        ]
    groups = []
    for images in slices:
        values = repeated.of(images)
        ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
        groups += [
            (rank, [one for one, own in zip(images, values, strict=True) if own == value])
            for value, rank in ranks.items()
        ]
    clock = telling_clock([images for _, images in groups], where, what="encodings of a time offset")
    return [
        Place(images[number], encoding, offset)
        for offset, images in groups
        for encoding, number in enumerate(clock.order(images))
    ]


def encodings_within(instances: Sequence[Instance], grid: SliceGrid, stated: int | None, *, alone: bool) -> int:
    """Return how many encodings each series of an acquisition holds.

    Args:
        instances: images of one kind, of one series.
        grid: grid on which they lie.
        stated: number of rows of the encoding matrix; None where there is none.
        alone: whether there are too few series for one encoding each.
    """
    slices = grid.by_slice(instances)
    count = _usual_count(slices)
    offsets = _repeated_offsets(slices, count)
    if offsets is not None and stated in (None, count // offsets):
        return count // offsets
    if alone and stated is not None and count % stated == 0 and count // stated >= _FEWEST_OFFSETS:
        return stated
    return 1


def _repeated_clock(slices: Sequence[Sequence[Instance]]) -> Clock | None:
    """Return the statement that counts offsets from their beginning for each encoding; None where there is none."""
    for clock in (POSITION, TRIGGER):
        counts = {_repeats(clock.of(images)) for images in slices}
        if len(counts) == 1 and (counts.pop() or (0, 0))[1] > 1:
            return clock
    return None


def _repeats(values: Sequence[float]) -> tuple[int, int] | None:
    """Return how many different values there are and how often each comes; None where one comes more often."""
    counts = Counter(values)
    times = set(counts.values())
    if not all(math.isfinite(value) for value in values) or len(times) != 1 or len(counts) < _FEWEST_OFFSETS:
        return None
    return len(counts), times.pop()


def _usual_count(slices: Sequence[Sequence[Instance]]) -> int:
    """Return how many images most slices have, so that one that lacks an image is found."""
    return Counter(len(images) for images in slices).most_common(1)[0][0]


def _repeated_offsets(slices: Sequence[Sequence[Instance]], count: int) -> int | None:
    """Return the number of offsets that headers state, where a slice has several times as many images."""
    clock = _repeated_clock(slices)
    if clock is not None:
        return len(set(clock.of(slices[0])))
    stated = {number_or_nan(one, "NumberOfTemporalPositions") for images in slices for one in images}
    number = stated.pop() if len(stated) == 1 else math.nan
    is_part = _FEWEST_OFFSETS <= number < count and count % number == 0
    return int(number) if is_part else None
