"""Progress of a study: the state of every step of every session, from files alone."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from palpate.config.study import Session
from palpate.errors import InputError
from palpate.leftovers import written_now
from palpate.machine_failures import on_this_machine
from palpate.ownership import DEAD_AFTER_S, Owner, owner_file
from palpate.resources import Use, read_use, record_name
from palpate.run_lock import workflow_on
from palpate.service.study.logs import LogEnd, StepLogs
from palpate.service.study.quality import warning_codes
from palpate.service.study.stages import (
    GROUP_STAGES,
    SESSION_STAGES,
    TUMOUR_STAGES,
    StudyStage,
    asked_of_session,
    asked_of_tumours,
)

_SUBJECT: Final = re.compile(r"sub-([0-9A-Za-z]+)")
_SESSION: Final = re.compile(r"ses-([0-9A-Za-z]+)")
_TWIN: Final = "twin"
_OWNER: Final = re.compile(re.escape(owner_file(Path("OUTPUT")).name).replace("OUTPUT", "(?P<output>.+)"))
"""Name of the file by which a run owns an output beside it; the run touches it every few seconds."""
_BESIDE_S: Final = 10.0
"""Longest time between the last line of a log and the record of what was used, seconds."""


class StageState(StrEnum):
    """State of one step of one session; its value is the word for it."""

    DONE = "done"
    REMOVED = "removed"
    RUNNING = "running"
    FAILED = "failed"
    WAITING = "not begun"
    UNASKED = "none"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """State of one step of one session or tumour.

    Attributes:
        stage: the step.
        state: its state; "removed" is done too: nothing needs its output any more.
        reason: sentence with which it failed, or the last line of the log of a running one; empty otherwise.
        used: resources that it used; None where no record says so.
        codes: codes of the warnings in its records.
    """

    stage: StudyStage
    state: StageState
    reason: str = ""
    used: Use | None = None
    codes: tuple[str, ...] = ()

    def without(self, label: str) -> StageStatus:
        """Return the status with a reason that does not name its session, so that equal causes are counted together.

        Args:
            label: label of the session in its logs, such as "sub-01_ses-01".
        """
        if not label or label not in self.reason:
            return self
        reason = self.reason.replace(f"{label}: ", "").replace(label, "this session")
        return replace(self, reason=reason)


@dataclass(frozen=True, slots=True)
class StudyUnit:
    """Session, tumour, or the study as a whole, with its steps.

    Attributes:
        subject: label of the subject; empty for the study as a whole.
        session: label of the session; empty for a tumour and for the study as a whole.
        page: path of its page relative to the results; empty where there is none yet.
        stages: status of each step, in the order of the steps.
    """

    subject: str
    session: str
    page: str
    stages: tuple[StageStatus, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the warnings of all steps, each once."""
        return tuple(dict.fromkeys(code for one in self.stages for code in one.codes))

    @property
    def state(self) -> StageState:
        """State of the whole: failed or running where a step is, else not begun or done."""
        states = {one.state for one in self.stages}
        worst = (StageState.FAILED, StageState.RUNNING, StageState.WAITING)
        return next((one for one in worst if one in states), StageState.DONE)

    @property
    def begun(self) -> bool:
        """Whether a step is done, runs or has failed."""
        return any(one.state not in (StageState.WAITING, StageState.UNASKED) for one in self.stages)


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Progress of a study at one time.

    Attributes:
        sessions: sessions in the order of the table, or of their labels.
        tumours: tumours over several sessions.
        group: the study as a whole, with the steps that gather all sessions; None where there are none.
        workflow: phrase for the workflow that works on the results; empty where none does.
        seen: time of the look, local.
    """

    sessions: tuple[StudyUnit, ...]
    tumours: tuple[StudyUnit, ...]
    group: StudyUnit | None
    workflow: str
    seen: datetime

    @property
    def units(self) -> tuple[StudyUnit, ...]:
        """Sessions, tumours and the study as a whole."""
        return (*self.sessions, *self.tumours, *([self.group] if self.group else []))


def study_progress(results: Path, table: Sequence[Session] | None = None) -> StudyProgress:
    """Return the progress of a study.

    Args:
        results: folder of results, as the workflow writes it.
        table: rows of the table of sessions; None for the sessions that have a folder or a log.

    Raises:
        InputError: there is no such folder, or it holds no session and no table names one.
    """
    if not results.is_dir():
        advice = "Give the folder of results of the workflow."
        raise InputError(results, found="no such folder", expected="a folder of results", advice=advice)
    with on_this_machine(results):
        look = _Look(results)
        names = _listed(results)
        asked, tumours = _asked(look, names, table)
        sessions = tuple(look.session(*one, wanted) for one, wanted in asked.items())
        found = tuple(look.tumour(subject, wanted) for subject, wanted in tumours.items())
        group = look.unit("", "", results, GROUP_STAGES, frozenset(), names)
    if not sessions and not found:
        advice = "Give the folder that the workflow writes (results), or the table of sessions by --sessions."
        raise InputError(results, found="no session", expected="folders such as sub-01/ses-01", advice=advice)
    whole = group if group.begun else None
    return StudyProgress(_without_unused(sessions), found, whole, look.workflow, datetime.now().astimezone())


type Asked = dict[tuple[str, str], frozenset[str] | None]
"""Names of the steps that each session asks for, by subject and session; None where no table says so."""


def _asked(
    look: _Look, names: Iterable[str], table: Sequence[Session] | None
) -> tuple[Asked, dict[str, frozenset[str] | None]]:
    """Return the steps that each session, and each tumour, asks for."""
    if table is not None:
        of_rows = {(one.subject, one.session): asked_of_session(one) for one in table}
        return {one: wanted for one, wanted in of_rows.items() if wanted}, dict(asked_of_tumours(table))
    asked: Asked = {}
    tumours: dict[str, frozenset[str] | None] = {}
    for subject in sorted(found[1] for name in names if (found := _SUBJECT.fullmatch(name))):
        inside = _listed(look.results / f"sub-{subject}")
        asked |= {(subject, one[1]): None for name in sorted(inside) if (one := _SESSION.fullmatch(name))}
        if _TWIN in inside:
            tumours[subject] = None
    return asked, tumours


def _listed(folder: Path) -> set[str]:
    """Return the names in a folder; none where there is no such folder."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names are all that is needed of thousands of folders
    except (FileNotFoundError, NotADirectoryError):
        return set()


