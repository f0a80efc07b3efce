"""Inversion of one wave field, or of those of a run at several frequencies, over all MPI ranks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.anatomy.labels import Regions
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import InversionGrid
from palpate.progress import say
from palpate.resources import RankUse, gather_use
from palpate.solvers.comparators.direct import DirectResult
from palpate.solvers.inversion.checks.model_evidence import Evidence, evidence_of
from palpate.solvers.inversion.checks.residuals import Residuals, join_residuals
from palpate.solvers.inversion.posterior.model_discrepancy import (
    add_model_discrepancy,
    density_draws_kg_m3,
    density_shift,
)
from palpate.solvers.inversion.prior.correlation import Correlation
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.region_scales import expected_region_scales
from palpate.solvers.inversion.steps.coarse import starting_state
from palpate.solvers.inversion.steps.gauss_newton import Fit, maximise
from palpate.solvers.inversion.steps.load_balance import LoadBalance, load_balance_of
from palpate.solvers.inversion.steps.problem import InversionDomain, Measured, measure, problem_of
from palpate.solvers.inversion.steps.reweighting import LITTLE_WEIGHT, Weights, fit_reweighted
from palpate.solvers.inversion.steps.sound_voxels import judge_of
from palpate.solvers.inversion.steps.state import GaussNewtonState, Iteration
from palpate.solvers.inversion.steps.uniform_start import with_uniform_centre
from palpate.solvers.inversion.zone.data_weights import Contaminated, Likelihood
from palpate.solvers.inversion.zone.noise import NoiseModel
from palpate.solvers.inversion.zone.zone_solver import WorkCounter
from palpate.solvers.rheology import parameters_of
from palpate.solvers.summary import Summary


@dataclass(frozen=True, slots=True)
class Inversion:
    """Posterior of one wave field: value, status and statistics; equal on every rank.

    Wave fields that were inverted together share the fit, the rheology's parameters, the evidence and the counter.

    Attributes:
        log_mean: posterior mean of (ln G', ln G'') over the N mask voxels, G in pascal, shape (2, N).
        log_std: posterior standard deviation of (ln G', ln G''), shape (2, N).
        log_draws: joint draws, shape (2, N, count); one draw is one tissue, at every frequency of the run.
        density_kg_m3: density that each draw assumes, kg/m3, shape (count,).
        prior_std: prior standard deviation of (ln G', ln G'') around their means, shape (2, N).
        direct: the algebraic baseline.
        residuals: residuals of the fit.
        noise: the noise that was used.
        outlying: voxels whose displacement was not used, or counts less than half, shape (N,).
        likelihood: likelihood of the errors.
        weights: weights of the data, shape (N, C), components as the data have them; None where all are 1.
        fit: history and hyperparameters of the iterations (its zones are this rank's).
        parameters: the rheology's own parameters by name, SI units; empty without a rheology.
        evidence: evidence of the fit; None where it did not converge or was not requested.
        counter: counts and seconds summed over ranks.
        load_balance: balance of the zones' work between ranks.
        used: CPU time and peak memory of each rank.
    """

    log_mean: NDArray[np.float64]
    log_std: NDArray[np.float64]
    log_draws: NDArray[np.float64]
    density_kg_m3: NDArray[np.float64]
    prior_std: NDArray[np.float64]
    direct: DirectResult
    residuals: Residuals
    noise: NoiseModel
    outlying: NDArray[np.bool_]
    likelihood: Likelihood
    weights: NDArray[np.float64] | None
    fit: Fit
    parameters: Mapping[str, Summary]
    evidence: Evidence | None
    counter: WorkCounter
    load_balance: LoadBalance
    used: tuple[RankUse, ...]

    @property
    def peak_memory_mb(self) -> tuple[float, ...]:
        """Largest resident size of each rank, MB."""
        return tuple(one.peak_memory_mb for one in self.used)

    def on_given(self, grid: InversionGrid) -> Inversion:
        """Return the posterior on the voxels of the given wave field; those of one acquired voxel are all alike.

        Args:
            grid: grid of the inversion and its place in the given one.
        """
        if grid.same:
            return self
        at = grid.voxels
        direct = self.direct
        return replace(
            self,
            log_mean=self.log_mean[:, at],
            log_std=self.log_std[:, at],
            log_draws=self.log_draws[:, at],
            prior_std=self.prior_std[:, at],
            direct=DirectResult(
                grid.on_given(direct.storage_pa),
                grid.on_given(direct.loss_pa),
                grid.on_given(direct.own.astype(np.float64)) == 1.0,
            ),
            residuals=replace(self.residuals, size=self.residuals.size[at]),
            outlying=self.outlying[at],
            weights=None if self.weights is None else self.weights[at],
        )


def invert_wave_field(
    field: WaveField, domain: InversionDomain, settings: InversionSettings, comm: MPI.Comm
) -> Inversion:
    """Return the posterior of G* over the voxels of a wave field's mask; see invert_together."""
    (inversion,) = invert_together([field], domain, settings, comm)
    return inversion


def invert_together(
    fields: Sequence[WaveField], domain: InversionDomain, settings: InversionSettings, comm: MPI.Comm
) -> tuple[Inversion, ...]:
    """Return the joint posterior of G* from wave fields of one run at several frequencies, one result for each.

    Args:
        fields: displacement, mask and noise, with one mask and one voxel grid; several only with a rheology.
        domain: zones and regions of the mask.
        settings: settings of the inversion.
        comm: communicator of the ranks that share the zones and frequencies.
    """
    began = time.perf_counter()
    counter = WorkCounter()
    measured = measure(fields, settings)
    counter.timed("direct", began)
    problem, scales = problem_of(measured, domain, settings, counter, comm)
    problem = with_uniform_centre(problem)
    guess = _first_guess(settings, problem.regions, domain.correlation)

    def fitted(start: GaussNewtonState | None, limit: int | None = None) -> Fit:
        return maximise(
            problem,
            lambda: start or starting_state(measured, domain, settings, problem, guess, _in_words),
            limit=min(settings.max_iterations, limit or settings.max_iterations),
            tolerance=settings.tolerance,
            report=_in_words,
            judge=judge_of(domain.law, frequencies=len(measured), fit_prior=settings.fit_prior),
        )

    fit, weights = fit_reweighted(problem, domain.law, fitted, frequencies=len(measured), fit_prior=settings.fit_prior)
    unit = np.log(scales.modulus_pa)
    uniform = [one.log_median - unit for one in measured]
    evidence = evidence_of(problem, fit, uniform) if domain.compare else None
    began = time.perf_counter()
    mean = fit.parameters.reshape(FIELDS, -1) + unit + density_shift(settings, fields[0])
    draws = mean[:, :, None] + fit.posterior.draw(settings.samples, settings.seed).reshape(FIELDS, problem.voxels, -1)
    add_model_discrepancy(draws, settings, fit.prior, fields[0])
    counter.timed("draws", began)
    say(f"{fields[0].label}: {settings.samples} joint draws")
    parameters = parameters_of(settings, [field.frequency_hz for field in fields], mean, draws)
    used = gather_use(comm)
    work, balance = _sum_counters(counter, comm), load_balance_of(counter, comm)
    found = []
    for one in measured:
        own_draws = one.dispersion.at(draws)
        sound = one.soundness(fit.state.soundness)
        inversion = Inversion(
            log_mean=one.dispersion.at(mean),
            log_std=own_draws.std(axis=-1, ddof=1),
            log_draws=own_draws,
            density_kg_m3=density_draws_kg_m3(settings, fields[0]),
            prior_std=one.dispersion.spread(mean, fit.prior.spread, fit.prior.scale.field_correlation),
            direct=one.direct,
            residuals=join_residuals(problem, fit, one.dispersion.frequency),
            noise=one.noise,
            outlying=sound < LITTLE_WEIGHT,
            likelihood=domain.law,
            weights=_of_data(domain.law, sound, weights, one),
            fit=fit,
            parameters=parameters,
            evidence=evidence,
            counter=work,
            load_balance=balance,
            used=used,
        )
        found.append(inversion)
    return tuple(found)


def _of_data(
    law: Likelihood, sound: NDArray[np.float64], weights: Weights | None, measured: Measured
) -> NDArray[np.float64] | None:
    """Return the weights of one wave field's data, shape (N, C); None where all are 1 by the likelihood."""
    if isinstance(law, Contaminated):
        return np.repeat(sound[:, None], measured.field.displacement_m.shape[-1], axis=1)
    return None if weights is None else weights[measured.dispersion.frequency]


def _first_guess(settings: InversionSettings, regions: Regions, correlation: Correlation) -> HyperparameterMixture:
    """Return the prior as the settings have it, before any data."""
    scale = Hyperparameters(
        settings.storage_std,
        settings.loss_std,
        settings.length_mm,
        settings.cross_correlation,
        settings.roughness,
        unresolved_std=settings.unresolved_std,
        region_std=settings.region_std if len(regions.numbers) else 0.0,
    )
    return HyperparameterMixture((scale,), (1.0,), expected_region_scales(regions.variability), correlation)


def _in_words(iteration: Iteration) -> str:
    return (
        f"objective {iteration.objective:.6g}, misfit {iteration.misfit:.6g}, length {iteration.step:.3g}, change of "
        f"ln G* {iteration.change:.3f}"
    )


def _sum_counters(counter: WorkCounter, comm: MPI.Comm) -> WorkCounter:
    counts: Counter[str] = sum(comm.allgather(counter.counts), Counter())
    seconds: Counter[str] = sum(comm.allgather(counter.seconds), Counter())
    return WorkCounter(counts, seconds)
