"""Warnings about the result of a fit: for inversion.json, the log and the page.

A posterior is right if its model is. Where the waves contradict the model, the noise is taken larger until they do not,
and outlying voxels are left out; the reader of the map must know that this happened. Noise that is overstated is never
taken smaller: intervals are then wider than the data allow, and a warning says so.
"""

from __future__ import annotations

import numpy as np

from palpate.imaging.limits.check_limits import MISFIT_LOW
from palpate.quality_warning import QualityWarning
from palpate.solvers.inversion.checks.residuals import Residuals
from palpate.solvers.inversion.zone.noise import NoiseModel

INFLATED = 1.1
"""Factor on the noise, median over zones, above which the waves contradict the model or the stated noise."""

LOCALLY_INFLATED = 1.4
"""Factor on the noise, 95th percentile over zones, above which waves contradict the model in some parts."""

OUTLYING_SHARE = 0.002
"""Share of voxels left out of the data, whose weight is below one half, above which a warning is given: it is more than
a vessel or two."""

CORRELATED = 0.15
"""Correlation of neighbouring residuals, beyond that of noise, above which they are a pattern."""

LARGE_PHASE_ERRORS = 5.0
"""Mean square of slices' phase errors over that of noise, above which slice times are wrong. In simulated patients it
is 0.4 to 2, and 45 or more with slices 0.3 ms off their time."""


def fit_warnings(
    noise: NoiseModel, residuals: Residuals, *, voxels: int, outlying: int, converged: bool, steps: int
) -> list[QualityWarning]:
    """Return the warnings of one fit; none where waves and model agree.

    Args:
        noise: stated or measured noise.
        residuals: residuals of the fit.
        voxels: number N of voxels in the mask.
        outlying: number of voxels that were left out of the data.
        converged: whether the iterations ended by themselves.
        steps: number of Gauss-Newton steps that were made.
    """
    found = [] if converged else [_not_converged(steps)]
    found += _noise_size(noise, residuals)
    if outlying > OUTLYING_SHARE * voxels:
        sentence = (
            f"{outlying} voxels ({100 * outlying / voxels:.1f} %) do not measure the wave, by their neighbours or by "
            "the fit, and were left out of the data."
        )
        advice = "Check the unwrapping of the phase, and whether there is signal where the weight map is below 0.5."
        found.append(QualityWarning("outlying-voxels", sentence, advice))
    phase_errors = residuals.phase_errors
    if phase_errors.ratio > LARGE_PHASE_ERRORS:
        sentence = (
            f"The phases of slices jump by {np.degrees(phase_errors.size_rad):.2f} degrees (root mean square), "
            f"{np.sqrt(phase_errors.ratio):.1f} times what noise explains; jumps that the fit follows come on top. "
            "Slices have other times than stated: stiffness follows the jumps, and intervals may be too narrow."
        )
        found.append(QualityWarning("slice-phase-errors", sentence, "Check slice times and ingest.slice_timing."))
    excess = np.subtract(residuals.correlation, residuals.expected_correlation)
    if excess.max() > CORRELATED:
        sentence = (
            f"The residual has a pattern along axis {'ijk'[int(excess.argmax())]} (correlation "
            f"{excess.max():.2f} beyond that of noise): the model lacks something, or the noise of neighbours is "
            "correlated because images were interpolated. Intervals may be too narrow."
        )
        advice = "Check whether the images are at the acquired matrix, and look at the residual map."
        found.append(QualityWarning("patterned-residual", sentence, advice))
    return found


def _not_converged(steps: int) -> QualityWarning:
    sentence = f"The inversion did not converge in {steps} steps; its maps are not a result."
    return QualityWarning("not-converged", sentence, "Raise max_iterations, or check the wave field.")


def _noise_size(noise: NoiseModel, residuals: Residuals) -> list[QualityWarning]:
    """Warn of noise that is smaller or much larger than the residuals of the fit."""
    typical, worst = residuals.noise_factor(0.5), residuals.noise_factor(0.95)
    if typical > INFLATED:
        sentence = (
            f"The waves do not fit at the {noise.source} noise, which was taken {typical:.2f} times as large: "
            "intervals are wider for that reason."
        )
        return [QualityWarning("noise-too-small", sentence, "Check NoiseStd, and whether slices or phases moved.")]
    if worst > LOCALLY_INFLATED:
        sentence = (
            f"In some parts the waves do not fit at the {noise.source} noise, which was taken {worst:.2f} times as "
            "large there."
        )
        return [
            QualityWarning(
                "noise-too-small-in-parts", sentence, "Look for artefacts where the residual map is above 1."
            )
        ]
    if residuals.misfit_ratio < MISFIT_LOW:
        sentence = (
            f"The waves fit {1.0 / max(residuals.misfit_ratio, 1e-9):.3g} times better than the {noise.source} noise "
            "allows: the noise is overstated, or images were interpolated or smoothed. Intervals are not valid for "
            "this scan."
        )
        advice = "Check NoiseStd (in the displacement's unit), and give unfiltered images at their acquired matrix."
        return [QualityWarning("noise-overstated", sentence, advice)]
    return []
