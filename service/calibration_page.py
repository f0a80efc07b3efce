"""Calibration of a cohort as a table for the terminal, figures for programs and a page for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from palpate.imaging.files.stiffness_folder import MODULI
from palpate.output_kinds import FileKind, json_kind, page_kind
from palpate.outputs import OutputFile, claim_file
from palpate.provenance import versions
from palpate.service.calibration import LEVELS, CalibrationScores
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.plots import NAMES, coverage_by_kind, rank_histograms
from palpate.service.report.render import render_page

_SHOWN = ("voxels", "regions of 10 mm", "regions of 16 mm")
"""Kinds whose rank histograms are drawn."""


PAGE: Final = FileKind(
    "verify", "page of a calibration", (".html",), page_kind("verify calibration", "Calibration</title>")
)
"""Kind of the page."""
FIGURES: Final = FileKind(
    "verify", "file of a calibration's figures", (".json",), json_kind("patients", "informed_share", "versions")
)
"""Kind of the JSON file beside the page."""


def claim_calibration(page: Path, inputs: Mapping[str, Path | None]) -> tuple[OutputFile, OutputFile]:
    """Check that the page and the figures beside it may be written, before any work.

    Args:
        page: path of the HTML file.
        inputs: files and folders that the command reads, by role.

    Raises:
        InputError: one of the two is an input or another file.
    """
    return claim_file(page, PAGE, inputs), claim_file(page.with_suffix(".json"), FIGURES, inputs)


def write_calibration(page: Path, found: CalibrationScores) -> None:
    """Write the page and, beside it, the figures as JSON; an interrupted run leaves no partial file."""
    claimed, figures = claim_calibration(page, {})
    with figures.writing() as partial:
        content = found.to_json() | {"versions": versions()}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with claimed.writing() as partial:
        partial.write_text(render(found), encoding="utf-8")


def calibration_table(found: CalibrationScores) -> str:
    """Return the coverage as lines for a terminal."""
    lines = [f"{found.patients} patients; {found.informed_share:.0%} of the voxels are informed"]
    for table in _tables(found):
        lines += ["", table.caption]
        lines += [
            "  " + f"{row[0]:<26}" + "".join(f"{cell:>16}" for cell in row[1:]) for row in (table.head, *table.rows)
        ]
    return "\n".join(lines)


def render(found: CalibrationScores) -> str:
    """Return the page as HTML text; equal figures give equal text."""
    return render_page(
        "calibration.html",
        headline=_headline(found),
        figures=_figures(found),
        tables=_tables(found),
    )


def _headline(found: CalibrationScores) -> str:
    shares = [f"{100 * found.ranks[m]['voxels'].coverage(0.95)[0]:.1f} % of the voxels for {NAMES[m]}" for m in MODULI]
    return f"Over {found.patients} patients, 95 % intervals hold the truth in {' and '.join(shares)}."


def _figures(found: CalibrationScores) -> list[tuple[str, str, list[tuple[str, str]]]]:
    kinds = list(found.ranks["storagemodulus"])
    coverage = [
        (
            coverage_by_kind(
                {kind: {m: found.ranks[m][kind].coverage(level) for m in MODULI} for kind in kinds}, level
            ),
            f"Coverage of {100 * level:.0f} % intervals by kind; the table holds the numbers.",
        )
        for level in (0.5, 0.95)
    ]
    ranks = [
        (rank_histograms({m: found.ranks[m][kind].histogram() for m in MODULI}, kind), f"Rank histogram of {kind}.")
        for kind in _SHOWN
        if kind in kinds
    ]
    return [
        ("Coverage", "Dotted line: nominal coverage. Bars: two standard errors between patients.", coverage),
        (
            "Ranks",
            "A flat histogram means calibrated intervals, a bowl too narrow ones, a hill too wide ones.",
            ranks,
        ),
    ]


def _figure(value: float) -> str:
    """Return a number with three decimals; a dash where there is none, as for a cohort without direct inversions."""
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _share(share: float, error: float) -> str:
    """Return a share with its standard error, which one patient alone does not have."""
    return f"{share:.1%} ± {error:.1%}" if math.isfinite(error) else f"{share:.1%}"


def _tables(found: CalibrationScores) -> list[FiguresTable]:
    tables = []
    for modulus in MODULI:
        head = ("", "count", "ECE", "90 %, resampled", *(f"{level:.0%}" for level in LEVELS))
        rows = tuple(
            (
                kind,
                f"{ranks.pooled.size}",
                _figure(ranks.calibration_error),
                " to ".join(_figure(end) for end in ranks.resampled_error),
                *(_share(*ranks.coverage(level)) for level in LEVELS),
            )
            for kind, ranks in found.ranks[modulus].items()
        )
        tables.append(FiguresTable(f"{NAMES[modulus]}: coverage of credible intervals, ± standard error", head, rows))
    sharp = found.sharpness
    tables.append(
        FiguresTable(
            "Sharpness over voxels",
            ("", "width of 95 %", "CRPS, kPa", "direct", "prior alone"),
            tuple(
                (
                    NAMES[m],
                    f"{sharp[m].width:.0%}" if math.isfinite(sharp[m].width) else "–",
                    _figure(sharp[m].crps_kpa),
                    _figure(sharp[m].direct_crps_kpa),
                    _figure(sharp[m].prior_crps_kpa),
                )
                for m in MODULI
            ),
        )
    )
    return tables
