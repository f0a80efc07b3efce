"""`palpate verify`: finished maps against known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    results: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, or the session that holds it.")],
    truth: Annotated[Path, typer.Option(help="Folder with truth_{storagemodulus,lossmodulus}.nii.gz in kPa.")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; by default scores.json in RESULTS.")
    ] = None,
    margin: Annotated[
        int, typer.Option(min=0, help="Leave out voxels closer than this to the edge of the grid, voxels.")
    ] = 0,
) -> None:
    """Score stiffness maps against known truth, inside the informed mask: errors, coverage, width of the intervals.

    A table goes to the terminal, everything to the JSON file. Errors are relative to the truth; the direct inversion
    is scored over the same voxels.
    """
    from palpate.progress import say
    from palpate.service.verify import score_table, verify_folder, write_scores

    scores = verify_folder(results, truth, margin_voxels=margin)
    path = out if out is not None else results / "scores.json"
    write_scores(path, scores)
    print(score_table(scores))
    say(f"scores in {path}")
