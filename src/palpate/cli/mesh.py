"""`palpate mesh`: from the wave field's mask to the zones of the inversion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mesh(
    wavefield: Annotated[Path, typer.Argument(help="Wave-field folder, as palpate ingest writes it.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it appears whole or not at all.")],
    settings: Annotated[str | None, typer.Option(help="The mesh section of the configuration, as JSON.")] = None,
) -> None:
    """Cover each run's mask with overlapping zones of hexahedra whose nodes are the voxel centres.

    Writes the zones (HDF5), what they cover (JSON) and their cells for ParaView (VTU, world RAS in mm).
    """
    from palpate.config.mesh import MeshSettings
    from palpate.config.section import parse_settings
    from palpate.meshing.mesh_folder import write_mesh_folder

    write_mesh_folder(wavefield, out, parse_settings(MeshSettings, settings))
