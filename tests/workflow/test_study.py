"""The table of sessions: read as written, refused with the line and column where it cannot be used."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from palpate.config.study import read_study
from palpate.errors import InputError


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with the inputs that the tables below name."""
    for name in ("dicom", "wavefield", "truth"):
        (tmp_path / name).mkdir()
    (tmp_path / "wavefield" / "sub-x_acq-50Hz_wavefield.json").write_text("{}")
    (tmp_path / "scan.zip").touch()
    (tmp_path / "t1.nii.gz").touch()
    return tmp_path


def _table(study: Path, *lines: str) -> Path:
    path = study / "sessions.tsv"
    path.write_text("\n".join(line.replace("|", "\t") for line in lines) + "\n")
    return path


def test_reads_what_is_written(study: Path) -> None:
    """Everything later hangs on these fields; empty and n/a cells mean "none", paths start at the table."""
    table = _table(
        study,
        "subject|session|mre|anatomy|date|truth",
        "01|base|dicom|t1.nii.gz|2026-03-31|truth",
        "02|1|wavefield|n/a||",
        "",
        "03|1|||  |",
    )
    first, second, third = read_study(table)
    assert first.label == "sub-01_ses-base"
    assert first.folder == Path("sub-01/ses-base")
    assert (first.mre, first.anatomy, first.truth) == (study / "dicom", study / "t1.nii.gz", study / "truth")
    assert first.date == datetime.date(2026, 3, 31)
    assert (second.anatomy, second.date, second.truth) == (None, None, None)
    assert third.mre is None
    assert [session.brings_dicom for session in (first, second, third)] == [True, False, False]


def test_table_of_a_spreadsheet_is_read(study: Path) -> None:
    """Spreadsheets write a byte-order mark and carriage returns; neither is the user's fault."""
    table = study / "sessions.tsv"
    table.write_bytes(b"\xef\xbb\xbfsubject\tsession\tmre\r\n01\t01\tscan.zip\r\n")
    assert read_study(table)[0].mre == study / "scan.zip"


def test_unicode_text_of_a_spreadsheet_is_read(study: Path) -> None:
    """Excel's "Unicode text" is UTF-16 with a byte-order mark, quotation marks and tabs of empty columns."""
    text = 'subject\tsession\tmre\r\n"01"\t01\tscan.zip\t\t\r\n'
    table = study / "sessions.tsv"
    for encoding in ("utf-16-le", "utf-16-be"):
        table.write_bytes("\ufeff".encode(encoding) + text.encode(encoding))
        assert read_study(table)[0].mre == study / "scan.zip"


GOOD = "01|01|dicom"
REFUSED = [
    (("subject|session|mre",), "no session"),
    (("subject|session", "01|01"), "no column 'mre'"),
    (("subject|session|mre|anatomi", GOOD + "|"), "column 'anatomi'"),
    (("subject|session|mre|mre", GOOD + "|dicom"), "column 'mre' twice"),
    (("subject,session,mre", "01,01,dicom"), "columns separated by commas"),
    (("subject;session;mre", "01;01;dicom"), "columns separated by semicolons"),
    (("subject  session  mre", "01  01  dicom"), "columns separated by spaces"),
    (("subject|session|mre", "01 01 dicom"), "not by spaces"),
    (("subject|session|mre|age", GOOD + "|54"), "belong into participants.tsv"),
    (("subject|session||mre", "01|01||dicom"), "a column without a name (column 3 of the header line)"),
    (("subject|session|mre", "01|01"), "2 cells in line 2"),
    (("subject|session|mre", "sub-01|01|dicom"), "line 2, column subject: found 'sub-01'"),
    (("subject|session|mre", "01||dicom"), "line 2, column session: found ''"),
    (("subject|session|mre", "é|01|dicom"), "column subject"),
    (
        ("subject|session|mre", GOOD, "", GOOD),
        "line 4, column session: found sub-01_ses-01 a second time, after line 2",
    ),
    (
        ("subject|session|mre", GOOD, "1|01|dicom"),
        "line 3, column subject: found subject 1 beside subject 01",
    ),
    (
        ("subject|session|mre", GOOD, "01|1|dicom"),
        "column session: found session 1 beside session 01 of line 2",
    ),
    (
        ("subject|session|mre", GOOD, "A|01|dicom", "a|02|dicom"),
        "column subject: found subject a beside subject A of line 3",
    ),
    (("subject|session|mre", "01|01|nowhere"), "line 2, column mre: found 'nowhere'"),
    (("subject|session|mre|anatomy", GOOD + "|t2.nii.gz"), "column anatomy: found 't2.nii.gz'"),
    (("subject|session|mre|date", GOOD + "|31.03.2026"), "column date: found '31.03.2026'"),
    (("subject|session|mre|date", GOOD + "|2026-02-30"), "column date: found '2026-02-30'"),
    (("subject|session|mre|date", GOOD + "|2999-01-01"), "column date: found '2999-01-01'"),
    (("subject|session|mre|date", GOOD + "|20260331"), "column date: found '20260331'"),
]


@pytest.mark.parametrize(("lines", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_unusable_table_is_refused(lines: tuple[str, ...], said: str, study: Path) -> None:
    """A study of a hundred subjects is typed by hand: the error must lead to the very cell."""
    with pytest.raises(InputError) as caught:
        read_study(_table(study, *lines))
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00s", b""], ids=["missing", "binary", "empty"])
def test_unreadable_table_is_refused(content: bytes | None, tmp_path: Path) -> None:
    """The wrong file behind `sessions:` is the commonest mistake of all."""
    table = tmp_path / "sessions.tsv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(InputError):
        read_study(table)


def test_folder_instead_of_table_is_refused(tmp_path: Path) -> None:
    """A folder is readable to `exists` but not to `open`."""
    with pytest.raises(InputError, match="cannot be read"):
        read_study(tmp_path)
