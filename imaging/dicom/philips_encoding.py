"""From the motion encodings of a Philips acquisition, as headers or settings state them, to three directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.dicom import philips_header as header
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.slice_grid import SliceGrid
from palpate.imaging.encoding_matrix import Demodulated, column_axes, demodulate_as_told, with_background


def philips_directions(
    phase_rad: NDArray[np.float64],
    magnitude: NDArray[np.float64],
    first: Sequence[Instance],
    grid: SliceGrid,
    settings: IngestSettings,
    where: str,
) -> tuple[Demodulated, NDArray[np.float64]]:
    """Three directions from the encodings, and their axes in RAS, shape (3, 3).

    Args:
        phase_rad: shape (encoding, offset, i, j, k).
        magnitude: same shape.
        first: an image of each encoding.
        grid: where they lie.
        settings: of the study.
        where: how errors name the acquisition.

    Raises:
        InputError: neither headers nor settings state the encodings, or three directions cannot be made of them.
    """
    if header.direction_lps(first[0]) is not None:
        rows = np.stack([header.exact_direction_lps(one) for one in first]) @ LPS_TO_RAS.T
        columns = np.eye(3)
    elif settings.encoding_matrix is not None:
        rows = np.asarray(settings.encoding_matrix, dtype=np.float64)
        columns = column_axes(settings.encoding_frame, grid.affine_mm)
    else:
        raise InputError(
            where,
            found="no direction of the motion encoding in the headers",
            expected="it in the settings, one row for each scan",
            advice="Set encoding_matrix in the ingest section, such as [[1,0,0],[0,1,0],[0,0,1]] for scans along "
            "rows, columns and slices of the image.",
        )
    if len(rows) != len(first):
        raise InputError(
            where,
            found=f"{len(first)} motion encodings",
            expected=f"{len(rows)} as encoding_matrix has rows",
            advice="Give all scans of the acquisition, or correct encoding_matrix.",
        )
    signals = np.asarray(magnitude * np.exp(1j * phase_rad), dtype=np.complex128)
    made = demodulate_as_told(signals, with_background(rows), settings.encoding_polarity, where)
    return made, made.axes_in_world(columns)
