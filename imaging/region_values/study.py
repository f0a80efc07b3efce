"""Regions of a whole study: the sessions of a folder of results, the labels of each, and one table of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.imaging.region_values.session_regions import AskedRegions, session_regions
from palpate.imaging.region_values.table import HEADER, read_rows, record_of, record_text, rows_of
from palpate.outputs import OutputFile, writing_together
from palpate.progress import Progress, say

SUBJECT: Final = "{subject}"
SESSION: Final = "{session}"
"""Words in the name of a file of labels for which each session's labels are put."""


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """Finished session of a study.

    Attributes:
        path: its folder.
        subject: label of the subject.
        session: label of the session.
    """

    path: Path
    subject: str
    session: str


def study_sessions(results: Path) -> tuple[SessionFolder, ...]:
    """Return the sessions with stiffness maps of a folder of results, in the order of their names; none for a session.

    Args:
        results: folder of results, or of one session.
    """
    found = sorted(one.parent for one in results.glob("sub-*/ses-*/mre") if one.is_dir())
    return tuple(
        SessionFolder(one, one.parent.name.removeprefix("sub-"), one.name.removeprefix("ses-")) for one in found
    )


def asked_of_sessions(
    sessions: Sequence[SessionFolder], asked: AskedRegions, table: Path | None
) -> list[tuple[Path, AskedRegions]]:
    """Return each session with its own labels.

    Args:
        sessions: sessions of a study.
        asked: regions; the name of the labels holds {subject} and {session} where there are several sessions.
        table: table of sessions, whose column labels, or else mask, names the labels of each; None for none.

    Raises:
        InputError: one file of labels is given for several sessions, or a session's is not there.
    """
    if table is not None:
        return _by_table(sessions, asked, table)
    if asked.labels is None:
        return [(one.path, asked) for one in sessions]
    text = str(asked.labels)
    if len(sessions) > 1 and not _apart(text, sessions):
        raise InputError(
            "--labels",
            found=f"one file for {len(sessions)} sessions",
            expected="labels of each session, in the coordinates of its own images",
            advice=f"Write {SUBJECT} and {SESSION} where their labels stand in the name, or name the table of sessions "
            "with --sessions.",
        )
    return [(one.path, replace(asked, labels=Path(_filled(text, one)))) for one in sessions]


def _filled(text: str, one: SessionFolder) -> str:
    return text.replace(SUBJECT, one.subject).replace(SESSION, one.session)


def _apart(text: str, sessions: Sequence[SessionFolder]) -> bool:
    """Return whether a name with words to fill differs from session to session."""
    return len({_filled(text, one) for one in sessions}) == len(sessions)


def _by_table(sessions: Sequence[SessionFolder], asked: AskedRegions, table: Path) -> list[tuple[Path, AskedRegions]]:
    """Return the sessions to which a table of sessions gives labels or a mask."""
    rows = {(one.subject, one.session): one for one in read_study(table)}
    found = []
    for one in sessions:
        row = rows.get((one.subject, one.session))
        if row is not None and row.labels is not None:
            found.append((one.path, replace(asked, labels=row.labels, space="t1" if row.anatomy else asked.space)))
        elif row is not None and row.mask is not None:
            mask = Path(f"{row.mask}#{row.mask_region}" if row.mask_region else row.mask)
            found.append((one.path, replace(asked, labels=mask, space="elastogram")))
    if not found:
        advice = "Add the column labels or mask, or name the labels with --labels."
        raise InputError(table, found="no labels or mask of a finished session", expected="one", advice=advice)
    if len(found) < len(sessions):
        say(f"{len(sessions) - len(found)} of {len(sessions)} sessions have no labels or mask in the table")
    return found


def session_table(given: tuple[Path, AskedRegions]) -> tuple[list[str], dict[str, Any]]:
    """Return the lines of a session's table, and its entries in the record.

    Args:
        given: session folder, and its regions.
    """
    found = session_regions(*given)
    return list(rows_of(found)), record_of(found)


def tables_of(asked: Sequence[tuple[Path, AskedRegions]], workers: int) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield lines and entries of each session, in order, computed in several processes.

    Args:
        asked: sessions, each with its regions.
        workers: number of processes.
    """
    progress = Progress("sessions", len(asked))
    if min(workers, len(asked)) <= 1:
        for one in asked:
            yield session_table(one)
            progress.step()
        return
    # Processes that start anew: libraries of this one may hold threads, which do not survive a fork.
    with ProcessPoolExecutor(min(workers, len(asked)), mp_context=get_context("spawn")) as pool:
        for found in pool.map(session_table, asked):
            yield found
            progress.step()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def written_tables(results: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield the lines of every regions.tsv below a folder of results.

    Raises:
        InputError: there is none, or one is of another version.
    """
    tables = sorted(results.glob("sub-*/ses-*/regions.tsv"))
    if not tables:
        raise InputError(
            results,
            found="no regions.tsv in a session",
            expected="tables of regions to gather, or regions to compute",
            advice="Name labels with --labels or --sessions, or a sphere with --sphere X,Y,Z,RADIUS.",
        )
    for one in tables:
        yield read_rows(one), {}


def write_table(table: OutputFile, record: OutputFile, lines: Sequence[str], entries: Mapping[str, Any]) -> None:
    """Write a table of regions and the record beside it, both or none.

    Args:
        table: claimed file of the table.
        record: claimed file of the record.
        lines: lines of the table, without its header.
        entries: entries of the record, by the stems of the runs.
    """
    with writing_together(table, record) as (of_table, of_record):
        of_table.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
        of_record.write_text(record_text(dict(entries)), encoding="utf-8")
