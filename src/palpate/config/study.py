"""The table of a study's sessions, checked before anything runs."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from palpate.config.region_choice import split_region
from palpate.config.table import Rows, TableColumns, read_table
from palpate.errors import InputError
from palpate.system_files import matching

REQUIRED = ("subject", "session", "mre")
"""Columns that a table of sessions must have."""
OPTIONAL = ("anatomy", "labels", "date", "growth", "treatment", "mask", "truth")
"""Columns that a table of sessions may have."""
_PATHS = ("mre", "anatomy", "labels", "growth", "treatment", "mask", "truth")
_EMPTY = ("", "n/a")
_VOLUME_ENDINGS = (".nii", ".nii.gz", ".mgz", ".hdr", ".img", ".img.gz", ".mgh")
"""Endings of volumes that are no DICOM."""
ONE_SCAN = (
    "one session with tumour maps does not show growth, so that its forecast is of the population, not of this "
    "patient. Add the maps of another date in the column growth, with its date."
)
"""Message for a subject with a single scan of the tumour."""
STREAM_TABLE = "observations.tsv"
"""Name of the table of streams, beside the table of sessions."""
PARTICIPANTS_TABLE = "participants.tsv"
"""Name of the table of participants, beside the table of sessions."""
STREAM_RESOURCES = ("observations.json", "observations.ndjson")
"""Names of files of FHIR Observations, beside the table of sessions."""
_LABEL = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Session:
    """One visit of one subject.

    Attributes:
        subject: BIDS label, letters and digits, without "sub-".
        session: BIDS label, letters and digits, without "ses-".
        mre: DICOM folder or zip, a wave-field folder, or arrays of displacement; None where there is no elastography.
        anatomy: T1, DICOM folder or NIfTI file.
        labels: segmentation in the anatomy's space, NIfTI file.
        date: day of the scan.
        growth: folder with tumour maps of this date.
        treatment: table of treatments.
        mask: file of the region to be inverted, NIfTI, DICOM SEG or RTSTRUCT, in the elastogram's world coordinates;
            DICOM elastography only.
        mask_region: name or number of the region in that file, as in `file#name`; empty where none is chosen.
        truth: folder with the true maps, for an in-silico patient.
    """

    subject: str
    session: str
    mre: Path | None = None
    anatomy: Path | None = None
    labels: Path | None = None
    date: datetime.date | None = None
    growth: Path | None = None
    treatment: Path | None = None
    mask: Path | None = None
    truth: Path | None = None
    mask_region: str = ""

    @property
    def label(self) -> str:
        """Stem of the session's file names, such as "sub-01_ses-01"."""
        return f"sub-{self.subject}_ses-{self.session}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file and folder that the row names."""
        named = (self.mre, self.anatomy, self.labels, self.growth, self.treatment, self.mask, self.truth)
        return tuple(path for path in named if path is not None)

    @property
    def folder(self) -> Path:
        """Session's folder below the results, such as sub-01/ses-01."""
        return Path(f"sub-{self.subject}", f"ses-{self.session}")

    @property
    def brings_dicom(self) -> bool:
        """Whether the elastography is a scanner's DICOM rather than a wave field or arrays of displacement."""
        if self.mre is None or self.mre.suffix.lower() == ".mat":
            return False
        return not (self.mre.is_dir() and (matching(self.mre, "*_wavefield.*") or matching(self.mre, "*_disp_??.nii*")))

    @property
    def anatomy_is_dicom(self) -> bool:
        """Whether the T1 is a scanner's DICOM, so that objects on its grid have a study to join."""
        return self.anatomy is not None and not (
            self.anatomy.is_file() and self.anatomy.name.lower().endswith(_VOLUME_ENDINGS)
        )


def read_study(table: Path) -> tuple[Session, ...]:
    """Read and check the table of sessions.

    Args:
        table: tab-separated text with a header line; paths in it are relative to the table.

    Returns:
        The sessions in the table's order.

    Raises:
        InputError: the table cannot be read, has an unknown or missing column, or one of its cells is unusable.
    """
    rows = _rows(table)
    sessions = tuple(_session(table, line, row) for line, row in rows)
    if not sessions:
        raise InputError(table, found="no session", expected="at least one line below the header", advice="Add one.")
    _demand_apart(table, rows, sessions)
    return sessions


