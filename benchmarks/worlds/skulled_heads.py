"""Heads with skull and scalp around an in-silico brain of a shape of its own: images whose brain is known.

The ICBM152 brain is turned, shifted, stretched along each axis and bent by a smooth random field, so that no affine map
of the atlas is the truth. Around it lie a film of fluid, a dark skull, a bright scalp, two eyes with nerves that touch
the brain's fluid, and a neck, with the contrast of a gradient echo without fat suppression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from palpate.imaging.anatomy.atlas import Atlas
from palpate.imaging.files.nifti import Volume, voxel_indices
from palpate.imaging.phantom.grid import ScanGrid

FILM_MM: Final = 2.5
"""Thickness of the fluid around the brain."""
_FLUID, _EYE, _NERVE, _SCALP, _MUSCLE = 1.3, 1.2, 0.7, 1.0, 0.7
_EYES_MM: Final = ((-32.0, 72.0, -32.0), (32.0, 72.0, -32.0))
_EYE_RADIUS_MM: Final = 12.0


@dataclass(frozen=True, slots=True)
class HeadShape:
    """Difference of a head from the atlas.

    Attributes:
        turn_deg: largest turn about each axis, degrees.
        shift_mm: largest shift along each axis, millimetres.
        stretch: largest change of each extent, as a share.
        bend_mm: root mean square of the smooth random displacement along each axis, millimetres.
        snr: signal-to-noise ratio: median signal of the brain over the noise of real and imaginary part.
        seed: seed of everything random.
    """

    turn_deg: float = 8.0
    shift_mm: float = 12.0
    stretch: float = 0.08
    bend_mm: float = 2.0
    snr: float = 20.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Skulled:
    """Image of a head and its true brain mask.

    Attributes:
        image: magnitude image, shape (i, j, k).
        brain: true mask of the brain, same shape.
        with_film: mask of the brain with the film of fluid around it, which no image tells apart.
    """

    image: Volume
    brain: NDArray[np.bool_]
    with_film: NDArray[np.bool_]


def skulled_head(atlas: Atlas, grid: ScanGrid, shape: HeadShape) -> Skulled:
    """Simulate the image of a head. It depends on the seed alone.

    Args:
        atlas: atlas of the brain.
        grid: voxels of the image.
        shape: difference of the head from the atlas.
    """
    generator = np.random.default_rng([43, shape.seed])
    at_mm = _in_atlas(grid, shape, generator)
    index = np.moveaxis(voxel_indices(atlas.affine_mm, at_mm), -1, 0)
    wide = _Wide.of(atlas)
    away = wide.distance_at(at_mm)
    brain = ndimage.map_coordinates(atlas.brain.astype(float), index, order=1) > 0.5
    grey, white = (ndimage.map_coordinates(share, index, order=1) for share in (atlas.grey, atlas.white))
    signal = np.where(brain, 1.0 * grey + 0.85 * white + _FLUID * np.clip(1.0 - grey - white, 0.0, 1.0), 0.0)
    scalp_from = 9.0 + 2.0 * np.sin(at_mm[..., 0] / 17.0) * np.cos(at_mm[..., 1] / 23.0)
    signal[~brain & (away < FILM_MM)] = _FLUID
    signal[(away >= FILM_MM) & (away < scalp_from)] = 0.03
    signal[(away >= scalp_from) & (away < scalp_from + 7.0)] = _SCALP
    low = at_mm[..., 2] < -48.0
    signal[~brain & low & (np.hypot(at_mm[..., 0], at_mm[..., 1] + 25.0) < 55.0) & (away > 4.0)] = _MUSCLE
    for centre in _EYES_MM:
        nerve = np.hypot(at_mm[..., 0] - 0.75 * centre[0], at_mm[..., 2] - centre[2]) < 3.0
        signal[~brain & nerve & (at_mm[..., 1] > 20.0) & (at_mm[..., 1] < centre[1])] = _NERVE
        signal[~brain & (np.linalg.norm(at_mm - np.array(centre), axis=-1) < _EYE_RADIUS_MM)] = _EYE
    shading = 1.0 + 0.2 * np.sin(grid.points_mm @ np.array([0.012, 0.009, 0.007]))
    noise = generator.standard_normal((2, *signal.shape)) / shape.snr
    image = Volume(np.hypot(signal * shading + noise[0], noise[1]), grid.affine_mm)
    return Skulled(image, brain, brain | (away < FILM_MM))


def _in_atlas(grid: ScanGrid, shape: HeadShape, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return where in the atlas each voxel of the image lies, world millimetres, shape (i, j, k, 3)."""
    turn = Rotation.from_euler("xyz", generator.uniform(-shape.turn_deg, shape.turn_deg, 3), degrees=True).as_matrix()
    stretch = np.diag(1.0 + generator.uniform(-shape.stretch, shape.stretch, 3))
    centre = np.array([0.0, -18.0, 10.0])
    shift = generator.uniform(-shape.shift_mm, shape.shift_mm, 3)
    at_mm = (grid.points_mm - centre - shift) @ (turn @ stretch).T + centre
    bend = generator.standard_normal((3, *grid.shape))
    widths = 25.0 / grid.voxel_mm
    for axis in range(3):
        smooth = ndimage.gaussian_filter(bend[axis], widths, mode="reflect")
        at_mm[..., axis] += shape.bend_mm * smooth / smooth.std()
    return np.asarray(at_mm)


@dataclass(frozen=True, slots=True)
class _Wide:
    """Distance from the brain on the atlas's grid with room around it."""

    distance_mm: NDArray[np.float64]
    affine_mm: NDArray[np.float64]

    @classmethod
    def of(cls, atlas: Atlas) -> _Wide:
        room = 30
        affine_mm = atlas.affine_mm.copy()
        affine_mm[:3, 3] -= affine_mm[:3, :3] @ np.full(3, room)
        return cls(ndimage.distance_transform_edt(~np.pad(atlas.brain, room)), affine_mm)

    def distance_at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        index = np.moveaxis(voxel_indices(self.affine_mm, points_mm), -1, 0)
        return np.asarray(ndimage.map_coordinates(self.distance_mm, index, order=1, cval=99.0))
