"""`palpate deidentify`: DICOM without its patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deidentify(
    source: Annotated[Path, typer.Argument(help="DICOM folder or zip, as the scanner or archive exports it.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it appears whole or not at all.")],
    key: Annotated[
        Path, typer.Option(help="File of 32 random bytes, made where there is none; not inside the folder of results.")
    ],
    subject: Annotated[
        str | None, typer.Option(help="BIDS label of the one patient, such as 01; default: a pseudonym from the key.")
    ] = None,
) -> None:
    """Write MR images again with the elements that MRE needs and none that names a person.

    Elements and words pass by allow-list; identifiers follow from the key, the same for the same scan in every run;
    dates move by the patient's own number of days and times of day (s) stay. Screen saves and images with burned-in
    text are left out. Faces in the pixels are not removed.
    """
    from palpate.imaging.deidentify.folder import deidentify as write_without_identity

    write_without_identity(source, out, key, subject=subject)
