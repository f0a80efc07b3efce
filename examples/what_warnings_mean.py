"""Warnings about doubtful data and about an unfinished fit, and how a script checks for them."""

# %% Sound data give no warning
import numpy as np
from small_scan import AFFINE_MM, FREQUENCY_HZ, NOISE_UM, SHAPE, displacement_um

import palpate
from palpate.errors import InputError

QUICK = {"samples": 40}
mask = np.ones(SHAPE, dtype=bool)


def scanned(displacement: np.ndarray, **changes: object) -> palpate.WaveField:
    """Return the wave field of a displacement in micrometres."""
    return palpate.WaveField(displacement, AFFINE_MM, FREQUENCY_HZ, mask=mask, **({"noise": NOISE_UM} | changes))


sound = palpate.invert(scanned(displacement_um()), QUICK)
print("sound:", sound.converged, [one.code for one in sound.warnings])

# %% A warning has a code for programs, a sentence that names the cause, and advice. docs/warnings.md lists all codes
unfinished = palpate.invert(scanned(displacement_um()), QUICK | {"max_iterations": 1})
for one in unfinished.warnings:
    print(f"{one.code}\n    {one.sentence}\n    {one.advice}")
assert "not-converged" in {one.code for one in unfinished.warnings}
assert not unfinished.converged

# %% The wrong sign of time: waves that gain energy, which no stiffness explains. (In a larger scan: `sign-of-time`)
try:
    palpate.invert(scanned(displacement_um().conj()), QUICK)
except InputError as error:
    print(f"conjugate: {error}")

# %% Noise stated four times as large as it is: intervals would be too wide
louder = palpate.invert(scanned(displacement_um(), noise=4.0 * NOISE_UM), QUICK)
print("noise overstated:", [one.code for one in louder.warnings])

# %% Data that cannot be right are refused instead
try:
    scanned(displacement_um(), units="m")
except InputError as error:
    print(f"refused: {error}")

# %% A script that runs unattended checks convergence and warnings before it uses a number
usable = sound.converged and not {"sign-of-time", "implausible-modulus"} & {one.code for one in sound.warnings}
print("to be used:", usable)
