"""Rigid registration of an anatomical image to an elastogram, with its uncertainty and checks of its failure.

The motion is the maximum of mutual information, reached by ascent from the files' own placement and from starts around
it. Its uncertainty comes from the elastogram itself, which is cut into cubes. They are dealt into G groups, each of
which is left out once; the jackknife turns the scatter of the maxima theta_g into a covariance (Kuensch,
Ann. Statist. 17 (1989) 1217),

    C = (G - 1) / G  sum_g (theta_g - theta) (theta_g - theta)^T.

C includes the errors from noise and from unlike contrast. It does not include errors that all groups share: those of
interpolation, which are therefore added, of an image distorted as a whole, or of a mirrored one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.nifti import Volume, voxel_indices
from palpate.imaging.registration.metric import Pair, climb, image_of, information, make_pair
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.rigid import Rigid, at_rest
from palpate.imaging.registration.search import SAME_VISIT, Search

AGREE_MM = 1.0
"""Root mean square distance over the tissue below which two placements agree, mm."""
MOST_UNCERTAIN_MM = 2.0
"""Largest accepted uncertainty of a placement, mm: beyond a voxel of the elastogram a placement is of no use."""
FEWEST_OVERLAP = 0.8
"""Least share of the tissue that the anatomy must show."""
GROUPS = 10
"""Number of groups of cubes that are left out in turn to estimate the uncertainty (jackknife)."""
CUBE_MM = 8.0
"""Edge of these cubes, mm."""
SEED = 4711
"""Seed of the starts and of the groups."""
_RIM_MM = 6.0
"""Width of the rim beyond the tissue that counts too, mm: the border tells more than the inside."""
_DISPLACED_MM = 4.0


@dataclass(frozen=True, slots=True)
class RegistrationScene:
    """Images to register, and the tissue that counts.

    Attributes:
        search: search that this scene is made for.
        pair: images to compare.
        counts: voxels of the elastogram that count, shape (i, j, k).
        affine_mm: voxel indices of the elastogram to world RAS millimetres, shape (4, 4).
        tissue_mm: world points of the elastogram's tissue, mm, shape (N, 3).
    """

    search: Search
    pair: Pair
    counts: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]
    tissue_mm: NDArray[np.float64]

    @property
    def where(self) -> sitk.Image:
        """Image of the voxels that count, 0 and 1."""
        return image_of(self.counts.astype(np.uint8), self.affine_mm)


def register(
    magnitude: Volume,
    tissue: NDArray[np.bool_],
    anatomy: Volume,
    search: Search = SAME_VISIT,
    begin: Rigid | None = None,
) -> Placement:
    """Register the anatomy to the elastogram. Equal input gives equal output.

    Args:
        magnitude: magnitude of the elastogram, shape (i, j, k).
        tissue: mask of the elastogram, same shape, not empty.
        anatomy: anatomical image that overlaps the elastogram, finite intensities that are not all the same,
            shape (i, j, k).
        search: search for the maximum, with the limits of what is believed.
        begin: motion from which the search starts, about the centre of the tissue; None for the identity.

    Returns:
        A placement that is registered, or failed with the reasons among its warnings.
    """
    points_mm = np.argwhere(tissue) @ magnitude.affine_mm[:3, :3].T + magnitude.affine_mm[:3, 3]
    rest = at_rest(points_mm.mean(axis=0)) if begin is None else begin
    scene = _scene(magnitude, tissue, anatomy, search, rest)
    ends = [_refined(scene, start) for start in _starts(rest, search)]
    found = [_information(scene, end) for end in ends]
    best = ends[int(np.argmax(found))]
    covariance = _covariance(scene, best)
    uncertainty_mm = best.spread_mm(covariance, points_mm)
    figures: dict[str, float] = {
        "mutual_information": max(found),
        "mutual_information_unmoved": _information(scene, rest),
        "mutual_information_displaced": max(_information(scene, one) for one in _displaced(best)),
        "agreeing_starts": sum(best.distance_mm(end, points_mm) <= AGREE_MM for end in ends),
        "starts": search.starts,
        "overlap": overlap(anatomy, best.moved(points_mm)),
        "moved_mm": best.distance_mm(rest, points_mm),
        "turned_deg": best.angle_deg,
    }
    warnings = _reasons(figures, uncertainty_mm, search)
    if not warnings:
        others = _turned_over(anatomy)
        warnings = [
            f"The {search.what} fits better {words}: its file may have the wrong orientation."
            for words, turned in others.items()
            if _best_near(_scene(magnitude, tissue, turned, search, rest), rest) > figures["mutual_information"]
        ][:1]
    finite = {name: value if np.isfinite(value) else None for name, value in figures.items()}
    return Placement("failed" if warnings else "registered", best, covariance, uncertainty_mm, finite, tuple(warnings))


def overlap(anatomy: Volume, points_mm: NDArray[np.float64]) -> float:
    """Return the share of world points, shape (N, 3), that lie within the anatomy's field of view."""
    index = voxel_indices(anatomy.affine_mm, points_mm)
    top = np.array(anatomy.values.shape) - 0.5
    return float(np.mean(np.all((index >= -0.5) & (index <= top), axis=-1)))


def _scene(
    magnitude: Volume, tissue: NDArray[np.bool_], anatomy: Volume, search: Search, begin: Rigid
) -> RegistrationScene:
    affine_mm = magnitude.affine_mm
    points_mm = np.argwhere(tissue) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    counts = ndimage.distance_transform_edt(~tissue, sampling=edges_mm) <= _RIM_MM
    part = _cropped(anatomy, begin.moved(points_mm), search.margin_mm)
    return RegistrationScene(search, make_pair(magnitude, tissue, part, search.blurs_mm), counts, affine_mm, points_mm)


