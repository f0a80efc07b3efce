"""Progress of a study: the state of every step of every session, from files alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from palpate.config.study import Session
from palpate.errors import InputError
from palpate.machine_failures import on_this_machine
from palpate.service.study.look import TWIN, StudyLook, listed
from palpate.service.study.stages import GROUP_STAGES, asked_of_session, asked_of_tumours
from palpate.service.study.states import StageState, StageStatus, StudyProgress, StudyUnit

_SUBJECT: Final = re.compile(r"sub-([0-9A-Za-z]+)")
_SESSION: Final = re.compile(r"ses-([0-9A-Za-z]+)")


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
        look = StudyLook(results)
        names = listed(results)
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
    look: StudyLook, names: Iterable[str], table: Sequence[Session] | None
) -> tuple[Asked, dict[str, frozenset[str] | None]]:
    """Return the steps that each session, and each tumour, asks for."""
    if table is not None:
        of_rows = {(one.subject, one.session): asked_of_session(one) for one in table}
        return {one: wanted for one, wanted in of_rows.items() if wanted}, dict(asked_of_tumours(table))
    asked: Asked = {}
    tumours: dict[str, frozenset[str] | None] = {}
    for subject in sorted(found[1] for name in names if (found := _SUBJECT.fullmatch(name))):
        inside = listed(look.results / f"sub-{subject}")
        asked |= {(subject, one[1]): None for name in sorted(inside) if (one := _SESSION.fullmatch(name))}
        if TWIN in inside:
            tumours[subject] = None
    return asked, tumours


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
