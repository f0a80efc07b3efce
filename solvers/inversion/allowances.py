"""What no wave shows, and every draw allows for: a density that is not quite the one stated, and fibres.

Waves tell G* / rho and nothing else, so that ln G* is known no better than ln rho, everywhere alike. Fibres make waves
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
from palpate.solvers.inversion.hyperparameters import Hypotheses, PriorScale
from palpate.solvers.inversion.prior import MaternField

TRACT_MM: Final = 15.0
"""Correlation length of what fibres do."""
ALIKE: Final = 0.99
"""Correlation of that in both moduli."""


def allowances(settings: InversionSettings, prior: MaternField) -> NDArray[np.float64]:
    """What is added to the logarithms of both moduli, shape (2, N, samples) or one that broadcasts to it.

    Args:
        settings: density_percent, anisotropy_percent, samples and seed.
        prior: whose voxels.
    """
    generator = np.random.default_rng([settings.seed, 6])
    densities = settings.density_percent / 100.0 * generator.standard_normal(settings.samples)
    if settings.anisotropy_percent == 0.0:
        return densities
    std = settings.anisotropy_percent / 100.0
    scale = PriorScale(std, std, TRACT_MM, coupling=ALIKE, roughness=0.0, mean_std=0.0)
    voxels = prior.regions.shape[0]
    nowhere = sparse.csr_matrix((voxels, 0))
    fibres = replace(prior, hypotheses=Hypotheses.certain(scale), regions=nowhere, loosening=1.0)
    seed = int(generator.integers(2**31))
    return densities + fibres.draw(range(settings.samples), seed).reshape(-1, voxels, settings.samples)
