"""Self-contained forecast report: a tumour over time, its forecast, and the parameters that images inform."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.config.report import ReportSettings
from palpate.output_kinds import FileKind, page_kind
from palpate.outputs import claim_file
from palpate.quality_warning import recorded_warnings
from palpate.service.forecast_report.figures import curve, described, slices
from palpate.service.forecast_report.innovations import CAPTION, HEAD, innovation_rows, innovation_strip
from palpate.service.forecast_report.past_points import explained_points
from palpate.service.forecast_report.progression import alert_words, progression_words
from palpate.service.forecast_report.twin_results import TwinResults, read_twin_results
from palpate.service.forecast_report.viewer import centre_mm, frame_title, viewer_data
from palpate.service.forecast_report.words import CURVES, DISPLACEMENTS, NAMES, digits, sentence, with_bounds
from palpate.service.report.answers import place_words
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.panels import Picture
from palpate.service.report.render import render_page
from palpate.twin.basis import BASIS_CODES, Basis
from palpate.twin.trust.tried import CODE as OUTSIDE

_LEVELS: Final = ("50", "80", "90", "95")
_WORDS: Final[Mapping[str, str]] = {
    "proliferation": "rate of growth k",
    "diffusivity": "diffusivity D in white matter",
    "white_to_grey": "D in white over D in grey matter",
    "stress_slowing": "slowing by stress γλ",
    "alpha": "radiosensitivity α",
    "front_width": "width of the front at the first scan over √(6D/k)",
    "outline_offset": "distance of the true outline beyond the visible one at the first scan",
    "plateau": "largest density at the first scan",
    "cellularity_gain": "scale factor of all measured cellularity",
    "enhancing_above": "density above which tissue enhances",
    "infiltrated_above": "density above which infiltration is seen",
}

PAGE: Final = FileKind("outlook", "forecast report", (".html",), page_kind("outlook", "Tumour of "))
"""Kind of the page."""


def write_forecast_report(
    calibration: Path,
    forecast: Path,
    out: Path,
    *,
    anatomy: Path | None = None,
    first_date: datetime.date | None = None,
    settings: ReportSettings | None = None,
) -> None:
    """Write the forecast report of a twin; an interrupted run leaves no partial page.

    Args:
        calibration: output folder of palpate calibrate.
        forecast: output folder of palpate forecast.
        out: path of the HTML file to write.
        anatomy: planning image in the world of the first scan, DICOM or NIfTI; None for none.
        first_date: date of the first scan; None for a page that counts days only.
        settings: settings of the page; None for the defaults.

    Raises:
        InputError: a file is missing, unreadable or of another subject, or `out` is one of them or another file.
    """
    target = claim_file(out, PAGE, {"calibration": calibration, "forecast": forecast, "anatomy": anatomy})
    page = render(read_twin_results(calibration, forecast, anatomy, first_date), settings)
    with target.writing() as partial:
        partial.write_text(page, encoding="utf-8")


def render(results: TwinResults, settings: ReportSettings | None = None) -> str:
    """Return the page as HTML text; equal results give equal text.

    Args:
        results: results of the twin.
        settings: settings of the page; None for the defaults.
    """
    chosen, told = settings or ReportSettings(), results.calibration
    frames = (*results.past, *results.days)
    first = len(results.past)
    still = Picture(slices(results), _slices_words(results), "")
    return render_page(
        "forecast_report.html",
        viewer_data=viewer_data(results, chosen) if chosen.viewer else None,
        viewer_label="Three perpendicular slices with the tumour of the chosen day.",
        slider={
            "label": "Day",
            "last": len(frames) - 1,
            "first": first,
            "title": frame_title(results, frames[first]),
        },
        subject=told["subject"],
        headline=_headline(results),
        place=f"The middle of the tumour lies at {place_words(np.array(centre_mm(results)))}.",
        answers=_answers(results),
        warnings=[*alert_words(results.forecast), *_warnings(results), *results.forecast["left_out"]],
        curves=_curves(results),
        sparse=not results.curve("past"),
        outside=explained_points(results),
        assumed=_assumed(results),
        slices=still.source,
        slices_words=still.alt,
        poster=still,
        tables=[*_forecast_tables(results), _past_table(told), *_innovation_tables(results)],
        parameters=_parameter_table(told["parameters"]),
        radiotherapy=_radiotherapy(told),
        notes=told["notes"],
        went=_went(told),
        domain=_domain(results),
        next_scan=_next_scan(results),
        biology=[str(one["sentence"]) for one in told.get("prior_shifts", [])],
        dates=_dates(told),
        commit=str(told["versions"].get("commit", ""))[:12],
    )


def _warnings(results: TwinResults) -> list[str]:
    """Return the warnings of calibration and forecast, each once."""
    of_forecast = recorded_warnings(results.forecast)
    # What the forecast rests on comes first: the page folds away all but two.
    first = [one for one in of_forecast if one.code in BASIS_CODES]
    of_calibration = recorded_warnings(results.calibration)
    if any(one.code == OUTSIDE for one in of_forecast):  # which knows how far ahead it looks, too
        of_calibration = tuple(one for one in of_calibration if one.code != OUTSIDE)
    every = (*first, *of_calibration, *of_forecast)
    return list(dict.fromkeys(map(str, every)))


def _radiotherapy(told: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each course of radiotherapy, as the model applies it."""
    return [
        f"Radiotherapy as applied: {one['fractions']:g} fractions, {one['total_gy']:.1f} Gy in all in the hottest "
        f"voxel, day {one['first_day']:g} to day {one['last_day']:g}."
        for one in told.get("radiotherapy_courses", [])
    ]


