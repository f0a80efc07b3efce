"""`palpate calibrate`: from a tumour's history to its twin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    history: Annotated[Path, typer.Argument(help="HDF5 file of palpate tumour.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    settings: Annotated[str | None, typer.Option(help="The twin settings: JSON, or a YAML or JSON file.")] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="Number of MPI ranks that must be connected; refuse any other number.")
    ] = None,
) -> None:
    """Find the posterior of a tumour's growth: rates (1/day, mm2/day), radiosensitivity (1/Gy), kill by drugs (1/g).

    calibration.json holds every parameter before and after the images with 95 % bounds, and marks those that
    the images do not inform. calibration.h5 is for palpate forecast. Volumes are mL, days count from the first scan.
    The command runs alone or under mpiexec -n N: the ranks share the draws, and the result does not depend on N.
    """
    from palpate.config.section import parse_settings
    from palpate.config.twin import TwinSettings
    from palpate.outputs import claim_folder

    chosen = parse_settings(TwinSettings, settings)
    claim_folder(out, "calibrate", {"history": history})
    from palpate.imaging.tumour.history_file import history_remarks, read_history
    from palpate.solvers.ranks import all_ranks
    from palpate.twin.products.calibration_folder import calibrate_into

    comm = all_ranks(ranks)
    calibrate_into(read_history(history), chosen, out, history_remarks(history), comm)
