"""Brain mask of a head's image by an atlas, for images in which scalp, eyes or neck are as bright as the brain.

The ICBM152 brain within the layers of a usual head is registered to the image by Mattes' mutual information: by shifts,
turns and one scale from several heights, since an image does not state which part of the head it shows, then, where it
shows enough, by an affine map. The mask is the largest bright piece within a margin of the atlas's brain, its bridges
cut, together with the atlas's own inside. So its border is the image's wherever the atlas is right to within the
margin. No neural network is needed, and nothing is downloaded.

The method fails, and raises an error, where starts from different heights disagree, or where bright tissue and atlas do
not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.anatomy.tissue_mask import bright_voxels, largest_piece
from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.metric import image_of, one_thread

_HEIGHTS_MM: Final = (-30.0, -15.0, 0.0, 15.0, 30.0)
"""Heights of the starts relative to the middle of the image on the middle of the brain, mm."""
_BLURS_MM: Final = (6.0, 3.0)
_BINS: Final = 32
_POINTS: Final = 8_000
_SEED: Final = 907
_ROOM: Final = 25
"""Number of voxels around the atlas, for skull and scalp."""
_SKULL_MM: Final = (2.0, 10.0)
_SCALP_MM: Final = 16.0
"""Outer distance of the scalp of a usual head from the brain, mm; _SKULL_MM holds those of the skull."""
_AROUND_MM: Final = 12.0
"""Distance from bright tissue up to which the image counts, mm."""
_MARGIN_MM: Final = 5.0
_BRIDGE_MM: Final = 4.0
_AGREE: Final = 0.9
"""Least Dice overlap of the brains of two starts that agree."""
_FEWEST_AGREEING: Final = 2
_THIN_MM: Final = 60.0
"""Least thickness of an image for an affine map of twelve numbers, mm."""
_LEAST_BRIGHT: Final = 0.95
"""Least share of the atlas's brain within the image that must be bright."""


@dataclass(frozen=True, slots=True)
class BrainMask:
    """Mask of the brain and figures of its reliability.

    Attributes:
        mask: brain, shape (i, j, k).
        agreeing_starts: number of starts that end at the same brain as the best one, itself included.
        bright_share: share of the atlas's brain within the image that is bright.
    """

    mask: NDArray[np.bool_]
    agreeing_starts: int
    bright_share: float


def brain_mask(image: Volume, *, threshold: float, where: str, atlas: Atlas | None = None) -> BrainMask:
    """Find the brain in an image of a head or of a slab of it. Equal input gives equal output.

    Args:
        image: magnitude or T1 image, shape (i, j, k).
        threshold: share of the 90th percentile above which voxels are bright.
        where: file or label of the image, for the error.
        atlas: atlas of the brain; None to read it.

    Raises:
        InputError: the atlas cannot be registered to the image.
    """
    atlas = load_atlas() if atlas is None else atlas
    bright = bright_voxels(image.values, threshold)
    edges_mm = np.linalg.norm(image.affine_mm[:3, :3], axis=0)
    with one_thread():
        scene, ranked = _laid(image, bright, edges_mm, where, atlas)
        brains = [_brain_at(atlas, transform, image) for transform in ranked]
        agreeing = sum(dice(one, brains[0]) >= _AGREE for one in brains)
        laid = [brains[0]] if scene.thin else [_brain_at(atlas, scene.stretched(ranked[0]), image), brains[0]]
    # An affine map can be drawn off by a neck; where it leaves more of the brain in the dark, it was.
    shares = [float(bright[one].mean()) if one.any() else 0.0 for one in laid]
    brain, bright_share = laid[int(np.argmax(shares))], max(shares)
    if agreeing < _FEWEST_AGREEING or bright_share < _LEAST_BRIGHT:
        told = f"{agreeing} of {len(_HEIGHTS_MM)} starts that agree on a brain, of which {bright_share:.0%} is bright"
        raise _refusal(where, told)
    return BrainMask(_refined(bright, brain, edges_mm), agreeing, bright_share)


