"""What casts doubt on a result, in sentences: for inversion.json, the log and the page.

A posterior is right if its model is. Where the waves contradict the model, the noise is taken larger until they do not,
and outlying voxels are left out; whoever reads the map must know that it happened.
"""

from __future__ import annotations

import numpy as np

from palpate.solvers.inversion.noise import Noise
from palpate.solvers.inversion.residuals import Residuals

INFLATED = 1.1
"""Factor on the noise, median over zones, above which the waves contradict the model or the stated noise."""

LOCALLY_INFLATED = 1.4
"""The same of the worst twentieth of the zones."""

OUTLYING_SHARE = 0.002
"""Share of voxels without use above which it is more than a vessel or two."""

CORRELATED = 0.15
"""Correlation of neighbouring residuals, beyond that of noise, above which they are a pattern."""

TURNED = 5.0
"""Mean square of slices' turns over what noise leaves, above which slices are off their time. In simulated patients it
is 0.4 to 2, with slices 0.3 ms off their time 45 or more."""


def doubts_of(noise: Noise, residuals: Residuals, voxels: int, outlying: int) -> list[str]:
    """Sentences; none where waves and model agree.

    Args:
        noise: what was stated or measured.
        residuals: what the fit leaves.
        voxels: N.
        outlying: how many of them were left out of the data.
    """
    found = []
    typical, worst = residuals.noise_factor(0.5), residuals.noise_factor(0.95)
    if typical > INFLATED:
        found.append(
            f"The waves do not fit at the {noise.source} noise, which was taken {typical:.2f} times as large: "
            "intervals are wider for it. Check NoiseStd, and whether slices or phases moved."
        )
    elif worst > LOCALLY_INFLATED:
        found.append(
            f"In some parts the waves do not fit at the {noise.source} noise, which was taken {worst:.2f} times as "
            "large there: look for artefacts where the residual map is above 1."
        )
    if outlying > OUTLYING_SHARE * voxels:
        found.append(
            f"{outlying} voxels ({100 * outlying / voxels:.1f} %) do not belong to their neighbours' wave and were "
            "left out of the data: check the unwrapping of the phase."
        )
    turns = residuals.turns
    if turns.ratio > TURNED:
        found.append(
            f"The phases of slices jump by {np.degrees(turns.size_rad):.2f} degrees (root mean square), "
            f"{np.sqrt(turns.ratio):.1f} times what noise explains, and this is only what the fit does not follow: "
            "slices are off their time, stiffness follows the jumps, and intervals may be too narrow. Check slice "
            "times and ingest.slice_timing."
        )
    excess = np.subtract(residuals.correlation, residuals.expected_correlation)
    if excess.max() > CORRELATED:
        found.append(
            f"What the fit leaves is a pattern along axis {'ijk'[int(excess.argmax())]} (correlation "
            f"{excess.max():.2f} beyond that of noise): the model lacks something; intervals may be too narrow."
        )
    return found
