"""Strict reader of the folders of palpate calibrate and palpate forecast, for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import Volume, read_nifti


@dataclass(frozen=True, slots=True)
class DayMaps:
    """Maps of one forecast day on the twin's lattice.

    Attributes:
        day: days since the first scan.
        mean: mean of the density over draws, NaN outside tissue, shape (i, j, k).
        std: standard deviation of the density over draws, NaN outside tissue, shape (i, j, k).
        visible: probability that a voxel is visibly tumour, shape (i, j, k).
        enhancing: probability that a voxel takes up contrast agent, shape (i, j, k).
    """

    day: float
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    visible: NDArray[np.float64]
    enhancing: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TwinResults:
    """Results of a twin that the page shows.

    Attributes:
        calibration: content of calibration.json.
        forecast: content of forecast.json.
        white: anatomy, shape (i, j, k), with its affine.
        roi: regions of the last scan, shape (i, j, k).
        days: maps of each day of the forecast.
    """

    calibration: Mapping[str, Any]
    forecast: Mapping[str, Any]
    white: Volume
    roi: NDArray[np.float64]
    days: tuple[DayMaps, ...]


def read_twin_results(calibration: Path, forecast: Path) -> TwinResults:
    """Read both folders.

    Raises:
        InputError: a file is missing or unreadable, or they are of different subjects or grids.
    """
    told = read_json(calibration / "calibration.json", advice="Run palpate calibrate again.", record="calibration")
    said = read_json(forecast / "forecast.json", advice="Run palpate forecast again.", record="forecast")
    for key, content, path in (("observed", told, calibration), ("forecast", said, forecast)):
        if not isinstance(content.get(key), list) or "subject" not in content:
            raise InputError(
                path, found=f"a record without {key}", expected="a finished folder", advice="Run it again."
            )
    if told["subject"] != said["subject"]:
        raise InputError(
            forecast, found="a forecast of another subject", expected="the same", advice="Give folders of one subject."
        )
    stem = f"sub-{told['subject']}"
    white = read_nifti(calibration / f"{stem}_white.nii.gz")
    roi = read_nifti(calibration / f"{stem}_roi.nii.gz").values
    days = tuple(_maps(forecast, f"{stem}_day-{row['day']:g}", float(row["day"])) for row in said["forecast"])
    for one in (roi, *(maps.mean for maps in days)):
        if one.shape != white.values.shape:
            raise InputError(
                forecast, found="maps on another grid", expected="one grid", advice="Run both steps again."
            )
    return TwinResults(told, said, white, roi, days)


def _maps(folder: Path, stem: str, day: float) -> DayMaps:
    names = ("stat-mean_density", "stat-std_density", "desc-visible_probability", "desc-enhancing_probability")
    return DayMaps(day, *(read_nifti(folder / f"{stem}_{name}.nii.gz").values for name in names))
