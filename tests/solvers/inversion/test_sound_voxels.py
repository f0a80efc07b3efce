"""A voxel's data count by the probability that it measures the wave: always under Gaussian noise, never in a spot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

import palpate as door
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import no_regions
from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.prior.hyperparameters import HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.sound_voxels import counted, squares_of
from palpate.solvers.inversion.steps.state import GaussNewtonState
from palpate.solvers.inversion.zone.data_weights import Contaminated, Likelihood, contaminated, gaussian
from palpate.solvers.inversion.zone.equilibrium import equilibrium_of
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver
from tests.solvers.inversion.cases import INERTIA, UNIT_VOXEL, box, consistent, plane_wave_data, unit_noise, varied
from tests.solvers.inversion.small_fields import BAR, Case, travelling, wave_field

ZONE = box(5, 5, 5)
EQUILIBRIUM = equilibrium_of(ZONE, UNIT_VOXEL, INERTIA)
MIDDLE = 62
"""Voxel in the middle of the zone."""
BRIEF = {"samples": 20, "fit_prior": False, "hessian_rank": 40, "max_iterations": 8}


def _soundness(wrong: NDArray[np.complex128], *, seed: int = 1, rounds: int = 1) -> NDArray[np.float64]:
    """The probabilities in one zone at the true moduli, of waves with noise and errors, shape (3 n,)."""
    data, m = plane_wave_data(ZONE, seed, noise=0.0), varied(ZONE, 1)
    seen = consistent(data, m, EQUILIBRIUM) + unit_noise(ZONE, seed) + wrong
    solver = ZoneSolver(0, replace(data, displacement=seen), 2.0 * UNIT_VOXEL, 20, WorkCounter())
    mask, counter = np.ones((5, 5, 5), dtype=bool), WorkCounter()
    checkpoint = Checkpoint(None, MPI.COMM_SELF, counter)
    problem = InversionProblem(
        [solver], mask, 2.0 * UNIT_VOXEL, no_regions(mask.size), np.zeros(2), MPI.COMM_SELF, counter, checkpoint
    )
    for _ in range(rounds):
        found = counted(contaminated, squares_of(problem, (solver.evaluate(m),), 1))[0]
        solver.believe(found)
        solver.forget()
    return found


def _spot(size: float, voxels: tuple[int, ...] = (MIDDLE,)) -> NDArray[np.complex128]:
    wrong = np.zeros((len(ZONE.voxels), 3), dtype=np.complex128)
    wrong[list(voxels)] = size
    return wrong.ravel()


@pytest.mark.parametrize("seed", range(4))
def test_gaussian_noise_leaves_every_weight_at_one(seed: int) -> None:
    """Sound data must count in full, or intervals widen for nothing; the worst of 500 voxels has 0.9987."""
    weights = _soundness(_spot(0.0), seed=seed)
    assert weights.min() > 0.99
    assert weights.mean() > 1.0 - 1e-4


def test_weights_fall_to_nothing_as_an_error_grows() -> None:
    """An error within the noise counts, a large one does not, and none in between is cut off: the law is smooth."""
    weights = np.array([_soundness(_spot(size))[MIDDLE] for size in (1.0, 4.0, 6.0, 8.0, 100.0)])
    assert np.all(np.diff(weights) <= 0.0)
    assert weights[0] > 0.999
    assert weights[-1] < 1e-5


@pytest.mark.parametrize("size", [20.0, 1000.0])
def test_a_spot_does_not_hide_itself(size: float) -> None:
    """A factor on the noise by the mean square grows with the spot: eight wrong voxels of 125 would be taken for noise.

    Neighbours agree, so that the voxels lose their weight from the outside in.
    """
    spot = tuple(int(i) for i in np.ravel_multi_index(np.indices((2, 2, 2)).reshape(3, -1) + 2, (5, 5, 5)))
    found = _soundness(_spot(size, spot), rounds=5)
    assert found[list(spot)].max() < 0.1


def test_influence_is_bounded_and_vanishes() -> None:
    """The error times its weight is what reaches the fit."""
    sizes = np.linspace(0.0, 40.0, 400)
    squares = np.repeat((sizes**2 / 3.0)[:, None], 3, axis=1)
    influence = sizes * contaminated.soundness(squares)
    assert influence.max() < 8.0
    assert influence[-1] < 1e-6


@pytest.mark.parametrize("components", [1, 2, 3])
def test_probability_is_that_of_two_normal_distributions(components: int) -> None:
    """Odds are those of Bayes' rule, with the wrong voxels' density at its highest."""
    law, square = Contaminated(0.05, 20.0), 7.0
    squares = np.full((1, components), square / components)
    sound = 0.95 * np.exp(-0.5 * square)
    wrong = 0.05 * 20.0 ** (-2.0 * components)
    assert law.soundness(squares)[0] == pytest.approx(sound / (sound + wrong))
    assert law(squares).shape == squares.shape


def _inverted(field: WaveField, law: Likelihood = contaminated) -> door.StiffnessPosterior:
    return door.invert(field, BRIEF, likelihood=law)


@pytest.fixture(scope="module")
def clean() -> WaveField:
    return wave_field(Case(BAR, travelling, 0.03, 4))


@pytest.fixture(scope="module")
def sound(clean: WaveField) -> door.StiffnessPosterior:
    return _inverted(clean)


def _with_patch(field: WaveField, size: float) -> WaveField:
    """The field with eight voxels that are off alike in one component, by multiples of the noise."""
    displacement = field.displacement_m.copy()
    displacement[4:6, 1:3, 1:3, 0] += size * (field.noise_std_m or 0.0)
    return replace(field, displacement_m=displacement)


def test_sound_data_change_no_digit(clean: WaveField, sound: door.StiffnessPosterior) -> None:
    """The default costs nothing where no voxel is wrong."""
    usual = _inverted(clean, gaussian)
    assert np.array_equal(sound.storage_kpa.mean, usual.storage_kpa.mean)
    assert np.array_equal(sound.loss_kpa.upper, usual.loss_kpa.upper)
    assert sound.record["outlying_voxels"] == 0


def test_the_effect_of_a_spot_does_not_grow_with_it(clean: WaveField, sound: door.StiffnessPosterior) -> None:
    """Ten times as wrong is as harmless; noise and moduli are those of the sound voxels, whatever the units."""
    large, huge = (_with_patch(clean, size) for size in (300.0, 3000.0))
    usual, found = _inverted(large), _inverted(_in_other_units(huge, 1e3))
    assert usual.record["outlying_voxels"] == found.record["outlying_voxels"] == 8
    assert found.record["noise_inflation"] < 1.1
    spread = sound.storage_kpa.std
    assert np.sqrt(np.mean(((found.storage_kpa.mean - usual.storage_kpa.mean) / spread) ** 2)) < 0.2
    assert np.sqrt(np.mean(((usual.storage_kpa.mean - sound.storage_kpa.mean) / spread) ** 2)) < 1.0


def _in_other_units(field: WaveField, factor: float) -> WaveField:
    """The field with displacement and noise multiplied by one factor, which changes no stiffness."""
    noise_m = field.noise_std_m or 0.0
    return replace(field, displacement_m=factor * field.displacement_m, noise_std_m=factor * noise_m)


def test_probabilities_survive_an_interruption() -> None:
    """A run that goes on must not trust again what it had found wrong."""
    start = GaussNewtonState.at_prior_mean(3, _hypotheses(), fit_hyperparameters=True)
    judged = start.with_soundness(np.array([[1.0, 0.2, 1e-6]]), refits=1)
    again = GaussNewtonState.from_arrays({k: np.asarray(v) for k, v in judged.to_arrays().items()})
    assert again.judgements == 1
    assert again.soundness is not None
    assert np.array_equal(again.soundness, [[1.0, 0.2, 1e-6]])


def _hypotheses() -> HyperparameterMixture:
    return HyperparameterMixture((Hyperparameters(0.3, 0.3, 12.0, 0.5, 0.0),), (1.0,), ())


def test_fractions_that_no_tissue_has_are_refused() -> None:
    """Under a fraction of a half a sound voxel would be as likely wrong."""
    with pytest.raises(InputError, match="fraction"):
        Contaminated(0.6)
