"""Files of an inversion: maps in kPa, joint draws and the record of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.imaging.files.draws import block_places, write_draws
from palpate.imaging.files.maps import write_map, write_mask
from palpate.imaging.files.stiffness_folder import MODULI, MODULUS_WORDS, STATISTIC_WORDS
from palpate.imaging.files.wavefield_folder import frequency_text
from palpate.imaging.wavefield import WaveField
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.renamed import record_text
from palpate.solvers.comparators.direct import DirectResult
from palpate.solvers.inversion.checks.model_evidence import Evidence
from palpate.solvers.inversion.checks.warnings import fit_warnings
from palpate.solvers.inversion.posterior.model_discrepancy import anisotropy_percent, expected_density_kg_m3
from palpate.solvers.inversion.prior.correlation import correlation_name
from palpate.solvers.inversion.run import Inversion
from palpate.solvers.inversion.steps.reweighting import LITTLE_WEIGHT
from palpate.solvers.inversion.zone.data_weights import likelihood_name
from palpate.solvers.rheology import SPRINGPOT_VISCOSITY_PA_S
from palpate.solvers.summary import Summary, log_normal
from palpate.units import m_to_um, pa_to_kpa


@dataclass(frozen=True, slots=True)
class MapQuantity:
    """Quantity that a map shows.

    Attributes:
        words: name of the quantity.
        units: units of its maps.
        in_files: conversion from SI units to those of its maps.
    """

    words: str
    units: str
    in_files: Callable[[NDArray[np.float64]], NDArray[np.float64]]


QUANTITIES = {
    "storagemodulus": MapQuantity(MODULUS_WORDS["storagemodulus"], "kPa", pa_to_kpa),
    "lossmodulus": MapQuantity(MODULUS_WORDS["lossmodulus"], "kPa", pa_to_kpa),
    "springpotmodulus": MapQuantity(
        f"springpot modulus mu at a viscosity of {SPRINGPOT_VISCOSITY_PA_S:g} Pa s", "kPa", pa_to_kpa
    ),
    "springpotalpha": MapQuantity("springpot exponent alpha", "1", np.asarray),
    "viscosity": MapQuantity("Kelvin-Voigt viscosity eta", "Pa s", np.asarray),
}
"""Words, unit and conversion from SI of the quantities, by their names in file names."""


@dataclass(frozen=True, slots=True)
class Target:
    """Destination of the files of one wave field.

    Attributes:
        folder: the output folder.
        field: the wave field.
        stem: stem of file names: the label, with the frequency where the run holds several.
        digest: digest of the wave-field folder.
        warnings: warnings about the wave field from its import.
    """

    folder: Path
    field: WaveField
    stem: str
    digest: str
    warnings: tuple[QualityWarning, ...] = ()

    def map(self, values: NDArray[np.float64], name: str, units: str, description: str) -> None:
        """Write one value per mask voxel, shape (N,), as a map."""
        volume = np.full(self.field.mask.shape, np.nan, dtype=np.float32)
        volume[self.field.mask] = values
        path = self.folder / f"{self.stem}_{name}.nii.gz"
        write_map(path, volume, self.field.affine_mm, units=units, description=description, source_digest=self.digest)

    def mask(self, inside: NDArray[np.bool_], name: str, description: str) -> None:
        """Write one truth value per mask voxel, shape (N,), as a mask."""
        volume = np.zeros(self.field.mask.shape, dtype=bool)
        volume[self.field.mask] = inside
        path = self.folder / f"{self.stem}_{name}.nii.gz"
        write_mask(path, volume, self.field.affine_mm, description=description, source_digest=self.digest)


def stems(fields: Sequence[WaveField]) -> list[str]:
    """Return the file-name stem of each wave field: its label, and its frequency where the label holds several."""
    labels = [field.label for field in fields]
    return [
        f"{field.label}_acq-{frequency_text(field.frequency_hz)}Hz" if labels.count(field.label) > 1 else field.label
        for field in fields
    ]


def informed_voxels(inversion: Inversion, settings: InversionSettings) -> NDArray[np.bool_]:
    """Return whether each voxel is informed: whether its G' comes mostly from the data, shape (N,).

    The data must remove a larger share of the prior variance than one setting, and the remaining standard deviation
    must be below the other: next to fluid the prior is so wide that the larger part of its variance can be removed and
    G' still be hardly known.
    """
    removed = 1.0 - (inversion.log_std[0] / inversion.prior_std[0]) ** 2
    return np.asarray((removed > settings.informed_variance_reduction) & (inversion.log_std[0] < settings.informed_std))


def write_posterior(target: Target, inversion: Inversion, settings: InversionSettings) -> None:
    """Write mean, std and 95 % bounds, informed mask, residual map, baseline and draws of one wave field."""
    for modulus, log_mean, log_std in zip(MODULI, inversion.log_mean, inversion.log_std, strict=True):
        _write_summary(target, log_normal(log_mean, log_std), modulus, QUANTITIES[modulus])
    target.mask(
        informed_voxels(inversion, settings), "desc-informed_mask", "voxels whose value comes mostly from this scan"
    )
    target.map(
        inversion.residuals.size, "desc-residual_map", "1", "size of the residual over what noise alone would leave"
    )
    if inversion.weights is not None:
        target.map(inversion.weights.min(axis=1), "desc-weight_map", "1", "smallest weight of a voxel's data")
    write_direct(target, inversion.direct)
    _write_draws(target, inversion)


def write_parameters(target: Target, parameters: Mapping[str, Summary]) -> None:
    """Write maps of mean, std and 95 % bounds of the rheology's parameters, which hold for all frequencies of a run."""
    for name, summary in parameters.items():
        _write_summary(target, summary, name, QUANTITIES[name])


