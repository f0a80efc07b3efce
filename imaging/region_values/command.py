"""The command palpate regions: which sessions, which regions, where the table goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palpate.config.region_choice import split_choice
from palpate.config.regions import RegionsSettings
from palpate.errors import InputError
from palpate.imaging.region_values.region_warnings import grouped
from palpate.imaging.region_values.session_regions import AskedRegions, session_regions
from palpate.imaging.region_values.study import (
    SessionFolder,
    asked_of_sessions,
    cores,
    demand_own_labels,
    study_sessions,
    tables_of,
    write_table,
    written_tables,
)
from palpate.imaging.region_values.table import RECORD, TABLE, record_beside, record_of, rows_of
from palpate.imaging.region_values.worlds import Space
from palpate.outputs import claim_file
from palpate.progress import say
from palpate.quality_warning import recorded_warnings

type _Tables = Iterator[tuple[list[str], dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class RegionsCommand:
    """Request to palpate regions: sessions, regions and quantities.

    Attributes:
        results: session folder, folder of stiffness maps, or folder of results.
        labels: file of labels, segments or contours; its name may hold {subject} and {session}.
        names: table of names by number.
        spheres: spheres X,Y,Z,RADIUS.
        atlas: whether the regions of the average brain are asked for.
        sessions: table of sessions.
        space: world of the regions.
        wavefield: folder of palpate ingest of a single session.
        key: file of the key of pseudonyms.
        workers: number of processes; None for the cores.
        settings: quantities, and uncertainty of registrations.
        registration: file that leads to the frame of reference of the regions.
        contour_image: CT on which the regions were drawn.
    """

    results: Path
    labels: Path | None = None
    names: Path | None = None
    spheres: tuple[str, ...] = ()
    atlas: bool = False
    sessions: Path | None = None
    space: Space = "auto"
    wavefield: Path | None = None
    key: Path | None = None
    workers: int | None = None
    settings: RegionsSettings = field(default_factory=RegionsSettings)
    registration: Path | None = None
    contour_image: Path | None = None

    @property
    def asked(self) -> AskedRegions:
        """Regions of each session."""
        return AskedRegions(
            self.labels,
            self.names,
            self.spheres,
            self.atlas,
            self.space,
            self.key,
            self.settings,
            self.registration,
            self.contour_image,
        )

    @property
    def names_regions(self) -> bool:
        """Whether the user names regions, instead of tables to gather."""
        return bool(self.labels or self.spheres or self.sessions or self.atlas)


def write_regions(command: RegionsCommand, out: Path | None) -> tuple[Path, int]:
    """Write the table of a session or of a study, and the record beside it.

    Args:
        command: request of the user.
        out: table to write; None for regions.tsv in the session, or group_regions.tsv in the results.

    Returns:
        The table and its number of rows.

    Raises:
        InputError: an input cannot be used, or the table would replace what palpate regions did not write.
    """
    found = study_sessions(command.results)
    path = out or command.results / ("group_regions.tsv" if found else "regions.tsv")
    given = None if command.labels is None else split_choice(command.labels)[0]
    inputs = {
        "results": command.results,
        "labels": given,
        "names": command.names,
        "sessions": command.sessions,
        "wavefield": command.wavefield,
        "key": command.key,
        "registration": command.registration,
        "contour_image": command.contour_image,
    }
    table, record = claim_file(path, TABLE, inputs), claim_file(record_beside(path), RECORD, inputs)
    _demand_table_name(path)
    _demand_useful(command, found)
    demand_own_labels(found)
    lines: list[str] = []
    entries: dict[str, Any] = {}
    for of_session, told in _tables(command, found):
        lines += of_session
        entries |= told
    write_table(table, record, lines, entries)
    for line in grouped({stem: recorded_warnings(told) for stem, told in entries.items()}):
        say(line)
    return table.path, len(lines)


def _demand_table_name(path: Path) -> None:
    """Refuse a table whose name leaves no name for the record beside it."""
    if not path.name.endswith(".tsv") or path.name == ".tsv":
        raise InputError(
            "--out",
            found=f"a name that ends in {path.suffix or 'no ending'}",
            expected="a table, such as regions.tsv",
            advice="Let the name end in .tsv; the record beside it ends in .json.",
        )


def _demand_useful(command: RegionsCommand, found: tuple[SessionFolder, ...]) -> None:
    """Refuse options that would have no effect, and a session without any region."""
    if command.asked.given.named and (found or command.labels is None):
        raise InputError(
            "--registration" if command.registration is not None else "--contour-image",
            found="a registration of several sessions" if found else "a registration without regions that it carries",
            expected="the regions of one session, with --labels",
            advice="Name one session and its contours.",
        )
    on_spheres = command.spheres and command.space == "elastogram"  # where they lie in any case
    if command.space != "auto" and command.labels is None and command.sessions is None and not on_spheres:
        raise InputError(
            "--space",
            found=f"{command.space} without labels, and spheres lie in the elastogram's world",
            expected="labels whose world it names",
            advice="Name labels with --labels, or leave --space out.",
        )
    if found and command.wavefield is not None:
        raise InputError(
            "--wavefield",
            found="one wave-field folder for a folder of results",
            expected="none: each session has its own",
            advice="Leave it out, or name one session.",
        )
    if not found and command.sessions is not None:
        raise InputError(
            "--sessions",
            found="a table of sessions for one session",
            expected="a folder of results beside it",
            advice="Name the labels of this session with --labels.",
        )
    if command.sessions is not None and command.labels is not None:
        advice = "Leave one of them out."
        raise InputError("--sessions", found="--labels beside it", expected="one origin of labels", advice=advice)
    if not found and not command.names_regions:
        raise InputError(
            "--labels",
            found="no region",
            expected="labels, segments, contours or a sphere",
            advice="Name a file with --labels, or a sphere with --sphere X,Y,Z,RADIUS in millimetres.",
        )
    if command.names is not None and command.labels is None and command.sessions is None:
        advice = "Name the labels with --labels, or leave --names out."
        raise InputError("--names", found="names without labels", expected="labels that they name", advice=advice)


def _tables(command: RegionsCommand, found: tuple[SessionFolder, ...]) -> _Tables:
    """Yield lines and entries of each session."""
    if not found:
        regions = session_regions(command.results, command.asked, command.wavefield)
        yield list(rows_of(regions)), record_of(regions)
    elif not command.names_regions:
        yield from written_tables(command.results)
    else:
        asked = asked_of_sessions(found, command.asked, command.sessions)
        yield from tables_of(asked, command.workers or cores())
