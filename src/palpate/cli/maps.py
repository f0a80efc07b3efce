"""`palpate maps`: the stiffness maps as DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def maps(
    mre: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it.")],
    wavefield: Annotated[Path, typer.Option(help="Folder of palpate ingest, which names the source study.")],
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files.")],
) -> None:
    """Write mean and standard deviation of G' and G'' as DICOM Parametric Maps (kPa) in the source's study.

    They lie in the frame of reference of the scan and carry the subject's label in place of the identity. Where the
    wave field did not come from DICOM there is no study to join: then the folder holds a note that says so.
    """
    from palpate.imaging.dicom_maps import write_dicom_maps
    from palpate.progress import say

    written = write_dicom_maps(mre, wavefield, out)
    say(f"{len(written)} DICOM Parametric Maps in {out}" if written else f"no DICOM source: a note in {out} says so")
