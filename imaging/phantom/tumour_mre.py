"""Simulated elastogram of the in-silico patient on the day of the first scan, without an inversion.

The posterior is taken to be calibrated. Its mean is the true ln G', blurred to a resolution of some millimetres, plus a
smooth error; draws scatter around the mean with the distribution of that error.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.longitudinal import LongitudinalSettings
from palpate.imaging.files.nifti import Volume
from palpate.imaging.phantom.tissue import random_field
from palpate.imaging.phantom.tumour_scene import TumourScene
from palpate.imaging.phantom.tumour_study import Truth
from palpate.imaging.tumour.history import StiffnessDraws, TumourHistory
from palpate.imaging.tumour.onto_grid import TumourGrid

_BLUR_MM: Final = 2.5
_EDGE_MM: Final = 4.0
"""Distance to fluid below which nothing is inverted, mm."""


def measured_stiffness(
    settings: LongitudinalSettings, scene: TumourScene, truth: Truth, history: TumourHistory
) -> StiffnessDraws:
    """Return joint draws of G' on the history's grid; NaN where elastography has none.

    Args:
        settings: errors of the elastogram, and the seed.
        scene: brain of the patient.
        truth: tumour, grown with mechanics.
        history: history that palpate tumour read from the images.
    """
    logs = np.where(scene.tissue, _true_logs(truth), 0.0)
    share, sigma = scene.tissue.astype(np.float64), _BLUR_MM / scene.grid.voxel_mm
    blurred = ndimage.gaussian_filter(logs, sigma) / np.maximum(ndimage.gaussian_filter(share, sigma), 1e-6)
    seen = on_images(history, scene, blurred)
    deep = ndimage.distance_transform_edt(history.tissue, sampling=history.edges_mm) > _EDGE_MM
    generator = np.random.default_rng([settings.seed, 24])
    length = settings.mre_error_length_mm / float(history.edges_mm.mean())
    errors = [random_field(generator, history.tissue.shape, length) for _ in range(1 + settings.mre_draws)]
    middle = seen + settings.mre_log_std * errors[0]
    draws = np.exp(middle + settings.mre_log_std * np.stack(errors[1:]))
    return StiffnessDraws(np.where(deep & np.isfinite(seen), draws, np.nan).astype(np.float32))


def true_stiffness(scene: TumourScene, truth: Truth, history: TumourHistory) -> StiffnessDraws:
    """Return the truth as two equal draws: an elastogram without error, blur or a margin to fluid.

    Args:
        scene: brain of the patient.
        truth: tumour, grown with mechanics.
        history: history that palpate tumour read from the images.
    """
    nearest = ndimage.distance_transform_edt(~scene.tissue, return_distances=False, return_indices=True)
    there = on_images(history, scene, _true_logs(truth)[tuple(nearest)])
    known = np.where(history.tissue & np.isfinite(there), np.exp(there), np.nan)
    return StiffnessDraws(np.stack([known, known]).astype(np.float32))


def _true_logs(truth: Truth) -> NDArray[np.float64]:
    """Return the logarithm of G' on the truth's grid."""
    if truth.storage_pa is None:
        raise ValueError("a truth without mechanics has no stiffness")
    return np.asarray(np.log(truth.storage_pa))


def on_images(history: TumourHistory, scene: TumourScene, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values of the truth's grid on the history's grid; NaN beyond the truth's grid.

    Args:
        history: history that palpate tumour read from the images.
        scene: brain of the patient.
        values: values on the truth's grid, shape of that grid.
    """
    i, j, k = history.tissue.shape
    return TumourGrid((i, j, k), history.affine_mm).interpolated(Volume(values, scene.grid.affine_mm))
