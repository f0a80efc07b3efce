"""`palpate assimilate`: from a tumour's history to the patient's record and present state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def assimilate(
    history: Annotated[Path, typer.Argument(help="HDF5 file of palpate tumour.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Record of the patient (HDF5): the run goes on from it where it exists, and an interrupted run leaves "
            "it as it was. The present state is written beside it as JSON."
        ),
    ],
    rung: Annotated[
        str, typer.Option(help="Model: radial, a growing ball in shells, or logistic, one number.")
    ] = "radial",
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of palpate calibrate of earlier scans, to begin from its last scan and its rates; name it in "
            "every run. Default: begin from the priors."
        ),
    ] = None,
    day: Annotated[
        float | None,
        typer.Option(help="Today, in days since the first scan; default: the last day of the measurements."),
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The twin settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Update a patient's twin by new measurements: volumes and burden (mL), rates (1/day, mm2/day), surprises.

    Every scan, treatment and number of the history is compared with its prediction before it is used, and the verdict
    is as expected, odd or wrong. Results that come late or replace earlier ones are inserted where they belong. Streams
    that the model does not know are stored and not used. Every figure names its model (rung) and has a 95 % interval;
    parameters that the measurements do not inform are called unidentified. Volumes are mL, days count from the first
    scan. Research use only.
    """
    from palpate.config.section import parse_settings
    from palpate.config.twin import TwinSettings

    chosen = parse_settings(TwinSettings, settings)
    from palpate.twin.follow.patient_files import assimilate_into

    assimilate_into(history, out, chosen, rung, calibration, day)
