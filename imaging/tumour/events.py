"""Treatments with their place: dose and removed tissue on the grid of the first scan."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.region_choice import split_choice
from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import ForeignFrame
from palpate.imaging.files.named_within import named_by
from palpate.imaging.regions.read import read_region
from palpate.imaging.regions.region import INSIDE
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.way import FrameWay
from palpate.imaging.tumour.courses import Given, demand_course_lines
from palpate.imaging.tumour.dates import day_of
from palpate.imaging.tumour.dose import DoseFile, read_dose
from palpate.imaging.tumour.fractionation import Fractionation, demand_stated_if_repeated, fractionation
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourScan
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.schedule import course_dates
from palpate.imaging.tumour.spaces import Spaces
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.quality_warning import QualityWarning

type Values = NDArray[np.float64]

_MOST_DAYS: Final = 7305
"""Longest time between the first scan and a treatment, days: 20 years. Beyond it digits of a year were exchanged."""
_MOST_OUTSIDE: Final = 0.02
"""Largest fraction of the tumour beyond a dose's grid that passes without a word: its outermost voxels."""


def read_doses(rows: Sequence[TreatmentRow], first: datetime.date) -> dict[Path, DoseFile]:
    """Read the dose files of a table and check how they are delivered, before any image is registered.

    Args:
        rows: lines of the table.
        first: day of the first scan.

    Raises:
        InputError: a treatment precedes the first scan, a file cannot be read, or a number of fractions is impossible.
    """
    found: dict[Path, DoseFile] = {}
    for row in rows:
        _demand_near(row, first)
        if row.kind != "chemotherapy":
            _day_of(row, first)
        if row.dose_file is not None:
            if row.dose_file not in found:
                found[row.dose_file] = _read_dose(row, row.dose_file)
            fractionation(row, found[row.dose_file])
    demand_stated_if_repeated(rows, found)
    return found


def _read_dose(row: TreatmentRow, path: Path) -> DoseFile:
    with named_by(f"{row.where}, column dose_file ({path.name})", path):
        return read_dose(path)


def _demand_near(row: TreatmentRow, first: datetime.date) -> None:
    """Refuse a treatment of another time: it would have no effect on any scan, without a word."""
    days = (row.date - first).days
    side = "after" if days > 0 else "before"
    if abs(days) > _MOST_DAYS:
        raise InputError(
            row.where,
            found=f"{row.kind} {abs(days) / 365.25:.0f} years {side} the first scan of the tumour",
            expected="at most 20 years between them",
            advice="Check the year in the column date, and the date of the session.",
        )


def _day_of(row: TreatmentRow, first: datetime.date) -> float:
    day = day_of(row.date, first)
    if day < 0.0:
        raise InputError(
            row.where,
            found=f"{row.kind} {-day:g} days before the first scan of the tumour",
            expected="treatments from the day of the first scan on",
            advice="Leave the line out (the first scan shows its effect), or add an earlier scan.",
        )
    return day