def _headline(results: TwinResults) -> str:
    last = results.forecast["forecast"][-1]
    volume = last["visible_ml"]
    lower, upper = volume["95"]
    return (
        f"{_marked(results)}On {results.day_words(last['day'])} the visible tumour is forecast to be "
        f"{_ml(volume['median'])} mL, "
        f"with 95 % probability between {_ml(lower)} and {_ml(upper)} mL."
    )


def _marked(results: TwinResults) -> str:
    """Return the words that begin what is said of a forecast which is not of this patient."""
    rests_on = Basis(results.forecast.get("basis", Basis.PATIENT))
    return "" if rests_on.of_patient else f"{sentence(rests_on)}: "


def _answers(results: TwinResults) -> list[str]:
    """Return what the last scan showed, and the other volumes of each forecast day."""
    seen = results.calibration["observed"][-1]
    found = []
    if seen["visible_ml"] is not None:
        shown = f"{_ml(seen['visible_ml'])} mL visible, {_ml(seen['enhancing_ml'])} mL of it enhancing"
        found.append(f"Last scan, {results.day_words(seen['day'])}: {shown}.")
    for row in results.forecast["forecast"]:
        parts = []
        for name, words in (("visible_ml", "visible"), ("enhancing_ml", "enhancing")):
            of = row[name]
            parts.append(f"{words} {_ml(of['median'])} mL ({_ml(of['95'][0])} to {_ml(of['95'][1])})")
        found.append(f"{sentence(results.day_words(row['day']))}: {', '.join(parts)}.")
    found += progression_words(results)
    strip = innovation_strip(results)
    return [*found, strip] if strip else found


def _slices_words(results: TwinResults) -> str:
    """Return the content of the still slices in words."""
    days = ", ".join(f"{one.day:g}" for one in results.days)
    last = results.forecast["forecast"][-1]
    return (
        f"Slices of the forecast for days {days} with contours; on day {last['day']:g} the visible volume is "
        f"{with_bounds(last['visible_ml']['median'], *last['visible_ml']['95'])} mL."
    )


def _ml(volume: float) -> str:
    """Whole millilitres, and tenths below one: a remnant is not nothing."""
    return f"{volume:.0f}" if volume >= 1.0 or volume < 0.05 else f"{volume:.1f}"


def _curves(results: TwinResults) -> list[tuple[str, str, str]]:
    """Return pictures, their numbers in words, and their captions."""
    found = [
        (curve(results, name), described(results, name), f"{_marked(results)}{sentence(words)}, mL.")
        for name, words in NAMES.items()
    ]
    moved = results.forecast.get("mass_effect")
    if moved is None:
        return found
    words, said = (
        _displacements(moved),
        f"The tissue is that {_around(moved)}. Known on the days of scans and forecast.",
    )
    return found + [
        (curve(results, name), described(results, name), f"{_marked(results)}{sentence(words[name])}, mm. {said}")
        for name in CURVES
    ]


def _displacements(moved: Mapping[str, Any]) -> dict[str, str]:
    """Return words of displacements, with what largest means."""
    largest = {"largest_displacement_mm": f" ({100 * moved['largest_quantile']:g} % of the tissue move less)"}
    return {name: words + largest.get(name, "") for name, words in DISPLACEMENTS.items()}


def _around(moved: Mapping[str, Any]) -> str:
    return f"within {moved['around_mm']:g} mm of what is visible on day {moved['around_day']:g}"


def _assumed(results: TwinResults) -> str:
    """Return what every displacement is proportional to, in sentences; nothing where there are no displacements."""
    moved = results.forecast.get("mass_effect")
    if moved is None:
        return ""
    prior = moved["swelling_kpa"]
    return (
        "Displacements are proportional to λ/s: λ is the pressure of a dense tumour, s the stiffness of tissue at rest "
        f"over that in elastography. λ/s was not measured. It is assumed to be {prior['median']:g} kPa within a factor "
        f"of {math.exp(prior['log_std']):.3g} (68 %)."
    )


