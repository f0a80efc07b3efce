"""Philips MRE: one file an image or enhanced multi-frame, all encodings in one series or each in a scan of its own.

A scan holds a block of magnitude images, then a block of phase images (or real and imaginary ones), each of all slices
and all dynamics. Nothing relies on that order: every image says what it is (palpate.imaging.dicom.philips_header).

Acquisitions are found as follows. A series whose images state several directions of encoding holds all of them, and so
does one that repeats its time offsets. Series of one encoding each are taken in the order of their numbers, as many as
there are encodings. A series may hold several frequencies; each is an acquisition. Magnitude may be a series apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom import philips_header as header
from palpate.imaging.dicom.described_frequency import told_frequencies
from palpate.imaging.dicom.encoding_places import EncodedImage, encodings_within, offset_places, split_places
from palpate.imaging.dicom.encoding_scheme import direction_lps, stated_directions
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.image_table import ImageTable, Place, image_table
from palpate.imaging.dicom.magnitude_partner import magnitude_partner
from palpate.imaging.dicom.no_motion import with_noise_scans
from palpate.imaging.dicom.philips_scans import elastography
from palpate.imaging.dicom.product_acquisition import EncodedSignal, product_acquisition
from palpate.imaging.dicom.series import Series, rescaling
from palpate.imaging.dicom.siemens_comment import states_vibration
from palpate.imaging.dicom.slice_grid import SliceGrid, slice_grid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT

_FREQUENCY_DIGITS: Final = 6
_FEWEST_DIRECTIONS: Final = 3
_WHOLE: Final = frozenset((header.MAGNITUDE, header.REAL))
"""Kinds of which every scan has one, beside phase or imaginary part."""
_NAMES: Final = {
    header.PHASE: "phase",
    header.MAGNITUDE: "magnitude",
    header.REAL: "real",
    header.IMAGINARY: "imaginary",
}


@dataclass(frozen=True, slots=True)
class _Image:
    """An image, its kind, and which encoding of its acquisition it shows."""

    instance: Instance
    kind: str
    encoding: int


class PhilipsReader:
    """Reader of classic and enhanced images alike; see palpate.imaging.dicom.registry.VendorReader."""

    name = "Philips"

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether any series is of Philips and may be elastography."""
        return bool(elastography(series))

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return every acquisition, in the order of series and, within a series, of frequency."""
        found = elastography(series)
        scans = _with_magnitudes([with_frames(one) for one in found], [one for one in series if one not in found])
        uncommented = [one for one in scans if not states_vibration(one)]
        told = told_frequencies(uncommented, settings.frequency_hz)
        acquisitions: list[PhaseAcquisition] = []
        still = [one for one in scans if one.number in settings.no_motion_series]
        moving = [one for one in scans if one not in still]
        for run, members in enumerate([*_runs(moving, settings), *_runs(still, settings)]):
            acquisitions += _read_run(run, members, told, settings)
        return with_noise_scans(acquisitions, settings.no_motion_series)


@dataclass(frozen=True, slots=True)
class _Run:
    """Series that make up one acquisition, or one of each frequency.

    Attributes:
        members: series of the run, sorted by number.
        within: number of encodings that each series holds and no header tells apart.
    """

    members: Sequence[Series]
    within: int = 1


def _with_magnitudes(scans: Sequence[Series], others: Sequence[Series]) -> list[Series]:
    """Return scans with the images of a magnitude series of its own, where they hold none themselves."""
    lacking = [one for one in scans if {header.kind(image) for image in one.instances} & _WHOLE == set()]
    if not lacking:
        return list(scans)
    candidates = [with_frames(one) for one in others if header.is_philips(one.header)]
    candidates = [one for one in candidates if {header.kind(image) for image in one.instances} == {header.MAGNITUDE}]
    made = []
    for scan in scans:
        phase = _of_kind(scan, header.PHASE)
        partner = None
        if scan in lacking and phase.instances:
            partner = magnitude_partner(phase, slice_grid(phase.instances), candidates)
        if partner is None:
            made.append(scan)
        else:
            candidates.remove(partner)
            made.append(Series(scan.number, (*scan.instances, *partner.instances)))
    return made


def _of_kind(series: Series, kind: str) -> Series:
    return Series(series.number, tuple(one for one in series.instances if header.kind(one) == kind))


def _runs(scans: Sequence[Series], settings: IngestSettings) -> list[_Run]:
    """Return the runs in the order of their series' numbers.

    Raises:
        InputError: series of one encoding are left over.
    """
    within = _within(scans, settings)
    single = [one for one in scans if len(_directions([one])) < 2 and within[one.number] == 1]
    wanted = len(_directions(single) or settings.encoding_matrix or range(3))
    if len(single) < _FEWEST_DIRECTIONS:
        # Too few series are understood first, and refused for that if they are more than one or one of several.
        wanted = max(1, min(wanted, len(single)))
    if len(single) % wanted:
        raise InputError(
            ", ".join(f"series {one.number}" for one in single),
            found=f"{len(single)} series of one motion encoding each",
            expected=f"{wanted} for every acquisition",
            advice="Give the scans of all encodings; if there are not 3, state them all in encoding_matrix.",
        )
    runs = [_Run(single[start : start + wanted]) for start in range(0, len(single), wanted)]
    runs += [_Run([one], within[one.number]) for one in scans if one not in single]
    return sorted(runs, key=lambda run: run.members[0].number)


def _within(scans: Sequence[Series], settings: IngestSettings) -> dict[int, int]:
    """Return how many encodings each series holds that no header tells apart, by its number."""
    unsaid = [one for one in scans if not _directions([one])]
    rows = None if settings.encoding_matrix is None else len(settings.encoding_matrix)
    alone = rows is not None and len(unsaid) % rows > 0
    found = {one.number: 1 for one in scans}
    for one in unsaid:
        kind = header.REAL if not _of_kind(one, header.PHASE).instances else header.PHASE
        images = _of_kind(one, kind).instances
        if images:
            found[one.number] = encodings_within(images, slice_grid(images), rows, alone=alone)
    return found


def _directions(members: Sequence[Series]) -> list[tuple[float, ...]]:
    """Return the different directions of encoding that phase images state."""
    return stated_directions([one for series in members for one in series.instances if _is_signal(one)])


def _is_signal(instance: Instance) -> bool:
    return header.kind(instance) is not None


def _read_run(
    number: int, run: _Run, told: Mapping[int, float | None], settings: IngestSettings
) -> list[PhaseAcquisition]:
    """Return the acquisitions, one for each frequency, of the series of one run."""
    directions = _directions(run.members)
    images: dict[float | None, list[_Image]] = {}
    for position, series in enumerate(run.members):
        for instance in filter(_is_signal, series.instances):
            direction = direction_lps(instance)
            if (direction is None) != (not directions):
                raise InputError(
                    instance.place,
                    found="no direction of the motion encoding" if direction is None else "a direction of encoding",
                    expected="all images of an acquisition to state it, or none",
                    advice=FULL_EXPORT,
                )
            encoding = position if direction is None else directions.index(direction)
            frequency_hz = header.frequency_hz(instance, told.get(series.number, settings.frequency_hz))
            if frequency_hz is not None:
                frequency_hz = round(frequency_hz, _FREQUENCY_DIGITS)
            images.setdefault(frequency_hz, []).append(_Image(instance, str(header.kind(instance)), encoding))
    ordered = sorted(images, key=lambda hz: (hz is None, hz or 0.0))
    return [_acquisition(number, run, hz, images[hz], settings) for hz in ordered]


def _acquisition(
    number: int, run: _Run, frequency_hz: float | None, images: Sequence[_Image], settings: IngestSettings
) -> PhaseAcquisition:
    """Return one frequency of one run."""
    members = run.members
    where = ", ".join(f"series {one.number}" for one in members)
    grid = slice_grid([one.instance for one in images])
    _demand_slices(images[0].instance, grid)
    of_kind = {kind: [one for one in images if one.kind == kind] for kind in _NAMES}
    tables = {
        kind: image_table(_places(run, own, grid, where), grid, f"{where}, {_NAMES[kind]}")
        for kind, own in of_kind.items()
        if own
    }
    phase_rad, magnitude = _signal(tables, where)
    slopes = tables[header.PHASE].numbers(lambda one: rescaling(one)[0]) if header.PHASE in tables else None
    first = next(iter(tables.values()))
    _demand_offsets(first, where)
    signal = EncodedSignal(
        where=where,
        number=number,
        grid=grid,
        phase_rad=phase_rad,
        magnitude=magnitude,
        encodings=[offsets[0][0] for offsets in first.images],
        frequency_hz=frequency_hz,
        slice_time_s=first.slice_time_s(),
        menc_um_per_rad=_menc(images),
        slopes=slopes,
    )
    facts: dict[str, object] = {
        "reader": PhilipsReader.name,
        "series_numbers": sorted({*(one.number for one in members), *_numbers(images)}),
    }
    return product_acquisition(signal, members[0], settings, facts)


def _numbers(images: Sequence[_Image]) -> set[int]:
    return {int(one.instance.header.SeriesNumber) for one in images}


def _places(run: _Run, images: Sequence[_Image], grid: SliceGrid, where: str) -> list[Place]:
    """Return images of one kind with their encodings and time offsets."""
    if run.within > 1:
        return split_places([one.instance for one in images], grid, run.within, where)
    return offset_places([EncodedImage(one.instance, one.encoding) for one in images], grid, where)


def _signal(tables: Mapping[str, ImageTable], where: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phase (rad) and magnitude from the two blocks of a scan, shape (encoding, offset, i, j, k) each.

    Raises:
        InputError: a block is absent or smaller than the other.
    """
    is_complex = header.REAL in tables and header.PHASE not in tables
    pair = (header.REAL, header.IMAGINARY) if is_complex else (header.PHASE, header.MAGNITUDE)
    for kind in pair:
        if kind not in tables:
            raise InputError(
                where,
                found=f"no {_NAMES[kind]} images",
                expected="magnitude and phase, or real and imaginary images of every scan",
                advice=FULL_EXPORT,
            )
    first, second = tables[pair[0]], tables[pair[1]]
    _demand_one_scale([*first.every(), *second.every()] if is_complex else second.every(), where)
    if first.shape != second.shape:
        raise InputError(
            where,
            found=f"{_spoken(first)} of {_NAMES[pair[0]]} and {_spoken(second)} of {_NAMES[pair[1]]} images",
            expected="as many of one as of the other",
            advice=FULL_EXPORT,
        )
    if not is_complex:
        return first.values(header.phase_rad), second.values(_magnitude)
    signal = first.values(header.true_value) + 1j * second.values(header.true_value)
    return np.angle(signal), np.abs(signal)


