"""Input of the lesion benchmark: a block of tissue around one sphere, and its waves by tetrahedra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings, TissueSettings
from palpate.imaging.phantom.grid import ScanGrid, block
from palpate.imaging.phantom.lattice import kuhn_lattice
from palpate.imaging.wavefield import WaveField
from palpate.solvers.virtual_patient import driven
from palpate.solvers.wave import Tetrahedra, distribute, solve_wave
from palpate.units import mm_to_m

BACKGROUND_KPA: Final = 2.6 + 1.1j
"""Modulus G* of white matter at 50 Hz, kilopascal."""
VOXEL_MM: Final = 2.0
_CENTRE_MM: Final = np.array([0.37, -0.53, 0.71])
"""Centre of the sphere, mm; the block's middle voxel is at 0. No lesion is centred on a voxel."""
_TISSUE: Final = TissueSettings(storage_kpa=BACKGROUND_KPA.real, loss_kpa=BACKGROUND_KPA.imag, magnitude=1.0)


@dataclass(frozen=True, slots=True)
class Lesion:
    """Sphere with a sharp edge in homogeneous tissue.

    Attributes:
        diameter_mm: diameter of the sphere, millimetres.
        contrast: ratio of G* inside to G* outside, real: the loss tangent is the same.
        voxels: number of voxels of 2 mm along each edge of the imaged block.
    """

    diameter_mm: float
    contrast: float
    voxels: int

    @property
    def name(self) -> str:
        """Name for folders: "10mm-x1.5"."""
        return f"{self.diameter_mm:g}mm-x{self.contrast:g}"

    @property
    def seed(self) -> int:
        """Seed of the sphere's waves and, with the noise level added, of its noise: no two spheres share either."""
        return round(1000 * self.diameter_mm + 100 * self.contrast)

    @property
    def grid(self) -> ScanGrid:
        """Grid of the imaged block."""
        return block(np.zeros(3), np.eye(3), (self.voxels,) * 3, VOXEL_MM)

    def modulus_kpa(self, points_mm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return G* at points, kilopascal; points of shape (..., 3)."""
        inside = distance_mm(points_mm) <= self.diameter_mm / 2.0
        return np.where(inside, self.contrast * BACKGROUND_KPA, BACKGROUND_KPA)


def distance_mm(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of points, shape (..., 3), from the sphere's centre, millimetres."""
    return np.asarray(np.linalg.norm(points_mm - _CENTRE_MM, axis=-1))


def waves_through(lesion: Lesion) -> WaveField:
    """Simulate the noise-free wave field of a block, as that of the in-silico patient is made.

    Shear waves of random direction, polarisation and phase enter from all six sides, damped like waves in the
    background, and are given on the boundary of a cube that is larger than the voxels'.
    """
    settings = PhantomSettings(seed=lesion.seed, grey=_TISSUE, white=_TISSUE)
    grid = lesion.grid
    extent_mm = lesion.voxels * VOXEL_MM + 2 * settings.margin_mm
    count = int(np.ceil(extent_mm / settings.element_edge_mm))
    chosen = np.ones((count,) * 3, dtype=np.bool_)
    points_mm, cells = kuhn_lattice(np.zeros(3), np.eye(3), np.full(3, extent_mm / count), chosen)
    points_m = mm_to_m(points_mm)
    solution = solve_wave(
        distribute(MPI.COMM_SELF, Tetrahedra(points_m, cells)), driven(settings, points_m, lesion.modulus_kpa)
    )
    displacement_m = solution.at(mm_to_m(grid.points_mm.reshape(-1, 3)))
    return WaveField(
        displacement_m=displacement_m.reshape(*grid.shape, 3),
        mask=np.ones(grid.shape, dtype=np.bool_),
        affine_mm=grid.affine_mm,
        frequency_hz=settings.frequency_hz,
        noise_std_m=None,
        density_kg_m3=settings.density_kg_m3,
        label="sub-lesion",
    )