class _Look:
    """Look at a folder of results: its logs, and the workflow that works on it.

    Args:
        results: the folder.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._logs = StepLogs(results)
        locked = workflow_on(results)
        self._since_s = _since_s(locked[0]) if locked and locked[1] is not False else None
        self.workflow = "" if locked is None or self._since_s is None else locked[0].words

    def session(self, subject: str, session: str, wanted: frozenset[str] | None) -> StudyUnit:
        """Return the progress of a session."""
        folder = self.results / f"sub-{subject}" / f"ses-{session}"
        return self.unit(subject, session, folder, SESSION_STAGES, wanted, _listed(folder))

    def tumour(self, subject: str, wanted: frozenset[str] | None) -> StudyUnit:
        """Return the progress of a tumour."""
        folder = self.results / f"sub-{subject}" / _TWIN
        return self.unit(subject, "", folder, TUMOUR_STAGES, wanted, _listed(folder))

    def unit(
        self,
        subject: str,
        session: str,
        folder: Path,
        stages: Sequence[StudyStage],
        wanted: frozenset[str] | None,
        names: set[str],
    ) -> StudyUnit:
        """Return the progress of a session, a tumour or the study as a whole.

        Args:
            subject: label of the subject.
            session: label of the session.
            folder: folder of the outputs.
            stages: steps.
            wanted: names of the steps that are asked for; None where nobody says so.
            names: names in the folder.
        """
        labels = [f"sub-{subject}"] * bool(subject) + [f"ses-{session}"] * bool(session)
        written = _written_now(folder, names)
        present = {stage.name for stage in stages if stage.output in names}
        found = []
        for stage in stages:
            asks = stage.always if wanted is None else stage.name in wanted
            step = "_".join([*labels, stage.name])
            if stage.output in written:
                log = self._logs.end_of(step)
                last = log.last if log and not log.error else ""
                found.append(StageStatus(stage, StageState.RUNNING, last).without("_".join(labels)))
            elif stage.name in present:
                found.append(_done(stage, folder, names))
            elif present.intersection(stage.read_by):
                found.append(StageStatus(stage, StageState.REMOVED, used=_used(stage, folder, names)))
            else:
                log, used = self._logs.end_of(step), _used(stage, folder, names)
                alive = owner_file(Path(stage.output)).name not in names  # one that beats was found above
                status = self._not_done(stage, log, used, asks=asks, alive=alive)
                found.append(status.without("_".join(labels)))
        pages = [name for name in ("report.html", "outlook.html") if name in names and subject]
        page = (folder / pages[0]).relative_to(self.results).as_posix() if pages else ""
        return StudyUnit(subject, session, page, tuple(found))

    def _not_done(
        self, stage: StudyStage, log: LogEnd | None, used: Use | None, *, asks: bool, alive: bool
    ) -> StageStatus:
        """Return the status of a step that has no output.

        Args:
            stage: the step.
            log: end of its log.
            used: resources that it used when it last finished.
            asks: whether it is asked for.
            alive: whether nothing shows that its run has died.
        """
        if log is None or _was_finished(log, used):
            return StageStatus(stage, StageState.WAITING if asks else StageState.UNASKED)
        if log.error:
            return StageStatus(stage, StageState.FAILED, log.error)
        if alive and self._since_s is not None and log.changed_s >= self._since_s:
            return StageStatus(stage, StageState.RUNNING, log.last)
        ended = "it ended without a sentence, as where it was killed"
        return StageStatus(stage, StageState.FAILED, f"{ended}; its log ends: {log.last}" if log.last else ended)


def _written_now(folder: Path, names: set[str]) -> set[str]:
    """Return the outputs in a folder that a process of this machine, or one with a heartbeat, is writing.

    Args:
        folder: folder of the outputs.
        names: names in it.
    """
    written = set()
    for hidden in (name for name in names if name.startswith(".")):
        owned = _OWNER.fullmatch(hidden)
        name = owned["output"] if owned and _beats(folder / hidden) else written_now(hidden)
        written |= {name} if name else set()
    return written


def _beats(owner: Path) -> bool:
    """Return whether the owner file of a run was touched lately, as far as the clocks of machines agree."""
    try:
        return time.time() - owner.stat().st_mtime < DEAD_AFTER_S
    except OSError:
        return False


def _was_finished(log: LogEnd, used: Use | None) -> bool:
    """Return whether a log is that of a run that finished, so that somebody removed the output afterwards."""
    if used is None or log.error:
        return False
    return datetime.fromisoformat(used.finished).timestamp() >= log.changed_s - _BESIDE_S


def _done(stage: StudyStage, folder: Path, names: set[str]) -> StageStatus:
    codes = warning_codes(folder, stage.records)
    return StageStatus(stage, StageState.DONE, used=_used(stage, folder, names), codes=codes)


def _used(stage: StudyStage, folder: Path, names: set[str]) -> Use | None:
    name = record_name(stage.output)
    return read_use(folder / name) if name in names else None


def _since_s(owner: Owner) -> float:
    """Return the start of a workflow, seconds since the epoch; to the minute, earlier rather than later."""
    try:
        return datetime.strptime(owner.since, "%Y-%m-%d %H:%M").timestamp()
    except ValueError:
        return 0.0


def _without_unused(sessions: Sequence[StudyUnit]) -> tuple[StudyUnit, ...]:
    """Return sessions without the step `derived` where the study's configuration leaves it out.

    The table of sessions does not say so; a study with finished pages and not one such folder does.
    """
    states: Mapping[str, set[StageState]] = {
        name: {status.state for one in sessions for status in one.stages if status.stage.name == name}
        for name in ("derived", "report")
    }
    if StageState.DONE not in states["report"] or states["derived"] != {StageState.WAITING}:
        return tuple(sessions)
    return tuple(
        StudyUnit(one.subject, one.session, one.page, tuple(map(_unasked_if_derived, one.stages))) for one in sessions
    )


def _unasked_if_derived(status: StageStatus) -> StageStatus:
    return StageStatus(status.stage, StageState.UNASKED) if status.stage.name == "derived" else status
