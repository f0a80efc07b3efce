"""Tissue mask from magnitude alone, by threshold and shape, without an atlas or a neural network."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

_BRIGHT_PERCENTILE = 90.0
_SMALL_PATCH = 0.05


def tissue_mask(
    magnitude: NDArray[np.float64], voxel_size_mm: NDArray[np.float64], *, threshold: float, opening_mm: float
) -> NDArray[np.bool_]:
    """Return tissue as the largest bright piece of an image.

    The steps are: take voxels above a share of the bright tissue's signal; cut thin bridges in the plane of the slices
    (slices may be far apart); keep the largest connected piece; drop small parts of it that touch it only through other
    slices; fill holes slice by slice. Fluid spaces inside are kept: they carry waves, and the inversion needs an
    unbroken domain.

    Args:
        magnitude: mean signal, shape (i, j, k).
        voxel_size_mm: voxel edges along i, j, k, mm, shape (3,).
        threshold: share of the 90th percentile of the signal, between 0 and 1.
        opening_mm: width below which bridges are cut, mm.

    Returns:
        The mask, shape (i, j, k); empty if the image is.
    """
    bright = bright_voxels(magnitude, threshold)
    radius = [int(np.round(opening_mm / 2.0 / edge)) for edge in voxel_size_mm[:2]] + [0]
    # SimpleITK counts axes backwards; the arrays are transposed once here and once on the way out.
    image = sitk.GetImageFromArray(bright.T.astype(np.uint8))
    if any(radius):
        # Erosion treats the outside as tissue, so that a block cut out of tissue keeps its rim.
        image = sitk.BinaryErode(image, radius, boundaryToForeground=True)
        image = sitk.BinaryDilate(image, radius, boundaryToForeground=False)
    piece = largest_piece(np.asarray(sitk.GetArrayFromImage(image)).T.astype(bool))
    return np.stack([_tidy(piece[..., k]) for k in range(piece.shape[2])], axis=2)


def bright_voxels(magnitude: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Return voxels above a share of the 90th percentile of an image's signal."""
    return np.asarray(magnitude > threshold * np.percentile(magnitude, _BRIGHT_PERCENTILE))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest face-connected piece of a mask."""
    if not mask.any():
        return mask
    image = sitk.GetImageFromArray(mask.T.astype(np.uint8))
    pieces = sitk.RelabelComponent(sitk.ConnectedComponent(image))
    return np.asarray(np.asarray(sitk.GetArrayFromImage(pieces)).T == 1)


def pieces(mask: NDArray[np.bool_], fewest: int) -> NDArray[np.bool_]:
    """Return the face-connected pieces of a mask that are large enough; the largest one where none is.

    Args:
        mask: the mask, shape (i, j, k).
        fewest: least number of voxels of a piece.
    """
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    large = sizes >= fewest
    large[0] = False
    return np.asarray(large[labels]) if large.any() else largest_piece(mask)


def _tidy(piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return one slice without its crumbs, holes filled."""
    if not piece.any():
        return piece
    image = sitk.GetImageFromArray(piece.T.astype(np.uint8))
    patches = sitk.RelabelComponent(sitk.ConnectedComponent(image))
    labels = np.asarray(sitk.GetArrayFromImage(patches)).T
    sizes = np.bincount(labels.ravel())
    kept = np.isin(labels, [n for n in range(1, sizes.size) if sizes[n] >= _SMALL_PATCH * piece.sum()])
    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(kept.T.astype(np.uint8)))
    return np.asarray(sitk.GetArrayFromImage(filled)).T.astype(bool)
