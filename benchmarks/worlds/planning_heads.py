"""Heads with skull and scalp that were scanned by MR and by CT in different frames of reference, a known motion apart.

Both images are sampled afresh from the same tissue: the ICBM152 brain in a film of fluid, a skull of varying thickness
with diploe, a scalp of fat, muscle at the neck, and two eyes. The CT has air, fat, soft tissue and bone in Hounsfield
units, noise that is correlated as after its kernel, a head rest, and the skin may be pressed in where the head lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.files.nifti import Volume, voxel_indices
from palpate.imaging.phantom.grid import ScanGrid, block

MIDDLE_MM: Final = (0.0, -18.0, 10.0)
"""Middle of the head in the MR image, about which it is turned, world RAS millimetres."""
_ROOM: Final = 45
_FILM_MM, _SKULL_MM, _SCALP_MM = 2.5, 7.0, 6.0
_AIR, _SKIN, _BONE, _DIPLOE, _FILM, _WATER, _GREY, _WHITE, _MUSCLE = range(9)
_CT_HU: Final = (-1000.0, -90.0, 1100.0, 450.0, 8.0, 8.0, 38.0, 29.0, 55.0)
_T1: Final = (0.02, 1.1, 0.06, 0.5, 0.25, 0.25, 0.7, 1.0, 0.6)
_EYES_MM: Final = ((-32.0, 66.0, -32.0), (32.0, 66.0, -32.0))


@dataclass(frozen=True, slots=True)
class Scanned:
    """MR and CT image of one head.

    Attributes:
        mr: MR image.
        ct: CT, Hounsfield units.
        motion_mm: motion from world points of the MR image to those of the CT, millimetres, shape (4, 4).
        brain_mm: points of the brain in the MR image, mm, shape (N, 3).
    """

    mr: Volume
    ct: Volume
    motion_mm: NDArray[np.float64]
    brain_mm: NDArray[np.float64]

    def error_mm(self, matrix_mm: NDArray[np.float64]) -> float:
        """Return the root mean square distance over the brain between a motion's places and the true ones, mm."""
        away = (matrix_mm - self.motion_mm)[:3]
        return float(np.sqrt(np.mean(np.sum((self.brain_mm @ away[:, :3].T + away[:, 3]) ** 2, axis=1))))


def ct_motion(generator: np.random.Generator, most_deg: float = 15.0, most_mm: float = 300.0) -> NDArray[np.float64]:
    """Draw a motion into another frame of reference: a turn of the head, and another origin; shape (4, 4)."""
    turn = Rotation.from_rotvec(np.deg2rad(most_deg) * generator.uniform(-1.0, 1.0, 3) / np.sqrt(3.0)).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = generator.uniform(-most_mm, most_mm, 3)
    return matrix


