"""`palpate check`: whether this machine has what a run needs, and the profile that fits it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

LACKING = 3
"""Exit code where the check was made and something is missing that a run needs."""


def check(
    profile: Annotated[
        Literal["local", "slurm"] | None, typer.Option(help="Kind of the machine; default: slurm where sinfo answers.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="config.yaml of the study: its results, ingest.key, forms and number of sessions."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of the results; default: that of --config, else here.")
    ] = None,
    launcher: Annotated[
        str | None, typer.Option(help="Launcher of MPI ranks, without -n; default: srun or mpiexec, whichever works.")
    ] = None,
    compile_forms: Annotated[
        bool, typer.Option("--compile", help="First compile all forms ahead, for machines without a C compiler.")
    ] = False,
    forms: Annotated[
        Path | None,
        typer.Option(help="Folder of compiled forms; default: PALPATE_FORMS, else the environment's own folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check whether this machine can run a study: forms, ranks, memory, disks, locale, key, Slurm; print a profile.

    Run it where the work will run, in a job of two tasks on a cluster: two ranks are started for real. Each line says
    what was found, whether it suffices, and what to do. Exit code 0 if all suffices, 3 if something is missing, 2 if
    the check could not be made.
    """
    from palpate.config.settings import read_settings
    from palpate.config.study import read_study
    from palpate.form_folders import VARIABLE
    from palpate.machine_check.check import CheckRequest, check_machine
    from palpate.machine_check.compiled_forms import compile_ahead
    from palpate.progress import say

    settings = None if config is None else read_settings(config)
    folder = forms or (settings.forms if settings else None)
    if folder is not None:
        os.environ[VARIABLE] = str(folder.expanduser().absolute())
    sessions = None if settings is None else len(read_study(settings.sessions))
    if compile_forms:
        written, count = compile_ahead()
        say(f"{count} forms compiled into {written}")
        if forms is not None:
            say(f"steps read them where {VARIABLE}, or forms of config.yaml, names {written}")
    where = results or (settings.results if settings else Path())
    key = settings.ingest.key if settings else None
    report = check_machine(CheckRequest(profile, where, key, sessions, launcher))
    print(report.as_json() if as_json else report.text())
    if not report.suffices:
        raise typer.Exit(LACKING)
