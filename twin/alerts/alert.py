"""Alerts of a forecast, each with its state: raised, not raised, or undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from palpate.config.forecast import AlertSettings
from palpate.quality_warning import QualityWarning
from palpate.twin.alerts.probability import DrawnProbability
from palpate.twin.alerts.progression import EVENTS, ForecastProgression
from palpate.twin.alerts.state import AlertState


@dataclass(frozen=True, slots=True)
class AlertInputs:
    """Bound and warnings by which a forecast is judged.

    Attributes:
        progression: bound of the probability of progression; None for no such alert.
        out_of_step: warnings that say that the twin is out of step; None where no record tells.
    """

    progression: AlertSettings | None = None
    out_of_step: tuple[QualityWarning, ...] | None = None


@dataclass(frozen=True, slots=True)
class TwinAlert:
    """Alert about one patient.

    Attributes:
        kind: subject of the alert.
        state: state of the alert; draws may leave it undecided.
        warning: stable code, finding and remedy.
        facts: figures behind the alert, as plain JSON values.
    """

    kind: Literal["progression", "out of step"]
    state: AlertState
    warning: QualityWarning
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> bool:
        """Whether a reader must see it: it is raised or undecided."""
        return self.state is not AlertState.NOT_RAISED

    def as_record(self) -> dict[str, Any]:
        """Return the JSON object of a record."""
        return {"kind": self.kind, "state": str(self.state), **self.warning.as_record(), **self.facts}


def progression_alert(
    asked: AlertSettings, found: Sequence[ForecastProgression], unidentified: Sequence[str]
) -> TwinAlert:
    """Return the alert of a progression that is likely by a date.

    Args:
        asked: bound.
        found: time to each kind of progression.
        unidentified: numbers in words that the images do not tell although the forecast rests on them.
    """
    chosen = next(one for one in found if one.event == asked.event)
    day = chosen.last_scan + asked.by_days
    told = DrawnProbability.by(chosen.times, day)
    state = told.beside(asked.above)
    facts = {"event": asked.event, "by_day": day, "by_days": asked.by_days, "above": asked.above}
    facts |= told.as_record() | {"unidentified": list(unidentified)}
    # Where most draws have it on that day, the scans themselves show it.
    already = chosen.times.probability_by(chosen.last_scan) > 0.5
    warning = _progression_warning(asked, day, told, unidentified, already=already)
    return TwinAlert("progression", state, warning, facts)


def _progression_warning(
    asked: AlertSettings, day: float, told: DrawnProbability, unidentified: Sequence[str], *, already: bool
) -> QualityWarning:
    event = f"{EVENTS[asked.event]} by day {day:g}, {asked.by_days:g} days after the last scan"
    beside = f"the bound is {100.0 * asked.above:g} %"
    whose = " It is so on the last scan already." if already else ""
    if unidentified:
        whose += (
            f" Unidentified by this patient's images: {', '.join(unidentified)}; there it is the prior's probability."
        )
    if told.beside(asked.above) is AlertState.UNDECIDED:
        ends = f"{100.0 * told.lower:.0f} to {100.0 * told.upper:.0f} %"
        return QualityWarning(
            "progression-undecided",
            f"Not decided by {told.draws} draws: with a probability of {100.0 * told.value:.0f} % (95 % interval from "
            f"the number of draws: {ends}) {event}; {beside}.{whose}",
            "Calibrate with more draws (twin.draws), or read it as at the bound.",
        )
    return QualityWarning(
        "progression-likely",
        f"With a probability of {100.0 * told.value:.0f} % (Monte-Carlo error {100.0 * told.error:.1f} %, {told.draws} "
        f"draws) {event}; {beside}.{whose}",
        "Read it beside the scans and the warnings of this forecast; it decides nothing by itself.",
    )


def out_of_step_alert(reasons: Sequence[QualityWarning] | None) -> TwinAlert:
    """Return the alert of a twin that is out of step with its patient.

    Args:
        reasons: warnings that say so; None where no record tells.
    """
    facts = {"reasons": [one.as_record() for one in reasons or ()]}
    if reasons is None:
        state, said = AlertState.UNDECIDED, "Nobody can tell whether the twin is in step: no record of its calibration."
    elif reasons:
        state = AlertState.RAISED
        said = f"The twin is out of step with this patient: {' '.join(one.sentence for one in reasons)}"
    else:
        state, said = AlertState.NOT_RAISED, "No scan, date or fit shows the twin out of step with this patient."
    advice = "Check the dates, the treatments and the latest scan before the forecast is used."
    return TwinAlert("out of step", state, QualityWarning("twin-out-of-step", said, advice), facts)
