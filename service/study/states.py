"""States of the steps of a study, its sessions and its tumours at one time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from palpate.resources import Use
from palpate.service.study.stages import StudyStage
from palpate.twin.alerts.out_of_step import OUT_OF_STEP

_OF_STEP: Final = "twin-out-of-step"


class StageState(StrEnum):
    """State of one step of one session; its value is the word for it."""

    DONE = "done"
    REMOVED = "removed"
    RUNNING = "running"
    FAILED = "failed"
    WAITING = "not begun"
    UNASKED = "none"


@dataclass(frozen=True, slots=True)
class StudyAlert:
    """Alert about a patient, as the page shows it.

    Attributes:
        code: stable code (docs/warnings.md).
        state: "raised", or "undecided" where draws or records cannot tell.
        sentence: finding in one sentence.
    """

    code: str
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class StageStatus:
    """State of one step of one session or tumour.

    Attributes:
        stage: the step.
        state: its state; "removed" is done too: nothing needs its output any more.
        reason: sentence with which it failed, or the last line of the log of a running one; empty otherwise.
        used: resources that it used; None where no record says so.
        codes: codes of the warnings in its records.
        alerts: alerts in its record that are raised or undecided.
    """

    stage: StudyStage
    state: StageState
    reason: str = ""
    used: Use | None = None
    codes: tuple[str, ...] = ()
    alerts: tuple[StudyAlert, ...] = ()

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
    def alerts(self) -> tuple[StudyAlert, ...]:
        """Alerts of all steps; a twin that its calibration calls out of step is one before any forecast."""
        found = [alert for one in self.stages for alert in one.alerts]
        reasons = [code for code in self.codes if code in OUT_OF_STEP]
        if reasons and not any((one.code, one.state) == (_OF_STEP, "raised") for one in found):
            found = [one for one in found if one.code != _OF_STEP]
            said = f"The twin is out of step with this patient: {', '.join(reasons)}."
            found.append(StudyAlert(_OF_STEP, "raised", said))
        return tuple(found)

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
