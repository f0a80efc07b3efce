"""Rigid registration of a CT, mostly a planning CT, to a T1 or elastogram of the same head.

A CT of another examination has another frame of reference: its coordinates tell nothing. The search starts where the
middles of both heads meet, at several heights since a CT begins at the neck, and where the files' own coordinates say.
Mutual information has few bins, of which a linear scale of Hounsfield units would give the brain one; CT numbers are
therefore shown through windows of air, fat, soft tissue and bone beside one another.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.nifti import Volume
from palpate.imaging.registration.metric import climb, image_of, information, make_pair
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.register import overlap, register
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.search import PLANNING_CT

WINDOWS: Final = ((-1000.0, 0.0), (-250.0, 0.12), (-20.0, 0.25), (80.0, 0.65), (300.0, 0.8), (1500.0, 1.0))
"""Knots of the brightness of CT numbers: Hounsfield units, and brightness from 0 to 1."""
_BODY_HU: Final = -300.0
_BODY_SHARE: Final = 0.12
"""Share of the 95th percentile above which a voxel of MR counts as head."""
_OPENING_MM: Final = 6.0
"""Width below which bridges between the head and a rest are cut, mm."""
_HEAD_MM: Final = 170.0
"""Height of a head, mm: what lies lower is neck and shoulders."""
_COARSE_MM: Final = 3.0
_FINE_MM: Final = 2.0
"""Largest edge to which voxels of the MR image, and of the CT, are averaged, mm."""
_HEIGHTS_MM: Final = (0.0, -20.0, 20.0, -40.0, 40.0, -60.0, 60.0)
_LEAST_OVERLAP: Final = 0.5


def windowed(ct: Volume) -> Volume:
    """Return the brightness of CT numbers through the windows, 0 to 1."""
    units, brightness = np.array(WINDOWS).T
    return Volume(np.interp(ct.values, units, brightness), ct.affine_mm)


def register_ct(fixed: Volume, ct: Volume) -> Placement:
    """Register a CT to an MR image of the same head. Equal input gives equal output.

    Args:
        fixed: T1, or magnitude of the elastogram, shape (i, j, k).
        ct: CT in Hounsfield units, shape (i, j, k).

    Returns:
        Placement whose motion takes points of the MR image to those of the CT; registered, or failed with reasons.
    """
    # Beyond the circle of reconstruction files hold numbers far below those of air.
    ct = Volume(np.maximum(ct.values, WINDOWS[0][0]), ct.affine_mm)
    coarse = _averaged(fixed, _COARSE_MM)
    head = _largest(coarse, coarse.values > _BODY_SHARE * np.percentile(coarse.values, 95.0))
    body = _averaged(ct, _COARSE_MM)
    middle_mm = _middle(_world(body, _largest(body, body.values > _BODY_HU)))
    return register(coarse, head, windowed(_averaged(ct, _FINE_MM)), PLANNING_CT, _begin(coarse, head, body, middle_mm))


def _begin(mr: Volume, head: NDArray[np.bool_], ct: Volume, middle_mm: NDArray[np.float64]) -> Rigid:
    """Return the shift from which the search begins: the best of several after a climb at the coarsest blur.

    Args:
        mr: MR image.
        head: head in it, shape (i, j, k).
        ct: CT in Hounsfield units, coarse.
        middle_mm: middle of the head in the CT, shape (3,).
    """
    points_mm = _world(mr, head)
    centre_mm = points_mm.mean(axis=0)
    between_mm = middle_mm - _middle(points_mm)
    shifts = [np.zeros(3), *(between_mm + np.array([0.0, 0.0, height]) for height in _HEIGHTS_MM)]
    pair = make_pair(mr, head, windowed(ct), PLANNING_CT.blurs_mm[:1])
    where = image_of(head.astype(np.uint8), mr.affine_mm)
    best, most = Rigid(np.concatenate([np.zeros(3), between_mm]), centre_mm), -np.inf
    for shift in shifts:
        start = Rigid(np.concatenate([np.zeros(3), shift]), centre_mm)
        if overlap(ct, start.moved(points_mm)) < _LEAST_OVERLAP:
            continue
        end = climb(pair, 0, where, start, step_mm=PLANNING_CT.steps_mm[0])
        found = information(pair, 0, where, end) if overlap(ct, end.moved(points_mm)) >= _LEAST_OVERLAP else -np.inf
        if found > most:
            # Only the shift: what is believed of a turn is counted from where the file's axes say.
            at_centre_mm = end.moved(centre_mm) - centre_mm
            best, most = Rigid(np.concatenate([np.zeros(3), at_centre_mm]), centre_mm), found
    return best


def _averaged(volume: Volume, edge_mm: float) -> Volume:
    """Return means over blocks of voxels of at most some edge, mm; voxels that are as large stay."""
    edges_mm = np.linalg.norm(volume.affine_mm[:3, :3], axis=0)
    every = np.maximum(np.floor(edge_mm / edges_mm + 1e-3), 1).astype(int)
    counts = np.array(volume.values.shape) // every
    i, j, k = counts * every
    blocks = volume.values[:i, :j, :k].reshape(counts[0], every[0], counts[1], every[1], counts[2], every[2])
    affine_mm = volume.affine_mm.copy()
    affine_mm[:3, 3] += affine_mm[:3, :3] @ ((every - 1) / 2)
    affine_mm[:3, :3] = affine_mm[:3, :3] * every
    return Volume(blocks.mean(axis=(1, 3, 5)), affine_mm)


def _largest(volume: Volume, bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest piece of what is bright, without thin bridges and with its cavities filled."""
    edges_mm = np.linalg.norm(volume.affine_mm[:3, :3], axis=0)
    inside = ndimage.distance_transform_edt(np.pad(bright, 1, mode="edge"), sampling=edges_mm)[1:-1, 1:-1, 1:-1]
    pieces, count = ndimage.label(inside > _OPENING_MM / 2)
    if not count:
        return bright if bright.any() else np.ones_like(bright)
    core = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    grown = ndimage.distance_transform_edt(~core, sampling=edges_mm) <= _OPENING_MM / 2
    return np.asarray(ndimage.binary_fill_holes(grown & bright) | core)


def _world(volume: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the world points of a mask's voxels, mm, shape (N, 3)."""
    return np.asarray(np.argwhere(mask) @ volume.affine_mm[:3, :3].T + volume.affine_mm[:3, 3])


def _middle(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle of the upper part of a head, mm, shape (3,)."""
    top = np.percentile(points_mm[:, 2], 99.5)
    upper = points_mm[points_mm[:, 2] > top - _HEAD_MM]
    return np.asarray((upper.min(axis=0) + upper.max(axis=0)) / 2.0)
