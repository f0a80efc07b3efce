"""`palpate report`: the page of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    session: Annotated[Path, typer.Option(help="Session folder with mre/ and, where they exist, wavefield/, dicom/.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    truth: Annotated[
        Path | None, typer.Option(help="Folder with truth_{storagemodulus,lossmodulus}.nii.gz in kPa, if known.")
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The report settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Show one session on one HTML page that opens without a network.

    The page shows anatomy with stiffness (kPa) and its uncertainty, the region's figures with intervals, residuals,
    convergence, the direct inversion beside the posterior and, where the truth is known, errors and coverage. Where a
    region was drawn or gated, or the scanner computed maps, it states the region's mean |G*| (kPa) with its interval,
    and by slice beside the scanner's own. The JSON file of the same name, such as report.json, holds these figures
    and what the model assumes.
    """
    from palpate.config.report import ReportSettings
    from palpate.config.section import parse_settings
    from palpate.progress import say

    chosen = parse_settings(ReportSettings, settings)
    from palpate.service.report.page import write_report

    write_report(session, out, truth=truth, settings=chosen)
    say(f"page of {out.stat().st_size / 1e6:.1f} MB: {out}")