def _write_summary(target: Target, summary: Summary, name: str, quantity: MapQuantity) -> None:
    for statistic, what in STATISTIC_WORDS.items():
        values = quantity.in_files(getattr(summary, statistic))
        target.map(values, f"stat-{statistic}_{name}", quantity.units, f"{what} of the {quantity.words}")


def write_direct(target: Target, direct: DirectResult) -> None:
    """Write maps of the algebraic baseline."""
    for modulus, values_pa in zip(MODULI, (direct.storage_pa, direct.loss_pa), strict=True):
        inside = pa_to_kpa(values_pa[target.field.mask])
        target.map(
            inside, f"desc-direct_{modulus}", "kPa", f"{QUANTITIES[modulus].words} by direct inversion, no uncertainty"
        )


def _write_draws(target: Target, inversion: Inversion) -> None:
    """Write the joint draws a few voxels at a time, so that no second copy of them fills the memory."""
    log_storage, log_loss = inversion.log_draws
    write_draws(
        target.folder / f"{target.stem}_samples.h5",
        (
            (here, pa_to_kpa(np.exp(log_storage[here])).T, pa_to_kpa(np.exp(log_loss[here])).T)
            for here in block_places(*log_storage.shape)
        ),
        np.argwhere(target.field.mask),
        inversion.density_kg_m3,
        target.field.affine_mm,
    )


def frequency_record(target: Target, inversion: Inversion, settings: InversionSettings) -> dict[str, Any]:
    """Return the entries of inversion.json about one wave field."""
    noise, residuals, outlying = inversion.noise, inversion.residuals, int(inversion.outlying.sum())
    found = fit_warnings(
        noise,
        residuals,
        voxels=inversion.outlying.size,
        outlying=outlying,
        converged=inversion.fit.converged,
        steps=len(inversion.fit.state.history),
    )
    return {
        "frequency_hz": target.field.frequency_hz,
        "density_kg_m3": expected_density_kg_m3(settings, target.field),
        "density_assumed": target.field.density_assumed,
        "anisotropy_percent": anisotropy_percent(settings, inversion.fit.prior),
        "converged": inversion.fit.converged,
        "noise_std_um": m_to_um(noise.std_m),
        "noise_stated_std_um": None if noise.stated_std_m is None else m_to_um(noise.stated_std_m),
        "noise_source": noise.source,
        "noise_inflation": residuals.noise_factor(0.5),
        "noise_inflation_of_zones": [residuals.noise_factor(quantile) for quantile in (0.05, 0.95)],
        "misfit": {frequency_text(target.field.frequency_hz): residuals.misfit_ratio},
        "likelihood": _likelihood_record(inversion),
        "residual_whiteness": {
            "power_over_noise": residuals.ratio,
            "lag1_correlation": list(residuals.correlation),
            "lag1_correlation_of_noise": list(residuals.expected_correlation),
        },
        "slice_phase_errors": {
            "rms_deg": float(np.degrees(residuals.phase_errors.size_rad)),
            "power_over_noise": residuals.phase_errors.ratio,
        },
        "informed_share": float(informed_voxels(inversion, settings).mean()),
        "outlying_voxels": outlying,
        "warnings": [one.as_record() for one in (*found, *target.warnings)],
    }


