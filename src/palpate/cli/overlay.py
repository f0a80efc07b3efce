"""`palpate overlay`: the stiffness maps on the anatomical image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def overlay(
    mre: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it.")],
    wavefield: Annotated[Path, typer.Option(help="Folder of palpate ingest, which holds the anatomy and its place.")],
    out: Annotated[
        Path, typer.Option(help="Folder for maps (NIfTI, kPa); an interrupted run leaves no partial result.")
    ],
) -> None:
    """Write mean, standard deviation and 95 % bounds of G' and G'' on the voxels of the T1, in kPa.

    Each posterior draw is interpolated with a registration drawn from its uncertainty, and statistics are taken
    afterwards. Without an anatomy whose position is known the folder holds a note that says so.
    """
    from palpate.imaging.anatomy.maps_on_anatomy import write_maps_on_anatomy
    from palpate.progress import say

    written = write_maps_on_anatomy(mre, wavefield, out)
    say(
        f"{len(written)} maps on the anatomy in {out}"
        if written
        else f"no maps on an anatomy: a note in {out} says why"
    )
