"""Acquisition of a product sequence, from signals of one encoding each to directions in the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.phase_scale import wrap_period_rad
from palpate.imaging.dicom.acquired import acquired_matrix, say_interpolated, slice_thickness_mm
from palpate.imaging.dicom.encoding_scheme import demand_told, direction_assumed, directions_of
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.slice_grid import SliceGrid


@dataclass(frozen=True, slots=True)
class EncodedSignal:
    """Signal of one acquisition, encoding by encoding.

    Attributes:
        where: name of the acquisition in errors.
        number: number of the run.
        grid: grid on which the images lie.
        phase_rad: phase, radian, shape (encoding, offset, i, j, k).
        magnitude: magnitude, same shape.
        encodings: one image of each encoding.
        frequency_hz: vibration frequency f, hertz; None where neither headers nor settings state it.
        slice_time_s: time at which each slice was acquired, seconds, shape (k,); None where headers do not say.
        menc_um_per_rad: motion encoding, micrometres per radian; None where it is not stated.
        slopes: rescale slope of each phase image, shape (encoding, offset, k); None where phase was computed.
    """

    where: str
    number: int
    grid: SliceGrid
    phase_rad: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    encodings: Sequence[Instance]
    frequency_hz: float | None
    slice_time_s: NDArray[np.float64] | None
    menc_um_per_rad: float | None = None
    slopes: NDArray[np.float64] | None = None


def product_acquisition(
    signal: EncodedSignal, first: Series, settings: IngestSettings, facts: dict[str, object]
) -> PhaseAcquisition:
    """Return the acquisition of a signal.

    Args:
        signal: signal of every encoding.
        first: series whose technical facts and references stand for the acquisition.
        settings: ingest settings of the study.
        facts: name of the reader and numbers of the series, for the record.

    Raises:
        InputError: frequency or encodings are stated nowhere, or no directions can be made of them.
    """
    where, grid, encodings = signal.where, signal.grid, signal.encodings
    frequency_hz = demand_told(where, encodings, signal.phase_rad.shape, signal.frequency_hz, settings)
    columns, rows = grid.shape[:2]
    acquired = acquired_matrix(encodings[0], columns, rows)
    say_interpolated(where, acquired, columns, rows)
    made, axes = directions_of(signal.phase_rad, signal.magnitude, encodings, grid, settings, where)
    return PhaseAcquisition(
        phase_rad=made.phase_rad,
        magnitude=made.magnitude,
        affine_mm=grid.affine_mm,
        frequency_hz=frequency_hz,
        encoding_axes=axes,
        slice_time_s=signal.slice_time_s,
        menc_um_per_rad=signal.menc_um_per_rad,
        encoding_gain=made.gain,
        wrap_period_rad=wrap_period_rad(signal.phase_rad, signal.slopes),
        run=signal.number,
        slice_thickness_mm=slice_thickness_mm(encodings[0]),
        acquired_matrix=acquired,
        direction_assumed=direction_assumed(encodings, settings),
        facts=facts | {"acquisition": first.technical_facts(), "dicom": first.references()},
    )
