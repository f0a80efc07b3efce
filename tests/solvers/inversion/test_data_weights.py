"""Errors that are not Gaussian: weights of data are those of a likelihood, and all that follows uses the same ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as stats
from mpi4py import MPI
from numpy.typing import NDArray

import palpate as door
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import no_regions
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.problem import InversionDomain
from palpate.solvers.inversion.steps.reweighting import expected_squares
from palpate.solvers.inversion.zone.data_weights import StudentT, gaussian
from palpate.solvers.inversion.zone.equilibrium import equilibrium_of
from palpate.solvers.inversion.zone.likelihood import PRESSURE_FREEDOM, ZoneData
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver
from tests.laws.operators import assert_positive, assert_symmetric
from tests.laws.taylor import gradient_remainders, rates
from tests.solvers.inversion.cases import (
    INERTIA,
    UNIT_VOXEL,
    box,
    consistent,
    linearise,
    plane_wave_data,
    unit_noise,
    varied,
)
from tests.solvers.inversion.small_fields import BAR, Case, softening, travelling, wave_field

ZONE = box(5, 5, 5)
EQUILIBRIUM = equilibrium_of(ZONE, UNIT_VOXEL, INERTIA)
SOLVER = 1e-7
BRIEF = {"samples": 40, "fit_prior": False, "max_iterations": 4}


def _weighted(data: ZoneData, seed: int = 7) -> ZoneData:
    return replace(data, weights=np.random.default_rng(seed).uniform(0.05, 1.0, data.displacement.shape))


@pytest.mark.parametrize("freedom", [1.0, 4.0, 30.0])
def test_weights_of_student_are_slopes_of_its_density(freedom: float) -> None:
    """They are w = -2 dln p / dq for a complex number with t's distribution, and 1 where errors are those of noise."""
    squares, step = np.array([2.1, 9.0, 100.0]), 1e-5
    density = stats.multivariate_t(np.zeros(2), np.eye(2), freedom)

    def log_density(q: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(density.logpdf(np.stack([np.sqrt(q), np.zeros_like(q)], axis=-1)))

    slope = (log_density(squares + step) - log_density(squares - step)) / (2 * step)
    assert StudentT(freedom)(squares) == pytest.approx(-2.0 * slope, rel=1e-5)
    assert np.all(StudentT(freedom)(np.array([0.0, 1.0, 2.0])) == 1.0)


def test_gradient_and_curvature_have_the_weights_of_the_misfit() -> None:
    """Weights in one of them alone would stop the steps elsewhere, or make intervals of other data.

    A fourth of all weights (and of the divergence's precision) is a fourth of the curvature, but for the pin on the
    pressures, which is fixed; the smallest weight is 0.05.
    """
    data, m = _weighted(plane_wave_data(ZONE, phase_errors=0.5)), varied(ZONE, 2)
    here, direction = linearise(data, m, EQUILIBRIUM), np.random.default_rng(3).standard_normal(2 * len(ZONE.voxels))

    def half_misfit(parameters: NDArray[np.float64]) -> float:
        return 0.5 * linearise(data, parameters, EQUILIBRIUM).misfit

    steps = [0.04, 0.02, 0.01]
    assert np.all(rates(gradient_remainders(half_misfit, here.gradient, m, direction, steps), steps) > 1.9)
    hessian = here.curvature(np.eye(len(m)))
    assert_symmetric(hessian, SOLVER)
    assert_positive(hessian, SOLVER)
    still = replace(data, phase_errors=data.phase_errors[:, :0])
    lighter = linearise(replace(still, weights=0.25 * np.asarray(data.weights)), m).curvature(direction[:, None])
    tighter = replace(still, divergence_tolerance=0.5 * data.divergence_tolerance)
    heavier = linearise(tighter, m).curvature(direction[:, None])
    assert np.abs(4.0 * lighter - heavier).max() < 100 * PRESSURE_FREEDOM / 0.05 * np.abs(heavier).max()


def test_weights_of_one_change_no_digit() -> None:
    """The default has no weights; a law that gives each datum 1 is the same likelihood."""
    data, m = plane_wave_data(ZONE), varied(ZONE, 2)
    plain, weighted = linearise(data, m), linearise(replace(data, weights=np.ones(data.displacement.shape)), m)
    assert (weighted.misfit, weighted.expected_misfit) == (plain.misfit, plain.expected_misfit)
    assert np.array_equal(weighted.gradient, plain.gradient)


def test_noise_of_the_stated_weights_is_expected() -> None:
    """The expected squares of noise of precision w are 2 / w, the part that the fit takes into the wave included.

    Else good data would seem better than they are and get weights that are too large. Over ten zones their weighted sum
    is within 5 % of 2 for each datum: 4 sampling errors of 1 %, and the factor on noise, which can only be above 1.
    """
    m, sums = varied(ZONE, 1), []
    for seed in range(10):
        data = _weighted(plane_wave_data(ZONE, seed, noise=0.0, tolerance=0.0), seed)
        weights = np.asarray(data.weights)
        seen = consistent(replace(data, weights=None), m, EQUILIBRIUM) + unit_noise(ZONE, seed) / np.sqrt(weights)
        plain = replace(data, displacement=seen, weights=None)
        solver = ZoneSolver(0, plain, 2.0 * UNIT_VOXEL, 20, WorkCounter())
        solver.reweigh(weights)
        squares = expected_squares(_problem(solver), (solver.evaluate(m),), 1)
        sums.append(np.mean(weights * squares.ravel()))
    assert np.mean(sums) == pytest.approx(2.0, rel=0.05)


def _problem(solver: ZoneSolver) -> InversionProblem:
    mask, counter = np.ones(ZONE.ijk.max(axis=0) + 1, dtype=bool), WorkCounter()
    checkpoint = Checkpoint(None, MPI.COMM_SELF, counter)
    return InversionProblem(
        [solver], mask, 2.0 * UNIT_VOXEL, no_regions(mask.size), np.zeros(2), MPI.COMM_SELF, counter, checkpoint
    )


def test_wrong_data_lose_their_weight_and_stiffness_its_error() -> None:
    """A patch of 12 among 825 data is off by eight times the noise: Student's t comes nearer to the sound data's fit.

    The search for outlying voxels does not see a patch, as neighbours agree.
    """
    sound = wave_field(Case(BAR, travelling, 0.03, 4))
    displacement = sound.displacement_m.copy()
    displacement[4:7, 1:3, 1:3, 0] += 8.0 * (sound.noise_std_m or 0.0)
    wrong = replace(sound, displacement_m=displacement)
    truth = np.log(door.invert(sound, BRIEF).storage_kpa.mean)
    usual, robust = (door.invert(wrong, BRIEF, likelihood=law) for law in (gaussian, StudentT(4.0)))
    off = [float(np.sqrt(np.mean((np.log(one.storage_kpa.mean) - truth) ** 2))) for one in (usual, robust)]
    assert off[1] < 0.8 * off[0]
    assert usual.record["likelihood"] == {"law": "gaussian"}
    assert robust.record["likelihood"]["law"] == "StudentT(freedom=4.0)"
    assert 12 / 825 <= robust.record["likelihood"]["low_weight_fraction"] < 36 / 825
    assert robust.record["noise_inflation"] < usual.record["noise_inflation"]


def ones(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equal weights, by another function than the default."""
    return np.ones_like(squares)


def test_a_law_of_equal_weights_gives_the_default_to_the_digit() -> None:
    """The seam itself costs no accuracy."""
    field, brief = wave_field(Case(BAR, softening, 0.03, 4)), BRIEF | {"max_iterations": 1}
    usual, own = door.invert(field, brief), door.invert(field, brief, likelihood=ones)
    assert own.record["likelihood"]["law"] == "ones"
    assert np.array_equal(own.storage_kpa.mean, usual.storage_kpa.mean)
    assert np.array_equal(own.loss_kpa.upper, usual.loss_kpa.upper)


@pytest.mark.parametrize(
    "law", [lambda squares: 2.0 + squares, lambda squares: squares[:, 0], lambda squares: np.nan * squares]
)
def test_laws_that_give_no_weights_are_refused(law: object) -> None:
    """Weights above 1 would make data better than their noise, and intervals too narrow."""
    field = wave_field(Case(BAR, softening, 0.03, 4))
    with pytest.raises(InputError, match="at most 1"):
        door.invert(field, BRIEF | {"max_iterations": 1}, likelihood=law)  # type: ignore[arg-type]


def test_what_other_likelihoods_cannot_do_is_refused() -> None:
    """Neither is finished work resumed under other weights, nor is evidence compared between them."""
    with pytest.raises(InputError, match="degrees of freedom"):
        StudentT(0.0)
    with pytest.raises(ValueError, match="Gaussian"):
        InversionDomain([], compare=True, likelihood=StudentT())