def _forecast_tables(results: TwinResults) -> list[FiguresTable]:
    """Return volumes, and displacements where there are any."""
    truth = "median and credible intervals, if the model's assumptions hold"
    tables = [_intervals(results, NAMES, "mL", f"{_marked(results)}Forecast of volumes: {truth}.")]
    moved = results.forecast.get("mass_effect")
    if moved is not None:
        caption = f"{_marked(results)}Displacement of tissue {_around(moved)}: {truth} and λ/s is as assumed."
        tables.append(_intervals(results, _displacements(moved), "mm", caption))
    return tables


def _intervals(results: TwinResults, names: Mapping[str, str], unit: str, caption: str) -> FiguresTable:
    rows = []
    for row in results.forecast["forecast"]:
        for name, words in names.items():
            ends = tuple(" to ".join(map(digits, row[name][level])) for level in _LEVELS)
            rows.append((f"{row['day']:g}", words, digits(row[name]["median"]), *ends))
    head = ("day", f"quantity, {unit}", "median", *(f"{level} %" for level in _LEVELS))
    return FiguresTable(caption, head, tuple(rows))


def _parameter_table(parameters: Sequence[Mapping[str, Any]]) -> FiguresTable:
    rows = []
    for one in parameters:
        name = str(one["name"])
        words = _WORDS.get(name, name.replace("kill:", "kill by ")) + (
            f", {one['unit'].replace('mm2', 'mm²')}" if one["unit"] else ""
        )
        before, after = (with_bounds(*one[key]) for key in ("prior", "posterior"))
        rows.append((words, before, after, "" if one["identified"] else "unidentified"))
    head = ("parameter", "prior", "posterior", "")
    caption = "Parameters: median (95 % bounds). A parameter is unidentified if the images add little to its prior."
    return FiguresTable(caption, head, tuple(rows))


def _past_table(told: Mapping[str, Any]) -> FiguresTable:
    rows = []
    for seen, model in zip(told["observed"], told["fitted"], strict=True):
        for name, words in NAMES.items():
            value = "not measured" if seen[name] is None else digits(seen[name])
            rows.append((f"{seen['day']:g}", words, value, with_bounds(model[name]["median"], *model[name]["95"])))
    head = ("day", "quantity, mL", "scan", "model (95 %), without front model error")
    return FiguresTable("Past: values of the scans and of the calibrated model", head, tuple(rows))


def _innovation_tables(results: TwinResults) -> list[FiguresTable]:
    """Return each scan's numbers beside their prediction, where the calibration tells them."""
    rows = innovation_rows(results)
    return [FiguresTable(CAPTION, HEAD, rows)] if rows else []


def _went(told: Mapping[str, Any]) -> str:
    went = told["statistics"]
    end = "converged" if went["converged"] else "did not converge"
    return (
        f"The calibration {end} after {went['iterations']} steps. The misfit is {went['misfit']:.2f} for each of "
        f"{went['data']} data (1 where errors are as assumed). The front model error is "
        f"{told['front_error_mm_per_100_days']:.1f} mm in 100 days."
    )


def _next_scan(results: TwinResults) -> str:
    """Return what a further scan is expected to tell, in sentences; nothing for older records."""
    scans = results.forecast.get("next_scan") or []
    if not scans:
        return ""
    listed = ", ".join(f"{100.0 * one['variance_removed']:.0f} % on {results.day_words(one['day'])}" for one in scans)
    return (
        f"What the next scan would tell: it is expected to remove this share of the variance of the logarithm of the "
        f"visible volume forecast for {results.day_words(scans[0]['target_day'])}: {listed}. This holds if the model "
        "does, for volumes drawn with the contour errors of the settings."
    )


def _domain(results: TwinResults) -> str:
    """Return where this patient lies beside what the twin was tried on; nothing for older records."""
    stated = results.forecast.get("domain") or results.calibration.get("domain") or {}
    return str(stated.get("sentence", ""))


def _dates(told: Mapping[str, Any]) -> str:
    """Return what the images say of the dates, in sentences; nothing for a record that looked at none."""
    clocks = told.get("clocks", [])
    if not clocks:
        return ""
    as_recorded = float(told["dates_as_recorded"])
    found = f"All dates are right with a probability of {100.0 * min(as_recorded, 0.99):.0f} %, by the images."
    unknown = [str(one["stream"]) for one in clocks if not one["identified"]]
    if unknown:
        found += (
            f" Unidentified: shifts of up to 28 days of {', '.join(unknown)}. Some draws have them, so that intervals "
            "are as wide as such shifts make them."
        )
    return found
