"""Charts of a trial: share without an event by day, effects between arms, effects by group of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from palpate.service.report.pictures import INK, QUIET
from palpate.service.report.plots import chart, svg_data

COLOURS: Final = ("#55646f", "#0b6e6e", "#c4622d", "#4b4fa8", "#8a6d1a", "#9b3d6e", "#2f7fb8", "#5e7d2a")
"""Colours of the arms, the first one's quiet."""
_DASHES: Final = ("-", "--", "-.", ":")


def survival_chart(curves: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Draw the share without an event over days, with 95 % bands.

    Args:
        curves: rows of survival.tsv by arm.
    """
    figure, axes = chart()
    for number, (arm, rows) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        days, shares, low, high = ([float(row[name]) for row in rows] for name in ("day", "survival", "lower", "upper"))
        dash = _DASHES[number // 4 % len(_DASHES)]
        axes.step(days, shares, where="post", color=colour, lw=1.6, ls=dash, label=arm)
        axes.fill_between(days, low, high, step="post", color=colour, alpha=0.18, lw=0)
    axes.set_xlabel("days")
    axes.set_ylabel("share without an event")
    axes.set_ylim(0.0, 1.02)
    axes.set_xlim(left=0.0)
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)


def effect_chart(rows: Sequence[tuple[str, float, float, float]], unit: str) -> str:
    """Draw effects with their 95 % intervals, a row for each.

    Args:
        rows: name, estimate and both ends of the interval.
        unit: unit of the effects.
    """
    figure, axes = chart((4.7, max(3.1, 0.9 + 0.26 * len(rows))))
    axes.axvline(0.0, color=QUIET, lw=1, ls=":")
    for at, (_, estimate, low, high) in enumerate(rows):
        axes.plot([low, high], [at, at], color=COLOURS[1], lw=1.6)
        axes.plot([estimate], [at], "o", color=INK, ms=4.5)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(unit)
    return svg_data(figure)


def group_rows(groups: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float, float]]:
    """Return the rows of a chart of effects by group.

    Args:
        groups: groups of trial.json.
    """
    return [
        (f"{one['name']} {one['low']:.3g} to {one['high']:.3g}", one["estimate"], one["lower"], one["upper"])
        for one in groups
    ]
