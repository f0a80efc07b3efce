"""Model errors that waves do not show and that every draw includes: uncertain density, and fibres.

Waves determine only G* / rho, so that ln G* is known no better than ln rho, everywhere alike. Where no density is
stated, tissue's density is more probable than the assumed one, which moves the mean as well. With fibres, waves of
different directions depend on different moduli, which hardly shows in the residuals of one vibration (a hundredth of
the misfit where white matter is 30 % stiffer along its fibres). The resulting deviation from the tissue's isotropic
part was measured on pairs of simulated patients, with fibres and without, and on a cohort (docs/decisions/0071, 0074).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.inversion import InversionSettings
from palpate.imaging.fibre_error import (
    CROSS_CORRELATION,
    LENGTHS_MM,
    LOSS_OVER_STORAGE,
    LOSS_SHARES,
    STORAGE_SHARES,
)
from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.prior.prior import MaternField

BRAIN_PERCENT: Final = 2.8
"""Default of anisotropy_percent for brains: allows for white matter that is 10 to 40 % stiffer along its fibres."""


def expected_density_kg_m3(settings: InversionSettings, field: WaveField) -> float:
    """Return the density for which moduli are reported, kg/m3: the stated one, or tissue's where none is stated.

    Args:
        settings: settings, of which tissue_density_kg_m3 is used.
        field: wave field, of which the density, and whether it was only assumed, are used.
    """
    return settings.tissue_density_kg_m3 if field.density_assumed else field.density_kg_m3


def density_shift(settings: InversionSettings, field: WaveField) -> float:
    """Return the mean shift of the logarithms of both moduli: ln (expected rho / rho of the wave field).

    Args:
        settings: settings, of which tissue_density_kg_m3 is used.
        field: wave field, with the density that was used, and whether it was only assumed.
    """
    return float(np.log(expected_density_kg_m3(settings, field) / field.density_kg_m3))


def density_draws_kg_m3(settings: InversionSettings, field: WaveField) -> NDArray[np.float64]:
    """Return the density that each joint draw assumes, kg/m3, shape (samples,): a draw's G* over it is what waves tell.

    Args:
        settings: settings of the inversion.
        field: wave field, with its density, and whether it was only assumed.
    """
    deviation = _density_deviation(settings, field, _generator(settings))
    return np.asarray(expected_density_kg_m3(settings, field) * np.exp(deviation))


def _density_deviation(
    settings: InversionSettings, field: WaveField, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the deviation of ln rho from the expected one in each draw, the first numbers of the generator."""
    percent = settings.tissue_density_percent if field.density_assumed else settings.density_percent
    return np.asarray(percent / 100.0 * generator.standard_normal(settings.samples))


def _generator(settings: InversionSettings) -> np.random.Generator:
    return np.random.default_rng([settings.seed, 6])


def anisotropy_percent(settings: InversionSettings, prior: MaternField) -> float:
    """Return the standard deviation of ln G' because of fibres, percent.

    It is the setting where given, else BRAIN_PERCENT where anatomy tells regions apart.

    Args:
        settings: settings, of which anisotropy_percent is used.
        prior: prior, of which the regions are used.
    """
    if settings.anisotropy_percent is not None:
        return settings.anisotropy_percent
    return BRAIN_PERCENT if prior.regions.shape[1] else 0.0


def add_model_discrepancy(
    draws: NDArray[np.float64], settings: InversionSettings, prior: MaternField, field: WaveField
) -> None:
    """Add random model errors to joint draws, in place; they are 0 on average.

    Draws are treated one after the other: a second array of all draws would be a tenth of the memory that a rank needs
    for a whole brain.

    Args:
        draws: draws of the logarithms of both moduli, shape (2, N, samples).
        settings: settings, of which density_percent, tissue_density_percent, anisotropy_percent, samples and seed are
            used.
        prior: prior, of which voxels and regions are used.
        field: wave field, of which is used whether its density was only assumed.
    """
    generator = _generator(settings)
    draws += _density_deviation(settings, field, generator)
    std = anisotropy_percent(settings, prior) / 100.0
    if std == 0.0:
        return
    weight = 1.0 / len(LENGTHS_MM)
    scales = tuple(
        Hyperparameters(
            std * np.sqrt(storage / weight),
            LOSS_OVER_STORAGE * std * np.sqrt(loss / weight),
            length_mm,
            cross_correlation=CROSS_CORRELATION,
            roughness=0.0,
            mean_std=0.0,
        )
        for storage, loss, length_mm in zip(STORAGE_SHARES, LOSS_SHARES, LENGTHS_MM, strict=True)
    )
    nowhere = sparse.csr_matrix((draws.shape[1], 0))
    fibres = replace(
        prior, hypotheses=HyperparameterMixture(scales, (weight,) * len(scales)), regions=nowhere, local_scale=1.0
    )
    seed = int(generator.integers(2**31))
    for number in range(settings.samples):
        draws[:, :, number] += fibres.draw(range(number, number + 1), seed).reshape(FIELDS, -1)
