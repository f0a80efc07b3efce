"""Curves of a tumour over time, and slices of its forecast."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from palpate.service.forecast_report.twin_results import TwinResults
from palpate.service.forecast_report.words import CURVES, DISPLACEMENTS, NAMES, digits, of_row, sentence
from palpate.service.report.pictures import INK, QUIET, png

_COLOUR: Final = "#0b6e6e"
_SEEN: Final = "#c4622d"
_BANDS: Final = (("95", 0.16), ("80", 0.26), ("50", 0.40))
_SLICES: Final = 4
_AHEAD: Final = "#4b4fa8"
_SPARSE: Final = 8
"""Number of days up to which each is drawn alone."""


def curve(results: TwinResults, quantity: str) -> str:
    """Draw a quantity over days: past and forecast with bands of 50, 80 and 95 %, observed points, days of treatment.

    Lines and bands follow the daily values of the model. Where only some days are known, such as for displacements,
    each stands alone: a line between them would hide what happened in between.

    Args:
        results: results of the twin.
        quantity: name of the quantity, one of NAMES or CURVES.

    Returns:
        An SVG picture as a data URI.
    """
    figure = Figure(figsize=(6.2, 3.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for rows, colour, label in ((past_rows(results, quantity), _COLOUR, "model, past"),
                                (ahead_rows(results, quantity), _AHEAD, "forecast")):  # fmt: skip
        (_bands if len(rows) > _SPARSE else _bars)(axes, rows, quantity, colour, label)
    observed = results.calibration["observed"]
    seen = [(row["day"], row[quantity]) for row in observed if row.get(quantity) is not None]
    if seen:
        days, values = zip(*seen, strict=True)
        axes.plot(days, values, "o", color=_SEEN, ms=6, label="scans", zorder=5)
    axes.axvline(float(results.forecast["last_scan_day"]), color=QUIET, lw=0.8, ls=":")
    _treatments(axes, results.calibration["treatment_days"])
    axes.set_ylim(bottom=0.0)
    axes.set_title(sentence({**NAMES, **DISPLACEMENTS}[quantity]), fontsize=10, color=INK, loc="left")
    first = results.date_of(0.0)
    axes.set_xlabel("days since the first scan" + (f" ({first})" if first else ""))
    axes.set_ylabel("mm" if quantity in CURVES else "mL")
    axes.legend(framealpha=0.8, edgecolor="none", fontsize=8, loc="best")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=QUIET, labelsize=8)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "palpate"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def past_rows(results: TwinResults, quantity: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of the past that are known of a quantity: every day of volumes, else the scans' days.

    Args:
        results: results of the twin.
        quantity: name of the quantity.
    """
    if quantity in CURVES:
        return list(results.forecast["mass_effect"]["at_scans"])
    return results.curve("past") or list(results.calibration["fitted"])


