"""Uniform moduli of greatest evidence, as centre of the prior where the algebraic inversion is no guide.

Of one component within thick slices the algebraic inversion sees waves that are longer than they are, and noise adds to
it. So the prior of such an exam is centred where uniform tissue explains the data of some zones best: Newton's steps on
ln G' and ln G'' with the zones' Gauss-Newton curvature, the priors of their waves found anew at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.progress import Progress
from palpate.solvers.inversion.prior.hyperparameters import FIELDS
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.zone.zone_solver import ZoneSolver

ZONES: Final = 6
"""Largest number of zones that are asked, those with the most data by their shares."""

ENOUGH: Final = 6000.0
"""Number of data, by their shares, with which no further zone is asked."""

STEPS: Final = 5
"""Largest number of steps. Three suffice where waves are clear; where they are faint the evidence is flat for tissue
that is too stiff, and the first steps are short."""

LONGEST: Final = 0.6
"""Longest step in each of ln G' and ln G'': the curvature is that of the present moduli."""

SETTLED: Final = 0.03
"""Length of a step below which the search ends."""

VAGUE: Final = 1.0
"""Standard deviation of ln G' and ln G'' around the algebraic inversion's, so that data that tell nothing end there."""


def with_uniform_centre(problem: InversionProblem) -> InversionProblem:
    """Return the problem with the prior centred at the uniform moduli of greatest evidence. Collective.

    Where the zones' data are complete, the problem is returned as it is.

    Args:
        problem: zones and ranks.
    """
    if problem.complete:
        return problem
    asked = _asked(problem)
    start, centre = problem.centre, problem.centre.copy()
    for number in range(1, STEPS + 1):
        shown = Progress("zone", len(asked), say=partial(_line, number))
        gradient, hessian = (centre - start) / VAGUE**2, np.eye(FIELDS) / VAGUE**2
        for own_gradient, own_hessian in _summed(problem, asked, centre, shown):
            gradient, hessian = gradient + own_gradient, hessian + own_hessian
        step = np.clip(-np.linalg.solve(hessian, gradient), -LONGEST, LONGEST)
        centre = centre + step
        if np.abs(step).max() < SETTLED:
            break
    return replace(problem, centre=centre)


def most_data(sizes: Sequence[float]) -> list[int]:
    """Return the numbers of the zones that are asked, those with the most data first.

    Args:
        sizes: number of data of each zone, by their shares.
    """
    chosen: list[int] = []
    for number in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))[:ZONES]:
        if sum(sizes[one] for one in chosen) >= ENOUGH:
            break
        chosen.append(number)
    return chosen


def _asked(problem: InversionProblem) -> list[ZoneSolver]:
    """Return this rank's solvers among those with the most data on all ranks."""
    own = {solver.name: float(solver.data.zone.weight.sum()) for solver in problem.solvers}
    sizes = dict(sorted(one for part in problem.comm.allgather(own) for one in part.items()))
    chosen = {list(sizes)[number] for number in most_data(list(sizes.values()))}
    return [solver for solver in problem.solvers if solver.name in chosen]


def _summed(
    problem: InversionProblem, asked: list[ZoneSolver], centre: NDArray[np.float64], shown: Progress
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return gradient (2,) and Hessian (2, 2) of each asked zone by uniform moduli, in one order on all ranks."""
    own = {}
    for solver in asked:
        own[solver.name] = solver.by_uniform_moduli(centre)
        shown.step()
    found = {name: pair for part in problem.comm.allgather(own) for name, pair in part.items()}
    return [found[name] for name in sorted(found)]


def _line(number: int, done: int, zones: int) -> str:
    """Return the line of progress within a step."""
    return f"uniform tissue, step {number} of at most {STEPS}, zone {done} of {zones}"
