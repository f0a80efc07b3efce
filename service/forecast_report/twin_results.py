"""Strict reader of the folders of palpate calibrate and palpate forecast, for the page."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import read_anatomy_image
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import Map
from palpate.imaging.files.nifti import Volume, read_nifti

type Values = NDArray[np.float64]

PAST = "past"
"""Folder of the scans' days within that of a forecast."""


@dataclass(frozen=True, slots=True)
class DayMaps:
    """Maps of one day on the twin's lattice, each of shape (i, j, k).

    Attributes:
        day: days since the first scan.
        ahead: whether the day is forecast, rather than that of a scan.
        mean: mean of the density over draws, NaN outside tissue.
        lower: lower ends of its 95 % intervals, NaN outside tissue.
        upper: upper ends of its 95 % intervals, NaN outside tissue.
        visible: probability that a voxel is visibly tumour.
        enhancing: probability that a voxel takes up contrast agent.
        roi: regions that were drawn on the scan of this day, or on the last one before it.
        displacement: median displacement of tissue, mm, NaN outside tissue; None where it was not computed.
    """

    day: float
    ahead: bool
    mean: Values
    lower: Values
    upper: Values
    visible: Values
    enhancing: Values
    roi: Values
    displacement: Values | None


@dataclass(frozen=True, slots=True)
class TwinResults:
    """Results of a twin that the page shows.

    Attributes:
        calibration: content of calibration.json.
        forecast: content of forecast.json.
        white: anatomy on the lattice, shape (i, j, k), with its affine.
        roi: regions of the last scan, shape (i, j, k).
        past: maps of the scans' days; none in a forecast of an earlier version.
        days: maps of each day of the forecast.
        dose_gy: dose of all fractions until the forecast's end, Gy, shape (i, j, k); None where there is none.
        anatomy: planning image in the world of the first scan; None where none was given.
        first_date: date of the first scan; None where none was given.
    """

    calibration: Mapping[str, Any]
    forecast: Mapping[str, Any]
    white: Volume
    roi: Values
    past: tuple[DayMaps, ...]
    days: tuple[DayMaps, ...]
    dose_gy: Values | None = None
    anatomy: Map | None = None
    first_date: datetime.date | None = None

    def curve(self, part: str) -> Sequence[Mapping[str, Any]]:
        """Return volumes day by day; none in a forecast of an earlier version.

        Args:
            part: "past" or "forecast".
        """
        rows: Sequence[Mapping[str, Any]] = self.forecast.get("curve", {}).get(part, ())
        return rows

    def day_words(self, day: float) -> str:
        """Return a day in words, with its date where the first scan's is known.

        Args:
            day: days since the first scan.
        """
        date = self.date_of(day)
        return f"day {day:g}" + (f" ({date})" if date else "")

    def date_of(self, day: float) -> str:
        """Return the date of a day, such as "6 January 2025"; empty where the first scan's is not known.

        Args:
            day: days since the first scan.
        """
        if self.first_date is None:
            return ""
        date = self.first_date + datetime.timedelta(days=int(day))
        return f"{date.day} {date:%B %Y}"


def read_twin_results(
    calibration: Path, forecast: Path, anatomy: Path | None = None, first_date: datetime.date | None = None
) -> TwinResults:
    """Read both folders.

    Args:
        calibration: folder of palpate calibrate.
        forecast: folder of palpate forecast.
        anatomy: planning image in the world of the first scan, DICOM or NIfTI; None for none.
        first_date: date of the first scan; None for a page that counts days only.

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
    label = f"sub-{told['subject']}"
    white = read_nifti(calibration / f"{label}_white.nii.gz")
    roi = read_nifti(calibration / f"{label}_roi.nii.gz").values
    days = tuple(_ahead(forecast / f"{label}_day-{row['day']:g}", float(row["day"]), roi) for row in said["forecast"])
    past: tuple[DayMaps, ...] = ()
    if (forecast / PAST).is_dir():
        scans = (float(row["day"]) for row in told["observed"])
        past = tuple(_scan(forecast / PAST / f"{label}_day-{day:g}", day) for day in scans)
    for one in (roi, *(maps.mean for maps in (*past, *days))):
        if one.shape != white.values.shape:
            raise InputError(
                forecast, found="maps on another grid", expected="one grid", advice="Run both steps again."
            )
    dose = forecast / f"{label}_dose.nii.gz"
    return TwinResults(
        told,
        said,
        white,
        roi,
        past,
        days,
        read_nifti(dose).values if dose.exists() else None,
        None if anatomy is None else _planning(anatomy, white),
        first_date,
    )


def _planning(path: Path, white: Volume) -> Map:
    """Return the planning image; one that lies elsewhere than the tumour is refused."""
    volume = read_anatomy_image(path, ()).volume
    centre = white.affine_mm @ np.array([*(np.array(white.values.shape) - 1) / 2.0, 1.0])
    index = np.linalg.solve(volume.affine_mm, centre)[:3]
    if np.any(index < 0) or np.any(index > np.array(volume.values.shape) - 1):
        raise InputError(
            path,
            found="an image that does not hold the tumour",
            expected="the T1 of the first scan with tumour maps, in whose world the forecast lies",
            advice="Name that session's T1.",
        )
    return Map(volume.values.astype(np.float32), volume.affine_mm, "1", "T1-weighted")


def _ahead(stem: Path, day: float, roi: Values) -> DayMaps:
    displacement = stem.with_name(f"{stem.name}_stat-median_displacement.nii.gz")
    moved = read_nifti(displacement).values if displacement.exists() else None
    return DayMaps(day, True, *_five(stem), roi, moved)


def _scan(stem: Path, day: float) -> DayMaps:
    return DayMaps(day, False, *_five(stem), read_nifti(stem.with_name(f"{stem.name}_roi.nii.gz")).values, None)


def _five(stem: Path) -> tuple[Values, Values, Values, Values, Values]:
    def read(name: str) -> Values:
        return read_nifti(stem.with_name(f"{stem.name}_{name}.nii.gz")).values

    mean, lower, upper = (read(f"stat-{end}_density") for end in ("mean", "lower", "upper"))
    return mean, lower, upper, read("desc-visible_probability"), read("desc-enhancing_probability")
