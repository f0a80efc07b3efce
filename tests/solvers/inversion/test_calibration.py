"""Simulation-based calibration: over truths drawn from the prior, intervals hold as often as they say.

Stiffness is drawn from the prior, the wave is made by other elements than the inversion's, noise is added, and the
truth's rank among the posterior's draws is noted. If everything fits together - likelihood, prior, curvature, draws,
noise, units - the ranks are uniform, whatever the data. One zone, so that no data are shared; fixed hyperparameters.

Of one component the displacement has a prior, whose scale is found with the moduli. There waves are drawn from that
prior, on the zone's own nodes: of other waves nobody knows how often intervals should hold. Waves of other elements are
the benchmarks' (foreign_livers).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from palpate.config.mesh import MeshSettings
from palpate.imaging.anatomy.labels import no_regions
from palpate.meshing.lattice import lattice_of
from palpate.meshing.refined_zones import zones_on
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.steps.checkpoint import Checkpoint
from palpate.solvers.inversion.steps.gauss_newton import Fit, maximise
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.problem import DIVERGENCE_PER_STRAIN
from palpate.solvers.inversion.steps.state import GaussNewtonState
from palpate.solvers.inversion.steps.wave_prior_rounds import fit_with_wave_priors
from palpate.solvers.inversion.zone.equilibrium import Scales, equilibrium_of
from palpate.solvers.inversion.zone.factorisation import Factorisation
from palpate.solvers.inversion.zone.likelihood import WavePrior, ZoneData, saddle
from palpate.solvers.inversion.zone.noise import complex_normal
from palpate.solvers.inversion.zone.slice_phase import linear_phase_errors
from palpate.solvers.inversion.zone.wave_prior import REACH, wave_energy
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


def _functionals(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Means of ln G' and ln G'', slopes of ln G' along the axes, ln G' and ln G'' in the middle: shape (7, 2 N)."""
    place = np.argwhere(np.ones(shape, dtype=bool)) - (np.array(shape) - 1) / 2
    ones, zeros = np.ones(len(place)), np.zeros(len(place))
    middle = (np.abs(place) < 1.5).all(axis=1).astype(float)
    slopes = [np.concatenate([place[:, axis], zeros]) for axis in range(3)]
    means = [np.concatenate(pair) for pair in ((ones, zeros), (zeros, ones), (middle, zeros), (zeros, middle))]
    return np.stack([*means, *slopes])


