"""Reading of a tumour's history, on the grid of the first scan, from a subject's rows in the table of sessions."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.study import Session
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.files.nifti import Volume, write_nifti
from palpate.imaging.tumour.biopsies import on_first_scan
from palpate.imaging.tumour.courses import Given, RadiotherapyCourse, course_warnings, courses
from palpate.imaging.tumour.dates import DatedAnatomy, anatomy_of, dated_scans, day_of, demand_one_person, one_table
from palpate.imaging.tumour.events import Registrar, read_doses
from palpate.imaging.tumour.followed_plans import plan_notes
from palpate.imaging.tumour.growth_folder import GrowthMaps, read_growth
from palpate.imaging.tumour.history import VISIBLE, StiffnessDraws, TumourHistory, TumourScan
from palpate.imaging.tumour.markers import biology_notes, read_markers
from palpate.imaging.tumour.movement import Movement, movement
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.record import Remarks
from palpate.imaging.tumour.spaces import ImageSpace, Spaces
from palpate.imaging.tumour.stiffness import stiffness_on
from palpate.imaging.tumour.streams.reading import read_streams
from palpate.imaging.tumour.tissue import TumourTissue, tissue_from_labels, tissue_from_t1
from palpate.imaging.tumour.treatments import TreatmentRow, read_treatments
from palpate.imaging.tumour.visibility import demand_looked, demand_on_grid, demand_tumour, shown
from palpate.machine_failures import on_this_machine
from palpate.progress import say
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class TumourReading:
    """History of a tumour and the assumptions made in reading it.

    Attributes:
        history: history on the first scan's grid, in days since the first scan.
        notes: assumptions made, in sentences without names or dates.
        warnings: findings that a user must check although the reading went on, without names or dates.
        courses: radiotherapy as it will be applied.
    """

    history: TumourHistory
    notes: tuple[str, ...]
    warnings: tuple[QualityWarning, ...] = ()
    courses: tuple[RadiotherapyCourse, ...] = ()

    @property
    def remarks(self) -> Remarks:
        """Notes, warnings and courses that later steps and records repeat."""
        return Remarks(self.notes, self.warnings, tuple(one.as_record() for one in self.courses))


def read_tumour(
    sessions: Sequence[Session],
    subject: str,
    settings: TumourSettings,
    *,
    table: Path | str = "sessions.tsv",
    drugs: Collection[str] | None = None,
    stiffness: tuple[str, Path] | None = None,
    key_file: Path | None = None,
) -> TumourReading:
    """Read everything that is known of a tumour.

    Args:
        sessions: rows of the study.
        subject: BIDS label.
        settings: ADC of water and dense cells, noise, registration.
        table: the table's path, for errors.
        drugs: names that the configuration knows; None to take any.
        stiffness: label of the session whose elastography was inverted, and its results folder.
        key_file: file of palpate deidentify's key, where it wrote the T1 and not the RTDOSE; None for the user's own.

    Raises:
        InputError: something in the subject's files cannot be used; the error names the file and what to do.
    """
    scans = dated_scans(sessions, subject, table)
    treatments = one_table(sessions, subject, table)
    rows = () if treatments is None else read_treatments(treatments, drugs)
    doses = read_doses(rows, next(one.date for one in scans if one.date is not None))
    growth = [read_growth(one.growth, settings) for one in scans if one.growth is not None]
    first = growth[0]
    i, j, k = first.roi.shape
    grid = TumourGrid((i, j, k), first.affine_mm)
    anatomies = [anatomy_of(one) for one in scans]
    known = [
        (f"anatomy of {one.label}", t1.patient) for one, t1 in zip(scans, anatomies, strict=True) if t1 is not None
    ]
    demand_one_person(known)
    tissue, tissue_at = _tissue(scans, anatomies, grid, table)
    moves = _movements(anatomies, grid, tissue, settings)
    if tissue_at > 0 and moves[tissue_at].motion is not None:
        # Found where the later date's file says; now that the movement is known it is put right.
        tissue, _ = _tissue(scans, anatomies, grid, table, moves[tissue_at])
    notes = [*tissue.notes]
    for number, (session, maps, move) in enumerate(zip(scans, growth, moves, strict=True)):
        notes += [f"ses-{session.session}: {note}" for note in (*maps.notes, *((move.note,) if number else ()))]
    dates = [one.date for one in scans if one.date is not None]
    placed = tuple(
        _scan(session, maps, move, day_of(date, dates[0]), grid, tissue)
        for session, maps, move, date in zip(scans, growth, moves, dates, strict=True)
    )
    folders = [str(session.growth or session.label) for session in scans]
    seen = [shown(scan, np.linalg.norm(grid.affine_mm[:3, :3], axis=0)) for scan in placed]
    demand_tumour(f"{table}, subject {subject}", folders, seen, tissue.tissue)
    looked = [_looked(maps, move, scan, grid) for maps, move, scan in zip(growth, moves, placed, strict=True)]
    demand_looked(folders, seen, looked, tissue.tissue)
    notes += [
        f"ses-{session.session}: the tumour drawn is smaller than a voxel of the first scan, taken as not visible"
        for session, maps, scan in zip(scans, growth, placed, strict=True)
        if np.isin(maps.roi, VISIBLE).any() and not scan.tumour.any()
    ]
    spaces = {
        session.session: ImageSpace(
            move.motion,
            t1.frame_uid if t1 is not None else "",
            move.uncertainty_mm,
            t1.patient if t1 is not None else "",
        )
        for session, move, t1 in zip(scans, moves, anatomies, strict=True)
    }
    registrar = Registrar(grid, tissue.tissue, dates[0], placed, Spaces(spaces, key_file, settings), doses)
    given = registrar.fractions([row for row in rows if row.kind == "radiotherapy"])
    applied = courses(given, tissue.tissue)
    for course in applied:
        say(f"sub-{subject}: radiotherapy: {course.sentence(dates[0])}")
    history = _history(subject, grid, tissue, placed, registrar, rows, given)
    demand_one_person([*known, *registrar.patients])
    if stiffness is not None:
        history = _with_stiffness(history, stiffness, scans, moves, grid, settings, notes)
    labels = {one.subject for one in sessions}
    streams, about_streams = read_streams(Path(table), subject, dates[0], history.scans[-1].day, labels)
    markers, about_markers = read_markers(Path(table), subject)
    history = replace(history, streams=streams, markers=markers)
    notes += (*about_streams, *about_markers, *biology_notes(history), *plan_notes(rows, dates[0]))
    warnings = (*registrar.warnings, *course_warnings(given, tissue.tissue))
    said = tuple(dict.fromkeys([*notes, *registrar.notes]))
    for one in (*said, *(f"WARNING: {warning}" for warning in warnings)):
        say(f"sub-{subject}: {one}")
    return TumourReading(history, said, warnings, applied)


def _history(
    subject: str,
    grid: TumourGrid,
    tissue: TumourTissue,
    scans: tuple[TumourScan, ...],
    registrar: Registrar,
    rows: Sequence[TreatmentRow],
    given: Sequence[Given],
) -> TumourHistory:
    of = {kind: [row for row in rows if row.kind == kind] for kind in ("chemotherapy", "surgery")}
    return TumourHistory(
        subject,
        grid.affine_mm,
        tissue.tissue,
        tissue.white,
        scans,
        tuple(one.irradiation for one in given),
        tuple(registrar.drug_dose(row) for row in of["chemotherapy"]),
        tuple(registrar.surgery(row) for row in of["surgery"]),
    )


def _with_stiffness(
    history: TumourHistory,
    stiffness: tuple[str, Path],
    scans: Sequence[Session],
    moves: Sequence[Movement],
    grid: TumourGrid,
    settings: TumourSettings,
    notes: list[str],
) -> TumourHistory:
    """Return the history with draws of the modulus."""
    label, folder = stiffness
    of = {session.session: move.motion for session, move in zip(scans, moves, strict=True)}
    if label not in of:
        notes.append(f"stiffness of ses-{label} taken as aligned with the first scan, since it has no tumour maps")
    found: StiffnessDraws = stiffness_on(folder, grid, of.get(label), settings.stiffness_draws)
    return replace(history, stiffness=found)


def _tissue(
    scans: Sequence[Session],
    anatomies: Sequence[DatedAnatomy | None],
    grid: TumourGrid,
    table: Path | str,
    move: Movement | None = None,
) -> tuple[TumourTissue, int]:
    """Brain from the first labels, else from the first T1, and the number of the scan they belong to."""
    motion = None if move is None else move.motion
    for number, session in enumerate(scans):
        if session.labels is not None:
            return tissue_from_labels(session.labels, grid, motion), number
    for number, t1 in enumerate(anatomies):
        if t1 is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "T1w.nii.gz"
                with on_this_machine(Path(folder).parent):
                    write_nifti(path, t1.image.volume.values.astype(np.float32), t1.image.volume.affine_mm)
                return tissue_from_t1(t1.image, path, grid, motion), number
    raise InputError(
        f"{table}, subject {scans[0].subject}",
        found="neither labels nor anatomy in the rows with tumour maps",
        expected="a segmentation with labels.tsv, or a T1, to know where the brain is",
        advice="Fill in the column labels or anatomy of the first scan.",
    )


def _movements(
    anatomies: Sequence[DatedAnatomy | None], grid: TumourGrid, tissue: TumourTissue, settings: TumourSettings
) -> tuple[Movement, ...]:
    images = [None if one is None else one.image for one in anatomies]
    still = Movement(None, None, "the first scan")
    return (
        still,
        *(movement(images[0], later, grid, tissue.tissue, settings.registration) for later in images[1:]),
    )


def _scan(
    session: Session, maps: GrowthMaps, move: Movement, day: float, grid: TumourGrid, tissue: TumourTissue
) -> TumourScan:
    """Return one date on the grid: the nearest voxels of its images, and where they lie."""
    values = Volume(maps.cellularity.values, maps.affine_mm)
    if not grid.covered(values, move.motion).any():
        raise InputError(
            session.growth or session.label,
            found="maps that show nothing of the first scan's grid",
            expected="maps of the same place in world coordinates (RAS, mm)",
            advice="Register them to the first date, or give the T1 of both dates.",
        )
    visible = np.isin(maps.roi, VISIBLE)
    demand_on_grid(str(session.growth or session.label), visible, maps.affine_mm, move.motion, grid)
    roi = grid.nearest(Volume(maps.roi.astype(np.float64), maps.affine_mm), move.motion).astype(np.uint8)
    cellularity = grid.nearest(values, move.motion, outside=np.nan)
    std = grid.nearest(Volume(maps.cellularity.std, maps.affine_mm), move.motion, outside=np.nan)
    offset = grid.offset(values, move.motion)
    return TumourScan(
        day,
        cellularity,
        np.where(np.isfinite(cellularity), std, np.nan),
        roi,
        maps.drawn,
        offset.astype(np.float32) if offset.any() else None,
        move.uncertainty_mm,
        None if maps.hypoxia is None else grid.nearest(Volume(maps.hypoxia, maps.affine_mm), move.motion),
        on_first_scan(maps.biopsies, move.motion, grid, tissue, session.growth or session.label),
    )


def _looked(maps: GrowthMaps, move: Movement, scan: TumourScan, grid: TumourGrid) -> NDArray[np.bool_]:
    """Return what a date shows: its field of view where regions were drawn, else where cellularity was measured."""
    field = grid.covered(Volume(maps.cellularity.values, maps.affine_mm), move.motion)
    return field if scan.marked else field & np.isfinite(scan.cellularity)
