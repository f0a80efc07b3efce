"""Page of a trial, from the files of its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from palpate.quality_warning import recorded_warnings
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.render import render_page
from palpate.service.trial.figures import effect_chart, group_rows, survival_chart

_OUTCOMES: Final[Mapping[str, str]] = {
    "restricted_mean_days": "time without an event, days",
    "progressed": "share that progressed",
    "ln_hazard_ratio": "ln hazard ratio of progression",
}
_AT_RISK: Final = 6
"""Number of days for which the page states how many are at risk."""


def trial_page(folder: Path) -> str:
    """Return the page of a trial as HTML text; equal files give equal text.

    Args:
        folder: folder with trial.json and survival.tsv.
    """
    record = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    with (folder / "survival.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    curves = {arm["name"]: [row for row in rows if row["arm"] == arm["name"]] for arm in record["arms"]}
    return render_page(
        "trial.html",
        headline=_headline(record),
        about=_about(record),
        warnings=[str(one) for one in recorded_warnings(record)],
        survival=survival_chart(curves),
        effects=effect_chart(_restricted(record), "difference of days without an event until the last day"),
        groups=_groups(record),
        tables=(_arms(record), _at_risk(curves), _effects(record)),
    )


def _restricted(record: Mapping[str, Any]) -> list[tuple[str, float, float, float]]:
    return [
        (f"{one['arm']} − {one['against']}", one["estimate"], one["lower"], one["upper"])
        for one in record["effects"]
        if one["outcome"] == "restricted_mean_days"
    ]


def _headline(record: Mapping[str, Any]) -> str:
    """Return the answer in one sentence: the best arm against the first."""
    first, until = record["arms"][0]["name"], record["trial"]["outcome"]["until_day"]
    own = [one for one in record["effects"] if one["against"] == first and one["outcome"] == "restricted_mean_days"]
    best = max(own, key=lambda one: float(one["estimate"]))
    more = "more" if best["estimate"] >= 0.0 else "fewer"
    sign = 1.0 if best["estimate"] >= 0.0 else -1.0
    ends = sorted((sign * best["lower"], sign * best["upper"]))
    days = f"{abs(best['estimate']):.1f} ({ends[0]:.1f} to {ends[1]:.1f}) {more} days without an event"
    patients = f"on the mean over {record['patients']} virtual patients"
    return f"Until day {until}, {best['arm']} has {days} than {first}, {patients}."


def _about(record: Mapping[str, Any]) -> str:
    source, event = record["trial"]["cohort"]["source"], record["trial"]["outcome"]["event"]
    source = source if isinstance(source, str) else ", ".join(source)
    events = {
        "visible": "visible volume 40 % above its nadir",
        "enhancing": "enhancing volume 25 % above its nadir",
        "hazard": "an event by a hazard of the burden",
    }
    above = record["trial"]["outcome"]["above_nadir"]
    named = events[event] if above is None else f"{event} volume {100 * (above - 1):.0f} % above its nadir"
    where = "priors" if source == "priors" else f"draws of {Path(source).name}"
    return f"Model: {record['model']}. Patients: {where}. Event: {named}."


def _figures(one: Mapping[str, float], digits: int = 1, middle: str = "mean") -> str:
    return f"{one[middle]:.{digits}f} ({one['lower']:.{digits}f} to {one['upper']:.{digits}f})"


def _arms(record: Mapping[str, Any]) -> FiguresTable:
    volume = record["volume"]
    head = ("arm", "fractions, Gy", "drug doses", "progressed, %", "days without an event", _words(volume))
    rows = tuple(
        (
            one["name"],
            f"{one['fractions']}, {one['dose_gy']:g}",
            str(one["drug_doses"]),
            _figures({name: 100.0 * value for name, value in one["progressed"].items()}),
            _figures(one["restricted_mean_days"]),
            _figures(one[volume], 1, "median"),
        )
        for one in record["arms"]
    )
    return FiguresTable("Each arm, with 95 % intervals; the volume is the median over patients", head, rows)


def _words(volume: str) -> str:
    """Return the name of a volume on a day in words."""
    name, _, day = volume.partition("_ml_day_")
    return f"{name}, ml, day {day}"


def _at_risk(curves: Mapping[str, Sequence[Mapping[str, str]]]) -> FiguresTable:
    every = next(iter(curves.values()))
    chosen = sorted({round(at * (len(every) - 1) / (_AT_RISK - 1)) for at in range(_AT_RISK)})
    head = ("arm", *(f"day {float(every[at]['day']):g}" for at in chosen))
    rows = tuple((arm, *(rows[at]["at_risk"] for at in chosen)) for arm, rows in curves.items())
    return FiguresTable("Patients at risk", head, rows)


def _effects(record: Mapping[str, Any]) -> FiguresTable:
    head = ("arm − against", "outcome", "estimate (95 % interval)", "standard error", "pairing narrows the variance")
    rows = tuple(
        (
            f"{one['arm']} − {one['against']}",
            _OUTCOMES.get(one["outcome"], one["outcome"].replace("ln_", "ln of ").replace("_", " ")),
            f"{one['estimate']:.4g} ({one['lower']:.4g} to {one['upper']:.4g})",
            f"{one['std']:.3g}",
            "–" if one["variance_ratio"] is None else f"{one['variance_ratio']:.1f}-fold",
        )
        for one in record["effects"]
    )
    return FiguresTable("Effects, paired by patient", head, rows)


def _groups(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return title, chart and sentence of each arm's differences between patients."""
    found = []
    for arm, own in record["heterogeneity"].items():
        if own is None:
            continue
        p = own["p_value"]
        told = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        sentence = (
            f"The covariates tell who gains more from {arm} ({told} if they told nothing)."
            if p < 0.05
            else f"No difference between patients was found by these covariates ({told})."
        )
        chart = effect_chart(group_rows(own["groups"]), "difference of days without an event")
        found.append((f"{arm} − {own['against']}", chart, sentence))
    return found
