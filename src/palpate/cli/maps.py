"""`palpate maps`: the stiffness maps as DICOM, and maps of derived quantities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer


def maps(
    mre: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it.")],
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files, or with --derived for the NIfTI files.")],
    wavefield: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate ingest, which names the source study; needed for DICOM maps."),
    ] = None,
    derived: Annotated[
        bool, typer.Option("--derived", help="Write maps of derived quantities (NIfTI) instead of DICOM maps.")
    ] = False,
    scan: Annotated[
        Path | None,
        typer.Option(help="DICOM folder or zip that palpate ingest read; its patient and study are read again."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(help="The maps settings, or with --derived the derived settings: JSON, or a YAML or JSON file."),
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
    """
    from palpate.config.maps import MapsSettings
    from palpate.config.section import parse_settings

    if derived:
        _derived(mre, out, settings, {"--wavefield": wavefield, "--scan": scan, "--key": key})
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


def _derived(mre: Path, out: Path, settings: str | None, of_dicom: Mapping[str, Path | None]) -> None:
    """Write maps of derived quantities; options of DICOM maps are refused, since they would have no effect."""
    from palpate.config.derived import DerivedSettings
    from palpate.config.section import parse_settings
    from palpate.errors import InputError

    chosen = parse_settings(DerivedSettings, settings)
    given = [name for name, path in of_dicom.items() if path is not None]
    if given:
        raise InputError(
            "--derived",
            found=f"{' and '.join(given)} beside it",
            expected="the folder of stiffness maps alone",
            advice=f"Leave out {' and '.join(given)}: only DICOM maps need a scan's identity.",
        )
    from palpate.imaging.derived.maps import write_derived_maps
    from palpate.progress import say

    say(f"{len(write_derived_maps(mre, out, chosen))} maps of derived quantities in {out}")
