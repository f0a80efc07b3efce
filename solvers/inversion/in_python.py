"""Inversion of a wave field in a Python session: `palpate.invert`.

It takes the steps of `palpate invert` on one wave field, on one process or, collectively, on all ranks of MPI, and
gives the same numbers. Nothing is written until the posterior is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.config.mesh import MeshSettings
from palpate.config.section import checked_settings
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import Regions, read_classes, read_regions
from palpate.imaging.checks.complex_parts import demand_real_and_imaginary
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.files.stiffness_folder import MODULI, Samples
from palpate.imaging.limits.stated import METRES_PER_UNIT
from palpate.imaging.stiffness_posterior import ModulusPosterior, StiffnessPosterior
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import inversion_grid
from palpate.meshing.lattice import lattice_of_run
from palpate.meshing.refined_zones import zones_on
from palpate.progress import say
from palpate.quality_warning import QualityWarning, recorded_warnings
from palpate.solvers.inversion.prior.correlation import Correlation, matern
from palpate.solvers.inversion.results import (
    Target,
    common_record,
    fit_record,
    frequency_record,
    informed_voxels,
    write_parameters,
    write_posterior,
    write_record,
)
from palpate.solvers.inversion.run import Inversion, invert_wave_field
from palpate.solvers.inversion.session import demand_plausible
from palpate.solvers.inversion.steps.problem import InversionDomain
from palpate.solvers.inversion.zone.data_weights import Likelihood, contaminated
from palpate.solvers.ranks import all_ranks
from palpate.solvers.rheology import reference_hz
from palpate.solvers.summary import log_normal
from palpate.units import pa_to_kpa


def invert(
    field: WaveField,
    settings: InversionSettings | Mapping[str, Any] | None = None,
    *,
    labels: Path | str | None = None,
    anatomy: Path | str | None = None,
    correlation: Correlation = matern,
    likelihood: Likelihood = contaminated,
    comm: MPI.Comm | None = None,
) -> StiffnessPosterior:
    """Return the posterior of the complex shear modulus over the voxels of a wave field's mask.

    Args:
        field: wave field at one frequency, with all three components.
        settings: settings of the inversion, such as {"samples": 400}; None for the defaults.
        labels: segmentation of the anatomy (NIfTI) in the wave field's world: its regions may differ in mean stiffness.
        anatomy: image of the anatomy (NIfTI) in the wave field's world, of which three classes of brightness may differ
            in mean stiffness; not used where labels are given.
        correlation: correlation of stiffness between voxels, for another prior than the default.
        likelihood: likelihood of the displacement's errors; by default a few voxels may be wrong, with `gaussian` none.
        comm: MPI ranks that share the work; all of the job by default. The result is the same on every rank, and only
            one of them may save it.

    Raises:
        InputError: the wave field, a setting, an image or the likelihood's weights cannot be used.
    """
    comm = comm or all_ranks()
    chosen = checked_settings(InversionSettings, settings)
    demand_plausible(chosen)
    if chosen.method != "nonlinear":
        raise InputError(
            "palpate.invert",
            found=f"method {chosen.method!r}",
            expected="method 'nonlinear', the one with a posterior",
            advice="For the algebraic baseline call palpate.solvers.comparators.direct.direct_inversion(field).",
        )
    for metres in METRES_PER_UNIT.values():  # a phase was scaled with the amplitude's unit, which nobody kept
        demand_real_and_imaginary("palpate.invert", field, field.displacement_m / metres)
    grid = inversion_grid(field)
    lattice = lattice_of_run([grid.field])
    zones = zones_on(lattice, MeshSettings(), f"the mask of {field.label}")
    warnings = wave_warnings(field)
    for one in warnings:
        say(f"{field.label}: {one}")  # before the fit: what is wrong with the waves may end it
    regions = _regions(grid.field, labels, anatomy)
    domain = InversionDomain(zones, regions, correlation=correlation, likelihood=likelihood, lattice=lattice)
    inversion = invert_wave_field(grid.field, domain, chosen, comm).on_given(grid)
    return posterior_of_field(field, inversion, chosen, warnings)


def posterior_of_field(
    field: WaveField, inversion: Inversion, settings: InversionSettings, warnings: tuple[QualityWarning, ...]
) -> StiffnessPosterior:
    """Return the posterior of an inversion for a Python session, with the numbers of its files.

    Args:
        field: wave field that was inverted.
        inversion: result of the inversion.
        settings: settings of the inversion.
        warnings: warnings about the wave field, as wave_warnings gives them.
    """
    digest = _digest(field)
    target = Target(Path(), field, field.label, digest, warnings)
    own = frequency_record(target, inversion, settings)
    common = fit_record(inversion, settings) | common_record(settings, {"wavefield": digest})
    if settings.rheology != "per-frequency":
        common |= {"reference_hz": reference_hz(settings, [field.frequency_hz])}
    moduli = [
        _modulus(field.mask, log_mean, log_std)
        for log_mean, log_std in zip(inversion.log_mean, inversion.log_std, strict=True)
    ]
    informed = np.zeros(field.mask.shape, dtype=bool)
    informed[field.mask] = informed_voxels(inversion, settings)

    def write(folder: Path) -> None:
        into = replace(target, folder=folder)
        write_posterior(into, inversion, settings)
        write_parameters(into, inversion.parameters)
        write_record(folder, field.label, [own], common)

    return StiffnessPosterior(
        label=field.label,
        frequency_hz=field.frequency_hz,
        affine_mm=field.affine_mm,
        mask=field.mask,
        storage_kpa=moduli[0],
        loss_kpa=moduli[1],
        informed=informed,
        converged=inversion.fit.converged,
        warnings=recorded_warnings(own),
        record=own | common,
        _draw=lambda: _samples(field, inversion),
        _write=write,
    )


def _regions(field: WaveField, labels: Path | str | None, anatomy: Path | str | None) -> Regions | None:
    if labels is not None:
        return read_regions(Path(labels), field.mask, field.affine_mm)
    return None if anatomy is None else read_classes(Path(anatomy), field.mask, field.affine_mm)


def _modulus(mask: NDArray[np.bool_], log_mean: NDArray[np.float64], log_std: NDArray[np.float64]) -> ModulusPosterior:
    """Return maps of one modulus, with the precision of the files."""
    summary = log_normal(log_mean, log_std)
    volumes = []
    for values_pa in (summary.mean, summary.std, summary.lower, summary.upper):
        volume = np.full(mask.shape, np.nan)
        volume[mask] = pa_to_kpa(values_pa).astype(np.float32)
        volumes.append(volume)
    return ModulusPosterior(*volumes)


def _samples(field: WaveField, inversion: Inversion) -> Samples:
    """Return joint draws, with the precision of the files."""
    moduli_kpa = {
        modulus: pa_to_kpa(np.exp(draws)).astype(np.float32).T
        for modulus, draws in zip(MODULI, inversion.log_draws, strict=True)
    }
    return Samples(moduli_kpa, np.argwhere(field.mask).astype(np.int32), inversion.density_kg_m3)


def _digest(field: WaveField) -> str:
    """Return the SHA-256 of the numbers that are inverted."""
    total = sha256()
    for values in (field.displacement_m, field.mask, field.affine_mm):
        total.update(np.ascontiguousarray(values).tobytes())
    facts = (field.frequency_hz, field.noise_std_m, field.density_kg_m3, field.linear_phase_error_std_m)
    total.update(repr(facts).encode())
    return total.hexdigest()
