"""Operations of a model's parameters and events, for growth both with and without a lack of oxygen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.scheme.diffusion import Diffusion
from palpate.solvers.growth.scheme.operations import Irradiate, Move, Operation, React, ReactionRates
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse
from palpate.solvers.growth.treatment.timeline import Stop
from palpate.solvers.growth.treatment.treatment import Fraction, log_survival


def reaction_rates(parameters: Parameters, capacity: float, courses: tuple[DrugCourse, ...]) -> ReactionRates:
    """Return the rates of growth and of death by drugs at given parameters.

    Args:
        parameters: parameters of the tumour.
        capacity: largest density theta.
        courses: courses of drugs, one sensitivity each.

    Raises:
        ValueError: there are more or fewer sensitivities than courses.
    """
    if len(parameters.log_sensitivities) != len(courses):
        raise ValueError(f"{len(parameters.log_sensitivities)} sensitivities for {len(courses)} courses")
    return ReactionRates(np.exp(parameters.log_proliferation), capacity, courses, np.exp(parameters.log_sensitivities))


def irradiation(
    fraction: Fraction, courses: tuple[DrugCourse, ...], log_alpha: float, alpha_beta_gy: float
) -> Irradiate:
    """Return the operation of a fraction of radiotherapy.

    Args:
        fraction: time and dose.
        courses: courses of drugs, which may sensitise.
        log_alpha: logarithm ln alpha, alpha in 1/Gy.
        alpha_beta_gy: ratio alpha / beta, gray.
    """
    at = np.array(fraction.time_s)
    sensitisation = sum(course.radiosensitisation_m3_kg * float(course.concentration(at)) for course in courses)
    alpha = float(np.exp(log_alpha))
    return Irradiate(log_survival(np.asarray(fraction.dose_gy), alpha, alpha_beta_gy, sensitisation))


def strang(stop: Stop, growing: ReactionRates, spreading: Diffusion) -> Iterator[Operation]:
    """Yield Strang steps from a stop to the next.

    A step is half a reaction, diffusion and half a reaction; the halves of neighbouring steps are joined.

    Args:
        stop: beginning, number and length of the steps.
        growing: rates of the reaction.
        spreading: the diffusion.
    """
    if not stop.steps:
        return
    half_s = 0.5 * stop.step_s
    yield React(growing, stop.time_s, half_s)
    for step in range(stop.steps):
        middle_s = stop.time_s + (step + 0.5) * stop.step_s
        last = step == stop.steps - 1
        yield Move(spreading, stop.step_s, React(growing, middle_s, half_s if last else stop.step_s))
