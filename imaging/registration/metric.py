"""Mattes' mutual information between an elastogram's magnitude and an anatomical image, and its nearest maximum.

The density of joint intensities is estimated by B-splines over the voxels of the elastogram (Mattes et al.,
IEEE Trans. Med. Imaging 22 (2003) 120). The pyramid blurs the anatomy and leaves the elastogram's voxels as they are: a
slab of a few thick slices has no coarser version. One thread, all voxels or a fixed draw of them: equal input gives
equal output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.rigid import Rigid

_BINS = 32
_MOST_POINTS = 10000
_SEED = 20131
_CLIP_PERCENT = (0.5, 99.5)
"""Percentiles to which intensities are clipped: vessels and fat are so bright that they leave the brain few bins."""

_SHADING_MM = 12.0
"""Standard deviation of the Gaussian that separates shading from tissue."""
_LEAST_WEIGHT = 1e-3
"""Least weight of tissue under the Gaussian; farther from tissue no mean of it is known."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images made ready for comparison, the anatomy at several levels of blur.

    Attributes:
        fixed: magnitude of the elastogram.
        moving: anatomy at each level, the most blurred first.
    """

    fixed: sitk.Image
    moving: tuple[sitk.Image, ...]


def make_pair(magnitude: Volume, tissue: NDArray[np.bool_], anatomy: Volume, blurs_mm: tuple[float, ...]) -> Pair:
    """Even out the elastogram's shading, clip intensities, blur the anatomy.

    Args:
        magnitude: magnitude of the elastogram, shape (i, j, k).
        tissue: mask of the elastogram, same shape.
        anatomy: anatomical image, shape (i, j, k).
        blurs_mm: standard deviations of the Gaussians, one a level, mm.
    """
    values = _clipped(anatomy.values)
    edges_mm = np.linalg.norm(anatomy.affine_mm[:3, :3], axis=0)
    moving = [image_of(ndimage.gaussian_filter(values, blur / edges_mm), anatomy.affine_mm) for blur in blurs_mm]
    even = _evened(magnitude, tissue)
    return Pair(image_of(_clipped(even), magnitude.affine_mm), tuple(moving))


def image_of(values: NDArray[np.generic], affine_mm: NDArray[np.float64]) -> sitk.Image:
    """Return values, shape (i, j, k), as an image of SimpleITK in world RAS coordinates."""
    # SimpleITK counts axes backwards.
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    image.SetSpacing(edges_mm.tolist())
    image.SetDirection((affine_mm[:3, :3] / edges_mm).ravel().tolist())
    image.SetOrigin(affine_mm[:3, 3].tolist())
    return image


def information(pair: Pair, level: int, where: sitk.Image, motion: Rigid) -> float:
    """Return the mutual information of the images under a motion, in nats; minus infinity where they do not overlap.

    Args:
        pair: images to compare.
        level: index of the anatomy's blur.
        where: voxels of the elastogram that count, an image of 0 and 1.
        motion: motion from the elastogram to the anatomy.
    """
    with one_thread():
        method = _method(where)
        method.SetInitialTransform(motion.transform, inPlace=False)
        try:
            return -float(method.MetricEvaluate(pair.fixed, pair.moving[level]))
        except RuntimeError:
            return -np.inf


def climb(pair: Pair, level: int, where: sitk.Image, start: Rigid, *, step_mm: float) -> Rigid:
    """Find the nearest maximum of the mutual information by gradient ascent with shrinking steps.

    Args:
        pair: images to compare.
        level: index of the anatomy's blur.
        where: voxels of the elastogram that count, an image of 0 and 1.
        start: motion at which the ascent begins.
        step_mm: length of the first steps, mm.

    Returns:
        The maximum; the start where the images lose their overlap on the way.
    """
    with one_thread():
        method = _method(where)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=step_mm,
            minStep=0.01,
            numberOfIterations=100,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-9,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(start.transform, inPlace=False)
        try:
            found = method.Execute(pair.fixed, pair.moving[level])
        except RuntimeError:
            return start
    return Rigid(np.array(found.GetParameters()), start.centre_mm)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run SimpleITK in one thread, so that sums have one order.

    The metric's threads follow the library's default, not the number set on the method.
    """
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _method(where: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    inside = int(np.count_nonzero(sitk.GetArrayViewFromImage(where)))
    method.SetMetricFixedMask(where)
    if inside > _MOST_POINTS:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(_MOST_POINTS / where.GetNumberOfPixels(), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    # Gradients where they are needed, instead of an image of them for every start.
    method.MetricUseFixedImageGradientFilterOff()
    method.MetricUseMovingImageGradientFilterOff()
    return method


def _evened(magnitude: Volume, tissue: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the magnitude over its mean in the tissue around: coils shade a block more than tissues differ."""
    width = _SHADING_MM / np.linalg.norm(magnitude.affine_mm[:3, :3], axis=0)
    weight = ndimage.gaussian_filter(tissue.astype(np.float64), width)
    around = ndimage.gaussian_filter(np.where(tissue, magnitude.values, 0.0), width)
    mean = np.divide(around, weight, out=np.zeros_like(around), where=weight > _LEAST_WEIGHT)
    return np.asarray(np.divide(magnitude.values, mean, out=np.zeros_like(mean), where=mean > 0))


def _clipped(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.clip(values, *np.percentile(values, _CLIP_PERCENT)).astype(np.float32)
