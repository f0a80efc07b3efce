"""Page of a plan, from the files of its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from palpate.quality_warning import recorded_warnings
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.pictures import INK, QUIET
from palpate.service.report.plots import chart, svg_data
from palpate.service.report.render import render_page
from palpate.service.trial.figures import COLOURS

_ROLES: Final[Mapping[str, str]] = {
    "standard": "standard care",
    "personal": "best for this patient",
    "one_size": "best for the population",
    "equal_load": "best at no more load",
}


def plan_page(folder: Path) -> str:
    """Return the page of a plan as HTML text; equal files give equal text.

    Args:
        folder: folder with plan.json and schedules.tsv.
    """
    record = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    with (folder / "schedules.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return render_page(
        "plan.html",
        headline=_headline(record),
        record=record,
        warnings=[str(one) for one in recorded_warnings(record)],
        front=_chart(rows),
        named=_named(record),
        organs=_organs(record),
    )


def _headline(record: Mapping[str, Any]) -> str:
    """Return the answer in one sentence, with the gain and its interval where a schedule is named."""
    chosen, standard = record["named"]["chosen"], record["named"]["standard"]
    until = record["limits"]["until_day"]
    if not record["standard_keeps_limits"]:
        own = chosen["gain_days"]
        days = f"{own['mean']:+.0f} ({own['lower']:+.0f} to {own['upper']:+.0f}) days until day {until}"
        return (
            f"Standard care, {standard['schedule']}, does not keep the limits. The best schedule that does is "
            f"{chosen['schedule']}: {days}."
        )
    if chosen["schedule"] != standard["schedule"]:
        own = chosen["gain_days"]
        return (
            f"{chosen['schedule']} has {own['mean']:.0f} ({own['lower']:.0f} to {own['upper']:.0f}) more days without "
            f"progression until day {until} than standard care, {standard['schedule']}."
        )
    answer = str(record["answer"])
    return f"{answer[:1].upper()}{answer[1:]}. Standard care is {standard['schedule']}."


def _named(record: Mapping[str, Any]) -> FiguresTable:
    """Return the table of the schedules that are named."""
    caption = (
        "Schedules that are named. Gain: days until the event beyond those of standard care, mean, 95 % interval over "
        "draws and error of the mean; no more load is that of organs under standard care"
    )
    head = ("schedule", "fractions x Gy", "total, Gy", "gain, days", "gain of the population, days", "organs")
    named = record["named"]
    rows = tuple(_schedule(words, named[role]) for role, words in _ROLES.items() if role in named)
    return FiguresTable(caption, head, rows)


def _schedule(role: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    own = row["gain_days"]
    return (
        role,
        row["schedule"],
        f"{row['total_gy']:g}",
        f"{own['mean']:.1f} ({own['lower']:.1f} to {own['upper']:.1f}) ± {own['error']:.1f}",
        f"{row['population_gain_days']['mean']:.1f}",
        f"{100.0 * row['load']:.0f} % of {row['binding_organ']}'s limit"
        if row["keeps_limits"]
        else f"{row['binding_organ']}: kept with probability {row['chance']:.2f}",
    )


def _organs(record: Mapping[str, Any]) -> FiguresTable:
    """Return the table of the organs."""
    head = ("organ", "part of the prescription", "limit", "volume, mL")
    rows = tuple(_organ(one) for one in record["organs"])
    return FiguresTable("Relative dose that all but the hottest volume stay below", head, rows)


def _organ(one: Mapping[str, Any]) -> tuple[str, ...]:
    limit = one["limit"]
    kind, value = ("BED", limit["bed_gy"]) if limit["bed_gy"] is not None else ("EQD2", limit["eqd2_gy"])
    ratio = limit["alpha_beta_gy"]
    said = f"{ratio:g}" if isinstance(ratio, float | int) else f"about {ratio['median']:g}"
    return (
        str(one["organ"]),
        f"{100.0 * one['relative_dose']:.0f} %",
        f"{kind} {value:g} Gy, alpha / beta {said} Gy, but for {limit['volume_ml']:g} mL",
        f"{one['volume_ml']:.1f}",
    )


def _chart(rows: Sequence[Mapping[str, str]]) -> str:
    """Draw mean time without progression over the load of organs; the front is joined."""
    figure, axes = chart()
    kept = [row for row in rows if row["keeps_limits"] == "yes"]
    front = [row for row in rows if row["on_front"] == "yes"]
    front.sort(key=lambda row: float(row["load"]))
    loads, times = [100.0 * float(row["load"]) for row in kept], [float(row["time_days"]) for row in kept]
    axes.plot(loads, times, "o", ms=3, color=QUIET, label="keeps the limits")
    xs, ys = [100.0 * float(row["load"]) for row in front], [float(row["time_days"]) for row in front]
    axes.step(xs, ys, where="post", color=COLOURS[1], lw=1.5, label="front")
    axes.plot(xs, ys, "o", color=COLOURS[1], ms=4)
    usual = rows[0]
    axes.plot([100.0 * float(usual["load"])], [float(usual["time_days"])], "D", color=INK, ms=6, label="standard care")
    axes.set_xlabel("largest load of an organ, % of its limit")
    axes.set_ylabel("days without progression, mean")
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)
