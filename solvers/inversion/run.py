"""One wave field, or those of a run at several frequencies, from noise to posterior, over all MPI ranks."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from palpate.solvers.inversion.model_evidence import Evidence, evidence_of
from palpate.solvers.inversion.noise import Noise, noise_of
from palpate.solvers.inversion.prior import FIELDS, Hypotheses, PriorScale
from palpate.solvers.inversion.residuals import Residuals, join_residuals
from palpate.solvers.inversion.rheology import Dispersion, dispersions, parameters_of
from palpate.solvers.inversion.summary import Summary
from palpate.solvers.inversion.zone_solver import Tally, ZoneSolver
from palpate.units import m_to_mm, m_to_um, mm_to_m

DIVERGENCE_PER_STRAIN = 5e-3
"""Divergence that triquadratic elements leave in an incompressible wave, per |U| and millimetre."""

SMALLEST_PART = 1e-3
"""Smallest part of a drift's prior that a zone is given; below, the drift is free there."""


@dataclass(frozen=True, slots=True)
class Inversion:
    """The posterior of one wave field: value, status and statistics; the same on every rank.

    Wave fields that were inverted together share the fit, the rheology's parameters, the evidence and the tally.

    Attributes:
        log_mean: posterior mean of (ln G', ln G'') over the N mask voxels, G in pascal, shape (2, N).
        log_std: its standard deviation, shape (2, N).
        log_draws: joint draws, shape (2, N, count); one draw is one tissue, at every frequency of the run.
        prior_std: prior standard deviation of (ln G', ln G'') around their means, shape (2, N).
        direct: the algebraic baseline.
        residuals: what the waves leave unexplained.
        noise: the noise that was used.
        fit: history and hyper-parameters of the iterations (its zones are this rank's).
        parameters: the rheology's own parameters by name, SI units; empty without a rheology.
        evidence: of the fit; None where it did not converge.
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
    parameters: Mapping[str, Summary]
    evidence: Evidence | None
    tally: Tally
    load_balance: LoadBalance
    peak_memory_mb: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    """One wave field of a run with what is known of it before the fit.

    Attributes:
        field: displacement, mask and noise as stated.
        direct: the algebraic baseline.
        noise: the noise to invert with.
        dispersion: from the fields that are inverted to those at its frequency.
    """

    field: WaveField
    direct: DirectResult
    noise: Noise
    dispersion: Dispersion

    @property
    def log_median(self) -> NDArray[np.float64]:
        """The logarithms of the direct inversion's medians of G' and G'', pascal, shape (2,)."""
        return np.log([np.nanmedian(self.direct.storage_pa), np.nanmedian(self.direct.loss_pa)])


@dataclass(frozen=True, slots=True)
class Ground:
    """What an inversion stands on beside the waves.

    Attributes:
        zones: of the mask, all of them on every rank.
        regions: of the anatomy, where somebody labelled it or its image shows them.
        unfinished: folder that keeps what is finished, and goes on from what an earlier run of the same left there;
            None keeps nothing.
        compare: whether the evidence is wanted, which takes one more factorisation for each zone and frequency.
    """

    zones: Sequence[Zone]
    regions: Regions | None = None
    unfinished: Path | None = None
    compare: bool = False


def invert_wave_field(field: WaveField, ground: Ground, settings: InversionSettings, comm: MPI.Comm) -> Inversion:
    """The posterior of G* over the voxels of a wave field's mask; see invert_together."""
    (inversion,) = invert_together([field], ground, settings, comm)
    return inversion


