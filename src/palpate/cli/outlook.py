"""`palpate outlook`: the forecast report of a tumour's twin."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer


def outlook(
    calibration: Annotated[Path, typer.Argument(help="Folder of palpate calibrate.")],
    forecast: Annotated[Path, typer.Option(help="Folder of palpate forecast.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    anatomy: Annotated[
        Path | None,
        typer.Option(help="T1 of the first scan with tumour maps, DICOM or NIfTI, to lie below the tumour."),
    ] = None,
    first_scan: Annotated[
        datetime.datetime | None,
        typer.Option(help="Date of the first scan, YYYY-MM-DD; without it the page counts days.", formats=["%Y-%m-%d"]),
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The report settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Write the forecast report of a tumour: its past and forecast on one HTML page that opens without a network.

    The page shows volumes and burden (mL) day by day with intervals and the values of the scans, parameters before and
    after, and every scan and forecast day in a viewer: density (0 to 1), probability of tumour, dose (Gy), contours.
    """
    from palpate.config.report import ReportSettings
    from palpate.config.section import parse_settings
    from palpate.progress import say

    chosen = parse_settings(ReportSettings, settings)
    from palpate.service.forecast_report import write_forecast_report

    date = None if first_scan is None else first_scan.date()
    write_forecast_report(calibration, forecast, out, anatomy=anatomy, first_date=date, settings=chosen)
    say(f"forecast report of {out.stat().st_size / 1e6:.1f} MB: {out}")
