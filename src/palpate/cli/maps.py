"""`palpate maps`: the stiffness maps as DICOM, and maps of derived quantities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer


def maps(
    mre: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it.")],
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files, or with --derived or --mesh for theirs.")],
    wavefield: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate ingest, which names the source study; needed for DICOM maps."),
    ] = None,
    derived: Annotated[
        bool, typer.Option("--derived", help="Write maps of derived quantities (NIfTI) instead of DICOM maps.")
    ] = False,
    mesh: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate mesh with tetrahedra: write stiffness on them instead of DICOM maps."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(help="DICOM folder or zip that palpate ingest read; its patient and study are read again."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(help="The maps settings, or those of --derived or --mesh: JSON, or a YAML or JSON file."),
    ] = None,
) -> None:
    """Write stiffness as DICOM Parametric Maps (kPa), or with --derived wave speed and other quantities as NIfTI.

    DICOM maps show mean and standard deviation of G' and G''. Their patient, study and frame of reference are those of
    --scan, which must be the scan of the record. So an archive files the maps in the original study. Only this folder
    holds them. --settings '{"identity": "pseudonym"}' replaces all of them for maps that are handed on; no scan is
    needed then. Where the wave field did not come from DICOM, no study can be joined, and the folder holds a note that
    says so.

    palpate maps stiffness --derived --out derived writes mean, standard deviation and 95 % bounds of quantities that
    follow from G' and G'', computed in every joint draw: |G*| (kPa), loss tangent (ratio) and wave speed (m/s). Phase
    angle (rad), attenuation (Np/m), damping ratio (ratio) and the mu of nonlinear inversion (shear_stiffness, kPa) are
    written on request, with --settings '{"quantities": ["magnitude", "attenuation"]}'.

    palpate maps stiffness --mesh tetrahedra --out on-mesh writes G' and G'' (kPa) on the tetrahedra of palpate mesh,
    for programs that simulate tissue: mean, standard deviation and joint draws as XDMF with HDF5 and as VTU. Points are
    in millimetres (R A S); outside the map values are NaN. --settings '{"draws": 20}' writes 20 draws, and
    '{"space": "elastogram"}' says that the mesh lies in the elastogram's world and not in the T1's.
    """
    from palpate.config.maps import MapsSettings
    from palpate.config.section import parse_settings

    of_dicom = {"--wavefield": wavefield, "--scan": scan, "--key": key}
    if mesh is not None:
        _on_mesh(mre, mesh, out, settings, {"--derived": derived or None, **of_dicom})
        return
    if derived:
        _derived(mre, out, settings, of_dicom)
        return
    chosen = parse_settings(MapsSettings, settings)
    from palpate.errors import InputError

    if wavefield is None:
        raise InputError(
            "--wavefield",
            found="none",
            expected="the folder of palpate ingest, which names the study that DICOM maps join",
            advice="Give it, or ask with --derived for maps of derived quantities, which need none.",
        )
    from palpate.imaging.dicom_out.dicom_maps import write_dicom_maps
    from palpate.progress import say

    written = write_dicom_maps(mre, wavefield, out, settings=chosen, scan=scan, key=key)
    say(f"{len(written)} DICOM Parametric Maps in {out}" if written else f"no DICOM source: a note in {out} says so")


def _on_mesh(mre: Path, mesh: Path, out: Path, settings: str | None, others: Mapping[str, object]) -> None:
    """Write stiffness on tetrahedra; options of other maps are refused, since they would have no effect."""
    from palpate.config.mesh_maps import MeshMapsSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(MeshMapsSettings, settings)
    _refuse_beside("--mesh", others)
    from palpate.meshing.maps_out.mesh_maps import write_mesh_maps
    from palpate.progress import say

    say(f"{len(write_mesh_maps(mre, mesh, out, chosen))} files of stiffness on tetrahedra in {out}")


def _derived(mre: Path, out: Path, settings: str | None, of_dicom: Mapping[str, object]) -> None:
    """Write maps of derived quantities; options of DICOM maps are refused, since they would have no effect."""
    from palpate.config.derived import DerivedSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(DerivedSettings, settings)
    _refuse_beside("--derived", of_dicom)
    from palpate.imaging.derived.maps import write_derived_maps
    from palpate.progress import say

    say(f"{len(write_derived_maps(mre, out, chosen))} maps of derived quantities in {out}")


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that have no effect beside another."""
    from palpate.errors import InputError

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise InputError(
            option,
            found=f"{' and '.join(given)} beside it",
            expected=f"the folder of stiffness maps and {option} alone",
            advice=f"Leave out {' and '.join(given)}: it has no effect on these maps.",
        )