def similarity_to_atlas(image: Volume, *, threshold: float, where: str, atlas: Atlas) -> NDArray[np.float64]:
    """Return the similarity that takes points of an image of a head to those of the atlas, mm, shape (4, 4).

    Args:
        image: T1 or magnitude image, shape (i, j, k).
        threshold: share of the 90th percentile above which voxels are bright.
        where: file or label of the image, for the error.
        atlas: atlas of the brain.

    Raises:
        InputError: starts from different heights disagree, or none overlaps with a brain.
    """
    bright = bright_voxels(image.values, threshold)
    with one_thread():
        _, ranked = _laid(image, bright, np.linalg.norm(image.affine_mm[:3, :3], axis=0), where, atlas)
        brains = [_brain_at(atlas, transform, image) for transform in ranked]
    if sum(dice(one, brains[0]) >= _AGREE for one in brains) < _FEWEST_AGREEING:
        raise _refusal(where, f"{len(_HEIGHTS_MM)} starts of which no two agree on a brain")
    best = ranked[0]
    origin, *ends = (np.array(best.TransformPoint(point)) for point in np.vstack([np.zeros(3), np.eye(3)]).tolist())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack([one - origin for one in ends], axis=1), origin
    return matrix


def _laid(
    image: Volume, bright: NDArray[np.bool_], edges_mm: NDArray[np.float64], where: str, atlas: Atlas
) -> tuple[_Scene, list[sitk.Similarity3DTransform]]:
    """Return image and atlas made ready, and the similarities that starts end at, the best first.

    Raises:
        InputError: the image shows no head, or no start brings it to overlap with a brain.
    """
    if not bright.any() or min(image.values.shape) < 2:
        raise _refusal(where, "an image without a head in three dimensions")
    scene = _Scene.of(image, bright, edges_mm, atlas)
    ranked = sorted(
        (one for height_mm in _HEIGHTS_MM if (one := scene.laid(height_mm)) is not None), key=lambda one: -one[0]
    )
    if not ranked:
        raise _refusal(where, "an image that no start brings to overlap with a brain")
    return scene, [transform for _, transform in ranked]


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return twice the common volume over the sum of both; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else 1.0


