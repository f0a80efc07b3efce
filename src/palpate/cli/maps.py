"""`palpate maps`: the stiffness maps as DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def maps(
    mre: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it.")],
    wavefield: Annotated[Path, typer.Option(help="Folder of palpate ingest, which names the source study.")],
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files.")],
    scan: Annotated[
        Path | None,
        typer.Option(help="DICOM folder or zip that palpate ingest read; its patient and study are read again."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[str | None, typer.Option(help="The maps settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Write mean and standard deviation of G' and G'' as DICOM Parametric Maps (kPa) in the source's study.

    Patient, study and frame of reference are those of --scan, which must be the scan of the record. So an archive files
    the maps in the original study. Only this folder holds them. --settings '{"identity": "pseudonym"}' replaces all of
    them for maps that are handed on; no scan is needed then. Where the wave field did not come from DICOM, no study
    can be joined, and the folder holds a note that says so.

    Example: palpate maps mre --wavefield wavefield --scan dicom --out dicom-maps
    """
    from palpate.config.maps import MapsSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(MapsSettings, settings)
    from palpate.imaging.dicom_out.dicom_maps import write_dicom_maps
    from palpate.progress import say

    written = write_dicom_maps(mre, wavefield, out, settings=chosen, scan=scan, key=key)
    say(f"{len(written)} DICOM Parametric Maps in {out}" if written else f"no DICOM source: a note in {out} says so")