def ahead_rows(results: TwinResults, quantity: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of the forecast that are known of a quantity: every day of volumes, else the days asked for.

    Args:
        results: results of the twin.
        quantity: name of the quantity.
    """
    daily = () if quantity in CURVES else results.curve("forecast")
    return daily or list(results.forecast["forecast"])


def described(results: TwinResults, quantity: str) -> str:
    """Return the numbers of a curve in words, for those who cannot see it.

    Args:
        results: results of the twin.
        quantity: name of the quantity, one of NAMES or CURVES.
    """
    unit = "mm" if quantity in CURVES else "mL"
    past, ahead = past_rows(results, quantity), results.forecast["forecast"]
    parts = [f"{sentence({**NAMES, **DISPLACEMENTS}[quantity])}, {unit}, median and 95 % interval."]
    least = min(past, key=lambda row: float(row[quantity]["median"]))
    most = max(past, key=lambda row: float(row[quantity]["median"]))
    told = {"first scan": past[0], "least of the past": least, "most of the past": most, "last scan": past[-1]}
    parts += [f"{words}, day {row['day']:g}: {of_row(row, quantity)}" for words, row in told.items()]
    parts += [f"forecast, day {row['day']:g}: {of_row(row, quantity)}" for row in ahead]
    seen = [f"{digits(row[quantity])} on day {row['day']:g}" for row in results.calibration["observed"]
            if row.get(quantity) is not None]  # fmt: skip
    return "; ".join(parts) + (f"; scans: {', '.join(seen)}." if seen else ".")


def _bands(axes: Axes, rows: Sequence[Mapping[str, Any]], quantity: str, colour: str, label: str) -> None:
    days = [row["day"] for row in rows]
    for level, strength in _BANDS:
        lower, upper = zip(*(row[quantity][level] for row in rows), strict=True)
        axes.fill_between(days, lower, upper, color=colour, alpha=strength, lw=0)
    axes.plot(days, [row[quantity]["median"] for row in rows], "-", color=colour, lw=1.6, label=label)


def _bars(axes: Axes, rows: Sequence[Mapping[str, Any]], quantity: str, colour: str, label: str) -> None:
    """Draw each day alone, its median with intervals of three strengths."""
    for level, strength in _BANDS:
        for row in rows:
            axes.plot([row["day"]] * 2, row[quantity][level], "-", color=colour, alpha=2.0 * strength, lw=5.0,
                      solid_capstyle="butt")  # fmt: skip
    days, medians = [row["day"] for row in rows], [row[quantity]["median"] for row in rows]
    axes.plot(days, medians, "_", color=colour, ms=12, mew=2.0, label=label)


def _treatments(axes: Axes, days: Mapping[str, Sequence[float]]) -> None:
    """Small strokes at the lower edge: fractions, drugs, and resections through the whole height."""
    for height, kind, colour in ((0.03, "radiotherapy", INK), (0.07, "chemotherapy", "#8a5fb0")):
        if days[kind]:
            label = "fractions" if kind == "radiotherapy" else "drug doses"
            at = axes.get_xaxis_transform()
            axes.plot(days[kind], [height] * len(days[kind]), "|", color=colour, ms=5, transform=at, label=label)
    for day in days["surgery"]:
        axes.axvline(day, color=INK, lw=1.0)


def slices(results: TwinResults) -> str:
    """Draw axial slices of every forecast day: mean density, contours of probability, the last scan's tumour.

    Args:
        results: results of the twin.

    Returns:
        A PNG picture as a data URI.
    """
    white, roi = _up(results.white.values), _up(results.roi > 0)
    tallies = np.nansum(results.days[-1].mean, axis=(0, 1))
    affine = results.white.affine_mm
    axis = int(np.argmax(np.abs(affine[2, :3])))
    if axis != 2:
        tallies = np.nansum(results.days[-1].mean, axis=tuple(n for n in range(3) if n != axis))
    chosen = _spread(tallies)
    rows = len(results.days)
    figure = Figure(figsize=(2.35 * _SLICES, 2.45 * rows + 0.3), facecolor="white", layout="constrained", dpi=110)
    panels = figure.subplots(rows, _SLICES, squeeze=False)
    shown = None
    for row, maps in enumerate(results.days):
        for column, index in enumerate(chosen):
            axes = panels[row][column]
            of = [_slice(one, axis, index, affine) for one in (white, _up(maps.mean), _up(maps.visible), roi)]
            axes.imshow(of[0], cmap="gray", vmin=0.0, vmax=1.2, interpolation="nearest")
            density = np.ma.masked_less(np.nan_to_num(of[1]), 0.05)
            shown = axes.imshow(density, cmap="inferno", vmin=0.0, vmax=1.0, alpha=0.75, interpolation="nearest")
            _contour(axes, of[2], [0.05, 0.5, 0.95], ["#7fd3ff", "#ffffff", "#7fd3ff"], ["--", "-", "--"])
            _contour(axes, of[3], [0.5], ["#7dff8a"], ["-"])
            axes.axis("off")
            if column == 0:
                axes.set_title(f"day {maps.day:g}", fontsize=9, color=INK, loc="left")
    if shown is not None:
        bar = figure.colorbar(shown, ax=panels.ravel().tolist(), shrink=0.6, pad=0.01)
        bar.set_label("mean density", fontsize=8, color=QUIET)
        bar.ax.tick_params(labelsize=7.5, colors=QUIET)
    return png(figure)


def _up(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _spread(tallies: NDArray[np.float64]) -> list[int]:
    """Return slices through the tumour's bulk, evenly by how much of it lies below."""
    total = np.cumsum(tallies) / max(float(np.sum(tallies)), 1e-12)
    wanted = np.linspace(0.15, 0.85, _SLICES)
    return [int(np.searchsorted(total, one)) for one in wanted]


def _slice(values: NDArray[np.float64], axis: int, index: int, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an axial slice with anterior up and the patient's right on the left, as radiologists look."""
    taken = np.take(values, min(index, values.shape[axis] - 1), axis=axis)
    first, second = (n for n in range(3) if n != axis)
    if abs(affine[0, first]) < abs(affine[0, second]):
        taken, first, second = taken.T, second, first
    # Shown left to right: from the patient's right (+R) to the left; top to bottom: from anterior (+A) to posterior.
    if affine[0, first] > 0:
        taken = taken[::-1]
    if affine[1, second] > 0:
        taken = taken[:, ::-1]
    return np.asarray(taken.T)


def _contour(
    axes: Axes, values: NDArray[np.float64], levels: list[float], colours: list[str], styles: list[str]
) -> None:
    kept = [n for n, level in enumerate(levels) if np.nanmin(values) < level < np.nanmax(values)]
    if kept:
        axes.contour(
            values,
            levels=[levels[n] for n in kept],
            colors=[colours[n] for n in kept],
            linestyles=[styles[n] for n in kept],
            linewidths=1.1,
        )
