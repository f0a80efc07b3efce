"""`palpate run`: the whole pipeline on a study, from a checkout or from an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    sessions: Annotated[Path, typer.Argument(help="Table of the study's sessions (sessions.tsv).")],
    results: Annotated[Path, typer.Option(help="Folder for everything that is computed; what is finished is kept.")],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- OPTIONS", help="Options and targets of Snakemake, after `--`: -n plans only."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="<path>", help="config.yaml of the study, or demo; default: all default settings."),
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="Cores of this machine; default: all, or as the profile says.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="<name>", help="local, slurm, or the folder of a profile of your own.")
    ] = None,
) -> None:
    """Run every step of a study, from the scans to maps, tables and pages.

    A stopped run continues where it stopped; after a change only the steps that it affects run again. -q leaves out
    Snakemake's own lines, -v shows each step's command. `palpate config profile slurm` prints a profile to adapt.
    """
    from palpate.pipeline.launch import PipelineStart
    from palpate.progress import Loudness, loudness

    amount = {Loudness.QUIET: ("--quiet", "all"), Loudness.VERBOSE: ("--printshellcmds",)}.get(loudness(), ())
    PipelineStart(sessions, results, config, cores, profile, tuple(options or ()), amount).start()
