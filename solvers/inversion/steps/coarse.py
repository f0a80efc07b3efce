"""Start of the fine inversion at the posterior of the waves on voxels twice as large, which costs little.

A zone's cost grows with the square of its nodes, so that an inversion on blocks of 2^3 voxels takes a thirtieth of the
time. Its elements are less accurate, for which its noise is increased (their error grows with the cube of the cell),
but its result is near: the fine inversion then spends its steps on details that need fine voxels, not on the overall
stiffness. With x_c = C_c w_c the coarse maximum, each block's weight is distributed evenly over its voxels,

    w = B^T w_c,     x = C w,     B the mean over blocks,

so that the fine prior interpolates the result on blocks: smooth where the prior is smooth, with its regions' borders.
The coarse inversion itself starts at the prior's mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.inversion import InversionSettings
from palpate.config.mesh import MeshSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import Regions
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.block_average import Factors, block_average, nearest_blocks
from palpate.meshing.zone_mesh import zones_of
from palpate.progress import say
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.prior.taper import root_weight
from palpate.solvers.inversion.steps.gauss_newton import Fit, maximise
from palpate.solvers.inversion.steps.linearisation import InversionProblem
from palpate.solvers.inversion.steps.problem import InversionDomain, Measured, centre_of, problem_of
from palpate.solvers.inversion.steps.state import GaussNewtonState, Iteration, refit_rounds
from palpate.solvers.inversion.zone.noise import noise_of
from palpate.units import m_to_mm

BLOCKS_PER_WAVELENGTH = 6.0
"""Least number of blocks in the shortest shear wavelength: three cells for each wave."""

LEAST_BLOCKS = 4.0
"""Number of blocks in a wavelength below about which the coarse inversion's result is not used."""

ERROR_ORDER = 3
"""Power of the voxels' size with which the elements' error grows (docs/theory/discretisation.md)."""

MOST_PERCENT = 20.0
"""Largest discretisation error that the settings allow, percent."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Voxels of a mask and the blocks that they make up.

    Attributes:
        mean: matrix B from the N voxels to the means of the blocks, shape (blocks, N).
        nearest: index of the block nearest to each voxel, shape (N,).
    """

    mean: sparse.csr_matrix
    nearest: NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], coarse_mask: NDArray[np.bool_], factors: Factors) -> Blocks:
        """Return the blocks of a mask that consist of tissue only.

        Args:
            mask: mask of tissue, shape (i, j, k).
            coarse_mask: mask of the blocks that consist of tissue only, see block_average.
            factors: numbers of voxels of a block along i, j, k.
        """
        number = np.full(coarse_mask.shape, -1)
        number[coarse_mask] = np.arange(np.count_nonzero(coarse_mask))
        place = np.argwhere(mask) // factors
        inside = np.minimum(place, np.array(coarse_mask.shape) - 1)
        whole = np.all(place < coarse_mask.shape, axis=1)
        own = np.where(whole, number[tuple(inside.T)], -1)
        rows, columns = own[own >= 0], np.flatnonzero(own >= 0)
        mean = sparse.csr_matrix(
            (np.full(len(rows), 1.0 / prod(factors)), (rows, columns)), shape=(number.max() + 1, len(own))
        )
        return cls(mean, nearest_blocks(mask, coarse_mask, factors))

    def lifted(self, fit: Fit, problem: InversionProblem) -> NDArray[np.float64]:
        """Return the coarse inversion's maximum on voxels, shape (2, N), interpolated by its own prior.

        Args:
            fit: fit of the coarse inversion.
            problem: problem of the fine inversion.
        """
        local_scale = fit.state.local_scale[self.nearest]
        fractions, hypotheses = problem.regions.fractions, fit.state.hypotheses
        prior = MaternField(problem.mask, problem.voxel_size_mm, hypotheses, fractions, local_scale)
        w = (fit.state.w.reshape(FIELDS, -1) @ self.mean).ravel()
        return prior.apply(w[:, None]).reshape(FIELDS, -1)


def starting_state(
    measured: Sequence[Measured],
    domain: InversionDomain,
    settings: InversionSettings,
    problem: InversionProblem,
    hypotheses: HyperparameterMixture,
    report: Callable[[Iteration], str],
) -> GaussNewtonState:
    """Return the start: the end of an inversion on blocks of voxels, or the prior's mean where blocks are too large.

    Args:
        measured: wave fields of a run, one for each frequency.
        domain: zones and regions of the mask.
        settings: settings of the inversion.
        problem: problem of the fine inversion.
        hypotheses: hyperparameters of the prior before any data.
        report: function that describes a step in words.
    """
    coarse = _coarse(measured, domain, settings) if problem.complete else None
    if coarse is None:
        return GaussNewtonState.at_prior_mean(problem.voxels, hypotheses, fit_hyperparameters=settings.fit_prior)
    fields, below, blocks = coarse
    say(f"{fields[0].field.label}: first on blocks of voxels")
    smaller, _ = problem_of(fields, below, settings, problem.counter, problem.comm)
    problem.clock.starts_from(smaller.clock, refits=refit_rounds(int(settings.fit_prior)))
    fit = maximise(
        smaller,
        lambda: GaussNewtonState.at_prior_mean(smaller.voxels, hypotheses, fit_hyperparameters=settings.fit_prior),
        limit=settings.max_iterations,
        tolerance=settings.tolerance,
        report=report,
    )
    problem.clock.starts_at(smaller.clock, found=fit.converged)
    if not fit.converged:
        return GaussNewtonState.at_prior_mean(problem.voxels, hypotheses, fit_hyperparameters=settings.fit_prior)
    lifted = blocks.lifted(fit, problem)
    x = _with_soft_tissue(measured, lifted, float(fields[0].field.voxel_size_mm.max())).ravel()
    return GaussNewtonState.warm_start(x, hypotheses, fit_hyperparameters=settings.fit_prior)


