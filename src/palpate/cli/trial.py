"""`palpate trial`: a trial on virtual patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def trial(
    trial: Annotated[Path, typer.Argument(help="YAML or JSON file of the trial (docs/trial.md).")],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run leaves no partial result.")],
    part: Annotated[
        str | None,
        typer.Option(
            help="Simulate one part of the patients and stop, such as 3/20 for the third of twenty jobs; a run without "
            "--part joins the parts."
        ),
    ] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="Number of MPI ranks that must be connected; refuse any other number.")
    ] = None,
) -> None:
    """Compare treatments on virtual patients: time to progression (days), volumes (mL), effects with 95 % intervals.

    Every patient is in every arm and meets the same chances there. The folder holds effect.tsv (arm against arm, paired
    by patient), survival.tsv (Kaplan-Meier with numbers at risk), patients.tsv, heterogeneity.tsv (effects by
    covariates of day 0), trial.json and the page trial.html. The command runs alone or under mpiexec -n N; the numbers
    do not depend on N, on parts or on a run that was stopped.
    """
    from palpate.outputs import claim_folder

    claim_folder(out, "trial", {"trial": trial})
    from palpate.twin.trial.read import read_settings, schedule_paths, source_paths

    chosen = read_settings(trial)
    inputs = {"trial": trial}
    inputs |= {f"schedule {at}": path for at, path in enumerate(schedule_paths(chosen, trial), start=1)}
    inputs |= {f"source {at}": path for at, path in enumerate(source_paths(chosen, trial), start=1)}
    target = claim_folder(out, "trial", inputs)
    from palpate.progress import say
    from palpate.solvers.ranks import all_ranks
    from palpate.twin.trial.read import read_plan
    from palpate.twin.trial.run import run_blocks, run_part, trial_key

    comm = all_ranks(ranks)
    plan, key = read_plan(trial), trial_key(chosen, trial)
    if part is not None:
        run_part(plan, target.path, key, part)
        return
    found = run_blocks(plan, target.path, key, comm)
    if comm.rank != 0:
        return
    from palpate.service.trial.page import trial_page
    from palpate.twin.products.trial_folder import trial_result, write_trial

    with target.owned(), target.writing() as partial:
        write_trial(partial, trial_result(plan, found))
        (partial / "trial.html").write_text(trial_page(partial), encoding="utf-8")
    say(f"trial of {plan.settings.cohort.size} patients in {len(plan.arms)} arms: {out / 'trial.html'}")
