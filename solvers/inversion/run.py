"""One wave field from noise to posterior, over all MPI ranks."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.labels import Regions, no_regions
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import Zone
from palpate.progress import say
from palpate.solvers.inversion.checkpoint import Checkpoint
from palpate.solvers.inversion.course import Iteration
from palpate.solvers.inversion.direct import DirectResult, direct_inversion
from palpate.solvers.inversion.drift import drift_planes
from palpate.solvers.inversion.equilibrium import Scales
from palpate.solvers.inversion.gauss_newton import Fit, Problem, maximise
from palpate.solvers.inversion.likelihood import ZoneData
from palpate.solvers.inversion.load_balance import LoadBalance, load_balance_of
from palpate.solvers.inversion.noise import Noise, noise_of
from palpate.solvers.inversion.prior import FIELDS, PriorScale
from palpate.solvers.inversion.residuals import Residuals, join_residuals
from palpate.solvers.inversion.zone_solver import Tally, ZoneSolver
from palpate.units import m_to_mm, m_to_um, mm_to_m

DIVERGENCE_PER_STRAIN = 5e-3
"""Divergence that triquadratic elements leave in an incompressible wave, per |U| and millimetre."""

SMALLEST_PART = 1e-3
"""Smallest part of a drift's prior that a zone is given; below, the drift is free there."""


@dataclass(frozen=True, slots=True)
class Inversion:
    """The posterior of one wave field: value, status and statistics; the same on every rank.

    Attributes:
        log_mean: posterior mean of (ln G', ln G'') over the N mask voxels, G in pascal, shape (2, N).
        log_std: its standard deviation, shape (2, N).
        log_draws: joint draws, shape (2, N, count).
        prior_std: prior standard deviation of (ln G', ln G'') around their means, shape (2, N).
        direct: the algebraic baseline.
        residuals: what the waves leave unexplained.
        noise: the noise that was used.
        fit: history and hyper-parameters of the iterations (its zones are this rank's).
        tally: counts and seconds summed over ranks.
        load_balance: how evenly the zones were shared out.
        peak_memory_mb: largest resident size of each rank.
    """

    log_mean: NDArray[np.float64]
    log_std: NDArray[np.float64]
    log_draws: NDArray[np.float64]
    prior_std: NDArray[np.float64]
    direct: DirectResult
    residuals: Residuals
    noise: Noise
    fit: Fit
    tally: Tally
    load_balance: LoadBalance
    peak_memory_mb: tuple[float, ...]


def invert_wave_field(
    field: WaveField,
    zones: Sequence[Zone],
    settings: InversionSettings,
    comm: MPI.Comm,
    regions: Regions | None = None,
    *,
    unfinished: Path | None = None,
) -> Inversion:
    """The posterior of G* over the voxels of a wave field's mask.

    Args:
        field: displacement, mask and noise.
        zones: of the mask, all of them on every rank.
        settings: the inversion section.
        comm: the ranks that share the zones.
        regions: of the anatomy, where somebody labelled it.
        unfinished: folder that keeps what is finished, and goes on from what an earlier run of the same left there.
    """
    began = time.perf_counter()
    tally = Tally()
    regions = regions or no_regions(int(np.count_nonzero(field.mask)))
    direct = direct_inversion(field)
    noise = noise_of(field, factor=settings.noise_factor, discretisation_percent=settings.discretisation_percent)
    centre_pa = np.array([np.nanmedian(direct.storage_pa), np.nanmedian(direct.loss_pa)])
    scales = Scales(mm_to_m(float(field.voxel_size_mm.min())), float(np.hypot(*centre_pa)))
    began = tally.timed("direct", began)
    say(f"{field.label}: {len(zones)} zones, noise {m_to_um(noise.std_m):.3g} um ({noise.source}), {comm.size} ranks")
    problem = Problem(
        solvers=_solvers(field, zones, noise, scales, settings, tally, comm),
        mask=field.mask,
        voxel_size_mm=field.voxel_size_mm,
        regions=regions.shares,
        centre=np.log(centre_pa / scales.modulus_pa),
        comm=comm,
        tally=tally,
        checkpoint=Checkpoint(unfinished, comm, tally),
    )
    fit = maximise(
        problem,
        PriorScale(
            settings.storage_std,
            settings.loss_std,
            settings.length_mm,
            settings.coupling,
            settings.roughness,
            unresolved_std=settings.unresolved_std,
            region_std=settings.region_std if regions.numbers.size else 0.0,
        ),
        fit_hyperparameters=settings.fit_prior,
        limit=settings.max_iterations,
        tolerance=settings.tolerance,
        report=_report_iteration,
    )
    began = time.perf_counter()
    draws = fit.posterior.draw(settings.samples, settings.seed).reshape(FIELDS, problem.voxels, -1)
    mean = fit.parameters.reshape(FIELDS, -1) + np.log(scales.modulus_pa)
    tally.timed("draws", began)
    say(f"{field.label}: {settings.samples} joint draws")
    return Inversion(
        log_mean=mean,
        log_std=draws.std(axis=-1, ddof=1),
        log_draws=mean[:, :, None] + draws,
        prior_std=fit.prior.total_spread,
        direct=direct,
        residuals=join_residuals(problem, fit),
        noise=noise,
        fit=fit,
        tally=_sum_tally(tally, comm),
        load_balance=load_balance_of(tally, comm),
        peak_memory_mb=tuple(comm.allgather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0)),
    )