def _refusal(where: str, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        expected="a head that the atlas of the brain can be laid on",
        advice="Set mask_by to magnitude, or draw a mask and give it with --mask.",
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    """Image and atlas made ready.

    Attributes:
        fixed: the image.
        where: voxels that count.
        moving: the atlas, the most blurred first.
        middle_mm: centre of the bright voxels, world millimetres.
        of_brain_mm: middle of the atlas's brain.
        thin: whether the image shows too little of the head for an affine map.
    """

    fixed: sitk.Image
    where: sitk.Image
    moving: tuple[sitk.Image, ...]
    middle_mm: NDArray[np.float64]
    of_brain_mm: NDArray[np.float64]
    thin: bool

    @classmethod
    def of(cls, image: Volume, bright: NDArray[np.bool_], edges_mm: NDArray[np.float64], atlas: Atlas) -> _Scene:
        near = ndimage.distance_transform_edt(~bright, sampling=edges_mm) <= _AROUND_MM
        clipped = np.minimum(image.values, np.percentile(image.values, 99.0)).astype(np.float32)
        return cls(
            image_of(clipped, image.affine_mm),
            image_of(near.astype(np.uint8), image.affine_mm),
            tuple(_blurred(atlas, blur_mm) for blur_mm in _BLURS_MM),
            np.argwhere(bright).mean(axis=0) @ image.affine_mm[:3, :3].T + image.affine_mm[:3, 3],
            np.argwhere(atlas.brain).mean(axis=0) @ atlas.affine_mm[:3, :3].T + atlas.affine_mm[:3, 3],
            bool((np.array(image.values.shape) * edges_mm).min() < _THIN_MM),
        )

    def laid(self, height_mm: float) -> tuple[float, sitk.Similarity3DTransform] | None:
        """Return mutual information and similarity from image to atlas of one start; None where overlap is lost."""
        found = sitk.Similarity3DTransform()
        found.SetCenter(self.middle_mm.tolist())
        found.SetTranslation((self.of_brain_mm + np.array([0.0, 0.0, height_mm]) - self.middle_mm).tolist())
        value = -np.inf
        try:
            for moving in self.moving:
                value, climbed = _climbed(self.fixed, self.where, moving, found)
                found = sitk.Similarity3DTransform(climbed)
        except RuntimeError:
            return None
        return value, found

    def stretched(self, start: sitk.Similarity3DTransform) -> sitk.Transform:
        """Return the nearest affine map; the similarity itself where the overlap of the images is lost."""
        affine = sitk.AffineTransform(3)
        affine.SetCenter(start.GetCenter())
        affine.SetMatrix(start.GetMatrix())
        affine.SetTranslation(start.GetTranslation())
        try:
            return _climbed(self.fixed, self.where, self.moving[-1], affine)[1]
        except RuntimeError:
            return start


def _blurred(atlas: Atlas, blur_mm: float) -> sitk.Image:
    """Return the atlas's T1 within the layers of a usual head: fluid, dark skull, scalp, air."""
    brain = np.pad(atlas.brain, _ROOM)
    away_mm = ndimage.distance_transform_edt(~brain)
    layers = np.select([away_mm <= _SKULL_MM[0], away_mm <= _SKULL_MM[1], away_mm <= _SCALP_MM], [0.3, 0.0, 1.3], 0.0)
    values = ndimage.gaussian_filter(np.where(brain, np.pad(atlas.t1, _ROOM), layers), blur_mm)
    affine_mm = atlas.affine_mm.copy()
    affine_mm[:3, 3] -= affine_mm[:3, :3] @ np.full(3, _ROOM)
    return image_of(values.astype(np.float32), affine_mm)


def _climbed(
    fixed: sitk.Image, where: sitk.Image, moving: sitk.Image, start: sitk.Transform
) -> tuple[float, sitk.Transform]:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(where)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, _POINTS / fixed.GetNumberOfPixels()), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.MetricUseFixedImageGradientFilterOff()
    method.MetricUseMovingImageGradientFilterOff()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=3.0,
        minStep=0.05,
        numberOfIterations=120,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-9,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed, moving)
    return -float(method.GetMetricValue()), found.GetNthTransform(
        0
    ) if found.GetName() == "CompositeTransform" else found


def _brain_at(atlas: Atlas, transform: sitk.Transform, image: Volume) -> NDArray[np.bool_]:
    """Return the atlas's brain on the image's voxels."""
    brain = image_of(ndimage.gaussian_filter(atlas.brain.astype(np.float32), 1.0), atlas.affine_mm)
    like = image_of(np.zeros(image.values.shape, dtype=np.float32), image.affine_mm)
    laid = sitk.Resample(brain, like, transform, sitk.sitkLinear, 0.0)
    return np.asarray(np.asarray(sitk.GetArrayFromImage(laid)).T > 0.5)


def _refined(bright: NDArray[np.bool_], brain: NDArray[np.bool_], edges_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return what is bright within the margin, bridges cut, with the atlas's inside, holes filled slice by slice."""
    outside_mm = ndimage.distance_transform_edt(~brain, sampling=edges_mm)
    inside_mm = ndimage.distance_transform_edt(brain, sampling=edges_mm)
    near = bright & (outside_mm <= _MARGIN_MM)
    # Opening by distances, so that voxels of any shape are treated alike; the image's border is no edge of tissue.
    padded = np.pad(near, 1, mode="edge")
    core = ndimage.distance_transform_edt(padded, sampling=edges_mm) > _BRIDGE_MM / 2.0
    opened = ndimage.distance_transform_edt(~core, sampling=edges_mm) <= _BRIDGE_MM / 2.0 + float(edges_mm.min()) / 2.0
    opened = opened[1:-1, 1:-1, 1:-1] & near
    mask = largest_piece(opened | (inside_mm > _MARGIN_MM))
    return np.stack([ndimage.binary_fill_holes(mask[..., k]) for k in range(mask.shape[2])], axis=2)
