"""What elastography would say of the in-silico patient's stiffness on the day of the first scan.

Not an inversion: the posterior is taken to be honest. Its mean is the true ln G', as blurred as a map of some
millimetres is, plus a smooth error; draws scatter around the mean as that error does around nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from palpate.config.longitudinal import LongitudinalSettings
from palpate.imaging.nifti import Volume
from palpate.imaging.phantom.tissue import random_field
from palpate.imaging.phantom.tumour_scene import Scene
from palpate.imaging.phantom.tumour_study import Truth
from palpate.imaging.tumour.history import Stiffness, TumourHistory
from palpate.imaging.tumour.onto_grid import TumourGrid

_BLUR_MM: Final = 2.5
_EDGE_MM: Final = 4.0
"""Nearer to fluid nothing is inverted."""


def measured_stiffness(settings: LongitudinalSettings, scene: Scene, truth: Truth, history: TumourHistory) -> Stiffness:
    """Joint draws of G' on the history's grid, NaN where elastography has none.

    Args:
        settings: errors of the elastogram, seed.
        scene: the patient's brain.
        truth: the tumour, grown with mechanics.
        history: what the door made of the images.
    """
    if truth.storage_pa is None:
        raise ValueError("a truth without mechanics has no stiffness")
    logs = np.where(scene.tissue, np.log(truth.storage_pa), 0.0)
    share, sigma = scene.tissue.astype(np.float64), _BLUR_MM / scene.grid.voxel_mm
    blurred = ndimage.gaussian_filter(logs, sigma) / np.maximum(ndimage.gaussian_filter(share, sigma), 1e-6)
    i, j, k = history.tissue.shape
    seen = TumourGrid((i, j, k), history.affine_mm).interpolated(Volume(blurred, scene.grid.affine_mm))
    deep = ndimage.distance_transform_edt(history.tissue, sampling=history.edges_mm) > _EDGE_MM
    generator = np.random.default_rng([settings.seed, 24])
    length = settings.mre_error_mm / float(history.edges_mm.mean())
    errors = [random_field(generator, history.tissue.shape, length) for _ in range(1 + settings.mre_draws)]
    middle = seen + settings.mre_log_std * errors[0]
    draws = np.exp(middle + settings.mre_log_std * np.stack(errors[1:]))
    return Stiffness(np.where(deep & np.isfinite(seen), draws, np.nan).astype(np.float32))