def scanned_head(
    generator: np.random.Generator,
    motion_mm: NDArray[np.float64],
    *,
    mr_grid: ScanGrid,
    snr: float = 20.0,
    ct_voxel_mm: tuple[float, float, float] = (1.2, 1.2, 2.4),
    ct_noise_hu: float = 8.0,
    pressed_mm: float = 0.0,
    bent_mm: float = 0.0,
) -> Scanned:
    """Scan a head by MR, move it, scan it by CT.

    Args:
        generator: random generator of the noise.
        motion_mm: motion from the MR image's world to the CT's, shape (4, 4).
        mr_grid: voxels of the MR image.
        snr: signal-to-noise ratio of the MR image in white matter.
        ct_voxel_mm: edges of the CT's voxels, mm.
        ct_noise_hu: standard deviation of the CT's noise, Hounsfield units.
        pressed_mm: depth to which the scalp of the back of the head is pressed in during the CT, mm.
        bent_mm: largest distortion of the MR image, as by gradients that are not linear, mm.
    """
    at_mm = mr_grid.points_mm
    away = (at_mm - np.array(MIDDLE_MM)) / 100.0
    bent = at_mm + bent_mm * away * np.sum(away**2, axis=-1, keepdims=True)
    shading = 1.0 + 0.25 * np.sin(at_mm @ np.array([0.012, 0.009, 0.007]))
    signal = np.take(_T1, _tissue(bent)) * shading
    noise = generator.standard_normal((2, *mr_grid.shape)) / snr
    mr = Volume(np.hypot(signal + noise[0], noise[1]), mr_grid.affine_mm)
    ct_grid = _ct_grid(motion_mm, ct_voxel_mm)
    back = np.linalg.inv(motion_mm)
    seen = ct_grid.points_mm @ back[:3, :3].T + back[:3, 3]
    units = np.take(_CT_HU, _tissue(seen, pressed_mm))
    rest = (seen[..., 1] < -125.0) & (seen[..., 1] > -135.0) & (np.abs(seen[..., 0]) < 90.0)
    units = np.where(rest & (units < -900.0), -600.0, units)
    grain = ndimage.gaussian_filter(generator.standard_normal(ct_grid.shape), 0.7 / np.array(ct_voxel_mm))
    ct = Volume(
        ndimage.gaussian_filter(units, 0.5 / np.array(ct_voxel_mm)) + ct_noise_hu * grain / grain.std(),
        ct_grid.affine_mm,
    )
    brain = at_mm[np.isin(_tissue(at_mm), (_GREY, _WHITE, _WATER))]
    return Scanned(mr, ct, motion_mm, brain[:: max(1, len(brain) // 5000)])


def t1_grid(edge_mm: float = 1.5) -> ScanGrid:
    """Return the grid of a T1 of the whole head."""
    counts = np.ceil(np.array([180.0, 220.0, 190.0]) / edge_mm).astype(int)
    i, j, k = counts
    return block(np.array(MIDDLE_MM), np.diag([-1.0, -1.0, 1.0]), (int(i), int(j), int(k)), edge_mm)


def head_slab() -> ScanGrid:
    """Return the grid of five slices of 4 mm through the middle of the head, as elastograms have them."""
    affine_mm = np.diag([-2.5, -2.5, 4.0, 1.0])
    counts = np.array([76, 92, 5])
    middle = np.array(MIDDLE_MM) + np.array([0.0, 0.0, 15.0])
    affine_mm[:3, 3] = middle - affine_mm[:3, :3] @ ((counts - 1) / 2.0)
    return ScanGrid(affine_mm, (76, 92, 5))


def _ct_grid(motion_mm: NDArray[np.float64], edges_mm: tuple[float, float, float]) -> ScanGrid:
    """Return the CT's voxels: 220 x 260 x 230 mm, with the head above its middle, axes of the scanner."""
    middle = motion_mm[:3, :3] @ (np.array(MIDDLE_MM) - [0.0, 0.0, 25.0]) + motion_mm[:3, 3]
    counts = np.ceil(np.array([220.0, 260.0, 230.0]) / np.array(edges_mm)).astype(int)
    affine_mm = np.eye(4)
    affine_mm[:3, :3] = np.diag([-1.0, -1.0, 1.0]) * np.array(edges_mm)
    affine_mm[:3, 3] = middle - affine_mm[:3, :3] @ ((counts - 1) / 2.0)
    i, j, k = counts
    return ScanGrid(affine_mm, (int(i), int(j), int(k)))


@lru_cache(maxsize=1)
def _wide() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return distance from the brain (mm, negative inside), shares of grey and white matter, and their affine."""
    atlas = load_atlas()
    affine_mm = atlas.affine_mm.copy()
    affine_mm[:3, 3] -= affine_mm[:3, :3] @ np.full(3, _ROOM)
    brain = np.pad(atlas.brain, _ROOM)
    outside, inside = ndimage.distance_transform_edt(~brain), ndimage.distance_transform_edt(brain)
    away = ndimage.gaussian_filter((outside - inside).astype(np.float32), 1.5)
    grey, white = (np.pad(one, _ROOM).astype(np.float32) for one in (atlas.grey, atlas.white))
    return away, grey, white, affine_mm


def _tissue(at_mm: NDArray[np.float64], pressed_mm: float = 0.0) -> NDArray[np.int64]:
    """Return the number of the tissue at world points of the head, shape (...)."""
    wide, of_grey, of_white, affine_mm = _wide()
    index = np.moveaxis(voxel_indices(affine_mm, at_mm), -1, 0)
    away = ndimage.map_coordinates(wide, index, order=1, cval=99.0)
    grey, white = (ndimage.map_coordinates(one, index, order=1) for one in (of_grey, of_white))
    x, y, z = np.moveaxis(at_mm, -1, 0)
    skull = _SKULL_MM + 1.5 * np.sin(x / 17.0) * np.cos(y / 23.0)
    depth = away - _FILM_MM
    scalp = _SCALP_MM - pressed_mm * np.clip((-y - 60.0) / 40.0, 0.0, 1.0)
    tissue = np.full(at_mm.shape[:-1], _AIR)
    tissue[depth < skull + scalp] = _SKIN
    tissue[(z < -45.0) & (np.hypot(x, y + 25.0) < 55.0)] = _MUSCLE
    tissue[(z >= -60.0) & (depth < skull)] = _BONE
    tissue[(z >= -60.0) & (depth > 2.0) & (depth < skull - 2.0)] = _DIPLOE
    tissue[depth < 0.0] = _FILM
    for centre in _EYES_MM:
        tissue[(np.linalg.norm(at_mm - np.array(centre), axis=-1) < 12.0) & (depth > 0.0)] = _WATER
    inside = away < 0.0
    tissue[inside] = _WATER
    tissue[inside & (grey >= 0.5)] = _GREY
    tissue[inside & (white > grey) & (white + grey > 0.5)] = _WHITE
    return tissue
