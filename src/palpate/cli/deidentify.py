"""`palpate deidentify`: DICOM without its patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deidentify(
    source: Annotated[Path, typer.Argument(help="DICOM folder or zip, as the scanner or archive exports it.")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    key: Annotated[
        Path, typer.Option(help="Key file of 32 random bytes, made where there is none; keep it outside the results.")
    ],
    subject: Annotated[
        str | None, typer.Option(help="BIDS label of the one patient, such as 01; default: a pseudonym from the key.")
    ] = None,
) -> None:
    """Write MR images again with the elements that MRE needs and none that names a person.

    Only elements and words of an allow-list are kept. Identifiers are replaced by pseudonyms from the key; the same
    scan gets the same ones in every run. Dates move by a number of days of each patient; times of day (s) stay. Screen
    saves and images with burned-in text are left out. Faces in the pixels are not removed.
    """
    from palpate.imaging.deidentify.folder import deidentify as write_without_identity

    write_without_identity(source, out, key, subject=subject)