def _demand_one_scale(images: Sequence[Instance], where: str) -> None:
    """Raise InputError where some images state a scale slope and others do not: their values have no common scale."""
    if len({header.has_scale_slope(one) for one in images}) > 1:
        raise InputError(
            where,
            found="a scale slope, (2005,100E), in some images only",
            expected="it in all images of a scan, or in none",
            advice=FULL_EXPORT,
        )


def _magnitude(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnitude after its image's own rescaling, with signal somewhere."""
    if not stored.any():
        raise InputError(
            instance.place, found="no signal", expected="a magnitude image of the slice", advice=FULL_EXPORT
        )
    return header.true_value(instance, stored) if "RescaleSlope" in instance.header else stored


def _menc(images: Sequence[_Image]) -> float | None:
    """Return the motion encoding that all images state alike; None where none does.

    Raises:
        InputError: images state different ones.
    """
    stated = {header.menc_um_per_rad(one.instance): one.instance for one in images if one.kind != header.MAGNITUDE}
    if len(stated) > 1:
        raise InputError(
            list(stated.values())[1].place,
            found="another motion encoding than in other images",
            expected="one for the whole acquisition",
            advice="Give each acquisition as scans of its own.",
        )
    return next(iter(stated))


def _demand_slices(instance: Instance, grid: SliceGrid) -> None:
    """Raise InputError where slices are missing at an end of the stack, which no gap would show."""
    stated = header.stated_slices(instance)
    if stated is not None and stated != grid.shape[2]:
        raise InputError(
            instance.place,
            found=f"{grid.shape[2]} slices",
            expected=f"{stated} as (2001,1018) says",
            advice=FULL_EXPORT,
        )


def _demand_offsets(table: ImageTable, where: str) -> None:
    """Raise InputError where there are too few offsets for a harmonic, or fewer than the header counts."""
    encodings, offsets = table.shape
    # Some counts run over the encodings of a scan as well.
    stated = header.stated_offsets(table.images[0][0][0])
    if offsets < 3 or any(number not in (offsets, offsets * encodings) for number in stated):
        raise InputError(
            where,
            found=f"{offsets} time offsets",
            expected=f"{stated[0]} as the header counts" if stated else "at least 3",
            advice=FULL_EXPORT,
        )


def _spoken(table: ImageTable) -> str:
    return f"{table.shape[0]} encodings x {table.shape[1]} offsets"
