"""What no wave shows, and every draw allows for: a density that is not quite the one stated, and fibres.

Waves tell G* / rho and nothing else, so that ln G* is known no better than ln rho, everywhere alike. Where nobody
states it, what tissue has is likelier than what is assumed, which moves the mean as well. Fibres make waves
of different directions see different moduli, which one vibration's residuals hardly betray (a hundredth of the misfit
where white matter is 30 % stiffer along its fibres). How what is found strays from the tissue's isotropic part was seen
on pairs of simulated patients, with fibres and without, and on a cohort (docs/decisions/0071, 0074).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, Hypotheses, PriorScale
from palpate.solvers.inversion.prior.prior import MaternField

LENGTHS_MM: Final = (6.0, 24.0)
"""Correlation lengths of what fibres do: half a wave, and a tract."""
STORAGE_SHARES: Final = (1.0, 0.0)
LOSS_SHARES: Final = (0.2, 0.8)
"""Of the variance in ln G' and ln G'' at these lengths."""
LOSS_OVER_STORAGE: Final = 1.5
"""Standard deviation in ln G'' over that in ln G'."""
COUPLING: Final = 0.55
"""Correlation of the two where they share a length."""
BRAIN_PERCENT: Final = 2.8
"""What is taken for brains, where nobody asks for another: white matter 10 to 40 % stiffer along its fibres."""


def expected_density_kg_m3(settings: InversionSettings, field: WaveField) -> float:
    """The density that moduli are given for: the stated one, or tissue's where nobody states it.

    Args:
        settings: tissue_density_kg_m3.
        field: its density, and whether that was only assumed.
    """
    return settings.tissue_density_kg_m3 if field.density_assumed else field.density_kg_m3


def density_shift(settings: InversionSettings, field: WaveField) -> float:
    """What is added to the logarithms of both moduli on average: ln (expected rho / rho of the wave field).

    Args:
        settings: tissue_density_kg_m3.
        field: the density that was used, and whether it was only assumed.
    """
    return float(np.log(expected_density_kg_m3(settings, field) / field.density_kg_m3))


def anisotropy_percent(settings: InversionSettings, prior: MaternField) -> float:
    """How far fibres may make ln G* stray: as asked, else BRAIN_PERCENT where anatomy tells regions apart.

    Args:
        settings: anisotropy_percent.
        prior: its regions.
    """
    if settings.anisotropy_percent is not None:
        return settings.anisotropy_percent
    return BRAIN_PERCENT if prior.regions.shape[1] else 0.0


def add_allowances(
    draws: NDArray[np.float64], settings: InversionSettings, prior: MaternField, field: WaveField
) -> None:
    """Add them to joint draws, in place; 0 on average.

    One draw after the other: a second array of all draws would be a tenth of what a rank holds of a whole brain.

    Args:
        draws: of the logarithms of both moduli, shape (2, N, samples).
        settings: density_percent, tissue_density_percent, anisotropy_percent, samples and seed.
        prior: whose voxels and regions.
        field: whether its density was only assumed.
    """
    generator = np.random.default_rng([settings.seed, 6])
    percent = settings.tissue_density_percent if field.density_assumed else settings.density_percent
    draws += percent / 100.0 * generator.standard_normal(settings.samples)
    std = anisotropy_percent(settings, prior) / 100.0
    if std == 0.0:
        return
    share = 1.0 / len(LENGTHS_MM)
    scales = tuple(
        PriorScale(
            std * np.sqrt(storage / share),
            LOSS_OVER_STORAGE * std * np.sqrt(loss / share),
            length_mm,
            coupling=COUPLING,
            roughness=0.0,
            mean_std=0.0,
        )
        for storage, loss, length_mm in zip(STORAGE_SHARES, LOSS_SHARES, LENGTHS_MM, strict=True)
    )
    nowhere = sparse.csr_matrix((draws.shape[1], 0))
    fibres = replace(prior, hypotheses=Hypotheses(scales, (share,) * len(scales)), regions=nowhere, loosening=1.0)
    seed = int(generator.integers(2**31))
    for number in range(settings.samples):
        draws[:, :, number] += fibres.draw(range(number, number + 1), seed).reshape(FIELDS, -1)
