"""`palpate status`: the progress of a study, session by session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    results: Annotated[Path, typer.Argument(help="Folder of results, as the workflow writes it.")],
    out: Annotated[Path, typer.Option(help="File to write: a page (.html), a table (.tsv) or JSON (.json).")],
    sessions: Annotated[
        Path | None,
        typer.Option(help="Table of sessions, so that sessions which have not begun are counted too."),
    ] = None,
) -> None:
    """Show which steps of which sessions are done, run, have failed and why, or have not begun.

    The page names the warnings about quality, estimates the time left from the recorded seconds of finished steps, and
    sets memory (MB), elapsed time and cores that were requested beside those that were used. It may be made at any
    time, also while the workflow runs, and opens without a network. The table and the JSON file have one row for each
    step of each session.
    """
    from palpate.progress import say
    from palpate.service.study.write import write_study

    progress = write_study(results, out, sessions)
    say(f"progress of {len(progress.sessions)} sessions, {out.stat().st_size / 1e6:.1f} MB: {out}")
