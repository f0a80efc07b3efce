"""Picture of the lesion benchmark: one panel for each contrast (column) and quantity (row), over the diameter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scores.lesion_score import SEEN_CNR, LesionCase, Seen

from palpate.provenance import atomic_file

_OURS, _DIRECT, _TRUTH = "#0b5a8a", "#b5651d", "#555555"
_QUANTITIES: Final = ("CNR", "contrast", "edge (mm)", "size (mm)")


def draw(cases: Sequence[LesionCase], path: Path) -> None:
    """Draw all cases into an SVG file."""
    contrasts = sorted({case.contrast for case in cases})
    style = mpl.rc_context(
        {
            "svg.hashsalt": "palpate",  # the same figures give the same file
            "font.size": 9.0,
            "lines.linewidth": 1.0,
            "lines.markersize": 4.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    with style:
        figure = Figure(figsize=(2.4 * len(contrasts) + 0.8, 8.4), layout="constrained")
        panels = figure.subplots(len(_QUANTITIES), len(contrasts), sharex=True, squeeze=False)
        for column, contrast in enumerate(contrasts):
            own = [case for case in cases if case.contrast == contrast]
            panels[0, column].set_title(f"{contrast:g} x background", fontsize=10)
            for quantity, panel in zip(_QUANTITIES, panels[:, column], strict=True):
                _panel(panel, quantity, own)
            panels[-1, column].set_xlabel("true diameter (mm)")
        for quantity, row in zip(_QUANTITIES, panels, strict=True):
            row[0].set_ylabel(quantity)
            if quantity != "contrast":
                _share_limits(row)
        levels = sorted({case.noise_percent for case in cases})
        figure.legend(handles=_legend(levels), loc="outside lower center", ncols=3, frameon=False)
        with atomic_file(path) as partial:
            figure.savefig(partial, metadata={"Date": None})


def _panel(panel: Axes, quantity: str, cases: Sequence[LesionCase]) -> None:
    """Draw one quantity against diameter: lines by method and noise, and what truth demands."""
    diameters = sorted({case.diameter_mm for case in cases})
    panel.set_xticks(diameters)
    panel.set_xlim(diameters[0] - 2.0, diameters[-1] + 2.0)
    if quantity == "CNR":
        panel.set_yscale("log", subs=[2, 5])
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
        panel.axhline(SEEN_CNR, color=_TRUTH, linestyle=":")
    if quantity == "contrast":
        panel.axhline(cases[0].contrast, color=_TRUTH)
        panel.axhline(1.0, color=_TRUTH, linestyle=":", linewidth=0.6)
    if quantity == "size (mm)":
        panel.plot(diameters, diameters, color=_TRUTH)
    for place, level in enumerate(sorted({case.noise_percent for case in cases})):
        own = sorted((case for case in cases if case.noise_percent == level), key=lambda case: case.diameter_mm)
        shifted = [case.diameter_mm + 0.6 * place for case in own]
        for seen, mark, colour in (("direct", "s--", _DIRECT), ("posterior", "o-", _OURS)):
            values = [_value(getattr(case, seen), quantity) for case in own]
            panel.plot(shifted, values, mark, color=colour, markerfacecolor="white" if place else colour)
        if quantity == "contrast":
            low, high = zip(*(case.interval for case in own), strict=True)
            panel.vlines(shifted, low, high, color=_OURS, linewidth=1.4)


def _value(seen: Seen, quantity: str) -> float:
    """Return the figure of a map; NaN, which leaves a gap, where it has none."""
    value = dict(zip(_QUANTITIES, (seen.cnr, seen.contrast, seen.edge_mm, seen.size_mm), strict=True))[quantity]
    return float("nan") if value is None else value


def _share_limits(row: Sequence[Axes]) -> None:
    """Give the panels of a row one scale, so that contrasts can be compared."""
    low, high = zip(*(panel.get_ylim() for panel in row), strict=True)
    for panel in row:
        panel.set_ylim(min(low) if panel.get_yscale() == "log" else 0.0, max(high))


def _legend(levels: Sequence[float]) -> list[Line2D]:
    """Return the legend's colours, markers and lines."""
    marks = [
        Line2D([], [], color=_OURS, marker="o", label="posterior mean"),
        Line2D([], [], color=_DIRECT, marker="s", linestyle="--", label="direct inversion"),
        Line2D([], [], color=_OURS, linewidth=1.4, marker="|", linestyle="none", markersize=10, label="95 % interval"),
        Line2D([], [], color=_TRUTH, label="truth"),
        Line2D([], [], color=_TRUTH, linestyle=":", label="CNR of 5; no contrast"),
    ]
    if len(levels) > 1:
        label = f"open: {levels[1]:g} % noise instead of {levels[0]:g} %"
        marks.append(Line2D([], [], color=_TRUTH, marker="o", linestyle="none", markerfacecolor="white", label=label))
    return marks
