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
from palpate.imaging.files.json_object import read_json
from palpate.imaging.region_values.session_regions import AskedRegions, session_regions
from palpate.imaging.region_values.table import HEADER, read_rows, record_beside, record_of, record_text, rows_of
from palpate.outputs import OutputFile, writing_together
from palpate.progress import Progress, say
from palpate.system_files import matching

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


def demand_own_labels(sessions: Sequence[SessionFolder]) -> None:
    """Refuse a session whose maps are those of another subject or session by their names.

    Rows of the table bear the labels of the maps: two folders would give one subject two sets of rows.

    Args:
        sessions: sessions of a study.

    Raises:
        InputError: the names of a session's maps do not begin with the labels of its folder.
    """
    for one in sessions:
        own = f"sub-{one.subject}_ses-{one.session}"
        for path in matching(one.path / "mre", "*_stat-mean_storagemodulus.nii.gz"):
            if not path.name.startswith(f"{own}_"):
                raise InputError(
                    path,
                    found=f"maps of another label in the folder of {own}",
                    expected=f"names that begin with {own}_",
                    advice="Put the maps into the folder of their own subject and session.",
                )


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
    """Yield the lines of every regions.tsv below a folder of results, and the entries of the record beside it.

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
        yield _of_folder(one), _entries_beside(one)


def _of_folder(table: Path) -> list[str]:
    """Return the lines of a session's table.

    Raises:
        InputError: it is no table of this version, or bears the labels of another session than its folder.
    """
    lines, session = read_rows(table), table.parent
    own = [session.parent.name.removeprefix("sub-"), session.name.removeprefix("ses-")]
    if any(line.split("\t")[:2] != own for line in lines):
        raise InputError(
            table,
            found="rows of another subject or session than the folder's",
            expected=f"rows of sub-{own[0]}, ses-{own[1]}",
            advice="Run palpate regions on the session again, whose maps must bear its own labels.",
        )
    return lines


def _entries_beside(table: Path) -> dict[str, Any]:
    """Return the entries of the record beside a session's table; none where there is no record."""
    path = record_beside(table)
    found = read_json(path).get("regions") if path.exists() else None
    return {stem: told for stem, told in found.items() if isinstance(told, dict)} if isinstance(found, dict) else {}


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
