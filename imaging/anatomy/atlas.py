"""Real head anatomy: the ICBM152 average brain (symmetric, 2009a) from nilearn's wheel.

Only the files are used; nilearn itself is never imported (it would bring scikit-learn along). Licence and
references of the atlas are in docs/phantom.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.files.nifti import read_nifti
from palpate.package_data import package_file

_BORDER = 2
"""Number of empty voxels kept around the brain; the rest of the atlas is air."""
PACKAGE_DATA = (
    "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "nilearn/datasets/data/mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
)
"""Files of T1, grey and white matter.

palpate.program finds them here, so that results of another atlas are recognised as different.
"""


@dataclass(frozen=True, slots=True)
class Atlas:
    """Tissue fractions of an average brain on a 1 mm grid.

    Attributes:
        t1: T1-weighted intensity, 0..1, shape (i, j, k); zero outside the brain.
        grey: share of grey matter in each voxel, 0..1, same shape.
        white: share of white matter, same shape.
        brain: whether a voxel is brain or the fluid inside it, same shape.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """

    t1: NDArray[np.float64]
    grey: NDArray[np.float64]
    white: NDArray[np.float64]
    brain: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """World coordinates of all voxel centres, mm, shape (i, j, k, 3)."""
        indices = np.moveaxis(np.indices(self.t1.shape, dtype=np.float64), 0, -1)
        return np.asarray(indices @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3])


def load_atlas() -> Atlas:
    """Read the atlas from nilearn's data folder.

    Raises:
        InputError: nilearn is not installed, or its data files are missing.
    """
    (t1, affine_mm), (grey, _), (white, _) = (_read(inside) for inside in PACKAGE_DATA)
    # The T1 average is already cut to the brain; small holes in dark fluid belong to it.
    brain = np.asarray(ndimage.binary_fill_holes(t1 > 0), dtype=np.bool_)
    occupied = [np.flatnonzero(brain.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(max(one[0] - _BORDER, 0), one[-1] + 1 + _BORDER) for one in occupied)
    affine_mm[:3, 3] += affine_mm[:3, :3] @ [one.start for one in box]
    return Atlas(t1[box], (grey * brain)[box], (white * brain)[box], brain[box], affine_mm)


def _read(inside: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values scaled from bytes to 0..1, and the affine."""
    path = package_file(inside)
    if path is None:
        raise InputError(
            "the package nilearn",
            found="not installed",
            expected="its ICBM152 brain maps",
            advice="Install palpate's environment again (make demo does it).",
        )
    if not path.exists():
        raise InputError(
            f"nilearn's data file {path.name}",
            found="no such file",
            expected="the ICBM152 map of nilearn 0.13",
            advice="Install the nilearn version that palpate's lock names.",
        )
    volume = read_nifti(path)
    return volume.values / 255.0, volume.affine_mm
