"""Rows and notes of the record from the outcomes of all trials."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from disturbed.damage import DamageOutcome
from harness.record import Row

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

type Trial = tuple[str, str, str, DataclassInstance]
"""Kind, stage, name and outcome of a trial."""


def rows_of(done: Sequence[Trial]) -> tuple[list[Row], list[str]]:
    """Return the figures of all trials, and notes with every failure.

    Args:
        done: all trials.
    """
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for kind, stage, name, outcome in done:
        groups[_group(kind, stage, name)].append(outcome)
    bad = [(name, outcome) for _, _, name, outcome in done if outcome.failures]  # type: ignore[attr-defined]
    rows = [Row("faults whose re-run was not as undisturbed", "", float(len(bad)), None, goal="<= 0")]
    rows.append(Row("faults", "", float(len(done)), None))
    for group, outcomes in groups.items():
        survived = sum(not one.failures for one in outcomes)
        rows.append(Row(group, f"of {len(outcomes)}", float(survived), None, goal=f">= {len(outcomes)}"))
    ended = Counter(one.ended for _, _, _, one in done if isinstance(one, DamageOutcome))
    notes = [f"Damaged files: {', '.join(f'{count} {how}' for how, count in sorted(ended.items()))}."] if ended else []
    victims = Counter(getattr(one, "victim", "") for _, _, _, one in done)
    killed = ", ".join(f"{name} {count}" for name, count in victims.most_common() if name)
    notes += [f"Killed: {killed}."] if killed else []
    notes += [f"{name}: {'; '.join(outcome.failures)[:600]}" for name, outcome in bad]  # type: ignore[attr-defined]
    return rows, notes


def _group(kind: str, stage: str, name: str) -> str:
    """Return the row that a trial counts in."""
    if kind == "kill":
        return f"kill -9, {stage}"
    if kind == "disk":
        return f"{'full disk' if '-full-' in name else 'read-only results'}, {stage}"
    if kind == "damage":
        return f"damaged file, {name.split('-')[1]}, {'workflow' if name.endswith('-workflow') else 'command'}"
    return {"clock": "clock", "together": "at once"}[kind] + f", {name.split('-')[1]}"
