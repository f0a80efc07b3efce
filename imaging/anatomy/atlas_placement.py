"""Place of the average brain on a patient's image: a similarity, refined rigidly, with the uncertainty of that.

A similarity brings the atlas to about the patient's size and place. A rigid registration refines it, and its jackknife
over groups of cubes of the image says how far parts of the brain disagree about the place: individual brains differ
from the average, so that this is mostly anatomy and not noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas
from palpate.imaging.anatomy.brain_mask import similarity_to_atlas
from palpate.imaging.files.nifti import Volume, voxel_indices
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.register import register

_VOXEL_MM: Final = 2.0
"""Voxel to which a finer image is averaged before it is registered, mm."""
_BRIGHT: Final = 0.3
"""Share of the 90th percentile above which voxels count as bright."""
_ANATOMY_MM: Final = 2.0
"""Standard deviation along each axis by which an average brain lies off an individual one as a whole, mm; added to what
the jackknife measures, which does not see errors that all parts share."""


@dataclass(frozen=True, slots=True)
class AtlasPlacement:
    """Place of the atlas on an image.

    Attributes:
        affine_mm: voxel indices of the atlas to the image's world by the similarity, millimetres, shape (4, 4).
        placement: rigid motion from the image's world to that place, with its covariance.
    """

    affine_mm: NDArray[np.float64]
    placement: Placement


def place_atlas(image: Volume, atlas: Atlas, where: str) -> AtlasPlacement:
    """Lay the atlas on a T1 or magnitude image of a head. Equal input gives equal output.

    Args:
        image: image, shape (i, j, k).
        atlas: atlas of the brain.
        where: file or label of the image, for the error.

    Raises:
        InputError: the atlas cannot be registered to the image.
    """
    coarse = _coarse(image)
    similarity = similarity_to_atlas(coarse, threshold=_BRIGHT, where=where, atlas=atlas)
    affine_mm = np.asarray(np.linalg.solve(similarity, atlas.affine_mm))
    tissue = _brain_on(coarse, atlas, affine_mm)
    if not tissue.any():
        raise _refusal(where, "no brain in the image")
    found = register(coarse, tissue, Volume(atlas.t1, affine_mm))
    # The checks of one head's images are stricter than an average brain can be: parts of it disagree by millimetres.
    if found.figures["agreeing_starts"] < 2 or found.figures["overlap"] < 0.8:  # type: ignore[operator]
        raise _refusal(where, "a head on which the atlas has no clear place")
    covariance = found.covariance + np.diag([0.0] * 3 + [_ANATOMY_MM**2] * 3)
    return AtlasPlacement(affine_mm, Placement("registered", found.motion, covariance, None, found.figures))


def _coarse(image: Volume) -> Volume:
    """Return an image of voxels of about 2 mm, blurred before voxels are left out."""
    edges_mm = np.linalg.norm(image.affine_mm[:3, :3], axis=0)
    step = np.maximum(1, np.round(_VOXEL_MM / edges_mm)).astype(int)
    if np.all(step == 1):
        return image
    blurred = ndimage.gaussian_filter(image.values.astype(np.float32), np.where(step > 1, 0.4 * step, 0.0))
    affine_mm = image.affine_mm @ np.diag([*step.astype(float), 1.0])
    return Volume(blurred[:: step[0], :: step[1], :: step[2]].astype(np.float64), affine_mm)


def _brain_on(image: Volume, atlas: Atlas, affine_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the voxels of an image whose centres lie in the atlas's brain, shape (i, j, k)."""
    points_mm = (
        np.argwhere(np.ones(image.values.shape, dtype=bool)) @ image.affine_mm[:3, :3].T + image.affine_mm[:3, 3]
    )
    index = np.rint(voxel_indices(affine_mm, points_mm)).astype(int)
    within = np.all((index >= 0) & (index < atlas.brain.shape), axis=1)
    found = np.zeros(len(index), dtype=bool)
    found[within] = atlas.brain[tuple(index[within].T)]
    return found.reshape(image.values.shape)


def _refusal(where: str, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        expected="an image of most of a head, on which the average brain can be laid",
        advice="Name labels of this patient with --labels instead.",
    )
