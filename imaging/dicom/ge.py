"""GE elastography: liver waves, one direction a series, and brain images of real and imaginary parts.

The scanner numbers what it derives from series s as 100 s + role: 0 and 1 stiffness, 5 processed waves, 7 confidence.
Only raw series are read: processed waves are interpolated to eight offsets, so that their harmonics hold no noise to
measure.

No header says which direction a liver series encodes. Several series are joined where the study's encoding matrix
states them, one row for each series in the order of SeriesNumber. A series alone is through the slices, as these
sequences encode, unless the matrix says otherwise; the record says that this is assumed. Brain series hold six
encodings, +x -x +y -y +z -z in the image's axes unless the matrix says otherwise. GE's headers do not state the motion
encoding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.phase_scale import wrap_period_rad
from palpate.imaging.dicom.acquired import acquired_matrix, say_interpolated, slice_thickness_mm
from palpate.imaging.dicom.encoding_scheme import THROUGH_SLICES, too_few_directions
from palpate.imaging.dicom.ge_images import Encoded, is_complex, read_complex, read_waves
from palpate.imaging.dicom.ge_private import by_frequency, frequency_hz, is_mre
from palpate.imaging.dicom.no_motion import around_mean, demand_motion
from palpate.imaging.dicom.series import Series
from palpate.imaging.waves.encoding_matrix import column_axes, demodulate_as_told, scheme_matrix

BRAIN_SCHEME: Final = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
"""Encodings of brain sequences: +x -x +y -y +z -z."""
_DERIVED_ROLES: Final = (1, 5, 7)


class GeReader:
    """Reader of raw liver and brain series; see palpate.imaging.dicom.registry.VendorReader."""

    name = "GE"

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether any series comes from a GE elastography sequence."""
        return any(is_mre(one) for one in series)

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return every acquisition, liver before brain, in the order of series."""
        raw = [part for one in _raw_series(series) for part in by_frequency(one)]
        still = [one for one in raw if one.number in settings.no_motion_series]
        moving = [one for one in raw if one.number not in settings.no_motion_series]
        demand_motion(moving)
        found: list[PhaseAcquisition] = []
        for of_kind in (False, True):
            scans = [one for one in moving if is_complex(one) == of_kind]
            if scans:
                references = [one for one in still if is_complex(one) == of_kind]
                found += (_read_brain if of_kind else _read_liver)(scans, references, settings)
        return _numbered(found)


def _raw_series(series: Sequence[Series]) -> list[Series]:
    """Elastography series as acquired, without screen saves and derived maps.

    Raises:
        InputError: there is none.
    """
    of_mre = [one for one in series if is_mre(one)]
    gray = [one for one in map(_without_screen_saves, of_mre) if one is not None]
    acquired = {one.number for one in gray}
    raw = [one for one in gray if not _is_derived(one, acquired)]
    if not raw:
        found = ", ".join(str(one.number) for one in of_mre)
        raise InputError(
            f"series {found}",
            found="only screen saves, stiffness, processed waves or confidence maps"
            if gray
            else "only colour screen saves",
            expected="the raw series with waves and magnitudes (GE numbers derived ones 100 s + 0, 1, 5 or 7)",
            advice="Export the raw elastography series too.",
        )
    return raw


def _is_derived(series: Series, acquired: Collection[int]) -> bool:
    """Return whether the scanner made a series of another one, by its number.

    Args:
        series: grey images of an elastography sequence.
        acquired: numbers of all such series.
    """
    if series.number < 100:
        return False
    if series.number // 100 in acquired or series.number % 100 in _DERIVED_ROLES:
        return True
    # Archives number whole studies by hundreds as well; a map has one image a slice, a raw series many.
    places = {str(one.header.get("ImagePositionPatient")) for one in series.instances}
    return series.number % 100 == 0 and len(series.instances) == len(places)


def _without_screen_saves(series: Series) -> Series | None:
    """Return the grey images of a series; None where there is none."""
    gray = tuple(one for one in series.instances if one.header.get("SamplesPerPixel", 1) == 1)
    return Series(series.number, gray) if gray else None


def _read_liver(
    scans: Sequence[Series], references: Sequence[Series], settings: IngestSettings
) -> list[PhaseAcquisition]:
    """Return series of one direction each, joined as the encoding matrix says, or alone."""
    frequencies = [frequency_hz(one, settings.frequency_hz) for one in scans]
    _demand_directions(scans, frequencies, settings)
    matrix = scheme_matrix(settings.encoding_matrix or THROUGH_SLICES)
    still = [_joined([read_waves(one) for one in group]) for group in _chunks(references, len(matrix))]
    made = []
    for frequency in sorted(set(frequencies)):
        of_frequency = [one for one, stated in zip(scans, frequencies, strict=True) if stated == frequency]
        for group in _chunks(of_frequency, len(matrix), f" at {frequency:g} Hz"):
            encoded = _joined([read_waves(one) for one in group])
            made.append(_acquisition(encoded, [one.number for one in group], still, matrix, frequency, settings))
    return made


def _read_brain(
    scans: Sequence[Series], references: Sequence[Series], settings: IngestSettings
) -> list[PhaseAcquisition]:
    """Return series of real and imaginary parts, each with all encodings."""
    matrix = scheme_matrix(settings.encoding_matrix or BRAIN_SCHEME)
    still = [read_complex(one, len(matrix)) for one in references]
    return [
        _acquisition(
            read_complex(one, len(matrix)),
            [one.number],
            still,
            matrix,
            frequency_hz(one, settings.frequency_hz),
            settings,
        )
        for one in scans
    ]


def _demand_directions(scans: Sequence[Series], frequencies: Sequence[float], settings: IngestSettings) -> None:
    """Raise InputError where nothing says which direction each of several series encodes, or some are missing.

    Args:
        scans: raw series of one direction each.
        frequencies: theirs, Hz.
        settings: settings of the study.
    """
    stated = settings.encoding_matrix
    if len(scans) >= len(stated) if stated is not None else len(set(frequencies)) == len(scans):
        return
    where = "series " + ", ".join(str(one.number) for one in scans)
    if stated is not None and len(scans) < 3:
        # Everything else is read first, so that no other fault hides behind this one.
        shapes = [read_waves(one).signals.shape for one in scans]
        raise too_few_directions(where, (len(scans), *shapes[0][1:]), frequencies[0], len(stated), "waves")
    raise InputError(
        where,
        found=f"{len(scans)} series of waves, whose headers do not say which directions they encode",
        expected="an encoding_matrix with one row for each series of an acquisition",
        advice="State it in the ingest settings, such as [[1,0,0],[0,1,0],[0,0,1]] for motion along rows, down rows "
        "and across slices, or [[0,0,1]] where each series is an exam of its own, through the slices.",
    )


def _chunks(series: Sequence[Series], length: int, what: str = "") -> list[Sequence[Series]]:
    """Consecutive series that make one acquisition.

    Raises:
        InputError: some are left over.
    """
    if len(series) % length:
        raise InputError(
            "series " + ", ".join(str(one.number) for one in series),
            found=f"{len(series)} series{what}",
            expected=f"a multiple of {length}, the rows of encoding_matrix",
            advice="Give complete acquisitions only, one series for each encoding.",
        )
    return [series[start : start + length] for start in range(0, len(series), length)]


def _joined(parts: Sequence[Encoded]) -> Encoded:
    """Return encodings of several series as one.

    Raises:
        InputError: they differ in grid or offsets.
    """
    first = parts[0]
    for part in parts[1:]:
        if not part.has_grid_of(first):
            raise InputError(
                f"series {part.series.number}",
                found=f"another grid or number of offsets than in series {first.series.number}",
                expected="all encodings of an acquisition on the same voxels",
                advice="Acquire all directions with the same slices; do not resample.",
            )
    return replace(first, signals=np.concatenate([part.signals for part in parts]))


def _acquisition(
    encoded: Encoded,
    series_numbers: list[int],
    still: Sequence[Encoded],
    matrix: NDArray[np.float64],
    frequency: float,
    settings: IngestSettings,
) -> PhaseAcquisition:
    """Return directions of motion from one acquisition's encodings."""
    where = "series " + ", ".join(str(number) for number in series_numbers)
    made = demodulate_as_told(encoded.signals, matrix, settings.encoding_polarity, where)
    reference = _still_scan(encoded, still)
    at_rest = (
        None
        if reference is None
        else demodulate_as_told(reference.signals, matrix, settings.encoding_polarity, where).phase_rad
    )
    assumed = settings.encoding_matrix is None and len(matrix) == len(THROUGH_SLICES)
    # The slices' normal is one of the image's axes, whatever frame the settings state for a matrix.
    frame = "image" if assumed else settings.encoding_frame
    columns, rows = encoded.signals.shape[2:4]
    acquired = acquired_matrix(encoded.series.instances[0], columns, rows)
    say_interpolated(where, acquired, columns, rows)
    return PhaseAcquisition(
        phase_rad=made.phase_rad,
        magnitude=made.magnitude,
        affine_mm=encoded.affine_mm,
        frequency_hz=frequency,
        encoding_axes=made.axes_in_world(column_axes(frame, encoded.affine_mm)),
        slice_time_s=encoded.slice_time_s,
        menc_um_per_rad=None,
        run=0,
        slice_thickness_mm=slice_thickness_mm(encoded.series.instances[0]),
        acquired_matrix=acquired,
        facts={
            "reader": GeReader.name,
            "series_numbers": series_numbers,
            "series_number_without_motion": None if reference is None else reference.series.number,
            "acquisition": encoded.series.technical_facts(),
            "dicom": encoded.series.references(),
        },
        direction_assumed=assumed,
        encoding_gain=made.gain,
        wrap_period_rad=wrap_period_rad(np.angle(encoded.signals)),
        still_phase_rad=None if at_rest is None else around_mean(at_rest),
    )


