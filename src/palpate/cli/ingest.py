"""`palpate ingest`: from the scanner's DICOM to a wave field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ingest(
    mre: Annotated[
        Path, typer.Argument(help="MRE: DICOM folder or zip, wave-field folder, or displacement arrays (NIfTI, .mat).")
    ],
    label: Annotated[str, typer.Option(help="Stem of the file names, such as sub-01_ses-01.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    anatomy: Annotated[Path | None, typer.Option(help="T1-weighted anatomy: DICOM folder or zip, or NIfTI.")] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Region in the MRE's world coordinates, instead of a mask by magnitude: binary NIfTI, DICOM SEG or "
            "RTSTRUCT, with #name or #number of the region where the file holds several."
        ),
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The ingest settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Turn phase images into displacement (um, axes R A S) with its measured noise, mask and anatomy.

    Reads Siemens mosaics and enhanced images, GE liver waves and brain images, Philips classic and enhanced images
    (each of one to three directions), folders with *_50Hz_disp_{re,im}.nii.gz and MATLAB files of complex
    displacement. Facts that a source does not contain are stated in the settings; an error names the setting that is
    missing. Several runs of one
    session get _run-1, _run-2, ... in the order of their series; the JSON beside each records the choices made, the
    quality, and the series it came from. The anatomy is registered to each run.
    """
    from palpate.config.ingest import IngestSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(IngestSettings, settings)
    from palpate.imaging.ingest import ingest as ingest_session

    ingest_session(mre, label, out, anatomy=anatomy, settings=chosen, mask=mask)
