"""`palpate mesh`: from the wave field's mask to the zones of the inversion, or from labels to tetrahedra."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mesh(
    source: Annotated[Path, typer.Argument(help="Wave-field folder of palpate ingest, or NIfTI of labels.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    names: Annotated[
        Path | None, typer.Option(help="Table with index and name of each label; default: labels.tsv beside them.")
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The mesh settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Make elements: overlapping zones of hexahedra from a wave field, or tetrahedra from labels.

    Zones of a wave field have their nodes at the voxel centres. The folder holds the zones (HDF5), their coverage
    (JSON) and their cells for ParaView (VTU, world RAS in mm). Tetrahedra conform to the interfaces of labels and keep
    the labels' volumes. The folder holds the mesh (HDF5, VTU), its quality (JSON) and a picture (PNG).
    """
    from palpate.config.mesh import MeshSettings
    from palpate.config.section import parse_settings
    from palpate.errors import InputError

    chosen = parse_settings(MeshSettings, settings)
    from palpate.imaging.files.nifti import is_volume_file

    if is_volume_file(source):
        from palpate.meshing.conforming.label_mesh_folder import write_label_mesh

        write_label_mesh(source, names or source.parent / "labels.tsv", out, chosen.tetrahedra)
    elif names is not None:
        raise InputError(
            "--names", found="a wave-field folder", expected="labels (.nii.gz) to go with it", advice="Leave it out."
        )
    else:
        from palpate.meshing.mesh_folder import write_mesh_folder

        write_mesh_folder(source, out, chosen)