@dataclass(slots=True)
class Registrar:
    """Reader of treatments: reads each file once and puts it on the grid of the history.

    Attributes:
        grid: voxels of the history.
        tissue: brain on the grid, shape (i, j, k).
        first: day of the first scan.
        scans: scans of the tumour in order of their days.
        spaces: world coordinates of the dates.
        read: dose files by path that were read before.
        notes: assumptions made so far, in sentences.
        patients: name in errors and PatientID of each RTDOSE, to be compared.
    """

    grid: TumourGrid
    tissue: NDArray[np.bool_]
    first: datetime.date
    scans: Sequence[TumourScan]
    spaces: Spaces
    read: Mapping[Path, DoseFile] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    patients: list[tuple[str, str]] = field(default_factory=list)
    _warned: dict[tuple[Path, str], QualityWarning] = field(default_factory=dict)
    _files: dict[Path, DoseFile] = field(default_factory=dict)
    _largest: dict[int, float] = field(default_factory=dict)
    _doses: dict[tuple[Path, str, Path | None, int], Values] = field(default_factory=dict)
    _uniform: dict[tuple[object, ...], Values] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[QualityWarning, ...]:
        """Warnings about dose files, in the order in which they arose."""
        return tuple(self._warned.values())

    def fractions(self, rows: Sequence[TreatmentRow]) -> tuple[Given, ...]:
        """Return every fraction that lines of radiotherapy stand for, in order of their days.

        Args:
            rows: lines of radiotherapy.

        Raises:
            InputError: a fraction precedes the first scan; a dose is absent, of another place or frame of reference,
                or impossible; the number of fractions of a line is unknown.
        """
        given = tuple(sorted((one for row in rows for one in self._of_line(row)), key=lambda one: one.irradiation.day))
        demand_course_lines(given)
        return given

    def irradiation(self, row: TreatmentRow) -> Irradiation:
        """Return the first fraction of a line.

        Raises:
            InputError: see fractions.
        """
        return next(iter(self._of_line(row))).irradiation

    def _of_line(self, row: TreatmentRow) -> Iterator[Given]:
        """Yield the fractions of a line."""
        begin, how = self._day(row), Fractionation(1, row.fractions or 1)
        if row.dose_file is not None:
            dose = self._dose(row, row.dose_file)
            how = fractionation(row, dose)
            for one in how.warnings:
                # Thirty lines name one file: its first line speaks for it.
                self._warned.setdefault((row.dose_file, one.code), one)
            self.notes += [how.note] if how.note else []
        dates = (row.date,) if row.days_a_week is None else course_dates(row.date, how.given, row.days_a_week)
        for date in dates:
            day = begin + float((date - row.date).days)
            dose_gy = self._even(row, day) if row.dose_file is None else self._placed(row, row.dose_file, how.over)
            yield Given(Irradiation(day, dose_gy), row, how.over, self._largest_gy(dose_gy))

    def _even(self, row: TreatmentRow, day: float) -> Values:
        """Dose of a line without a file: dose_gy in its region, else in all tissue."""
        assert row.dose_gy is not None  # the table's reader demands one of the two
        before = self._scan_before(day) if row.roi else None
        key = (row.mask_file, row.roi, row.space, row.registration, row.dose_gy, before)
        if key not in self._uniform:
            where = self._region(row, day) if row.mask_file or row.roi else self.tissue
            self._uniform[key] = np.where(where, row.dose_gy, 0.0)
        return self._uniform[key]

    def _largest_gy(self, dose_gy: Values) -> float:
        """Return the dose of the hottest voxel in tissue, Gy; volumes are shared by fractions and looked at once."""
        if id(dose_gy) not in self._largest:
            self._largest[id(dose_gy)] = float(dose_gy[self.tissue].max(initial=0.0))
        return self._largest[id(dose_gy)]

    def drug_dose(self, row: TreatmentRow) -> DrugDose:
        """Return one dose of a drug. It may precede the first scan, because what is left of it still acts."""
        return DrugDose(day_of(row.date, self.first), row.drug, row.amount_mg)

    def surgery(self, row: TreatmentRow) -> Surgery:
        """Return one resection.

        Raises:
            InputError: the resection precedes the first scan, or its region is empty or of another place.
        """
        day = self._day(row)
        return Surgery(day, self._region(row, day))

    def _day(self, row: TreatmentRow) -> float:
        return _day_of(row, self.first)

    def _scan_before(self, day: float) -> int:
        return max(number for number, scan in enumerate(self.scans) if scan.day <= day)

    def _region(self, row: TreatmentRow, day: float) -> NDArray[np.bool_]:
        if row.roi:
            found = np.isin(self.scans[self._scan_before(day)].roi, row.roi)
            if not found.any():
                raise InputError(
                    row.where,
                    found=f"no voxel of roi {'+'.join(map(str, row.roi))} in the last scan before",
                    expected="a region that this scan shows",
                    advice="Give a mask_file, or other numbers of roi.nii.gz.",
                )
            return np.asarray(found)
        assert row.mask_file is not None
        path, _ = split_choice(row.mask_file)
        place = f"{row.where}, column mask_file ({path.name})"
        with named_by(place, path):
            drawn = read_region(row.mask_file)
        if drawn.person and drawn.person[0] and not self.spaces.proved_by_key(drawn.frame_uid, drawn.person[0]):
            self.patients.append((place, drawn.person[0]))
        motion = self._motion(row, "mask_file", path, ForeignFrame(place, drawn.frame_uid, drawn.person))
        mask = np.asarray(drawn.shape.shares(self.grid.points_mm(motion)) >= INSIDE)
        if not (mask & self.tissue).any():
            raise InputError(
                place,
                found="a mask that touches no brain on the grid of the first scan",
                expected="a region in the world coordinates (RAS, mm) of the session that the column space names",
                advice="Check which scan it was drawn on.",
            )
        return mask

    def _motion(self, row: TreatmentRow, column: str, path: Path, foreign: ForeignFrame) -> Rigid | FrameWay | None:
        """Return the map from the first scan's world to a file's; what is to be said of it is kept."""
        found = self.spaces.world_of(row, column, foreign)
        self.notes += [found.note] if found.note else []
        for one in found.warnings:
            self._warned.setdefault((path, one.code), one)
        return found.motion

    def _dose(self, row: TreatmentRow, path: Path) -> DoseFile:
        """Return the dose of a file, which is read once."""
        if path not in self._files:
            self._files[path] = self.read.get(path) or _read_dose(row, path)
            dose = self._files[path]
            if dose.patient and not self.spaces.proved_by_key(dose.frame_uid, dose.patient):
                self.patients.append((f"{row.where}, column dose_file", dose.patient))
        return self._files[path]

    def _placed(self, row: TreatmentRow, path: Path, over: int) -> Values:
        """Return the dose of one of the fractions that a file sums over, on the grid."""
        key = (path, row.space, row.registration, over)
        if key not in self._doses:
            dose = self._dose(row, path)
            foreign = ForeignFrame("RTDOSE", dose.frame_uid, (dose.patient, "", "") if dose.patient else ())
            motion = self._motion(row, "dose_file", path, foreign)
            placed = self.grid.interpolated(dose.volume, motion, outside=0.0) / over
            covered = self.grid.covered(dose.volume, motion)
            if not covered[self.tissue].any():
                raise InputError(
                    f"{row.where}, column dose_file",
                    found="a dose grid that touches no brain of the first scan",
                    expected="a dose of the same place (RAS, mm)",
                    advice="Check the columns space and registration, or export the dose again on the first scan's T1.",
                )
            self._warn_of_cut(row, path, covered)
            self._doses[key] = np.clip(placed, 0.0, None)
        return self._doses[key]

    def _warn_of_cut(self, row: TreatmentRow, path: Path, covered: NDArray[np.bool_]) -> None:
        """Warn of a dose whose grid ends within the tumour, where the rest of it gets no dose."""
        tumour = np.any([scan.tumour for scan in self.scans], axis=0) & self.tissue
        outside = float(1.0 - covered[tumour].mean()) if tumour.any() else 0.0
        if outside <= _MOST_OUTSIDE:
            return
        sentence = (
            f"The dose grid of line {row.line} of the table of treatments leaves out {100 * outside:.0f} % of the "
            "tumour that the scans show; there the dose is taken as 0."
        )
        advice = "Export the dose on a grid that covers the whole brain, or check that it is of this patient and place."
        self._warned.setdefault((path, "dose-grid-cut"), QualityWarning("dose-grid-cut", sentence, advice))
