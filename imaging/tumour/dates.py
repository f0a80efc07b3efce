"""The rows of one subject in the table of sessions, put in order and checked as a course of time."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palpate.config.study import Session, growth_scans
from palpate.errors import InputError
from palpate.imaging.anatomy.anatomy import AnatomyImage, read_anatomy_image
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.files.named_within import named_by
from palpate.imaging.files.nifti import is_volume_file


@dataclass(frozen=True, slots=True)
class DatedAnatomy:
    """A T1 image with the frame of reference and the patient that its DICOM names.

    Attributes:
        image: the T1.
        frame_uid: frame of reference; empty where it came as NIfTI.
        patient: PatientID, only ever compared; empty where it came as NIfTI.
    """

    image: AnatomyImage
    frame_uid: str
    patient: str


def dated_scans(sessions: Sequence[Session], subject: str, table: Path | str) -> tuple[Session, ...]:
    """Return the subject's rows that have maps of the tumour; the history is made from them.

    Args:
        sessions: rows of the study, or of the subject alone.
        subject: BIDS label.
        table: path of the table of sessions, for errors.

    Raises:
        InputError: no such subject, no maps, a date missing, doubled or out of order.
    """
    own = [one for one in sessions if one.subject == subject]
    if not own:
        known = ", ".join(sorted({one.subject for one in sessions})[:8]) or "nobody"
        raise InputError(table, found=f"no subject {subject}", expected=f"one of {known}", advice="Check the label.")
    scans = growth_scans(sessions, subject)
    if not scans:
        raise InputError(
            f"{table}, subject {subject}",
            found="no session with tumour maps in the column growth",
            expected="one at least, with its date: one scan shows a tumour, two show its growth",
            advice="Add the maps of a date.",
        )
    for one in scans:
        if one.date is None:
            raise InputError(
                f"{table}, {one.label}",
                found="tumour maps without a date",
                expected="the day of the scan in the column date, such as 2026-03-31",
                advice="Fill it in; it is kept out of every output.",
            )
    days = [one.date for one in scans if one.date is not None]
    for before, after, session in zip(days, days[1:], scans[1:], strict=False):
        if after <= before:
            raise InputError(
                f"{table}, {session.label}",
                found=f"date {after} {'again' if after == before else f'below {before}'}",
                expected="tumour maps in order of their dates, one set a day",
                advice="Correct the date or the order of rows.",
            )
    return scans


def one_table(sessions: Sequence[Session], subject: str, table: Path | str) -> Path | None:
    """Return the path of the subject's table of treatments; None where there is none.

    Raises:
        InputError: its rows name different tables.
    """
    named = {one.treatment.resolve() for one in sessions if one.subject == subject and one.treatment is not None}
    if len(named) > 1:
        raise InputError(
            f"{table}, subject {subject}",
            found=f"{len(named)} different tables in the column treatment",
            expected="one table with all treatments of the subject",
            advice="Join them; mixed tables may be of different subjects.",
        )
    return next(iter(named), None)


def day_of(date: datetime.date, first: datetime.date) -> float:
    """Return the number of days from the first scan to a date."""
    return float((date - first).days)


def anatomy_of(session: Session) -> DatedAnatomy | None:
    """Return the T1 of a session; None where it has none.

    Raises:
        InputError: the image cannot be used.
    """
    path = session.anatomy
    if path is None:
        return None
    with named_by(f"anatomy of {session.label}", path):
        if path.is_file() and is_volume_file(path):
            return DatedAnatomy(read_anatomy_image(path, ()), "", "")
        read = read_anatomy(path)
    if not np.ptp(read.volume.values):
        raise InputError(
            session.label, found="a T1 of one intensity", expected="an image with contrast", advice="Export it again."
        )
    header = read.series.header
    image = AnatomyImage(Path(f"anatomy of {session.label}"), read.volume, {"source": "DICOM"}, None)
    return DatedAnatomy(image, str(header.get("FrameOfReferenceUID", "")), str(header.get("PatientID", "")))


def demand_one_person(patients: Sequence[tuple[str, str]]) -> None:
    """Refuse images of different people under one subject.

    Args:
        patients: name in the error and PatientID of each image; the latter is empty where the image has none.

    Raises:
        InputError: two identifiers differ. The error repeats neither.
    """
    known = [(where, patient) for where, patient in patients if patient]
    for where, patient in known[1:]:
        if patient != known[0][1]:
            raise InputError(
                where,
                found=f"another Patient ID than in {known[0][0]}",
                expected="images of one person for one subject",
                advice="Check the rows of the table; de-identify all dates with the same key.",
            )
