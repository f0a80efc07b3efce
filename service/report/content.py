"""Words, figures and tables of a session's page, made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from palpate.imaging.files.stiffness_folder import MODULI, Modulus
from palpate.imaging.region_values.values import RegionValue
from palpate.quality_warning import QualityWarning, recorded_warnings
from palpate.service.regions import RegionFigure
from palpate.service.report.labels import words
from palpate.service.report.session import RunView
from palpate.service.report.wave_notes import wave_notes
from palpate.service.score import Score

_FEW_SLICES = 8
_LOW_INFORMED = 0.5
NOTHING_INFORMED: Final = (
    "No voxel has a value that comes mostly from this scan: the maps show prior assumptions, not the patient."
)
"""Note on a run without an informed voxel; it is the headline of a session of one run."""


@dataclass(frozen=True, slots=True)
class Number:
    """Number on the page, with the value from which it was rounded.

    Attributes:
        key: name of the number for programs that read the page; empty for plain text.
        value: unrounded number; None for plain text.
        text: number for people, with its unit.
    """

    key: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """Row of a table: its heading and its cells."""

    name: str
    cells: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Table of the page; `title` is that of the box that it is folded into, if any."""

    rows: tuple[TableRow, ...]
    head: tuple[str, ...] = ()
    caption: str = ""
    title: str = ""


def kpa(key: str, value: float) -> Number:
    """Return a modulus with three significant digits, at most three decimals; a dash where it is no number."""
    if not math.isfinite(value):
        return plain("–")
    return Number(key, value, f"{significant(value)} kPa")


def percent(key: str, value: float, decimals: int = 1) -> Number:
    """Return a share or a relative error, given as a fraction of 1, in per cent; a dash where it is no number."""
    if not math.isfinite(value):
        return plain("–")
    # Adding zero turns a rounded -0.0 into 0.0.
    return Number(key, value, f"{round(100.0 * value, decimals) + 0.0:.{decimals}f} %")


def plain(text: object) -> Number:
    """Return text that is no figure of the inversion, as a cell."""
    return Number("", None, str(text))


def figure_number(figure: RegionFigure, end: str = "value") -> Number | None:
    """Return the value or an end ("lower", "upper") of a region's figure; None where there is no interval."""
    value = getattr(figure, end)
    if value is None:
        return None
    if not math.isfinite(value):
        return plain("–")
    key = f"{figure.key}_{end}"
    return kpa(key, value) if figure.unit == "kPa" else Number(key, value, significant(value))


def region_table(figures: tuple[RegionFigure, ...]) -> Table:
    """Return the medians of the informed region with their intervals."""
    rows = []
    for figure in figures:
        ends = [figure_number(figure, end) for end in ("value", "lower", "upper")]
        rows.append(TableRow(figure.name, tuple(end if end is not None else plain("–") for end in ends)))
    return Table(
        rows=tuple(rows),
        head=("Informed voxels, median of", "estimate", "95 % from", "to"),
        caption="Each figure is taken from every joint draw of the posterior, so its interval is that of the region.",
    )


def summary_table(runs: tuple[RunView, ...]) -> Table:
    """Return the runs of a session side by side: their informed shares, means, and errors if the truth is known."""
    scored = any(run.scores is not None for run in runs)
    rows = []
    for run in runs:
        cells = [percent("informed_share", run.informed_share, 0)]
        for place, modulus in enumerate(MODULI):
            cells.append(_with_interval(run.informed_values[place], modulus) if run.informed_values else plain("–"))
            if scored:
                cells.append(_or_dash(f"{modulus}_error", run.scores[modulus].median_error if run.scores else None))
        rows.append(TableRow(run.title, tuple(cells)))
    errors = [", median |error|"] if scored else []
    head = ["", "informed", "G′, mean there", *("G′" + e for e in errors), "G″, mean there"]
    caption = "Means of the informed voxels, whose values come mostly from this scan, with each mean's 95 % interval."
    return Table(tuple(rows), head=(*head, *("G″" + e for e in errors)), caption=caption)


def _with_interval(value: RegionValue, modulus: Modulus) -> Number:
    """Return the mean over a region with its interval in one cell."""
    text = f"{kpa('', value.mean).text} ({significant(value.lower)} to {significant(value.upper)})"
    return Number(f"{modulus}_mean_kpa_value", value.mean, text)