def _cropped(anatomy: Volume, points_mm: NDArray[np.float64], margin_mm: float) -> Volume:
    """Return the part of the anatomy around world points, shape (N, 3); all of it where that part is thin."""
    index = voxel_indices(anatomy.affine_mm, points_mm)
    margin = margin_mm / np.linalg.norm(anatomy.affine_mm[:3, :3], axis=0)
    first = np.maximum(np.floor(index.min(axis=0) - margin).astype(int), 0)
    last = np.minimum(np.ceil(index.max(axis=0) + margin).astype(int) + 1, anatomy.values.shape)
    if np.any(last - first < margin):
        return anatomy
    affine_mm = anatomy.affine_mm.copy()
    affine_mm[:3, 3] += affine_mm[:3, :3] @ first
    return Volume(anatomy.values[tuple(slice(a, b) for a, b in zip(first, last, strict=True))], affine_mm)


def _starts(rest: Rigid, search: Search) -> list[Rigid]:
    """Return the first start, and others around it in directions drawn once and for all."""
    generator = np.random.default_rng(SEED)
    starts = [rest]
    for _ in range(search.starts - 1):
        turn, shift = (axis / np.linalg.norm(axis) for axis in generator.standard_normal((2, 3)))
        away = np.concatenate([np.deg2rad(search.start_deg) * turn, search.start_mm * shift])
        starts.append(Rigid(rest.parameters + away, rest.centre_mm))
    return starts


def _refined(scene: RegistrationScene, motion: Rigid) -> Rigid:
    """Return the maximum above a start, sought through the blurs."""
    for level, step_mm in enumerate(scene.search.steps_mm):
        motion = climb(scene.pair, level, scene.where, motion, step_mm=step_mm)
    return motion


def _information(scene: RegistrationScene, motion: Rigid) -> float:
    return information(scene.pair, len(scene.search.blurs_mm) - 1, scene.where, motion)


def _best_near(scene: RegistrationScene, start: Rigid) -> float:
    return _information(scene, _refined(scene, start))


def _displaced(motion: Rigid) -> list[Rigid]:
    """Six motions beside one, along either direction of each axis."""
    shifts = np.vstack([np.eye(3), -np.eye(3)]) * _DISPLACED_MM
    return [Rigid(motion.parameters + np.concatenate([np.zeros(3), shift]), motion.centre_mm) for shift in shifts]


def _covariance(scene: RegistrationScene, best: Rigid) -> NDArray[np.float64]:
    """Return the jackknife's covariance of the parameters, shape (6, 6)."""
    edges_mm = np.linalg.norm(scene.affine_mm[:3, :3], axis=0)
    cubes = (
        np.indices(scene.counts.shape) // np.maximum(np.round(CUBE_MM / edges_mm), 1).astype(int)[:, None, None, None]
    )
    _, cube = np.unique(cubes.reshape(3, -1), axis=1, return_inverse=True)
    dealt = np.random.default_rng(SEED).permutation(cube.max() + 1) % GROUPS
    group = dealt[cube].reshape(scene.counts.shape)
    maxima = []
    for number in range(GROUPS):
        where = image_of((scene.counts & (group != number)).astype(np.uint8), scene.affine_mm)
        finest, step_mm = len(scene.search.blurs_mm) - 1, scene.search.steps_mm[-1] / 2
        maxima.append(climb(scene.pair, finest, where, best, step_mm=step_mm).parameters)
    away = np.array(maxima) - np.mean(maxima, axis=0)
    shared = np.diag([0.0] * 3 + [scene.search.shared_mm**2] * 3)
    return np.asarray((GROUPS - 1) / GROUPS * away.T @ away + shared)


def _reasons(figures: dict[str, float], uncertainty_mm: float, search: Search) -> list[str]:
    """Return why a registration has failed, in sentences."""
    best = figures["mutual_information"]
    beside = max(figures["mutual_information_unmoved"], figures["mutual_information_displaced"])
    checks = [
        (
            figures["agreeing_starts"] < search.fewest_agreeing,
            f"Only {figures['agreeing_starts']:.0f} of {search.starts} starts end at the same placement.",
        ),
        (
            not best > beside - 1e-3 * abs(best),
            "Placements beside the one found fit as well.",
        ),
        (
            figures["moved_mm"] > search.most_mm or figures["turned_deg"] > search.most_deg,
            f"The {search.what} would move by {figures['moved_mm']:.0f} mm and {figures['turned_deg']:.0f} degrees.",
        ),
        (
            figures["overlap"] < FEWEST_OVERLAP,
            f"The {search.what} shows only {100 * figures['overlap']:.0f} % of the elastogram's tissue.",
        ),
        (
            not uncertainty_mm <= MOST_UNCERTAIN_MM,
            f"Parts of the images disagree about the placement by {uncertainty_mm:.1f} mm.",
        ),
    ]
    return [sentence for wrong, sentence in checks if wrong]


def _turned_over(anatomy: Volume) -> dict[str, Volume]:
    """Return the anatomy with front and back, and with top and bottom exchanged, by words for it.

    Left and right cannot be told: a head is nearly its own mirror image.
    """
    along = np.abs(anatomy.affine_mm[:3, :3] / np.linalg.norm(anatomy.affine_mm[:3, :3], axis=0))
    return {
        words: Volume(np.flip(anatomy.values, int(np.argmax(along[world]))), anatomy.affine_mm)
        for world, words in ((1, "back to front"), (2, "upside down"))
    }
