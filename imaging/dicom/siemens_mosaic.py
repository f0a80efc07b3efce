"""Siemens MRE as echo-planar mosaics: magnitude and phase in separate series, vibration facts in ImageComments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.acquired import acquired_matrix, say_interpolated, slice_thickness_mm
from palpate.imaging.dicom.encoding import encoding_axes
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.no_motion import with_noise_scans
from palpate.imaging.dicom.series import Series, demand_one_scale, rescaling, texts
from palpate.imaging.dicom.siemens_comment import EncodingComment, has_comment, parse_comment
from palpate.imaging.dicom.siemens_layout import MosaicLayout, common_layout, mosaic_layout
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.dicom.time_order import MOMENT, NUMBER

_PHASE_LIMIT: Final = 4096.0
"""Rescaled phase that means pi."""
_PI_MRAD: Final = 3142.0
"""Pi where Rescale Type says milliradians, to the whole number that writers clip at."""


class SiemensMosaicReader:
    """Reader of every pair of a phase and a magnitude series; see palpate.imaging.dicom.registry.VendorReader."""

    name = "Siemens mosaic"

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether any series is a Siemens phase mosaic with an MRE comment."""
        return any(_is_phase(part) for one in series for part in _by_kind(one))

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return every acquisition, in the order of series and, within a series, of frequency."""
        series = [part for one in series for part in _by_kind(one)]
        used: list[Series] = []
        acquisitions: list[PhaseAcquisition] = []
        for run, phase in enumerate(one for one in series if _is_phase(one)):
            # By the series themselves: a protocol that was scanned again may come under the same numbers.
            candidates = [one for one in series if not any(one is other for other in used)]
            magnitude = _partner(phase, candidates)
            used += [phase, magnitude]
            acquisitions += _read_pair(run, phase, _paired(phase, magnitude))
        # Everything else that settings could say is in the sequence's comments.
        return with_noise_scans(acquisitions, settings.no_motion_series)


def _is_mosaic(series: Series) -> bool:
    return "SIEMENS" in str(series.header.get("Manufacturer", "")).upper() and "MOSAIC" in series.image_type


def _is_phase(series: Series) -> bool:
    return _is_mosaic(series) and "P" in series.image_type and any(has_comment(one) for one in series.instances)


def _by_kind(series: Series) -> list[Series]:
    """Return phase and magnitude apart where an archive put both into one series; else the series as it is."""
    if not _is_mosaic(series):
        return [series]
    phases = tuple(one for one in series.instances if "P" in texts(one.header, "ImageType"))
    others = tuple(one for one in series.instances if "P" not in texts(one.header, "ImageType"))
    return [Series(series.number, part) for part in (phases, others) if part]


def _partner(phase: Series, candidates: Sequence[Series]) -> Series:
    """Return the magnitude series of a phase series: the one on the same grid with the nearest number."""
    place = np.round(mosaic_layout(phase.instances[0]).affine_mm, 3)
    matching = [
        one
        for one in candidates
        if _is_mosaic(one)
        and "M" in one.image_type
        and np.array_equal(np.round(mosaic_layout(one.instances[0]).affine_mm, 3), place)
    ]
    # Scanners number the magnitude of a pair first, so of two equally near the one before is the partner.
    # A protocol that was scanned again may have the same numbers, but not the same moments.
    matching.sort(
        key=lambda one: (abs(one.number - phase.number), one.number > phase.number, not _same_moments(phase, one))
    )
    if not matching:
        raise InputError(
            f"series {phase.number}",
            found="phase images without magnitude images on the same grid",
            expected="the magnitude series of the same acquisition",
            advice=FULL_EXPORT,
        )
    return matching[0]


def _same_moments(phase: Series, magnitude: Series) -> bool:
    pair = (phase.instances, magnitude.instances)
    return MOMENT.tells(pair) and set(MOMENT.of(phase.instances)) == set(MOMENT.of(magnitude.instances))


def _paired(phase: Series, magnitude: Series) -> Series:
    """Return the magnitude series with its images in the order of the phase images that they belong to.

    Raises:
        InputError: one of either has no partner, or nothing but the order of files says which belong together.
    """
    for clock in (NUMBER, MOMENT):
        pair = (phase.instances, magnitude.instances)
        if not clock.tells(pair):
            continue
        ours, theirs = (clock.of(images) for images in pair)
        if set(ours) == set(theirs):
            by_value = dict(zip(theirs, magnitude.instances, strict=True))
            return Series(magnitude.number, tuple(by_value[value] for value in ours))
        if clock is NUMBER:
            lacking = sorted({int(n) for n in ours} ^ {int(n) for n in theirs})
            raise InputError(
                f"series {phase.number} and {magnitude.number}",
                found=f"{len(ours)} phase and {len(theirs)} magnitude images (unpaired instances: "
                f"{', '.join(str(n) for n in lacking[:5])})",
                expected="one magnitude image for every phase image",
                advice=FULL_EXPORT,
            )
    raise InputError(
        f"series {phase.number} and {magnitude.number}",
        found="nothing that tells which magnitude image belongs to which phase image: instance numbers and "
        "acquisition times repeat or differ",
        expected="the same numbers, or times, in both series, each once",
        advice=FULL_EXPORT,
    )


def _read_pair(run: int, phase: Series, magnitude: Series) -> list[PhaseAcquisition]:
    """Return the acquisitions, one for each frequency, of a phase series and its magnitude series."""
    comments = [parse_comment(one) for one in phase.instances]
    demand_one_scale(phase.instances)
    layout = common_layout((*phase.instances, *magnitude.instances))
    acquired = acquired_matrix(phase.instances[0], *layout.tile_shape)
    say_interpolated(f"series {phase.number}", acquired, *layout.tile_shape)
    acquisitions = []
    for index in sorted({comment.frequency_index for comment in comments}):
        chosen = [number for number, comment in enumerate(comments) if comment.frequency_index == index]
        table = _order(phase, comments, chosen)
        images = [[phase.instances[n] for n in row] for row in table]
        phases = np.array([[siemens_phase_rad(one, layout.volume(one)) for one in row] for row in images])
        magnitudes = np.array([[_signal(magnitude.instances[n], layout) for n in row] for row in table])
        first = images[0][0]
        acquisitions.append(
            PhaseAcquisition(
                phase_rad=phases,
                magnitude=magnitudes,
                affine_mm=layout.affine_mm,
                frequency_hz=comments[chosen[0]].frequency_hz,
                encoding_axes=encoding_axes([comments[row[0]] for row in table], first),
                slice_time_s=layout.slice_times_s([one for row in images for one in row]),
                menc_um_per_rad=comments[chosen[0]].menc_um_per_rad,
                run=run,
                facts=_facts(phase, magnitude),
                slice_thickness_mm=slice_thickness_mm(first),
                acquired_matrix=acquired,
            )
        )
    return acquisitions


def _order(phase: Series, comments: Sequence[EncodingComment], chosen: Sequence[int]) -> list[list[int]]:
    """Return positions in the series as a table direction x offset, complete and without doubles.

    Raises:
        InputError: a direction or offset is missing or appears twice, or frequency or encoding change between them.
    """
    where = f"series {phase.number}"
    cells: dict[tuple[int, int], int] = {}
    for number in chosen:
        comment, instance = comments[number], phase.instances[number]
        reference = comments[chosen[0]]
        if comment.frequency_hz != reference.frequency_hz or comment.menc_um_per_rad != reference.menc_um_per_rad:
            raise InputError(
                instance.place,
                found=f"another frequency or motion encoding ({comment.frequency_hz:g} Hz) than in the images before",
                expected=f"{reference.frequency_hz:g} Hz throughout frequency index {comment.frequency_index}",
                advice="Give each acquisition as a series of its own.",
            )
        if (comment.direction, comment.offset) in cells:
            raise InputError(
                instance.place,
                found=f"direction {comment.direction}, offset {comment.offset} a second time",
                expected="every direction and offset once",
                advice="Remove the repeated images.",
            )
        cells[comment.direction, comment.offset] = number
    directions = sorted({direction for direction, _ in cells})
    # A damaged offset may be any number; of more offsets than images some are missing anyway.
    offsets = range(min(max(offset for _, offset in cells), len(cells)) + 1)
    if len(directions) != 3 or len(offsets) < 3:
        raise InputError(
            where,
            found=f"{len(directions)} encoding directions and {len(offsets)} offsets",
            expected="3 directions and at least 3 offsets",
            advice=FULL_EXPORT,
        )
    missing = [(d, t) for d in directions for t in offsets if (d, t) not in cells]
    if missing:
        direction, offset = missing[0]
        raise InputError(
            where,
            found=f"no image of direction {direction}, offset {offset} ({len(missing)} missing in all)",
            expected=f"all {len(offsets)} offsets of 3 directions",
            advice=FULL_EXPORT,
        )
    _demand_one_axis(phase, comments, chosen)
    return [[cells[direction, offset] for offset in offsets] for direction in directions]


def _demand_one_axis(phase: Series, comments: Sequence[EncodingComment], chosen: Sequence[int]) -> None:
    """Raise InputError where the encoding axis changes within a direction."""
    angles: dict[int, tuple[float, float]] = {}
    for number in chosen:
        comment = comments[number]
        stated = (comment.azimuth_deg, comment.polar_deg)
        if angles.setdefault(comment.direction, stated) != stated:
            raise InputError(
                phase.instances[number].place,
                found=f"another encoding axis within direction {comment.direction}",
                expected="one axis for all offsets of a direction",
                advice=FULL_EXPORT,
            )


def siemens_phase_rad(instance: Instance, stored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the phase (slope * stored + intercept) / 4096 * pi, radian, in the stored shape; a stated unit is obeyed.

    Raises:
        InputError: slope or intercept is missing, the unit is another angle's, or values lie beyond pi.
    """
    unit = str(instance.header.get("RescaleType", "") or "").strip().lower()
    if unit.startswith(("deg", "rad")):
        raise InputError(
            instance.place,
            found=f"a phase with a Rescale Type that begins with {unit[:3]!r}",
            expected="none, 'US' (4096 steps mean pi) or 'mrad'",
            advice="Export the images as the scanner made them.",
        )
    slope, intercept = rescaling(instance)
    scaled = slope * stored + intercept
    if unit == "mrad":
        scaled = scaled * (_PHASE_LIMIT / _PI_MRAD)
        # Twelve bits end within a step of a whole turn.
        over = np.abs(scaled) - _PHASE_LIMIT
        scaled = np.where((over > 0) & (over < abs(slope)), np.sign(scaled) * _PHASE_LIMIT, scaled)
    if np.abs(scaled).max() > _PHASE_LIMIT:
        raise InputError(
            instance.place,
            found=f"a rescaled phase of {np.abs(scaled).max():g}",
            expected="values within -4096 to 4096, which mean -pi to pi",
            advice="Check that the series holds unprocessed phase images.",
        )
    return scaled / _PHASE_LIMIT * np.pi


def _signal(instance: Instance, layout: MosaicLayout) -> NDArray[np.float64]:
    """Magnitude, shape (i, j, k), with signal in every slice."""
    volume = layout.magnitude(instance)
    empty = np.flatnonzero(~volume.any(axis=(0, 1)))
    if empty.size:
        raise InputError(
            instance.place,
            found=f"no signal in slice {empty[0] + 1} of {layout.n_slices}",
            expected="an image in every tile of the mosaic",
            advice=FULL_EXPORT,
        )
    return volume


def _facts(phase: Series, magnitude: Series) -> dict[str, object]:
    """Return what a later reader needs to know of the two series, and what DICOM output refers to."""
    return {
        "reader": SiemensMosaicReader.name,
        "series_number_phase": phase.number,
        "series_number_magnitude": magnitude.number,
        "acquisition": phase.technical_facts(),
        "dicom": phase.references(),
    }
