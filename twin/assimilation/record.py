"""Lifelong record of a twin: all measurements of a patient, and what was known after each visit."""

from __future__ import annotations

from dataclasses import dataclass

from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.belief import Belief
from palpate.twin.assimilation.innovation import EventInnovation
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.state_space.event import Event


@dataclass(frozen=True, slots=True, eq=False)
class VisitCheckpoint:
    """Belief after the measurements of one day, and its origin.

    Attributes:
        day: day of the measurements.
        key: digest of everything that the belief depends on (palpate.twin.assimilation.course).
        belief: belief after the measurements, before a switch of regime and treatment on that day.
        innovations: innovations of the day's measurements.
    """

    day: float
    key: str
    belief: Belief
    innovations: tuple[EventInnovation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LifelongRecord:
    """Record from which the next assimilation goes on.

    Attributes:
        subject: pseudonym of the patient.
        rung: name of the rung.
        setup_digest: digest of the setup of the last assimilation.
        day: day of the last assimilation.
        events: all measurements ever given, replaced and unused ones too.
        checkpoints: beliefs after each visit, in order of days.
        warnings: remarks of the last assimilation on its measurements.
    """

    subject: str
    rung: str
    setup_digest: str
    day: float = 0.0
    events: tuple[Event, ...] = ()
    checkpoints: tuple[VisitCheckpoint, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()

    @property
    def innovations(self) -> tuple[EventInnovation, ...]:
        """Innovations of all used measurements, in order of days."""
        return tuple(one for checkpoint in self.checkpoints for one in checkpoint.innovations)


def begin_record[U](setup: AssimilationSetup[U], subject: str) -> LifelongRecord:
    """Return the record of a patient of whom nothing was measured yet.

    Args:
        setup: setup of the assimilation.
        subject: pseudonym of the patient.
    """
    return LifelongRecord(subject, setup.model.rung, setup.digest)