def _ranks_of(error: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks of the truth among DRAWS for each functional, independent under the posterior.

    Args:
        error: functionals of the truth less the posterior mean, shape (n,).
        draws: functionals of draws around it, shape (n, 2 DRAWS).
    """
    # Whitened by the first half of the draws, functionals are independent; the second half ranks the truth.
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(draws[:, :DRAWS])))
    return np.asarray(np.sum(whiten @ draws[:, DRAWS:] < (whiten @ error)[:, None], axis=1))


def _ranks() -> NDArray[np.int64]:
    """Ranks of the truth for each repetition and functional."""
    functionals = _functionals(SHAPE)
    ranks = []
    for seed in range(REPETITIONS):
        truth = _truth(seed)
        fit = _fit(_wave(truth), seed)
        inner = truth[(slice(None), *(slice(AROUND, -AROUND),) * 3)].ravel()
        draws = functionals @ fit.posterior.draw(2 * DRAWS, seed)
        ranks.append(_ranks_of(functionals @ (inner - fit.parameters), draws))
    return np.array(ranks)


def _assert_calibrated(ranks: NDArray[np.int64]) -> None:
    assert_uniform(ranks.ravel(), DRAWS, bins=10)
    for outside in (25, 10, 5, 2):  # ranks beyond each end: 50, 80, 90 and 96 % intervals
        inside = (ranks >= outside) & (ranks <= DRAWS - outside)
        assert_coverage(int(inside.sum()), inside.size, 1 - 2 * outside / (DRAWS + 1))


def test_truths_from_the_prior_rank_evenly_among_posterior_draws() -> None:
    """Intervals too narrow pile ranks up at the ends, too wide ones in the middle, bias tilts the histogram.

    And central intervals hold as often as they say: of ranks 0 ... 99 the middle ones are inside. One test, because
    the repetitions take a minute.
    """
    _assert_calibrated(_ranks())


# One component of thick slices.

SLICES = (7, 7, 3)
SLICE_MM = 8.0
THROUGH = np.array([[0.0, 0.0, 1.0]])
SIGNAL_TO_NOISE = 40.0
"""Root mean square of a datum over the noise of its real and imaginary part."""


@dataclass(frozen=True)
class OneComponent:
    """Zone that fills a few thick slices, with the units of its equations and the scale of its waves.

    Attributes:
        data: data of the zone, without displacement.
        voxel_mm: edges of a voxel, mm.
        scale: factor of the waves' prior with which data have the wanted signal.
    """

    data: ZoneData
    voxel_mm: NDArray[np.float64]
    scale: float

    def truth(self, seed: int) -> NDArray[np.float64]:
        """The m of G* from the prior, shape (2 N,)."""
        count = int(np.prod(SLICES))
        field = MaternField(
            np.ones(SLICES, bool), self.voxel_mm, HyperparameterMixture.certain(PRIOR), no_regions(count).fractions
        )
        return np.asarray(field.draw(range(1), 3000 + seed)[:, 0] + np.repeat(CENTRE, count))

    def seen(self, m: NDArray[np.float64], seed: int) -> NDArray[np.complex128]:
        """Data without noise of a wave from its prior in this tissue, shape (n,)."""
        data, generator = self.data, np.random.default_rng(4000 + seed)
        equilibrium = equilibrium_of(data.zone, data.node_spacing, data.inertia)
        fields = m.reshape(FIELDS, -1)
        reach = REACH / float(np.sqrt(data.inertia / np.exp(fields[0].mean())))
        energy = wave_energy(data.zone.cells, data.nodes, data.node_spacing, reach)
        prior = WavePrior(sparse.csr_matrix(self.scale * energy.precision), self.scale, np.zeros_like(m), m, 0.0)
        unseen = replace(data, zone=replace(data.zone, weight=np.zeros_like(data.zone.weight)), wave_prior=prior)
        storage, loss = np.exp(data.at_nodes(fields))
        matrix = saddle(unseen, equilibrium, equilibrium.momentum(storage + 1j * loss))
        factor, (rows, columns) = Factorisation(matrix), energy.root.shape
        load = np.zeros((matrix.shape[0], 1), dtype=np.complex128)
        load[:rows] = np.sqrt(self.scale) * (energy.root @ complex_normal(generator, (columns, 1)))
        wave = factor.solve(load)[:rows, 0]
        factor.close()
        return np.asarray(data.operator @ wave)

    def fit(self, seen: NDArray[np.complex128], seed: int) -> Fit:
        """Fit of the moduli, and of the waves' prior, to data with unit noise."""
        noise, probe = complex_normal(np.random.default_rng(5000 + seed), (2, len(seen)))
        data = replace(self.data, displacement=seen + noise, probe=probe)
        counter = WorkCounter()
        problem = InversionProblem(
            solvers=[ZoneSolver(0, data, self.voxel_mm, 120, counter)],
            mask=np.ones(SLICES, dtype=bool),
            voxel_size_mm=self.voxel_mm,
            regions=no_regions(int(np.prod(SLICES))),
            centre=CENTRE,
            comm=MPI.COMM_SELF,
            counter=counter,
            checkpoint=Checkpoint(None, MPI.COMM_SELF, counter),
            components=1,
            complete=False,
        )
        prior = HyperparameterMixture.certain(PRIOR)

        def fitted(start: GaussNewtonState | None, limit: int | None = None) -> Fit:
            return maximise(
                problem,
                lambda: start or GaussNewtonState.at_prior_mean(problem.voxels, prior, fit_hyperparameters=False),
                limit=limit or 14,
                tolerance=0.1,
                report=lambda _: "",
            )

        return fit_with_wave_priors(problem, fitted, fit_prior=False)


def _one_component() -> OneComponent:
    voxel_mm = np.array([1e3 * VOXEL_M, 1e3 * VOXEL_M, SLICE_MM])
    lattice = lattice_of(np.ones(SLICES, dtype=bool), voxel_mm, FREQUENCY_HZ, complete=False)
    (zone,) = zones_on(lattice, MeshSettings())
    count = len(zone.voxels)
    assert count == np.prod(SLICES)
    scales = Scales(1e-3 * float(lattice.spacing_mm.min()), BACKGROUND_PA.real)
    size = SIGNAL_TO_NOISE * np.sqrt(3.0)
    blank = ZoneData(
        zone=zone,
        displacement=np.zeros(count, dtype=np.complex128),
        axes=THROUGH,
        phase_errors=sparse.csr_matrix((count, 0)),
        probe=np.zeros(count, dtype=np.complex128),
        node_spacing=1e-3 * lattice.spacing_mm / scales.length_m,
        inertia=scales.inertia(DENSITY_KG_M3, FREQUENCY_HZ),
        divergence_tolerance=DIVERGENCE_PER_STRAIN * size * 1e3 * scales.length_m,
    )
    unit = OneComponent(blank, voxel_mm, 1.0)
    drawn = [unit.seen(np.repeat(CENTRE, count), -seed) for seed in range(1, 9)]
    power = float(np.mean(np.abs(drawn) ** 2))
    return OneComponent(blank, voxel_mm, power / SIGNAL_TO_NOISE**2)


def test_truths_rank_evenly_with_one_component() -> None:
    """The same law where two components and all that lies between slices are integrated out under a prior of waves.

    A prior of too large or small waves, a determinant that is left out, or information that noise pretends to be would
    tilt, narrow or widen what is told of stiffness.
    """
    exam, functionals = _one_component(), _functionals(SLICES)
    ranks = []
    for seed in range(REPETITIONS):
        truth = exam.truth(seed)
        fit = exam.fit(exam.seen(truth, seed), seed)
        draws = functionals @ fit.posterior.draw(2 * DRAWS, seed)
        ranks.append(_ranks_of(functionals @ (truth - fit.parameters), draws))
    _assert_calibrated(np.array(ranks))
