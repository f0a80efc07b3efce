"""`palpate outlook`: the forecast report of a tumour's twin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def outlook(
    calibration: Annotated[Path, typer.Argument(help="Folder of palpate calibrate.")],
    forecast: Annotated[Path, typer.Option(help="Folder of palpate forecast.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
) -> None:
    """Write the forecast report of a tumour: its past and forecast on one HTML page that opens without a network.

    The page shows volumes and burden (mL) over time with intervals and the values of the scans, parameters before and
    after, and slices of the forecast.
    """
    from palpate.progress import say
    from palpate.service.forecast_report import write_forecast_report

    write_forecast_report(calibration, forecast, out)
    say(f"forecast report of {out.stat().st_size / 1e6:.1f} MB: {out}")