def _coarse(
    measured: Sequence[Measured], domain: InversionDomain, settings: InversionSettings
) -> tuple[list[Measured], InversionDomain, Blocks] | None:
    """Return the inputs on blocks; None where blocks are too large for the waves, or leave too little tissue."""
    field = measured[0].field
    shortest_mm = min(float(_wavelength_mm(one, one.log_median)) for one in measured)
    factors = _factors(field.voxel_size_mm, shortest_mm)
    if prod(factors) == 1:
        return None
    try:
        averaged = [_averaged(one, factors) for one in measured]
        # Zones of the usual size, whatever the fine ones' is: only the start depends on them.
        zones = zones_of(averaged[0].mask, averaged[0].voxel_size_mm, MeshSettings())
    except InputError:  # too little tissue is left
        return None
    blocks = Blocks.of(field.mask, averaged[0].mask, factors)
    return (
        [_on_blocks(one, coarse, blocks, factors, settings) for one, coarse in zip(measured, averaged, strict=True)],
        InversionDomain(zones, _regions(domain.regions, blocks), domain.unfinished and domain.unfinished / "blocks"),
        blocks,
    )


def _factors(voxel_size_mm: NDArray[np.float64], wavelength_mm: float) -> Factors:
    """Return the numbers of voxels of a block along each axis: two where that is short enough."""
    i, j, k = (2 if 2.0 * size <= wavelength_mm / BLOCKS_PER_WAVELENGTH else 1 for size in voxel_size_mm)
    return i, j, k


def _wavelength_mm(measured: Measured, log_moduli: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return wavelengths of shear waves at a wave field's frequency, from ln G' and ln G'' in Pa, shape (2, ...)."""
    speed = np.sqrt(np.hypot(*np.exp(log_moduli)) / measured.field.density_kg_m3)
    return np.asarray(m_to_mm(speed / measured.field.frequency_hz))


def _with_soft_tissue(measured: Sequence[Measured], x: NDArray[np.float64], block_mm: float) -> NDArray[np.float64]:
    """Return the start with the direct inversion's moduli in fluid, where waves are too short for blocks by either.

    Args:
        measured: wave fields.
        x: the coarse inversion's deviation of m from the prior's centre, shape (2, N).
        block_mm: longest edge of a block.
    """
    inside = measured[0].field.mask
    maps = [np.stack([one.guide.storage_pa[inside], one.guide.loss_pa[inside]]) for one in measured]
    direct = np.mean([one.dispersion.back(np.log(pa)) for one, pa in zip(measured, maps, strict=True)], axis=0)
    centre = centre_of(measured)[:, None]
    shortest_mm = [
        _wavelength_mm(one, one.dispersion.at(fields)) for one in measured for fields in (direct, centre + x)
    ]
    carried = root_weight(np.min(shortest_mm, axis=0), LEAST_BLOCKS * block_mm)
    return carried * x + (1.0 - carried) * (direct - centre)


def _averaged(measured: Measured, factors: Factors) -> WaveField:
    """Return the wave field averaged over blocks, with the noise of the inversion on voxels, averaged.

    That noise is independent: correlation between neighbours has made it larger.
    """
    independent = replace(measured.field, noise_std_m=measured.noise.std_m, noise_correlation=None)
    return block_average(independent, factors)


def _on_blocks(
    measured: Measured, averaged: WaveField, blocks: Blocks, factors: Factors, settings: InversionSettings
) -> Measured:
    """Return the wave field on blocks, with their elements' error, and without blocks that hold an outlying voxel."""
    left_out = np.asarray(blocks.mean @ measured.outlying.astype(np.float64)) > 0.0
    percent = min(MOST_PERCENT, settings.discretisation_percent * float(max(factors)) ** ERROR_ORDER)
    return replace(
        measured,
        field=averaged,
        noise=noise_of(averaged, factor=1.0, discretisation_percent=percent),
        outlying=left_out,
        unmeasured=left_out,
    )


def _regions(regions: Regions | None, blocks: Blocks) -> Regions | None:
    """Return the regions with their fractions of blocks."""
    return None if regions is None else replace(regions, fractions=(blocks.mean @ regions.fractions).tocsr())