def invert_together(
    fields: Sequence[WaveField], ground: Ground, settings: InversionSettings, comm: MPI.Comm
) -> tuple[Inversion, ...]:
    """The joint posterior of G* from wave fields of one run at several frequencies, one result for each.

    Args:
        fields: displacement, mask and noise, with one mask and one voxel grid; several only with a rheology.
        ground: zones and regions of the mask.
        settings: the inversion section.
        comm: the ranks that share the zones and frequencies.
    """
    began = time.perf_counter()
    tally = Tally()
    measured = _measure(fields, settings)
    tally.timed("direct", began)
    problem, scales = _problem(measured, ground, settings, tally, comm)
    fit = maximise(
        problem,
        Hypotheses.certain(
            PriorScale(
                settings.storage_std,
                settings.loss_std,
                settings.length_mm,
                settings.coupling,
                settings.roughness,
                unresolved_std=settings.unresolved_std,
                region_std=settings.region_std if problem.regions.shape[1] else 0.0,
            )
        ),
        fit_hyperparameters=settings.fit_prior,
        limit=settings.max_iterations,
        tolerance=settings.tolerance,
        report=_report_iteration,
    )
    unit = np.log(scales.modulus_pa)
    uniform = [one.log_median - unit for one in measured]
    evidence = evidence_of(problem, fit, uniform) if ground.compare else None
    began = time.perf_counter()
    mean = fit.parameters.reshape(FIELDS, -1) + unit
    draws = mean[:, :, None] + fit.posterior.draw(settings.samples, settings.seed).reshape(FIELDS, problem.voxels, -1)
    tally.timed("draws", began)
    say(f"{fields[0].label}: {settings.samples} joint draws")
    parameters = parameters_of(settings, [field.frequency_hz for field in fields], mean, draws)
    memory = tuple(comm.allgather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0))
    work, balance = _sum_tally(tally, comm), load_balance_of(tally, comm)
    found = []
    for one in measured:
        own_draws = one.dispersion.at(draws)
        inversion = Inversion(
            log_mean=one.dispersion.at(mean),
            log_std=own_draws.std(axis=-1, ddof=1),
            log_draws=own_draws,
            prior_std=one.dispersion.spread(mean, fit.prior.spread, fit.prior.scale.mixing),
            direct=one.direct,
            residuals=join_residuals(problem, fit, one.dispersion.frequency),
            noise=one.noise,
            fit=fit,
            parameters=parameters,
            evidence=evidence,
            tally=work,
            load_balance=balance,
            peak_memory_mb=memory,
        )
        found.append(inversion)
    return tuple(found)


def _measure(fields: Sequence[WaveField], settings: InversionSettings) -> list[_Measured]:
    """The wave fields of a run with their baselines and noise."""
    laws = dispersions(settings, [field.frequency_hz for field in fields])
    return [
        _Measured(
            field,
            direct_inversion(field),
            noise_of(field, factor=settings.noise_factor, discretisation_percent=settings.discretisation_percent),
            dispersion,
        )
        for field, dispersion in zip(fields, laws, strict=True)
    ]


def _problem(
    measured: Sequence[_Measured], ground: Ground, settings: InversionSettings, tally: Tally, comm: MPI.Comm
) -> tuple[Problem, Scales]:
    """Zones and frequencies shared out over the ranks, with the units that all of them have in common."""
    first, zones = measured[0].field, ground.zones
    regions = ground.regions or no_regions(int(np.count_nonzero(first.mask)))
    centre = np.mean([one.dispersion.back(one.log_median) for one in measured], axis=0)
    scales = Scales(mm_to_m(float(first.voxel_size_mm.min())), float(np.hypot(*np.exp(centre))))
    for one in measured:
        say(
            f"{first.label}: {one.field.frequency_hz:g} Hz, {len(zones)} zones, "
            f"noise {m_to_um(one.noise.std_m):.3g} um ({one.noise.source}), {comm.size} ranks"
        )
    mine = share_out([zone.work for zone in zones] * len(measured), comm.size)[comm.rank]
    solvers = []
    for one in measured:
        before = one.dispersion.frequency * len(zones)
        numbers = [item - before for item in mine if 0 <= item - before < len(zones)]
        solvers += _solvers(one, zones, numbers, scales, settings, tally)
    problem = Problem(
        solvers=solvers,
        mask=first.mask,
        voxel_size_mm=first.voxel_size_mm,
        regions=regions.shares,
        centre=centre - np.log(scales.modulus_pa),
        comm=comm,
        tally=tally,
        checkpoint=Checkpoint(ground.unfinished, comm, tally),
    )
    return problem, scales


def _solvers(
    measured: _Measured,
    zones: Sequence[Zone],
    numbers: Sequence[int],
    scales: Scales,
    settings: InversionSettings,
    tally: Tally,
) -> list[ZoneSolver]:
    """The chosen zones with their data at one frequency, in voxel axes and in units of the noise."""
    field, std_m = measured.field, measured.noise.std_m
    axes = field.affine_mm[:3, :3] / field.voxel_size_mm
    data = field.displacement_m[field.mask] @ axes / std_m
    mean = float(np.linalg.norm(data, axis=-1).mean())
    planes = drift_planes(field.mask, field.drift_std_m / std_m)
    # One probe for all frequencies: the counts behind the evidence must not depend on which are inverted together.
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
            measured.dispersion,
        )
        for number in numbers
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
