"""`palpate fetch`: a study's MR series out of a hospital's archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch(
    archive: Annotated[
        str,
        typer.Argument(help="DICOMweb service (http://host:port/path) or classic archive (dicom://TITLE@host:port)."),
    ],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    study: Annotated[str, typer.Option(help="StudyInstanceUID of the study to retrieve.")] = "",
    accession: Annotated[str, typer.Option(help="AccessionNumber of the study, where its UID is not known.")] = "",
    series: Annotated[
        list[int] | None, typer.Option(help="SeriesNumber to retrieve; repeat for each; default: all MR series.")
    ] = None,
    calling: Annotated[str, typer.Option(help="Our application entity title (classic archives).")] = "PALPATE",
    listen_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to which C-MOVE sends images; default: C-GET.")
    ] = None,
) -> None:
    """Retrieve MR images over DICOMweb, C-GET or C-MOVE, for palpate ingest.

    A token for DICOMweb is read from the environment variable PALPATE_ARCHIVE_TOKEN.
    """
    from palpate.errors import InputError
    from palpate.imaging.archive.fetch import archive_at
    from palpate.imaging.archive.fetch import fetch as fetch_study
    from palpate.imaging.archive.remote import Wanted

    if bool(study) == bool(accession):
        raise InputError(
            "--study, --accession",
            found="both" if study else "neither",
            expected="one of the two",
            advice="Say which study to retrieve.",
        )
    source = archive_at(archive, calling=calling, listen_port=listen_port)
    fetch_study(source, Wanted(study, accession), out, numbers=series or ())
