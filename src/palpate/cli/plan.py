"""`palpate plan`: schedules of radiotherapy under limits of organs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    calibration: Annotated[Path, typer.Argument(help="Folder of palpate calibrate.")],
    limits: Annotated[Path, typer.Option(help="YAML or JSON file of organs' limits and schedules (docs/plan.md).")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
) -> None:
    """Compare schedules of radiotherapy (Gy a fraction, number, first day) under limits of organs (BED or EQD2, Gy).

    A schedule counts where every limit holds with the stated chance. The folder holds plan.json, schedules.tsv and the
    page plan.html: time without progression (days) of the patient's draws, paired with standard care, beside the best
    schedule that fits the whole population. "Nothing to gain" is an answer. Where the images do not tell the patient's
    radiosensitivity there is no personal optimum, and where the twin is out of step with the patient standard care is
    named.

    Example: palpate plan results/sub-02/twin/calibration --limits limits.yaml --out plan
    """
    from palpate.outputs import claim_folder
    from palpate.twin.plan.read import limit_files, read_limits

    inputs = {"calibration": calibration, "limits": limits}
    claim_folder(out, "plan", inputs)
    chosen = read_limits(limits)
    target = claim_folder(out, "plan", inputs | limit_files(chosen, limits))
    from palpate.progress import say
    from palpate.service.plan.page import plan_page
    from palpate.twin.plan.run import planned
    from palpate.twin.products.plan_folder import write_plan

    with target.owned():
        found = planned(calibration, chosen, limits.parent)
        with target.writing() as partial:
            write_plan(partial, found)
            (partial / "plan.html").write_text(plan_page(partial), encoding="utf-8")
    say(f"{found.choice.answer}: {out / 'plan.html'}")
