"""Siemens MRE with one slice a frame or a classic image, and the mosaic's comment in each phase frame.

Magnitude and phase are separate series, as with mosaics. Magnitude frames need no comment: of the frames that show one
slice, the earliest of the magnitude belongs to the earliest of the phase, and so on (palpate.imaging.dicom.time_order).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.acquired import acquired_matrix, say_interpolated, slice_thickness_mm
from palpate.imaging.dicom.encoding import encoding_axes
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.image_table import ImageTable, Place, image_table
from palpate.imaging.dicom.magnitude_partner import demand_partner
from palpate.imaging.dicom.no_motion import with_noise_scans
from palpate.imaging.dicom.series import Series, demand_one_scale
from palpate.imaging.dicom.siemens_comment import EncodingComment, parse_comment, states_vibration
from palpate.imaging.dicom.siemens_marks import MAGNITUDE, is_magnitude, is_raw_phase, is_siemens, kind
from palpate.imaging.dicom.siemens_mosaic import siemens_phase_rad
from palpate.imaging.dicom.siemens_tiles import single_slices
from palpate.imaging.dicom.slice_grid import SliceGrid, slice_grid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.dicom.time_order import telling_clock


class SiemensEnhancedReader:
    """Reader of every pair of a phase and a magnitude series; see palpate.imaging.dicom.registry.VendorReader."""

    name = "Siemens enhanced"

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether any series has Siemens frames with an MRE comment."""
        return any(_is_phase(one) for one in series)

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return every acquisition, in the order of series and, within a series, of frequency."""
        magnitudes = [with_frames(one) for one in series if _is_siemens(one) and not _is_phase(one)]
        acquisitions: list[PhaseAcquisition] = []
        for run, phase in enumerate(with_frames(one) for one in series if _is_phase(one)):
            grid = slice_grid(phase.instances)
            magnitude = demand_partner(phase, grid, [one for one in magnitudes if _is_magnitude(one)])
            magnitudes.remove(magnitude)
            acquisitions += _read_pair(run, phase, magnitude, grid)
        # Everything else that settings could say is in the sequence's comments.
        return with_noise_scans(acquisitions, settings.no_motion_series)


def _is_siemens(series: Series) -> bool:
    return is_siemens(series) and single_slices(series)


def _is_phase(series: Series) -> bool:
    only_magnitude = is_magnitude(series) and not is_raw_phase(series)
    return _is_siemens(series) and states_vibration(series) and not only_magnitude


def _is_magnitude(series: Series) -> bool:
    return all(kind(one) == MAGNITUDE for one in series.instances)


def _read_pair(run: int, phase: Series, magnitude: Series, grid: SliceGrid) -> list[PhaseAcquisition]:
    """Return the acquisitions, one for each frequency, of a phase series and its magnitude series."""
    comments = [parse_comment(one) for one in phase.instances]
    demand_one_scale(phase.instances)
    partners = _paired(phase.instances, magnitude.instances, grid)
    acquired = acquired_matrix(phase.instances[0], *grid.shape[:2])
    say_interpolated(f"series {phase.number}", acquired, *grid.shape[:2])
    acquisitions = []
    for index in sorted({comment.frequency_index for comment in comments}):
        chosen = [n for n, comment in enumerate(comments) if comment.frequency_index == index]
        by_direction = _directions(phase, comments, chosen)
        phases, signals = (
            image_table(
                [
                    Place(images[n], sorted(by_direction).index(comments[n].direction), comments[n].offset)
                    for n in chosen
                ],
                grid,
                f"series {number}",
            )
            for images, number in ((phase.instances, phase.number), (partners, magnitude.number))
        )
        _demand_offsets(phases, phase)
        first = phases.images[0][0][0]
        stated = comments[chosen[0]]
        acquisitions.append(
            PhaseAcquisition(
                phase_rad=phases.values(siemens_phase_rad),
                magnitude=signals.values(with_signal),
                affine_mm=grid.affine_mm,
                frequency_hz=stated.frequency_hz,
                encoding_axes=encoding_axes([by_direction[one] for one in sorted(by_direction)], first),
                slice_time_s=phases.slice_time_s(),
                menc_um_per_rad=stated.menc_um_per_rad,
                run=run,
                slice_thickness_mm=slice_thickness_mm(first),
                acquired_matrix=acquired,
                facts={
                    "reader": SiemensEnhancedReader.name,
                    "series_number_phase": phase.number,
                    "series_number_magnitude": magnitude.number,
                    "acquisition": phase.technical_facts(),
                    "dicom": phase.references(),
                },
            )
        )
    return acquisitions


def _paired(phases: Sequence[Instance], magnitudes: Sequence[Instance], grid: SliceGrid) -> list[Instance]:
    """Return for each phase frame the magnitude frame of the same slice that has the same place in time.

    Raises:
        InputError: a slice has more frames of one kind than of the other, or nothing tells its frames apart.
    """
    ours, theirs = grid.by_slice(phases), grid.by_slice(magnitudes)
    for of_phase, of_magnitude in zip(ours, theirs, strict=True):
        if len(of_phase) > len(of_magnitude):
            raise InputError(
                of_phase[len(of_magnitude)].place,
                found="no magnitude frame to it",
                expected="one for every phase frame",
                advice=FULL_EXPORT,
            )
    clock = telling_clock([*ours, *theirs], phases[0].place, what="frames of a slice")
    partners: dict[int, Instance] = {}
    for of_phase, of_magnitude in zip(ours, theirs, strict=True):
        for first, second in zip(clock.order(of_phase), clock.order(of_magnitude), strict=True):
            partners[id(of_phase[first])] = of_magnitude[second]
    return [partners[id(one)] for one in phases]


def _directions(
    phase: Series, comments: Sequence[EncodingComment], chosen: Sequence[int]
) -> Mapping[int, EncodingComment]:
    """Return the three directions of one frequency, each by a comment of its own.

    Raises:
        InputError: there are not three, or frequency, encoding or an axis changes from frame to frame.
    """
    found: dict[int, EncodingComment] = {}
    first = comments[chosen[0]]
    for n in chosen:
        comment = comments[n]
        reference = found.setdefault(comment.direction, comment)
        axes_differ = (comment.azimuth_deg, comment.polar_deg) != (reference.azimuth_deg, reference.polar_deg)
        facts_differ = (comment.frequency_hz, comment.menc_um_per_rad) != (first.frequency_hz, first.menc_um_per_rad)
        if axes_differ or facts_differ:
            raise InputError(
                phase.instances[n].place,
                found="another encoding axis within its direction" if axes_differ else "another frequency or encoding",
                expected="what the frames before it state",
                advice=FULL_EXPORT,
            )
    if len(found) != 3:
        raise InputError(
            f"series {phase.number}",
            found=f"{len(found)} encoding directions",
            expected="3 directions",
            advice=FULL_EXPORT,
        )
    return found


def _demand_offsets(table: ImageTable, phase: Series) -> None:
    if table.shape[1] < 3:
        raise InputError(
            f"series {phase.number}",
            found=f"{table.shape[1]} time offsets",
            expected="at least 3",
            advice=FULL_EXPORT,
        )


def with_signal(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the stored magnitude unchanged; raise InputError where no pixel has signal."""
    if not stored.any():
        raise InputError(
            instance.place, found="no signal", expected="a magnitude image of the slice", advice=FULL_EXPORT
        )
    return stored
