"""`palpate invert`: from a wave field to the stiffness posterior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def invert(
    wavefield: Annotated[Path, typer.Argument(help="Wave-field folder (um, Hz), as palpate ingest writes it.")],
    out: Annotated[Path, typer.Option(help="Folder for maps in kPa; an interrupted run leaves no partial result.")],
    mesh: Annotated[Path | None, typer.Option(help="Folder of palpate mesh; default: zones of default size.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Segmentation of the anatomy (NIfTI): regions may differ in mean stiffness.")
    ] = None,
    method: Annotated[
        Literal["nonlinear", "direct"] | None, typer.Option(help="Method of inversion; overrides the settings.")
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The inversion settings: JSON, or a YAML or JSON file.")] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="Number of MPI ranks that must be connected; refuse any other number.")
    ] = None,
) -> None:
    """Recover G' and G'' (kPa) with 95 % credible intervals, joint draws and the mask of informed voxels.

    A voxel is informed if its value comes mostly from this scan; elsewhere it is mostly a prior assumption. The command
    runs alone or under mpiexec -n N: the ranks share the zones, and the result does not depend on N.
    """
    from palpate.config.inversion import InversionSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(InversionSettings, settings)
    if method is not None:
        chosen = chosen.model_copy(update={"method": method})
    from palpate.solvers.inversion.session import invert_session
    from palpate.solvers.ranks import all_ranks

    invert_session(wavefield, out, chosen, mesh=mesh, labels=labels, comm=all_ranks(ranks))
