"""`palpate verify`: finished results against known truth, of one patient or of many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

verify = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Compare finished results with a known truth: errors, and coverage of the intervals.",
)


@verify.command()
def maps(
    results: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, or the session that holds it.")],
    truth: Annotated[Path, typer.Option(help="Folder with truth_{storagemodulus,lossmodulus}.nii.gz in kPa.")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; default: scores.json in the results folder.")
    ] = None,
    margin_voxels: Annotated[
        int, typer.Option(min=0, help="Leave out voxels closer than this to the edge of the grid, voxels.")
    ] = 0,
) -> None:
    """Score one patient's stiffness maps, inside the informed mask: errors, coverage, width of the intervals.

    A table goes to the terminal, everything to the JSON file. Errors are relative to the truth; the direct inversion
    is scored over the same voxels.
    """
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.service.verify import SCORES, score_table, verify_folder, write_scores

    path = out if out is not None else results / "scores.json"
    claim_file(path, SCORES, {"results": results, "truth": truth})
    scores = verify_folder(results, truth, margin_voxels=margin_voxels)
    write_scores(path, scores)
    print(score_table(scores))
    say(f"scores in {path}")


@verify.command()
def forecast(
    results: Annotated[Path, typer.Argument(help="Folder of palpate forecast.")],
    truth: Annotated[Path, typer.Option(help="truth.json of the in-silico patient (palpate phantom --longitudinal).")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; default: scores.json in the results folder.")
    ] = None,
) -> None:
    """Compare a forecast with the truth: volumes and burden (mL), displacements (mm), and which intervals hold it."""
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.service.forecast_score import SCORES, score_forecast, table_of, write_scores

    path = out if out is not None else results / "scores.json"
    claim_file(path, SCORES, {"results": results, "truth": truth})
    scores = score_forecast(results, truth)
    write_scores(path, scores)
    print(table_of(scores))
    say(f"scores in {path}")


@verify.command()
def calibration(
    results: Annotated[Path, typer.Argument(help="Results folder of a study of in-silico patients.")],
    sessions: Annotated[
        Path, typer.Option(help="The study's sessions.tsv, with the column truth (palpate phantom --patients).")
    ],
    out: Annotated[Path | None, typer.Option(help="HTML page; figures go beside it as JSON.")] = None,
) -> None:
    """Rank the truth among the posterior's draws over a cohort: coverage by voxel, by region and by tissue.

    A table goes to the terminal, plots to the page, everything to the JSON file. Where the posterior is calibrated,
    ranks are uniform and a 95 % interval holds the truth in 95 % of cases.
    """
    from palpate.config.study import read_study
    from palpate.progress import say
    from palpate.service.calibration import calibrate_cohort
    from palpate.service.calibration_page import calibration_table, claim_calibration, write_calibration

    page = out if out is not None else results / "calibration.html"
    claim_calibration(page, {"results": results, "sessions": sessions})
    found = calibrate_cohort(results, read_study(sessions))
    write_calibration(page, found)
    print(calibration_table(found))
    say(f"page {page}, figures {page.with_suffix('.json')}")
