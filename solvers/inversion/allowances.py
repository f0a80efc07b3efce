"""What no wave shows, and every draw allows for: a density that is not quite the one stated, and fibres.

Waves tell G* / rho and nothing else, so that ln G* is known no better than ln rho, everywhere alike. Where nobody
states it, what tissue has is likelier than what is assumed, which moves the mean as well. Fibres make waves
of different directions see different moduli, which one vibration's residuals hardly betray (a hundredth of the misfit
where white matter is 30 % stiffer along its fibres); the modulus found strays from the tissue's isotropic part over
about the width of a tract.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.config.inversion import InversionSettings
from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.hyperparameters import Hypotheses, PriorScale
from palpate.solvers.inversion.prior import MaternField

TRACT_MM: Final = 15.0
"""Correlation length of what fibres do."""
ALIKE: Final = 0.99
"""Correlation of that in both moduli."""


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


def allowances(settings: InversionSettings, prior: MaternField, field: WaveField) -> NDArray[np.float64]:
    """What is added to them in each draw, shape (2, N, samples) or one that broadcasts to it; 0 on average.

    Args:
        settings: density_percent, tissue_density_percent, anisotropy_percent, samples and seed.
        prior: whose voxels.
        field: whether its density was only assumed.
    """
    generator = np.random.default_rng([settings.seed, 6])
    percent = settings.tissue_density_percent if field.density_assumed else settings.density_percent
    densities = percent / 100.0 * generator.standard_normal(settings.samples)
    if settings.anisotropy_percent == 0.0:
        return densities
    std = settings.anisotropy_percent / 100.0
    scale = PriorScale(std, std, TRACT_MM, coupling=ALIKE, roughness=0.0, mean_std=0.0)
    voxels = prior.regions.shape[0]
    nowhere = sparse.csr_matrix((voxels, 0))
    fibres = replace(prior, hypotheses=Hypotheses.certain(scale), regions=nowhere, loosening=1.0)
    seed = int(generator.integers(2**31))
    return densities + fibres.draw(range(settings.samples), seed).reshape(-1, voxels, settings.samples)
