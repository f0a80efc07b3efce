"""Run of a trial: blocks of patients shared by ranks, kept beside the output until it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mpi4py import MPI

from palpate.config.trial import TrialSettings
from palpate.content_digest import digest, digest_of_values
from palpate.errors import InputError
from palpate.program import Program
from palpate.progress import say
from palpate.solvers.dealt import dealt, dealt_back
from palpate.solvers.inversion.steps.checkpoint import read_arrays, unfinished, unfinished_folder, write_arrays
from palpate.twin.trial.block import BlockOutcome, TrialPlan
from palpate.twin.trial.read import schedule_paths, source_paths


def trial_key(settings: TrialSettings, trial: Path) -> str:
    """Return a digest of everything on which the outcome depends: a run goes on only where none of it has changed.

    Args:
        settings: the trial.
        trial: file of the trial.
    """
    named = (*schedule_paths(settings, trial), *source_paths(settings, trial))
    decisive = {
        "settings": settings.model_dump(mode="json"),
        "files": [digest(path) for path in named],
        "program": Program().digest("trial"),
    }
    return digest_of_values(decisive)[:16]


def run_blocks(plan: TrialPlan, out: Path, key: str, comm: MPI.Comm = MPI.COMM_SELF) -> BlockOutcome:
    """Return the outcome of all patients; blocks that an earlier run finished are read. Collective.

    Args:
        plan: the trial.
        out: output folder, beside which finished blocks are kept.
        key: digest of everything on which the outcome depends.
        comm: ranks that share the blocks.
    """
    with unfinished(out, key, comm) as kept:
        own = [_block(plan, number, kept) for number in dealt(range(len(plan.blocks)), comm)]
        return BlockOutcome.joined(dealt_back(own, comm))


def run_part(plan: TrialPlan, out: Path, key: str, part: str) -> None:
    """Simulate one part of the blocks and keep them beside the output, for a run that joins them.

    Args:
        plan: the trial.
        out: output folder of the run that joins the parts.
        key: digest of everything on which the outcome depends.
        part: number of the part and of all parts, such as "3/20".

    Raises:
        InputError: the text is no such part.
    """
    number, parts = part_of(part)
    mine = range(len(plan.blocks))[number - 1 :: parts]
    for block in mine:
        _block(plan, block, unfinished_folder(out, key))
    say(f"part {part}: {len(mine)} of {len(plan.blocks)} blocks are kept beside {out}")


def part_of(text: str) -> tuple[int, int]:
    """Return the number of a part and of all parts.

    Args:
        text: such as "3/20".

    Raises:
        InputError: the text is no such part.
    """
    number, _, parts = text.partition("/")
    if not (number.isascii() and parts.isascii() and number.isdigit() and parts.isdigit()):
        found: Sequence[int] = ()
    else:
        found = (int(number), int(parts))
    if not found or not 1 <= found[0] <= found[1]:
        raise InputError(
            "--part",
            found=f"{text[:20]!r}",
            expected="the number of a part and of all parts, such as 3/20",
            advice="Count parts from 1.",
        )
    return found[0], found[1]


def _block(plan: TrialPlan, number: int, kept: Path) -> BlockOutcome:
    """Return the outcome of a block, from its file where an earlier run finished it."""
    path = kept / f"block-{number:05}.npz"
    stored = read_arrays(path)
    if stored is not None:
        return BlockOutcome(stored["covariates"], stored["days"], stored["kinds"], stored["log_ml"])
    found = plan.outcome(plan.blocks[number])
    arrays = {"covariates": found.covariates, "days": found.days, "kinds": found.kinds, "log_ml": found.log_ml}
    write_arrays(path, {name: np.ascontiguousarray(values) for name, values in arrays.items()})
    patients = plan.blocks[number]
    say(f"patients {patients.start + 1} to {patients.stop} of {plan.settings.cohort.size} in {len(plan.arms)} arms")
    return found