def _likelihood_record(inversion: Inversion) -> dict[str, Any]:
    """Return the likelihood of the errors, the mean weight, and the fraction of data of little weight."""
    record: dict[str, Any] = {"law": likelihood_name(inversion.likelihood)}
    if inversion.weights is not None:
        record["mean_weight"] = float(inversion.weights.mean())
        record["low_weight_fraction"] = float(np.mean(inversion.weights < LITTLE_WEIGHT))
    return record


def fit_record(inversion: Inversion, settings: InversionSettings) -> dict[str, Any]:
    """Return the entries of inversion.json about one fit, of one wave field or of several together."""
    fit, balance = inversion.fit, inversion.load_balance
    return evidence_record(inversion.evidence) | {
        "iterations": [asdict(iteration) for iteration in fit.state.history],
        "prior": asdict(fit.prior.scale)
        | {
            "fitted": settings.fit_prior,
            "correlation": correlation_name(fit.prior.hypotheses.correlation),
            "region_scales": fit.prior.hypotheses.region_scales,
            "mixture": [
                {"probability": probability} | asdict(scale)
                for probability, scale in zip(
                    fit.prior.hypotheses.probabilities, fit.prior.hypotheses.scales, strict=True
                )
            ],
        },
        "counts": dict(inversion.counter.counts) | {"conjugate_gradients": fit.posterior.iterations},
        "seconds": {phase: round(value, 3) for phase, value in inversion.counter.seconds.items()},
        "load_balance": {
            "busy_s_per_rank": [round(seconds, 3) for seconds in balance.busy_s],
            "waiting_s_per_rank": [round(seconds, 3) for seconds in balance.waiting_s],
            "efficiency": round(balance.efficiency, 4),
            "cpu_s_per_rank": [round(one.cpu_s, 3) for one in inversion.used],
            "peak_memory_mb_per_rank": [round(peak_mb, 1) for peak_mb in inversion.peak_memory_mb],
        },
        "peak_memory_mb": max(inversion.peak_memory_mb),
        "ranks": len(inversion.used),
        "samples": settings.samples,
    }


def evidence_record(evidence: Evidence | None) -> dict[str, Any]:
    """Return the entries of inversion.json about the evidence, the probability of the data under a model."""
    return {
        "log_evidence": None if evidence is None else evidence.log_value,
        "log_evidence_standard_error": None if evidence is None else evidence.standard_error,
    }


def write_record(folder: Path, label: str, records: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> None:
    """Write inversion.json of a label: the record of its wave field, or of each where it holds several frequencies.

    Args:
        folder: the output folder.
        label: label of the run.
        records: records of the wave fields, one for each frequency.
        common: entries that hold for all of them; they replace equal keys of the records.
    """
    content = dict(records[0])
    if len(records) > 1:
        content |= {
            "frequency_hz": [one["frequency_hz"] for one in records],
            "converged": all(one["converged"] for one in records),
            "warnings": _joined([one["warnings"] for one in records]),
            "per_frequency": list(records),
        }
        if "misfit" in content:  # the algebraic baseline has none
            content["misfit"] = {k: v for one in records for k, v in one["misfit"].items()}
    text = record_text("inversion", content | dict(common))
    (folder / f"{label}_inversion.json").write_text(text, encoding="utf-8")


def _joined(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the lists of all frequencies, one after the other, without repetition."""
    joined: list[Any] = []
    for of_frequency in lists:
        joined += [one for one in of_frequency if one not in joined]
    return joined


def common_record(settings: InversionSettings, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the entries of inversion.json that all wave fields share."""
    return {
        "versions": versions(),
        "settings": settings.model_dump(mode="json"),
        "input_digests": dict(digests),
    }
