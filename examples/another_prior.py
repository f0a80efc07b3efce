"""Another prior covariance: an exponential correlation of points instead of the default mixture of Matern fields.

`palpate.invert` takes any function of the signature of `palpate.solvers.inversion.prior.correlation.Correlation`, whose
docstring says what such a function must keep. It enters the prior, the evidence of its hyperparameters and its draws.
"""

# %%
import numpy as np
from numpy.typing import NDArray
from small_scan import AFFINE_MM, FREQUENCY_HZ, NOISE_UM, SHAPE, displacement_um

import palpate


def exponential(
    distance_mm: NDArray[np.float64], length_mm: float, roughness: float, edge_mm: float
) -> NDArray[np.float64]:
    """Return exp(-r / l): rough at every scale, and of points, where the default is one of means over voxels."""
    return np.exp(-distance_mm / length_mm)


# %% The same data under both priors
field = palpate.WaveField(displacement_um(), AFFINE_MM, FREQUENCY_HZ, mask=np.ones(SHAPE), noise=NOISE_UM)
priors = {"default": {}, "exponential": {"correlation": exponential}}
for name, prior in priors.items():
    posterior = palpate.invert(field, {"samples": 100}, **prior)
    storage, law = posterior.storage_kpa, posterior.record["prior"]["correlation"]
    width = np.mean((storage.upper - storage.lower) / storage.mean)
    print(f"{name} ({law}): mean width of the voxels' 95 % intervals {100 * width:.0f} %")
    print(f"    mean of all: {posterior.region(posterior.mask).storage_kpa}")