def _solvers(
    field: WaveField,
    zones: Sequence[Zone],
    noise: Noise,
    scales: Scales,
    settings: InversionSettings,
    tally: Tally,
    comm: MPI.Comm,
) -> list[ZoneSolver]:
    """This rank's zones with their data, in voxel axes and in units of the noise."""
    axes = field.affine_mm[:3, :3] / field.voxel_size_mm
    data = field.displacement_m[field.mask] @ axes / noise.std_m
    mean = float(np.linalg.norm(data, axis=-1).mean())
    planes = drift_planes(field.mask, field.drift_std_m / noise.std_m)
    probe_drift = planes @ _complex_normal(np.random.default_rng([settings.seed, 3]), (planes.shape[1],))
    probe = _complex_normal(np.random.default_rng([settings.seed, 4]), data.shape) + probe_drift.reshape(data.shape)
    slack = DIVERGENCE_PER_STRAIN * mean * m_to_mm(scales.length_m)
    return [
        ZoneSolver(
            number,
            ZoneData(
                zone=zones[number],
                displacement=data[zones[number].voxels].ravel(),
                drift=_of_zone(planes, zones[number]),
                probe=probe[zones[number].voxels].ravel(),
                voxel_size=mm_to_m(field.voxel_size_mm) / scales.length_m,
                inertia=scales.inertia(field.density_kg_m3, field.frequency_hz),
                divergence_tolerance=slack,
            ),
            field.voxel_size_mm,
            settings.hessian_rank,
            tally,
        )
        for number in share_out([zone.work for zone in zones], comm.size)[comm.rank]
    ]


def _complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Independent complex numbers whose real and imaginary parts have unit variance."""
    parts = generator.standard_normal((2, *shape))
    return np.asarray(parts[0] + 1j * parts[1])


def _of_zone(planes: sparse.csr_matrix, zone: Zone) -> sparse.csr_matrix:
    """A zone's rows of the planes, less those of slices that it does not reach.

    A slice's drift is one error for all zones, so its prior is shared between them as the data are: a zone with the
    part omega of a plane's energy takes the prior to the power omega, that is its standard deviation over sqrt(omega).
    """
    rows = (3 * zone.voxels[:, None] + np.arange(3)).ravel()
    own = planes[rows].tocsc()
    reached = np.flatnonzero(np.diff(own.indptr))
    energy = np.asarray(planes.power(2).sum(axis=0)).ravel()[reached]
    part = np.asarray(own[:, reached].power(2).T @ np.repeat(zone.share, 3)) / energy
    return (own[:, reached] @ sparse.diags(1.0 / np.sqrt(np.maximum(part, SMALLEST_PART)))).tocsr()


def share_out(work: Sequence[float], ranks: int) -> list[list[int]]:
    """Zones for each rank: the largest first, always to the rank with the least work so far.

    Args:
        work: estimated cost of each zone.
        ranks: how many ranks there are.
    """
    loads = np.zeros(ranks)
    mine: list[list[int]] = [[] for _ in range(ranks)]
    for number in sorted(range(len(work)), key=lambda i: (-work[i], i)):
        rank = int(np.argmin(loads))
        loads[rank] += work[number]
        mine[rank].append(number)
    return [sorted(numbers) for numbers in mine]


def _report_iteration(number: int, iteration: Iteration) -> None:
    say(
        f"step {number}: objective {iteration.objective:.6g}, misfit {iteration.misfit:.6g}, "
        f"length {iteration.step:.3g}, change of ln G* {iteration.change:.3f}"
    )


def _sum_tally(tally: Tally, comm: MPI.Comm) -> Tally:
    counts: Counter[str] = sum(comm.allgather(tally.counts), Counter())
    seconds: Counter[str] = sum(comm.allgather(tally.seconds), Counter())
    return Tally(counts, seconds)
