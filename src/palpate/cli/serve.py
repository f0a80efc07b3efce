"""`palpate serve`: the figures of finished results over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    results: Annotated[Path, typer.Argument(help="Folder of finished results, with sub-*/ses-*/mre.")],
    host: Annotated[
        str, typer.Option(help="Name or address to listen at; beyond this machine only with TLS and tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of processes that answer.")] = 1,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(help="The serve settings: JSON, or a YAML or JSON file (tokens, TLS, consent, audit; MB and s)."),
    ] = None,
) -> None:
    """Answer questions about regions of finished results over HTTP, with the numbers of palpate query (kPa, mL).

    The address has a page on which a sphere is picked, and /openapi.json, which describes every question: figures of
    spheres and uploaded regions (NIfTI, SEG, RTSTRUCT) with joint intervals, P(above), P(A stiffer than B), tables of
    labels, changes between sessions, maps and forecasts. Everyone on this machine may ask; others only with TLS and
    bearer tokens. Each answer leaves a line in the audit trail (palpate verify audit). Uploaded regions are kept
    without identity and expire. Nothing is written into the results. Research use only; docs/serve.md.
    """
    from palpate.config.section import parse_settings
    from palpate.config.serve import ServeSettings

    chosen = parse_settings(ServeSettings, settings)
    from palpate.progress import say
    from palpate.service.serve.start import ServeCommand
    from palpate.service.serve.start import serve as serve_results

    def ready(address: str) -> None:
        say(f"listening at {address} (stop with Ctrl-C)")
        print(address, flush=True)

    serve_results(ServeCommand(results, host, port, workers, chosen, key), ready)
