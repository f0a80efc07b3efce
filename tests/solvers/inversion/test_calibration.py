"""Simulation-based calibration: over truths drawn from the prior, intervals hold as often as they say.

Stiffness is drawn from the prior, the wave is made by other elements than the inversion's, noise is added, and the
truth's rank among the posterior's draws is noted. If everything fits together - likelihood, prior, curvature, draws,
noise, units - the ranks are uniform, whatever the data. One zone, so that no data are shared; fixed hyperparameters.
"""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from palpate.imaging.anatomy.labels import no_regions
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.steps.gauss_newton import Fit, maximise
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.problem import DIVERGENCE_PER_STRAIN
from palpate.solvers.inversion.steps.state import GaussNewtonState
from palpate.solvers.inversion.zone.equilibrium import Scales
from palpate.solvers.inversion.zone.likelihood import ZoneData
from palpate.solvers.inversion.zone.slice_phase import linear_phase_errors
from palpate.solvers.inversion.zone.zone_solver import WorkCounter, ZoneSolver
from tests.laws.chance import assert_coverage, assert_uniform
from tests.solvers.inversion.cases import UNIT_VOXEL, box, unit_noise
from tests.solvers.inversion.tetrahedra import (
    BACKGROUND_PA,
    DENSITY_KG_M3,
    FREQUENCY_HZ,
    VOXEL_M,
    scanned,
    wave_through,
)

pytestmark = pytest.mark.long

SHAPE = (7, 7, 5)
AROUND = 2
"""Voxels of tissue around the zone, which the tetrahedra fill."""

SCALES = Scales(VOXEL_M, BACKGROUND_PA.real)
CENTRE = np.log([1.0, BACKGROUND_PA.imag / BACKGROUND_PA.real])
PRIOR = Hyperparameters(storage_std=0.15, loss_std=0.15, length_mm=12.0, cross_correlation=0.5, mean_std=0.15)
"""Narrow enough for the Gaussian posterior: at twice this spread its skewness shows in so small a zone."""

NOISE = 0.02
ELEMENT_M = 2.8e-3
REPETITIONS = 30
DRAWS = 99
VOXEL_MM = np.full(3, 1e3 * VOXEL_M)


def _truth(seed: int) -> NDArray[np.float64]:
    """The m of G* from the prior over zone and surroundings, shape (2, i, j, k)."""
    extent = tuple(n + 2 * AROUND for n in SHAPE)
    count = int(np.prod(extent))
    field = MaternField(
        np.ones(extent, bool), VOXEL_MM, HyperparameterMixture.certain(PRIOR), no_regions(count).fractions
    )
    x = field.draw(range(1), 1000 + seed)
    return np.asarray(x.reshape(FIELDS, *extent) + CENTRE[:, None, None, None])


def _wave(m: NDArray[np.float64]) -> NDArray[np.complex128]:
    modulus = SCALES.modulus_pa * (np.exp(m[0]) + 1j * np.exp(m[1]))

    def between_voxels(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        place = (points_m / VOXEL_M + AROUND).T
        real, imaginary = (map_coordinates(part, place, order=1) for part in (modulus.real, modulus.imag))
        return np.asarray(real + 1j * imaginary)

    return wave_through(between_voxels, SHAPE, ELEMENT_M)


def _fit(displacement_m: NDArray[np.complex128], seed: int) -> Fit:
    field = scanned(displacement_m, NOISE, seed=1000 + seed)
    assert field.noise_std_m is not None
    zone = box(*SHAPE)
    seen = field.displacement_m.reshape(-1, 3) / field.noise_std_m
    data = ZoneData(
        zone=zone,
        displacement=seen.ravel(),
        phase_errors=linear_phase_errors(field.mask, 0.0),
        probe=unit_noise(zone, 2000 + seed),
        node_spacing=UNIT_VOXEL,
        axes=np.eye(3),
        inertia=SCALES.inertia(DENSITY_KG_M3, FREQUENCY_HZ),
        divergence_tolerance=DIVERGENCE_PER_STRAIN * float(np.linalg.norm(seen, axis=1).mean()) * VOXEL_MM[0],
    )
    counter = WorkCounter()
    solvers = [ZoneSolver(0, data, VOXEL_MM, 120, counter)]
    problem = InversionProblem(
        solvers=solvers,
        mask=field.mask,
        voxel_size_mm=VOXEL_MM,
        regions=no_regions(np.count_nonzero(field.mask)),
        centre=CENTRE,
        comm=MPI.COMM_SELF,
        counter=counter,
        checkpoint=Checkpoint(None, MPI.COMM_SELF, counter),
    )
    return maximise(
        problem,
        lambda: GaussNewtonState.at_prior_mean(
            problem.voxels, HyperparameterMixture.certain(PRIOR), fit_hyperparameters=False
        ),
        limit=14,
        tolerance=0.1,
        report=lambda _: "",
    )


def _functionals() -> NDArray[np.float64]:
    """Means of ln G' and ln G'', slopes of ln G' along the axes, ln G' and ln G'' in the middle: shape (7, 2 N)."""
    zone = box(*SHAPE)
    place = zone.ijk - (np.array(SHAPE) - 1) / 2
    ones, zeros = np.ones(len(place)), np.zeros(len(place))
    middle = (np.abs(place) < 1.5).all(axis=1).astype(float)
    slopes = [np.concatenate([place[:, axis], zeros]) for axis in range(3)]
    means = [np.concatenate(pair) for pair in ((ones, zeros), (zeros, ones), (middle, zeros), (zeros, middle))]
    return np.stack([*means, *slopes])


def _ranks() -> NDArray[np.int64]:
    """Ranks of the truth among DRAWS, for each repetition and functional, independent under the posterior."""
    functionals = _functionals()
    ranks = []
    for seed in range(REPETITIONS):
        truth = _truth(seed)
        fit = _fit(_wave(truth), seed)
        inner = truth[(slice(None), *(slice(AROUND, -AROUND),) * 3)].ravel()
        draws = functionals @ fit.posterior.draw(2 * DRAWS, seed)
        error = functionals @ (inner - fit.parameters)
        # Whitened by the first half of the draws, functionals are independent; the second half ranks the truth.
        whiten = np.linalg.inv(np.linalg.cholesky(np.cov(draws[:, :DRAWS])))
        ranks.append(np.sum(whiten @ draws[:, DRAWS:] < (whiten @ error)[:, None], axis=1))
    return np.array(ranks)


def test_truths_from_the_prior_rank_evenly_among_posterior_draws() -> None:
    """Intervals too narrow pile ranks up at the ends, too wide ones in the middle, bias tilts the histogram.

    And central intervals hold as often as they say: of ranks 0 ... 99 the middle ones are inside. One test, because
    the repetitions take a minute.
    """
    ranks = _ranks()
    assert_uniform(ranks.ravel(), DRAWS, bins=10)
    for outside in (25, 10, 5, 2):  # ranks beyond each end: 50, 80, 90 and 96 % intervals
        inside = (ranks >= outside) & (ranks <= DRAWS - outside)
        assert_coverage(int(inside.sum()), inside.size, 1 - 2 * outside / (DRAWS + 1))
