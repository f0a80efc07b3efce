"""Panel of the page for an exam with a region: its mean stiffness, by slice, and what the mean is of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.regions.region import INSIDE
from palpate.service.exam.exam import Exam
from palpate.service.exam.figures import CHANGE_PERCENT, ExamFigures, RegionMean, Spread
from palpate.service.exam.record import flags
from palpate.service.report.content import Number, Table, TableRow, kpa, percent, plain
from palpate.service.report.panels import Picture
from palpate.service.report.pictures import Layer, sheet
from palpate.service.report.slices import SliceView

_MOST_SLICES = 8


@dataclass(frozen=True, slots=True)
class ExamPanel:
    """Content of the panel.

    Attributes:
        label: origin of the region in words.
        organ: whether the region is meant as an organ; None where only the user knows.
        mean: mean of |G*| over what counts; None where there are no figures.
        lower: lower end of its 95 % interval.
        upper: upper end of its 95 % interval.
        figures: table of figures.
        slices: table by slice; None where there are no figures.
        picture: the region and what of it counts, on the images; None where there is no magnitude.
    """

    label: str
    organ: bool | None
    mean: Number | None
    lower: Number | None
    upper: Number | None
    figures: Table
    slices: Table | None
    picture: Picture | None


def exam_panel(exam: Exam) -> ExamPanel:
    """Return the panel of an exam."""
    figures = exam.figures
    drawn = None if figures is None else figures.whole.magnitude
    return ExamPanel(
        label=exam.label,
        organ=exam.organ,
        mean=None if drawn is None else kpa("exam_magnitude_mean_kpa", drawn.mean),
        lower=None if drawn is None else kpa("exam_magnitude_lower_kpa", drawn.lower),
        upper=None if drawn is None else kpa("exam_magnitude_upper_kpa", drawn.upper),
        figures=Table(_rows(exam), caption="Figures of what counts in the region, from every joint draw."),
        slices=None if figures is None else _slice_table(figures),
        picture=_picture(exam),
    )


def _rows(exam: Exam) -> tuple[TableRow, ...]:
    """Return the rows of the table of figures."""
    figures, reported = exam.figures, exam.reported
    left_out = ", ".join(f"{words} {count}" for words, count in reported.left_out.items() if count) or "none"
    rows = [] if figures is None else [*_stiffness_rows(figures, exam), *_cover_rows(figures, exam)]
    edge = f"{reported.edge_mm:g} mm" if reported.edge_mm else "none"
    rows.append(TableRow("Edge left out", (plain(edge),)))
    rows.append(TableRow("Voxels left out", (plain(left_out),)))
    return (*rows, TableRow("Quality flags", (plain(", ".join(flags(exam)) or "none"),)))


def _stiffness_rows(figures: ExamFigures, exam: Exam) -> list[TableRow]:
    whole = figures.whole
    mean, lower, upper = whole.magnitude.mean, whole.magnitude.lower, whole.magnitude.upper
    change = CHANGE_PERCENT / 100.0
    rows = [TableRow("Mean |G*|", (plain(f"{kpa('', mean).text} ({_range(whole.magnitude)})"),))]
    if exam.inner is not None:
        reported, inner = exam.inner
        name = f"More than {reported.edge_mm:g} mm from its edge, without vessels"
        told = f"{kpa('', inner.whole.magnitude.mean).text} ({_range(inner.whole.magnitude)}), {_volume(inner.whole)}"
        rows.append(TableRow(name, (plain(told),)))
    if whole.scanner_kpa is not None:
        rows.append(TableRow("Scanner's own mean, same pixels", (kpa("exam_scanner_kpa", whole.scanner_kpa),)))
    if whole.over_scanner is not None:
        over = whole.over_scanner
        told = f"{_signed(over.mean)} % ({_signed(over.lower)} to {_signed(over.upper)} %)"
        rows.append(TableRow("Difference from the scanner, 95 % interval", (plain(told),)))
    if whole.direct_kpa is not None:
        rows.append(TableRow("Algebraic inversion", (kpa("exam_algebraic_kpa", whole.direct_kpa),)))
    rows.append(TableRow("Heterogeneity, from voxel to voxel", (plain(_spread(figures.spread)),)))
    if figures.scanner_spread is not None:
        rows.append(TableRow("Heterogeneity, scanner's pixels", (plain(_spread(figures.scanner_spread)),)))
    rows.append(
        TableRow(
            f"Change that is real by QIBA's liver profile ({CHANGE_PERCENT:g} %)",
            (plain(f"below {kpa('', mean * (1 - change)).text} or above {kpa('', mean * (1 + change)).text}"),),
        )
    )
    own = f"{_signed(100 * (lower / mean - 1))} to {_signed(100 * (upper / mean - 1))} %"
    rows.append(TableRow("95 % interval of this exam over its mean", (plain(own),)))
    return rows


def _cover_rows(figures: ExamFigures, exam: Exam) -> list[TableRow]:
    rows = [
        TableRow("Volume of the region", (plain(f"{figures.region_ml:.0f} mL, {figures.region_voxels} voxels"),)),
        TableRow("Volume that counts", (plain(_volume(figures.whole)),)),
        TableRow("Share of the region that counts", (percent("exam_reported_share", figures.reported_share, 0),)),
        TableRow("Share of the region with a value", (percent("exam_covered_share", figures.covered_share, 0),)),
        TableRow("Informed share of what counts", (percent("exam_informed_share", figures.informed_share, 0),)),
    ]
    name = f"Share with scanner's confidence above {exam.least_confidence:g}"
    if figures.confident_share is not None:
        rows.append(TableRow(name, (percent("exam_confident_share", figures.confident_share, 0),)))
    elif exam.run.pixels is not None:
        rows.append(TableRow(name, (plain("no confidence map: every pixel counts"),)))
    return rows


def _slice_table(figures: ExamFigures) -> Table:
    """Return the means by slice, slices numbered from 1."""
    rows = []
    for k, part in figures.slices.items():
        cells = [
            plain(f"{part.area_cm2:.1f} cm²"),
            kpa(f"exam_slice_{k + 1}_mean_kpa", part.magnitude.mean),
            plain(_range(part.magnitude)),
            _kpa_or_dash(f"exam_slice_{k + 1}_scanner_kpa", part.scanner_kpa),
            _kpa_or_dash(f"exam_slice_{k + 1}_algebraic_kpa", part.direct_kpa),
        ]
        rows.append(TableRow(f"Slice {k + 1}", tuple(cells)))
    head = ("", "area", "mean |G*|", "95 % interval", "scanner", "algebraic inversion")
    caption = "By slice, over what counts there. Slices in which nothing counts are left out."
    return Table(tuple(rows), head=head, caption=caption)


def _signed(value: float) -> str:
    """Return a whole number with its sign; a minus, not a hyphen."""
    return f"{round(value) + 0:+d}".replace("-", "\N{MINUS SIGN}")


def _range(drawn: DrawSummary) -> str:
    """Return the ends of a 95 % interval."""
    return f"{kpa('', drawn.lower).text.removesuffix(' kPa')} to {kpa('', drawn.upper).text}"


def _spread(spread: Spread) -> str:
    low, high = (kpa("", one).text.removesuffix(" kPa") for one in spread.quartiles_kpa)
    return f"SD {kpa('', spread.std_kpa).text}, middle half {low} to {high} kPa"


def _volume(part: RegionMean) -> str:
    return f"{part.volume_ml:.0f} mL, {part.area_cm2:.0f} cm² over the slices"


def _kpa_or_dash(key: str, value: float | None) -> Number:
    return plain("–") if value is None else kpa(key, value)


def _picture(exam: Exam) -> Picture | None:
    """Draw the region on the magnitude and what of it counts on |G*|, for slices through the region."""
    run = exam.run
    if run.magnitude is None or run.magnitude.values.shape != exam.reported.region.shape:
        return None
    held = np.flatnonzero(exam.reported.region.any(axis=(0, 1)))
    slices = (
        held if len(held) <= _MOST_SLICES else held[np.linspace(0, len(held) - 1, _MOST_SLICES).round().astype(int)]
    )
    grey = run.magnitude.values
    bottom, top = (float(one) for one in np.nanpercentile(grey, [1.0, 99.5]))
    storage, loss = (run.stiffness.moduli[modulus].mean.values for modulus in ("storagemodulus", "lossmodulus"))
    size = np.hypot(storage, loss)
    upper = float(np.ceil(2.0 * np.nanpercentile(size, 98.0)) / 2.0)
    region, counted = exam.reported.region, exam.reported.shares > INSIDE
    layers = [
        Layer("MRE magnitude with the region", grey, "gray", bottom, top, None, region),
        Layer("|G*| of the mean moduli, with what counts", size, "viridis", 0.0, upper, "kPa", counted),
    ]
    view = SliceView.of(run.stiffness.affine_mm, region)
    named = ", ".join(str(int(k) + 1) for k in slices)
    return Picture(
        source=sheet(layers, view, [int(k) for k in slices], columns=1),
        alt=f"Slices {named} of the magnitude with the outline of the region, and of |G*| with that of what counts.",
        caption=f"Slices {named}. Above: the region. Below: what of it counts. The patient's right is on the left.",
    )