def _still_scan(encoded: Encoded, still: Sequence[Encoded]) -> Encoded | None:
    """Return the scan without motion on the same voxels; None where none was announced.

    Raises:
        InputError: those that were announced have other voxels or offsets.
    """
    matching = [one for one in still if one.has_grid_of(encoded)]
    if still and not matching:
        raise InputError(
            f"series {still[0].series.number}",
            found=f"a scan without motion on other voxels or offsets than series {encoded.series.number}",
            expected="the same protocol, with the actuator off",
            advice="Take it out of no_motion_series in the ingest settings.",
        )
    return matching[0] if matching else None


def _numbered(acquisitions: Sequence[PhaseAcquisition]) -> tuple[PhaseAcquisition, ...]:
    """Return runs counted: a frequency on the same voxels joins the first run that has none of its own."""
    runs: list[list[PhaseAcquisition]] = []
    made = []
    for one in acquisitions:
        places = [number for number, run in enumerate(runs) if _joins(one, run)]
        if not places:
            runs.append([])
            places = [len(runs) - 1]
        runs[places[0]].append(one)
        made.append(replace(one, run=places[0]))
    return tuple(made)


def _joins(acquisition: PhaseAcquisition, run: Sequence[PhaseAcquisition]) -> bool:
    """Return whether a run lies on the same voxels and lacks the acquisition's frequency."""
    same_voxels = all(
        acquisition.phase_rad.shape[2:] == other.phase_rad.shape[2:]
        and np.allclose(acquisition.affine_mm, other.affine_mm, atol=1e-3)
        for other in run
    )
    return same_voxels and all(acquisition.frequency_hz != other.frequency_hz for other in run)