def score_table(scores: Mapping[Modulus, Score]) -> Table:
    """Return errors, coverage and width of the intervals against truth."""
    any_score = next(iter(scores.values()))
    rows = [
        TableRow(name, tuple(_or_dash(f"{modulus}_{key}", getattr(score, field)) for modulus, score in scores.items()))
        for name, key, field in (
            ("Median |error| of the posterior mean", "error", "median_error"),
            ("Median |error| of the direct inversion", "direct", "direct_median_error"),
            ("Median error (bias)", "bias", "median_bias"),
        )
    ]
    rows.extend(
        TableRow(
            f"Truth inside the {100 * item.level:.0f} % interval",
            tuple(_covered(m, s, item.level) for m, s in scores.items()),
        )
        for item in reversed(any_score.coverage)
    )
    width = tuple(percent(f"{m}_width", s.interval_width, 0) for m, s in scores.items())
    rows.append(TableRow("Width of the 95 % interval over the mean", width))
    return Table(
        rows=tuple(rows),
        head=("", "G′", "G″"),
        caption=f"Over the {any_score.voxels} informed voxels. Brackets give the 95 % interval of the share "
        "itself, which counts correlated voxels as few independent ones.",
    )


def quality_table(run: RunView) -> Table | None:
    """Return the recorded quality of this run's wave field; None where nothing is recorded."""
    measured, unit_of_u = run.frequency_record, displacement_unit(run)
    rows = [
        TableRow(name, (plain(_value(measured[key], unit)),))
        for key, name, unit in (
            ("mean_displacement_um", "Mean |u|", unit_of_u),
            ("noise_std_um", "Measured noise, of real and imaginary part", unit_of_u),
            ("noise_percent_of_mean_displacement", "Noise over mean |u|", "%"),
            ("oss_snr", "Octahedral-shear-strain SNR", ""),
            ("offsets", "Phase offsets", ""),
        )
        if measured.get(key) is not None
    ]
    directions = measured.get("directions") or []
    shares = [one["wrapped_share"] for one in directions if one.get("wrapped_share") is not None]
    if shares:
        rows.append(TableRow("Phase wraps, share of samples", (plain(", ".join(f"{100 * s:.1f} %" for s in shares)),)))
    moved = measured.get("image_motion")
    if isinstance(moved, Mapping):
        rows.append(TableRow("Largest shift of the head between images", (plain(f"{moved['largest_mm']:.2f} mm"),)))
    if run.directions is not None:
        divergence, one_way = run.directions.divergence_share, run.directions.directionality
        if divergence is not None:
            rows.append(
                TableRow("Divergence over curl; 0 for shear waves, 0.71 for noise", (plain(f"{divergence:.2f}"),))
            )
        rows.append(TableRow("Direction of travel; 0 isotropic, 1 one direction", (plain(f"{one_way:.2f}"),)))
    return Table(tuple(rows), caption="Quality of the wave field.") if rows else None


def fit_table(run: RunView) -> Table | None:
    """Return misfit and whiteness of the residual, as the inversion recorded them; None where it recorded none."""
    record = run.stiffness.inversion
    keys = (
        "converged",
        "density_kg_m3",
        "density_assumed",
        "anisotropy_percent",
        "misfit",
        "residual_whiteness",
        "slice_phase_errors",
        "noise_source",
        "noise_std_um",
        "noise_stated_std_um",
        "noise_inflation",
    )
    rows = [row for key in keys if key in record for row in _flat_rows(key, _with_hertz(key, record[key]))]
    capital = tuple(TableRow(row.name[:1].upper() + row.name[1:], row.cells) for row in rows)
    caption = "How well the model explains the waves; white residuals are uncorrelated."
    return Table(capital, caption=caption) if rows else None


def _with_hertz(key: str, value: object) -> object:
    """Return the value of a key of the record; misfits, which the record keeps by frequency, with the unit of that."""
    return (
        {f"{hertz} Hz": one for hertz, one in value.items()} if key == "misfit" and isinstance(value, dict) else value
    )


def provenance_tables(run: RunView, title: str) -> list[Table]:
    """Return settings, prior, counts, times, versions and digests of one run, and the record of its acquisition."""
    tables = []
    record, ingest = run.stiffness.inversion, run.ingest
    inversion = {
        key: record[key] for key in ("prior", "settings", "counts", "seconds", "peak_memory_mb") if key in record
    }
    tables.append(_folded(f"{title}: settings, work and time of the inversion", inversion))
    versions = {key: record[key] for key in ("versions", "input_digests") if key in record}
    tables.append(_folded(f"{title}: versions and input digests", versions))
    # Identifiers of the study stay out of the page.
    acquired = {key: value for key, value in ingest.items() if key not in ("dicom", "versions", "frequencies", "label")}
    tables.append(_folded(f"{title}: acquisition and ingest", acquired))
    return [table for table in tables if table.rows]


def all_notes(runs: tuple[RunView, ...], further: Sequence[Sequence[QualityWarning]]) -> list[str]:
    """Return the notes that a reader needs to judge the numbers of all runs; notes on every run occur once.

    Args:
        runs: runs of the session.
        further: warnings about each run beside those in its records.
    """
    found = [[*notes(run), *map(str, of_run)] for run, of_run in zip(runs, further, strict=True)]
    if len(runs) == 1:  # its headline says so
        found = [[note for note in found[0] if note != NOTHING_INFORMED]]
    shared = [note for note in found[0] if all(note in others for others in found)]
    own = [
        f"{run.title}: {note}" for run, of_run in zip(runs, found, strict=True) for note in of_run if note not in shared
    ]
    return shared + own


