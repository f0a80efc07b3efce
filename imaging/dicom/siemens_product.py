"""Siemens MRE of product sequences: magnitude and phase apart, and no header that states frequency or directions.

Images are classic ones of a slice each, mosaics, or enhanced multi-frame (software XA); mosaics and frames are taken
apart first, and from there on their packing makes no difference. The frequency comes from the settings or a series'
description, the directions from the settings' encoding matrix: one row for each phase series in the order of Series
Number, or for each repetition of the offsets within a series. A single encoding that no matrix describes is through the
slices, as that of product sequences for the liver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.described_frequency import told_frequencies
from palpate.imaging.dicom.encoding_places import EncodedImage, encodings_within, offset_places, split_places
from palpate.imaging.dicom.encoding_scheme import direction_lps, stated_directions
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.image_table import ImageTable, Place, image_table
from palpate.imaging.dicom.magnitude_partner import demand_partner
from palpate.imaging.dicom.no_motion import demand_motion, with_noise_scans
from palpate.imaging.dicom.product_acquisition import EncodedSignal, product_acquisition
from palpate.imaging.dicom.series import Series, demand_one_scale
from palpate.imaging.dicom.siemens_comment import states_vibration
from palpate.imaging.dicom.siemens_enhanced import with_signal
from palpate.imaging.dicom.siemens_marks import MAGNITUDE, PHASE, has_mark, is_magnitude, is_raw_phase, is_siemens, kind
from palpate.imaging.dicom.siemens_mosaic import siemens_phase_rad
from palpate.imaging.dicom.siemens_tiles import mosaics_of, with_tiles
from palpate.imaging.dicom.slice_grid import SliceGrid, slice_grid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.files.nifti import same_grid
from palpate.progress import say

_FEWEST: Final = 3
"""Offsets that determine a harmonic, and directions that determine a vector."""


class SiemensProductReader:
    """Reader of every phase series with its magnitude series; see palpate.imaging.dicom.registry.VendorReader."""

    name = "Siemens product"

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether any series is raw phase of elastography and lacks the research sequence's comment."""
        return any(_is_phase(one) for one in series)

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return every acquisition, in the order of series."""
        phases = _as_acquired([one for one in series if _is_phase(one)])
        told = told_frequencies(phases, settings.frequency_hz)
        candidates = [_part(one, MAGNITUDE) for one in series if is_siemens(one) and is_magnitude(one)]
        scans = []
        for whole in phases:
            phase = _part(whole, PHASE)
            grid = slice_grid(phase.instances)
            magnitude = demand_partner(phase, grid, candidates)
            candidates.remove(magnitude)
            scans.append(_Scan(phase, magnitude, grid, told[phase.number]))
        moving = [one for one in scans if one.phase.number not in settings.no_motion_series]
        still = [one for one in scans if one.phase.number in settings.no_motion_series]
        demand_motion(moving)
        runs = [*_runs(moving, settings), *_runs(still, settings)]
        made = [_acquisition(number, run, settings) for number, run in enumerate(runs)]
        return with_noise_scans(made, settings.no_motion_series)


@dataclass(frozen=True, slots=True)
class _Scan:
    """A phase series and its magnitude, of one slice an image.

    Attributes:
        phase: phase images.
        magnitude: magnitude images, one for each phase image.
        grid: voxels of the images in the world.
        frequency_hz: f; None where neither settings nor description state it.
    """

    phase: Series
    magnitude: Series
    grid: SliceGrid
    frequency_hz: float | None

    def belongs_to(self, other: _Scan) -> bool:
        """Return whether both may be encodings of one acquisition, with equal frequency, grid and number of images."""
        return (
            self.frequency_hz == other.frequency_hz
            and len(self.phase.instances) == len(other.phase.instances)
            and self.grid.shape == other.grid.shape
            and same_grid(self.grid.affine_mm, other.grid.affine_mm, self.grid.shape)
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """Scans of one acquisition.

    Attributes:
        scans: scans of the acquisition, sorted by number.
        within: number of encodings that each scan holds and no header tells apart.
    """

    scans: Sequence[_Scan]
    within: int = 1

    @property
    def place(self) -> str:
        """Name of the run in errors."""
        return "series " + ", ".join(str(one.phase.number) for one in self.scans)


def _is_phase(series: Series) -> bool:
    return is_siemens(series) and is_raw_phase(series) and has_mark(series) and not states_vibration(series)


def _as_acquired(phases: Sequence[Series]) -> list[Series]:
    """Return the series that are not marked as derived, where there are such; else all."""
    original = [one for one in phases if "DERIVED" not in one.image_type[:1]]
    for one in phases:
        if "DERIVED" in one.image_type[:1]:
            taken = "is passed over beside original phase" if original else "is taken, as there is no original phase"
            say(f"series {one.number}: phase marked as DERIVED {taken}")
    return original or list(phases)


def _part(series: Series, wanted: str) -> Series:
    """Return the images of one kind, one slice each.

    Raises:
        InputError: headers do not say how frames or tiles lie.
    """
    whole = with_frames(series)
    chosen = Series(series.number, tuple(one for one in whole.instances if kind(one) == wanted))
    return with_tiles(chosen) if chosen.instances else chosen


def _runs(scans: Sequence[_Scan], settings: IngestSettings) -> list[_Run]:
    """Return the acquisitions that scans make up, in the order of their numbers.

    Raises:
        InputError: series of one encoding are left over.
    """
    runs: list[_Run] = []
    groups: list[list[_Scan]] = []
    for scan in scans:
        group = next((one for one in groups if scan.belongs_to(one[0])), None)
        if group is None:
            groups.append([scan])
        else:
            group.append(scan)
    for group in groups:
        runs += _runs_of(group, settings)
    return sorted(runs, key=lambda run: run.scans[0].phase.number)


def _runs_of(group: Sequence[_Scan], settings: IngestSettings) -> list[_Run]:
    """Return the acquisitions of scans of one frequency, grid and number of images."""
    first = group[0].phase.instances
    directions = len(stated_directions([image for one in group for image in one.phase.instances]))
    if any(len(stated_directions(one.phase.instances)) > 1 for one in group):
        return [_Run([one]) for one in group]
    rows = directions or (None if settings.encoding_matrix is None else len(settings.encoding_matrix))
    if not directions:
        alone = rows is not None and len(group) % rows > 0
        within = encodings_within(first, group[0].grid, rows, alone=alone)
        if within > 1:
            return [_Run([one], within) for one in group]
    wanted = rows or _FEWEST
    if len(group) < wanted:
        # Too few series are understood first, and refused for that if they are more than one or one of several.
        return [_Run(group)]
    if len(group) % wanted:
        raise InputError(
            _Run(group).place,
            found=f"{len(group)} series of one motion encoding each",
            expected=f"a multiple of {wanted}, "
            + ("the rows of encoding_matrix" if rows else "as there are directions of space"),
            advice="Give complete acquisitions only, one series for each encoding; if there are not 3, state them all "
            "in encoding_matrix in the ingest settings.",
        )
    return [_Run(group[start : start + wanted]) for start in range(0, len(group), wanted)]


def _acquisition(number: int, run: _Run, settings: IngestSettings) -> PhaseAcquisition:
    """Return the acquisition of one run."""
    first = run.scans[0]
    grid, where = first.grid, run.place
    phases = image_table(_places(run, [one.phase for one in run.scans], where), grid, f"{where}, phase")
    magnitudes = image_table(_places(run, [one.magnitude for one in run.scans], where), grid, f"{where}, magnitude")
    _demand_offsets(phases, magnitudes, where)
    demand_one_scale(phases.every())
    phase_rad = phases.values(siemens_phase_rad)
    for mosaic in mosaics_of(magnitudes.every()):
        mosaic.layout.demand_empty_beyond(mosaic.instance)
    signal = EncodedSignal(
        where=where,
        number=number,
        grid=grid,
        phase_rad=phase_rad,
        magnitude=magnitudes.values(with_signal),
        encodings=[offsets[0][0] for offsets in phases.images],
        frequency_hz=first.frequency_hz,
        slice_time_s=_slice_time_s(phases),
    )
    facts: dict[str, object] = {
        "reader": SiemensProductReader.name,
        "series_numbers_phase": [one.phase.number for one in run.scans],
        "series_numbers_magnitude": [one.magnitude.number for one in run.scans],
    }
    return product_acquisition(signal, first.phase, settings, facts)


def _places(run: _Run, series: Sequence[Series], where: str) -> list[Place]:
    """Return the images of one kind with their encodings and time offsets.

    Raises:
        InputError: nothing tells them apart.
    """
    grid = run.scans[0].grid
    if run.within > 1:
        return split_places(series[0].instances, grid, run.within, where)
    directions = stated_directions([one for scan in run.scans for one in scan.phase.instances])
    images = []
    for position, one in enumerate(series):
        for instance in one.instances:
            stated = direction_lps(instance)
            encoding = position if stated is None else directions.index(stated) if stated in directions else -1
            images.append(EncodedImage(instance, encoding))
    return offset_places(images, grid, where)


def _demand_offsets(phases: ImageTable, magnitudes: ImageTable, where: str) -> None:
    """Raise InputError where there are too few offsets for a harmonic, or of one kind more than of the other."""
    if phases.shape[1] < _FEWEST:
        raise InputError(
            where,
            found=f"{phases.shape[1]} time offsets",
            expected=f"at least {_FEWEST}, to tell a vibration from a constant",
            advice=FULL_EXPORT,
        )
    if phases.shape != magnitudes.shape:
        raise InputError(
            where,
            found=f"{phases.shape[0]} encodings x {phases.shape[1]} offsets of phase and {magnitudes.shape[0]} x "
            f"{magnitudes.shape[1]} of magnitude",
            expected="as many of one as of the other",
            advice=FULL_EXPORT,
        )


def _slice_time_s(phases: ImageTable) -> NDArray[np.float64] | None:
    """Return when each slice was acquired, shape (k,); None where headers do not say."""
    mosaics = mosaics_of(phases.every())
    if not mosaics:
        return phases.slice_time_s()
    images: list[Instance] = [one.instance for one in mosaics]
    return mosaics[0].layout.slice_times_s(images)
