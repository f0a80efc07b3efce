"""Look at the outputs and logs of a study, one session or tumour after another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from palpate.ownership import Owner, owner_file
from palpate.resources import Use, read_use, record_name
from palpate.run_lock import workflow_on
from palpate.service.study.being_written import written_in
from palpate.service.study.logs import LogEnd, StepLogs
from palpate.service.study.quality import recorded_alerts, warning_codes
from palpate.service.study.stages import SESSION_STAGES, TUMOUR_STAGES, StudyStage
from palpate.service.study.states import StageState, StageStatus, StudyUnit

TWIN: Final = "twin"
"""Folder of a subject's tumour."""
_BESIDE_S: Final = 10.0
"""Longest time between the last line of a log and the record of what was used, seconds."""


def listed(folder: Path) -> set[str]:
    """Return the names in a folder; none where there is no such folder."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names are all that is needed of thousands of folders
    except (FileNotFoundError, NotADirectoryError):
        return set()


class StudyLook:
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
        return self.unit(subject, session, folder, SESSION_STAGES, wanted, listed(folder))

    def tumour(self, subject: str, wanted: frozenset[str] | None) -> StudyUnit:
        """Return the progress of a tumour."""
        folder = self.results / f"sub-{subject}" / TWIN
        return self.unit(subject, "", folder, TUMOUR_STAGES, wanted, listed(folder))

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
        written = written_in(folder, names)
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


def _was_finished(log: LogEnd, used: Use | None) -> bool:
    """Return whether a log is that of a run that finished, so that somebody removed the output afterwards."""
    if used is None or log.error:
        return False
    return datetime.fromisoformat(used.finished).timestamp() >= log.changed_s - _BESIDE_S


def _done(stage: StudyStage, folder: Path, names: set[str]) -> StageStatus:
    codes = warning_codes(folder, stage.records)
    alerts = recorded_alerts(folder / stage.alerts) if stage.alerts else ()
    return StageStatus(stage, StageState.DONE, used=_used(stage, folder, names), codes=codes, alerts=alerts)


def _used(stage: StudyStage, folder: Path, names: set[str]) -> Use | None:
    name = record_name(stage.output)
    return read_use(folder / name) if name in names else None


def _since_s(owner: Owner) -> float:
    """Return the start of a workflow, seconds since the epoch; to the minute, earlier rather than later."""
    try:
        return datetime.strptime(owner.since, "%Y-%m-%d %H:%M").timestamp()
    except ValueError:
        return 0.0
