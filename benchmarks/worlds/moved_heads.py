"""Heads that moved between the elastogram and the T1 by a known motion: images for the benchmark and the tests.

The in-silico head is sampled afresh on either grid, so that no image is an interpolation of the other. The magnitude of
the elastogram has the contrast of its tissues (fluid brightest), the T1 that of the atlas's average T1 image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.config.phantom import PhantomSettings
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.files.nifti import Volume
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.tissue import Head, build_head

CENTRE_MM: Final = (-30.0, -14.0, 30.0)
_AXES: Final = rotation((4.0, -3.0, 6.0)) @ np.diag([-1.0, -1.0, 1.0])
_SUBPOINTS: Final = np.array([[a, b, c] for a in (-0.25, 0.25) for b in (-0.25, 0.25) for c in (-0.25, 0.25)])
_T1_BEYOND_MM: Final = 20.0
"""Distance by which the T1 reaches beyond the elastogram, millimetres."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Elastogram and T1 of one head that moved in between.

    Attributes:
        magnitude: magnitude image of the elastogram.
        tissue: mask of the elastogram.
        anatomy: T1 image.
        motion_mm: motion from world points of the elastogram to those of the T1, millimetres, shape (4, 4).
    """

    magnitude: Volume
    tissue: NDArray[np.bool_]
    anatomy: Volume
    motion_mm: NDArray[np.float64]

    @property
    def tissue_mm(self) -> NDArray[np.float64]:
        """World points of the tissue in the elastogram, millimetres, shape (N, 3)."""
        affine_mm = self.magnitude.affine_mm
        return np.asarray(np.argwhere(self.tissue) @ affine_mm[:3, :3].T + affine_mm[:3, 3])

    def errors_mm(self, matrix_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance between a motion's and the true place of each point of the tissue, mm, shape (N,)."""
        away = (matrix_mm - self.motion_mm)[:3]
        return np.asarray(np.linalg.norm(self.tissue_mm @ away[:, :3].T + away[:, 3], axis=1))


def healthy_head() -> Head:
    """Return the head of the default patient, without variation of stiffness, which shows in no image."""
    return build_head(PhantomSettings(variation=0.0), load_atlas())


def block_grid() -> ScanGrid:
    """Return the grid of the default elastogram: 22 x 22 x 12 voxels of 2 mm inside the brain."""
    return block(np.array(CENTRE_MM), _AXES, (22, 22, 12), 2.0)


def slab_grid() -> ScanGrid:
    """Return the grid of five slices 4 mm apart through the whole brain, as the public scan has them."""
    affine_mm = block(np.array([0.0, -18.0, 20.0]), _AXES, (76, 92, 5), 2.0).affine_mm
    affine_mm[:3, 2] *= 2.0
    affine_mm[:3, 3] -= affine_mm[:3, 2]
    return ScanGrid(affine_mm, (76, 92, 5))


def random_motion(generator: np.random.Generator, most_mm: float = 10.0, most_deg: float = 10.0) -> NDArray[np.float64]:
    """Draw a shift and a turn in random directions, each uniform up to its largest value; shape (4, 4)."""
    turn, shift = (axis / np.linalg.norm(axis) for axis in generator.standard_normal((2, 3)))
    angle, length = generator.uniform(0.0, (np.deg2rad(most_deg), most_mm))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(angle * turn).as_matrix()
    matrix[:3, 3] = np.array(CENTRE_MM) - matrix[:3, :3] @ CENTRE_MM + length * shift
    return matrix


def moved_head(
    head: Head,
    grid: ScanGrid,
    motion_mm: NDArray[np.float64],
    *,
    snr: float,
    generator: np.random.Generator,
    distortion_mm: float = 0.0,
    shading: float = 0.0,
) -> Moved:
    """Scan a head, move it, scan it again.

    Args:
        head: tissue of the head.
        grid: voxels of the elastogram.
        motion_mm: motion between the scans, millimetres, shape (4, 4).
        snr: signal-to-noise ratio of both images: median signal over the noise of real and imaginary part.
        generator: random generator of the noise.
        distortion_mm: amplitude of a smooth shift of the elastogram along its columns, as echo-planar images have, mm.
        shading: share by which the elastogram's signal grows from one end of its first axis to the other.
    """
    voxels = np.moveaxis(np.indices(grid.shape, dtype=np.float64), 0, -1)
    places = grid.points_mm
    bent = np.sin(places / 25.0).prod(axis=-1, keepdims=True) * distortion_mm * grid.axes[:, 1]
    signal = np.zeros(grid.shape)
    for part in _SUBPOINTS:
        at_mm = (voxels + part) @ grid.affine_mm[:3, :3].T + grid.affine_mm[:3, 3] + bent
        signal += head.magnitude_at(at_mm) / len(_SUBPOINTS)
    signal *= np.linspace(1.0 - shading / 2, 1.0 + shading / 2, grid.shape[0])[:, None, None]
    # Of tissue, not of the whole voxel: a bent image's mask is bent along.
    tissue = head.in_brain(places + bent)
    anatomy_grid = _t1_grid(grid)
    back = np.linalg.inv(motion_mm)
    t1 = head.t1_at(anatomy_grid.points_mm @ back[:3, :3].T + back[:3, 3])
    return Moved(
        Volume(_noisy(signal, snr, generator), grid.affine_mm),
        tissue,
        Volume(_noisy(t1, snr, generator), anatomy_grid.affine_mm),
        motion_mm,
    )


def _t1_grid(grid: ScanGrid) -> ScanGrid:
    """Return voxels of 1 mm around an elastogram."""
    points = grid.points_mm.reshape(-1, 3)
    low, high = points.min(axis=0) - _T1_BEYOND_MM, points.max(axis=0) + _T1_BEYOND_MM
    x, y, z = np.ceil(high - low).astype(int)
    return block((low + high) / 2, np.diag([-1.0, -1.0, 1.0]), (int(x), int(y), int(z)), 1.0)


def _noisy(signal: NDArray[np.float64], snr: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the absolute value of a signal with complex noise."""
    noise = np.median(signal[signal > 0.1 * signal.max()]) / snr * generator.standard_normal((2, *signal.shape))
    return np.asarray(np.hypot(signal + noise[0], noise[1]))