def _demand_apart(table: Path, rows: Rows, sessions: Sequence[Session]) -> None:
    """Refuse labels that are equal or that a disk or a spreadsheet may take for equal.

    Their results would lie in one folder where a disk does not tell capitals from small letters, as those of macOS and
    Windows; and a spreadsheet turns 02 into 2, so that one visit would count as two subjects.
    """
    lines = [line for line, _ in rows]
    subjects: dict[str, tuple[int, str]] = {}
    visits: dict[tuple[str, str], tuple[int, str]] = {}
    for line, one in zip(lines, sessions, strict=True):
        first, other = subjects.setdefault(_alike(one.subject), (line, one.subject))
        if other != one.subject:
            found = f"subject {one.subject} beside subject {other} of line {first}"
            _refuse_alike(table, line, "subject", found)
        first, other = visits.setdefault((one.subject, _alike(one.session)), (line, one.session))
        if other != one.session:
            found = f"session {one.session} beside session {other} of line {first}"
            _refuse_alike(table, line, "session", found)
        if first != line:
            found = f"{one.label} a second time, after line {first}"
            raise _cell_error(table, line, "session", found, "each subject and session once", "Give it its own label.")


def _refuse_alike(table: Path, line: int, column: str, found: str) -> None:
    expected = "labels that differ by more than capitals or leading zeros"
    advice = f"Write the same {column} alike in all lines, and give different ones labels that differ further."
    raise _cell_error(table, line, column, found, expected, advice)


def _alike(label: str) -> str:
    """Return what labels have in common that a disk or a spreadsheet may confuse."""
    return (label.lstrip("0") or "0") if label.isdigit() else label.casefold()


def growth_scans(sessions: Sequence[Session], subject: str) -> tuple[Session, ...]:
    """Return a subject's sessions with maps of the tumour, in the table's order.

    Args:
        sessions: sessions of the study.
        subject: subject's BIDS label, without "sub-".
    """
    return tuple(one for one in sessions if one.subject == subject and one.growth is not None)


def stream_files(table: Path) -> tuple[Path, ...]:
    """Return the files of streams, such as laboratory values, that lie beside a table of sessions.

    Args:
        table: the table of sessions.
    """
    named = [table.parent / name for name in (STREAM_TABLE, *STREAM_RESOURCES)]
    return tuple(path for path in named if path.exists())


def participants_file(table: Path) -> tuple[Path, ...]:
    """Return the table of participants beside a table of sessions, where there is one.

    Args:
        table: the table of sessions.
    """
    path = table.parent / PARTICIPANTS_TABLE
    return (path,) if path.exists() else ()


def _rows(table: Path) -> Rows:
    """Return the non-empty lines with their line numbers, as column to cell."""
    columns = TableColumns(
        REQUIRED,
        OPTIONAL,
        advice_unknown="Columns about a participant (age, sex, weight) belong into participants.tsv; else check the "
        "spelling.",
    )
    return read_table(table, columns, what="a table of sessions", advice="Give the path of the study's sessions.tsv.")


def _session(table: Path, line: int, row: Mapping[str, str]) -> Session:
    for name in ("subject", "session"):
        if not _LABEL.fullmatch(row[name]):
            advice = f"Write the label without '{name[:3]}-', dashes or spaces."
            raise _cell_error(table, line, name, repr(row[name]), "ASCII letters and digits", advice)
    cells = {name: row.get(name, "") for name in _PATHS}
    cells["mask"], region = split_region(cells["mask"], table.parent)
    paths = {name: _path(table, line, name, cell) for name, cell in cells.items()}
    date = _date(table, line, row.get("date", ""))
    return Session(row["subject"], row["session"], date=date, mask_region=region, **paths)


def _path(table: Path, line: int, column: str, cell: str) -> Path | None:
    if cell in _EMPTY:
        return None
    path = (table.parent / cell).absolute()
    try:
        there = path.exists()
    except OSError:  # such as a name that no file system takes
        there = False
    if not there:
        advice = "Paths are relative to the table's own folder."
        raise _cell_error(table, line, column, f"{cell!r}", "a path that exists", advice)
    return path


def _date(table: Path, line: int, cell: str) -> datetime.date | None:
    if cell in _EMPTY:
        return None
    expected = "a day like 2026-03-31, not in the future"
    advice = "Write year, month and day as ISO 8601 does."
    try:
        day = datetime.datetime.strptime(cell, "%Y-%m-%d").date()
    except ValueError as error:
        raise _cell_error(table, line, "date", repr(cell), expected, advice) from error
    if day > datetime.date.today():
        raise _cell_error(table, line, "date", repr(cell), expected, advice)
    return day


def _cell_error(table: Path, line: int, column: str, found: str, expected: str, advice: str) -> InputError:
    where = f"{table}, line {line}, column {column}"
    return InputError(where, found=found, expected=expected, advice=advice)
