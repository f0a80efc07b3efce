"""Study page: one file with the states of all sessions, causes of failures, warnings, time left and resources."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from palpate.progress import duration_text
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.render import OwnAssets, render_page
from palpate.service.study.stages import SESSION_STAGES, TUMOUR_STAGES
from palpate.service.study.states import StageState, StageStatus, StudyProgress, StudyUnit
from palpate.service.study.time_left import TimeLeft, time_left
from palpate.service.study.usage import Amount, StageUsage, usage_by_stage

_FIRST: Final = 12
"""Most sessions that are named for one cause or warning."""
_OPEN: Final = 100
"""Most rows of a table that is unfolded from the start."""
_KINDS: Final = {
    StageState.FAILED: "failed",
    StageState.RUNNING: "running",
    StageState.WAITING: "quiet",
    StageState.UNASKED: "quiet",
}
"""Classes of cells by their state."""


@dataclass(frozen=True, slots=True)
class PlaceLink:
    """Session or tumour by its label.

    Attributes:
        label: label, such as "sub-01 ses-01".
        page: address of its page relative to the study page; empty where there is none.
    """

    label: str
    page: str


@dataclass(frozen=True, slots=True)
class SomePlaces:
    """First sessions of many.

    Attributes:
        first: sessions that are named.
        more: number of the others.
    """

    first: tuple[PlaceLink, ...]
    more: int


@dataclass(frozen=True, slots=True)
class StateCell:
    """Cell of a table of sessions and steps.

    Attributes:
        word: word for the state.
        kind: class of the cell; empty for none.
    """

    word: str
    kind: str


@dataclass(frozen=True, slots=True)
class UnitRow:
    """Row of a table of sessions and steps.

    Attributes:
        label: label of the session or tumour.
        page: address of its page.
        cells: states of its steps.
        note: cause of a failure, and codes of warnings.
    """

    label: str
    page: str
    cells: tuple[StateCell, ...]
    note: str


@dataclass(frozen=True, slots=True)
class UnitGroup:
    """Sessions of one kind, in one table.

    Attributes:
        title: kind in words.
        rows: rows of the sessions.
        open: whether the table is unfolded.
    """

    title: str
    rows: tuple[UnitRow, ...]
    open: bool


def render_study(progress: StudyProgress, results: Path, page: Path) -> str:
    """Return the study page as HTML text.

    Args:
        progress: progress of the study.
        results: folder of results, to which links lead.
        page: path of the page, from which links lead.
    """
    link = _linker(results, page)
    usage = usage_by_stage(progress)
    running = [(unit, one) for unit in progress.units for one in unit.stages if one.state is StageState.RUNNING]
    return render_page(
        "study.html",
        assets=OwnAssets(_asset("study.html"), _asset("study.css") + _labels(), _asset("study.js")),
        viewer_data=None,
        title="Progress of the study",
        headline=_headline(progress),
        left=_left_words(time_left(progress)),
        seen=progress.seen.strftime("%Y-%m-%d at %H:%M"),
        workflow=f"At work: {progress.workflow}." if progress.workflow else "No workflow is at work on these results.",
        overview=_overview(progress),
        alerts=_alerts(progress, link),
        failures=_failures(progress, link),
        running=[
            {"stage": one.stage.name, "label": unit_label(unit), "reason": one.reason}
            for unit, one in running[: 2 * _FIRST]
        ],
        running_more=max(len(running) - 2 * _FIRST, 0),
        flagged=_flagged(progress, link),
        sessions=_groups(progress.sessions, link),
        tumours=_groups(progress.tumours, link),
        session_stages=[stage.name for stage in SESSION_STAGES],
        tumour_stages=[stage.name for stage in TUMOUR_STAGES],
        usage=_usage_table(usage) if usage else None,
    )


def unit_label(unit: StudyUnit) -> str:
    """Return the label of a session, such as "sub-01 ses-01", of a tumour, or of the study as a whole."""
    parts = ([f"sub-{unit.subject}"] if unit.subject else []) + ([f"ses-{unit.session}"] if unit.session else [])
    return " ".join(parts) or "all sessions"


def _asset(name: str) -> str:
    return files("palpate.service.study.assets").joinpath(name).read_text(encoding="utf-8")


def _labels() -> str:
    """Return the style that names each cell on a telephone: thousands of rows would else repeat the names."""
    told = []
    for kind, stages in (("of-session", SESSION_STAGES), ("of-tumour", TUMOUR_STAGES)):
        names = [*(stage.name for stage in stages), "Note"]
        told += [
            f'.{kind} td:nth-child({number})::before {{ content: "{name}: "; }}' for number, name in enumerate(names, 2)
        ]
    return "@media (max-width: 40rem) {\n" + "\n".join(told) + "\n}\n"


type Linker = Callable[[StudyUnit], PlaceLink]
"""Function that returns the label of a session with the address of its page."""


def _linker(results: Path, page: Path) -> Linker:
    way = os.path.relpath(results.resolve(), page.resolve().parent)
    start = "" if way == "." else f"{quote(Path(way).as_posix())}/"
    return lambda unit: PlaceLink(unit_label(unit), f"{start}{quote(unit.page)}" if unit.page else "")


def _headline(progress: StudyProgress) -> str:
    states = Counter(unit.state for unit in progress.sessions)
    total = len(progress.sessions)
    flagged = sum(1 for unit in progress.sessions if unit.codes)
    words = [f"{states[StageState.DONE]:,} of {total:,} {'session is' if total == 1 else 'sessions are'} finished"]
    words += [f"{states[StageState.FAILED]:,} failed"] if states[StageState.FAILED] else []
    words += [f"{states[StageState.RUNNING]:,} running"] if states[StageState.RUNNING] else []
    words += [f"{states[StageState.WAITING]:,} not finished"] if states[StageState.WAITING] else []
    words += [f"{flagged:,} with warnings about quality"] if flagged else []
    alerted = sum(1 for unit in progress.tumours if unit.alerts)
    alerts = f" {alerted:,} {'tumour has' if alerted == 1 else 'tumours have'} an alert." if alerted else ""
    return f"{', '.join(words)}.{alerts}"


def _left_words(left: TimeLeft) -> str:
    if left.steps == 0:
        return "No step is left to do."
    without = f" The sum leaves out {', '.join(left.unknown)}: no session has finished them." if left.unknown else ""
    if left.serial_s == 0.0:
        return f"{left.steps:,} steps are left.{without}"
    return (
        f"{left.steps:,} steps are left: about {duration_text(left.elapsed_s)} at the pace so far"
        f" ({left.at_once:.1f} steps at once), {duration_text(left.serial_s)} one after another.{without}"
    )


def _overview(progress: StudyProgress) -> FiguresTable:
    counts: dict[str, Counter[StageState]] = {}
    for unit in progress.units:
        for one in unit.stages:
            counts.setdefault(one.stage.name, Counter())[one.state] += 1
    rows = tuple(
        (
            name,
            f"{states[StageState.DONE] + states[StageState.REMOVED]:,}",
            *(f"{states[one]:,}" for one in (StageState.RUNNING, StageState.FAILED, StageState.WAITING)),
        )
        for name, states in counts.items()
        if set(states) != {StageState.UNASKED}
    )
    return FiguresTable("Steps of all sessions", ("step", "done", "running", "failed", "not begun"), rows)


def _some(links: Sequence[PlaceLink]) -> SomePlaces:
    return SomePlaces(tuple(links[:_FIRST]), max(len(links) - _FIRST, 0))


def _failures(progress: StudyProgress, link: Linker) -> list[dict[str, object]]:
    """Return the causes of failures, the most frequent first."""
    causes: dict[tuple[str, str], list[PlaceLink]] = {}
    for unit, one in _failed(progress.units):
        causes.setdefault((one.stage.name, one.reason), []).append(link(unit))
    ordered = sorted(causes.items(), key=lambda one: -len(one[1]))
    return [
        {"stage": stage, "reason": reason, "count": _times(len(places)), "places": _some(places)}
        for (stage, reason), places in ordered
    ]


def _failed(units: Iterable[StudyUnit]) -> list[tuple[StudyUnit, StageStatus]]:
    return [(unit, one) for unit in units for one in unit.stages if one.state is StageState.FAILED]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _alerts(progress: StudyProgress, link: Linker) -> list[dict[str, object]]:
    """Return the alerts of all tumours, those that are raised first."""
    found = [(alert, link(unit)) for unit in progress.tumours for alert in unit.alerts]
    found.sort(key=lambda one: one[0].state != "raised")
    return [
        {"code": one.code, "state": one.state, "sentence": one.sentence, "places": _some([place])}
        for one, place in found
    ]


def _flagged(progress: StudyProgress, link: Linker) -> list[dict[str, object]]:
    """Return the codes of warnings, the most frequent first."""
    found: dict[str, list[PlaceLink]] = {}
    for unit in progress.units:
        for code in unit.codes:
            found.setdefault(code, []).append(link(unit))
    ordered = sorted(found.items(), key=lambda one: -len(one[1]))
    return [{"code": code, "count": f"{len(places):,}", "places": _some(places)} for code, places in ordered]


def _groups(units: Sequence[StudyUnit], link: Linker) -> list[UnitGroup]:
    """Return units in tables, those that a reader must look at first."""
    titles = ("Failed", "Running", "Finished with warnings", "Begun, not finished", "Not begun", "Finished")
    groups: dict[str, list[UnitRow]] = {title: [] for title in titles}
    for unit in units:
        groups[_title_of(unit)].append(_row(unit, link))
    return [UnitGroup(title, tuple(rows), len(rows) <= _OPEN) for title, rows in groups.items() if rows]


def _title_of(unit: StudyUnit) -> str:
    if unit.state is StageState.DONE:
        return "Finished with warnings" if unit.codes else "Finished"
    if unit.state is StageState.WAITING:
        return "Begun, not finished" if unit.begun else "Not begun"
    return "Failed" if unit.state is StageState.FAILED else "Running"


def _row(unit: StudyUnit, link: Linker) -> UnitRow:
    place = link(unit)
    cells = tuple(_CELLS[one.state] for one in unit.stages)
    reasons = [one.reason for one in unit.stages if one.reason]
    return UnitRow(place.label, place.page, cells, " ".join([*reasons, ", ".join(unit.codes)]).strip())


_CELLS: Final = {
    state: StateCell("–" if state is StageState.UNASKED else state.value, _KINDS.get(state, "")) for state in StageState
}
"""Cells by their state."""


def _usage_table(usage: Sequence[StageUsage]) -> FiguresTable:
    pairs = [words for what in ("memory", "time", "cores") for words in (f"{what} used", f"{what} requested")]
    head = ("step", "records", "ranks", *pairs, "CPU time")
    rows = tuple(
        (
            one.name,
            f"{one.count:,}",
            f"{one.ranks}",
            *_amount_cells(one.memory_mb, lambda value: f"{value:,.0f} MB"),
            *_amount_cells(one.wall_s, duration_text),
            *_amount_cells(one.threads, lambda value: f"{value:.3g}"),
            f"{one.cpu_s:,.1f} s",
        )
        for one in usage
    )
    return FiguresTable("Requested against used, by step", head, rows)


def _amount_cells(amount: Amount, words: Callable[[float], str]) -> tuple[str, str]:
    share = "" if amount.most_share is None else f" ({100.0 * amount.most_share:.0f} %)"
    requested = "–" if amount.requested is None else words(amount.requested)
    return f"{words(amount.typical)}, {words(amount.most)}{share}", requested
