"""Displacement that you hold as an array, from any scanner, simulation or program."""

# %% Complex displacement U with u(t) = Re(U exp(+i omega t)), shape (i, j, k, 3), and where its voxels lie
import numpy as np
from small_scan import AFFINE_MM, FREQUENCY_HZ, NOISE_UM, displacement_um

import palpate
from palpate.errors import InputError

displacement = displacement_um()
mask = np.ones(displacement.shape[:3], dtype=bool)

# %% The last axis lies along R, A, S; state the unit, and the noise of real and imaginary parts if you know it
field = palpate.WaveField(displacement, AFFINE_MM, FREQUENCY_HZ, mask=mask, units="um", noise=NOISE_UM)
posterior = palpate.invert(field, {"samples": 100})
print(f"in the middle G' is {posterior.storage_kpa.mean[5, 3, 3]:.2f} kPa")
lower, upper = posterior.storage_kpa.interval(0.8)
print(f"and with 80 % probability between {lower[5, 3, 3]:.2f} and {upper[5, 3, 3]:.2f} kPa")

# %% Components along other axes: name the directions, and they are turned into R, A, S
axes = np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
turned = palpate.WaveField(displacement @ axes.T, AFFINE_MM, FREQUENCY_HZ, mask=mask, directions=axes)
assert np.allclose(turned.displacement_m, field.displacement_m)

# %% One component alone: the others are integrated out, and intervals become wider
one = palpate.WaveField(displacement[..., 2:], AFFINE_MM, FREQUENCY_HZ, mask=mask, directions=[[0, 0, 1]], noise=0.2)
alone = palpate.invert(one, {"samples": 100})
print(f"from one component G' is {alone.region(mask).storage_kpa.mean:.2f} kPa")

# %% Data that cannot be right are refused with advice: here micrometres that are called metres
try:
    palpate.WaveField(displacement, AFFINE_MM, FREQUENCY_HZ, mask=mask, units="m")
except InputError as error:
    print(error)
