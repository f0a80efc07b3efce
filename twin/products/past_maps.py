"""Maps of the days of the scans, in the folder `past` of a forecast, so that a reader can look back.

past/<label>_day-<d>_stat-{mean,lower,upper}_density.nii.gz       0..1, 95 % bounds, on the twin's lattice
past/<label>_day-<d>_desc-{enhancing,visible}_probability.nii.gz  probability that the voxel is enhancing or visible
past/<label>_day-<d>_roi.nii.gz                                   regions that were drawn on the scan
<label>_dose.nii.gz                                               dose of all fractions until the forecast's end, Gy
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.forecast.predict import shares_above
from palpate.twin.lattice import nearest_in
from palpate.twin.products.figures import THRESHOLDS

PAST = "past"
"""Name of the folder of the scans' days within that of a forecast."""


def write_past(calibration: Calibration, folder: Path) -> None:
    """Write the maps of the scans' days, without the front model error.

    Args:
        calibration: calibration of the tumour.
        folder: folder of the forecast.
    """
    history, drawn = calibration.history, calibration.draws
    nearest = nearest_in(history.tissue)
    past = folder / PAST
    past.mkdir()
    chosen = drawn.xi[drawn.looked_at]
    above = [[calibration.unknowns.natural(xi, kind) for kind in THRESHOLDS.values()] for xi in chosen]
    for number, scan in enumerate(history.scans):
        stem = f"sub-{history.subject}_day-{scan.day:g}"
        states = drawn.past[:, number].astype(np.float64)
        lower, upper = np.quantile(states, [0.025, 0.975], axis=0)
        for name, values in {"mean": states.mean(axis=0), "lower": lower, "upper": upper}.items():
            _write(past / f"{stem}_stat-{name}_density.nii.gz", values, history, np.nan)
        shares = [shares_above(u, each, history.tissue, nearest) for u, each in zip(states, above, strict=True)]
        for name, probability in zip(THRESHOLDS, np.mean(shares, axis=0), strict=True):
            _write(past / f"{stem}_desc-{name.removesuffix('_ml')}_probability.nii.gz", probability, history, 0.0)
        write_nifti(past / f"{stem}_roi.nii.gz", scan.roi, history.affine_mm)


def write_dose(calibration: Calibration, end_day: float, folder: Path) -> None:
    """Write the dose of all fractions until a day, given or planned; nothing where there are none.

    Args:
        calibration: calibration of the tumour.
        end_day: last day of the forecast, days since the first scan.
        folder: folder of the forecast.
    """
    history = calibration.history
    doses = [one.dose_gy for one in history.irradiations if one.day <= end_day]
    if doses:
        total = np.sum(doses, axis=0).astype(np.float32)
        write_nifti(folder / f"sub-{history.subject}_dose.nii.gz", total, history.affine_mm)


def _write(path: Path, values: NDArray[np.float64], history: TumourHistory, outside: float) -> None:
    volume = np.full(history.tissue.shape, outside, dtype=np.float32)
    volume[history.tissue] = values
    write_nifti(path, volume, history.affine_mm)