def recorded(run: RunView) -> list[QualityWarning]:
    """Return the warnings in the records of inversion and ingest.

    Args:
        run: results of the run.
    """
    records = (run.stiffness.inversion, run.ingest, run.frequency_record)
    return [one for record in records for one in recorded_warnings(record)]


def notes(run: RunView) -> list[str]:
    """Return the notes that a reader needs to judge the numbers of one run."""
    of_steps = recorded(run)
    codes = {one.code for one in of_steps}
    found = list(map(str, of_steps))
    if run.regions is not None and not run.regions.values:
        found += map(str, run.regions.warnings)
    if run.stiffness.inversion.get("converged") is False and "not-converged" not in codes:
        found.insert(0, "Not converged: the inversion did not converge, so its maps are not a result.")
    if run.informed_share == 0.0:
        found.append(NOTHING_INFORMED)
    elif run.informed_share < _LOW_INFORMED:
        found.append(
            f"Only {100 * run.informed_share:.0f} % of the voxels have values that come mostly from this scan;"
            " elsewhere they are mostly a prior assumption."
        )
    slices = run.stiffness.informed.shape[2]
    if slices < _FEW_SLICES:
        found.append(f"The slab has only {slices} slices. What they do not determine has wide intervals.")
    if run.frequency_record.get("motion_encoding_known") is False:
        found.append(
            "The motion encoding is unknown: displacements are in arbitrary units; the moduli do not depend on it."
        )
    found += wave_notes(run.frequency_record, codes)
    anatomy = run.ingest.get("anatomy")
    registration = anatomy.get("registration") if isinstance(anatomy, Mapping) else None
    if isinstance(registration, Mapping):
        found += map(str, recorded_warnings(registration))
    elif isinstance(anatomy, Mapping) and anatomy.get("same_frame_of_reference") is False:
        found.append(
            "The anatomical image has another frame of reference: the patient may have moved between the scans."
        )
    if run.figures and run.figures[0].lower is None:
        found.append("There are no joint draws, so the figures of the region come without intervals.")
    return list(dict.fromkeys(found))


def displacement_unit(run: RunView) -> str:
    """Return the unit of displacements; arbitrary where nobody stated the motion encoding."""
    return "a.u." if run.frequency_record.get("motion_encoding_known") is False else "µm"


def verdict(run: RunView) -> dict[str, Number | None] | None:
    """Return the figures of the sentence about the truth; None where it is not known."""
    if run.scores is None:
        return None
    found: dict[str, Number | None] = {}
    for modulus, short in zip(MODULI, ("storage", "loss"), strict=True):
        score = run.scores[modulus]
        direct = score.direct_median_error
        found[f"{short}_error"] = percent(f"{modulus}_error", score.median_error)
        found[f"{short}_direct"] = None if direct is None else percent(f"{modulus}_direct", direct)
        found[f"{short}_coverage"] = percent(f"{modulus}_coverage_95", score.covered(0.95).share)
    return found


def _covered(modulus: str, score: Score, level: float) -> Number:
    item = score.covered(level)
    text = f"{100 * item.share:.1f} % ({100 * item.lower:.0f} to {100 * item.upper:.0f})"
    return Number(f"{modulus}_coverage_{100 * level:.0f}", item.share, text)


def _or_dash(key: str, value: float | None) -> Number:
    return plain("–") if value is None else percent(key, value)


def _folded(title: str, record: Mapping[str, Any]) -> Table:
    rows = tuple(row for key, value in record.items() for row in _flat_rows(key, value))
    return Table(rows, title=title)


def _flat_rows(name: str, value: object) -> list[TableRow]:
    """Return a JSON value as rows: nested keys are joined, long lists are counted."""
    if isinstance(value, Mapping):
        return [row for key, inner in value.items() for row in _flat_rows(f"{name}: {key}", inner)]
    if isinstance(value, list) and (len(value) > 8 or any(isinstance(item, list | Mapping) for item in value)):
        return [TableRow(words(name), (plain(f"{len(value)} entries"),))]
    return [TableRow(words(name), (plain(_value(value, "")),))]


def _value(value: object, unit: str) -> str:
    """Return a JSON value for people."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(item, "") for item in value)
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".rstrip()


def significant(value: float) -> str:
    """Return three significant digits, without exponents for the sizes that moduli have.

    Args:
        value: number to write.
    """
    if value == 0.0 or not 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    digits = 3 if abs(value) < 1.0 else 2 if abs(value) < 10.0 else 1 if abs(value) < 100.0 else 0
    return f"{value:.{digits}f}"
