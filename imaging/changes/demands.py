"""Refusals of pairs of sessions that cannot be compared, and warnings about pairs that differ in more than time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palpate.errors import InputError
from palpate.imaging.changes.between_scans import Organ
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.deidentify.identifiers import PATIENT, recorded_identifiers
from palpate.quality_warning import QualityWarning

SAME_FREQUENCY: Final = 0.01
"""Relative difference up to which two frequencies count as one: drivers are set to whole or half hertz."""


def demand_one_person(first: ComparedSession, second: ComparedSession) -> None:
    """Refuse sessions of two people, by their labels or by the pseudonyms that one key gave.

    Raises:
        InputError: they differ.
    """
    if first.subject and second.subject and first.subject != second.subject:
        raise InputError(
            "the sessions",
            found=f"session A of sub-{first.subject} and session B of sub-{second.subject}",
            expected="two sessions of one person",
            advice="Name two sessions of the same subject.",
        )
    pseudonyms = _comparable_pseudonyms(first, second)
    if pseudonyms is not None and pseudonyms[0] != pseudonyms[1]:
        raise InputError(
            "the sessions",
            found=f"scans of two patients, pseudonyms {pseudonyms[0]} and {pseudonyms[1]}",
            expected="two scans of one person",
            advice="One of both sessions may have been given the wrong label; look at the scans' headers.",
        )


def _comparable_pseudonyms(first: ComparedSession, second: ComparedSession) -> tuple[str, str] | None:
    """Return both patients' pseudonyms; None where they are not there, or were made with two keys."""
    names = [str(one.record.get(PATIENT) or "") for one in (first, second)]
    made = [recorded_identifiers(one.record) for one in (first, second)]
    return (names[0], names[1]) if all(names) and made[0] == made[1] else None


def demand_one_organ(first: ComparedSession, second: ComparedSession) -> None:
    """Refuse sessions whose headers state different organs or parts of the body.

    Raises:
        InputError: they differ.
    """
    organs = first.organ, second.organ
    parts = first.body_part, second.body_part
    if all(organs) and organs[0] == organs[1]:
        return
    if (all(organs) and organs[0] != organs[1]) or (all(parts) and parts[0] != parts[1]):
        told = [part or str(organ) for part, organ in zip(parts, organs, strict=True)]
        raise InputError(
            "the sessions",
            found=f"session A of {told[0].lower()} and session B of {told[1].lower()}",
            expected="two scans of one organ",
            advice="Name two sessions of the same organ.",
        )


def same_frequencies(
    first: tuple[ComparedSession, ...], second: tuple[ComparedSession, ...]
) -> list[tuple[ComparedSession, ComparedSession]]:
    """Return the pairs of posteriors of one frequency.

    Args:
        first: posteriors of session A.
        second: posteriors of session B.

    Raises:
        InputError: there is no frequency that both have.
    """
    pairs = [
        (one, other)
        for one in first
        for other in second
        if abs(one.run.frequency_hz / other.run.frequency_hz - 1.0) <= SAME_FREQUENCY
    ]
    if not pairs:
        raise InputError(
            "the sessions",
            found=f"{_hertz(first)} in session A and {_hertz(second)} in session B",
            expected="one frequency in both",
            advice="Compare scans of one frequency; stiffness grows with frequency in unchanged tissue.",
        )
    return pairs


def _hertz(sessions: tuple[ComparedSession, ...]) -> str:
    return " and ".join(f"{one.run.frequency_hz:g} Hz" for one in sessions)


def organ_of(first: ComparedSession, second: ComparedSession, chosen: Organ | None) -> Organ:
    """Return the organ of both sessions: the chosen one, else what the records state, else "other".

    Args:
        first: session A.
        second: session B.
        chosen: organ that the user named; None for what the records state.
    """
    return chosen or first.organ or second.organ or "other"


def pair_warnings(
    first: ComparedSession, second: ComparedSession, *, organ_named: bool, physiology: bool
) -> tuple[QualityWarning, ...]:
    """Return what a user must know of a pair that differs in more than time, or whose records say too little.

    Args:
        first: session A.
        second: session B.
        organ_named: whether the user named the organ.
        physiology: whether the variation between scans is in the intervals.
    """
    found = []
    unfinished = [name for name, one in (("A", first), ("B", second)) if one.run.inversion.get("converged") is False]
    if unfinished:
        sentence = f"The inversion of session {' and '.join(unfinished)} did not converge."
        found.append(QualityWarning("change-not-converged", sentence, "Invert it with more iterations."))
    components = [_components(one) for one in (first, second)]
    if all(components) and components[0] != components[1]:
        sentence = (
            f"Session A measured {components[0]} components of displacement and session B {components[1]}: the "
            "exams' own biases do not cancel."
        )
        found.append(QualityWarning("change-other-exam", sentence, "Compare exams of one protocol."))
    if any(one.draws.density_kg_m3 is None for one in (first, second)):
        sentence = "Draws of an older version do not tell their density: its error counts twice and does not cancel."
        found.append(QualityWarning("change-density-unknown", sentence, "Invert both sessions again."))
    if not (first.subject and second.subject) and _comparable_pseudonyms(first, second) is None:
        sentence = "No record tells whether both sessions are of one person."
        found.append(QualityWarning("change-person-unknown", sentence, "Make sure of it yourself."))
    if physiology and not organ_named and organ_of(first, second, None) == "other":
        sentence = (
            "No record tells the organ: the variation between scans is that of regions of the brain, 4 to 12.8 %."
        )
        found.append(QualityWarning("change-organ-unknown", sentence, "Name it with --organ brain, liver or other."))
    return tuple(found)


def _components(session: ComparedSession) -> int | None:
    """Return the number of components of displacement that were measured; None where no record tells."""
    for one in session.record.get("frequencies") or ():
        stated = one.get("components_measured") if isinstance(one, Mapping) else None
        if isinstance(stated, int):
            return stated
    return None
