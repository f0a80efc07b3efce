"""Wave fields made by other elements than the inversion's: P2-P1 tetrahedra whose vertices miss the voxels."""

from __future__ import annotations

from collections.abc import Callable

import dolfinx
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.solvers.wave import WaveProblem, solve_wave
from tests.solvers.inversion.cases import shear_waves

FREQUENCY_HZ = 90.0
"""A zone of 16 mm then spans as much of a wave as the default zone of 24 mm does at 60 Hz."""

DENSITY_KG_M3 = 1000.0
VOXEL_M = 2e-3
MARGIN_M = 2.3e-3
BACKGROUND_PA = 3000.0 + 900.0j
AMPLITUDE_M = 1e-5

type Medium = Callable[[NDArray[np.float64]], NDArray[np.complex128]]
"""G* at points (n, 3) in metres, pascal."""


def wave_through(
    medium: Medium, shape: tuple[int, int, int], element_m: float, frequency_hz: float = FREQUENCY_HZ
) -> NDArray[np.complex128]:
    """U at the centres of a box of voxels, the first at the origin; shape (i, j, k, 3), metres.

    The box of tetrahedra is larger by a margin that is no multiple of the voxel; on its boundary three shear waves of
    the background arrive from different sides.
    """
    low, high = np.full(3, -MARGIN_M), (np.array(shape) - 1) * VOXEL_M + MARGIN_M
    counts = [round(extent / element_m) for extent in high - low]
    domain = dolfinx.mesh.create_box(MPI.COMM_SELF, [low, high], counts, dolfinx.mesh.CellType.tetrahedron)
    k = complex(2 * np.pi * frequency_hz * np.sqrt(DENSITY_KG_M3 / BACKGROUND_PA))
    solution = solve_wave(
        domain,
        WaveProblem(
            modulus_pa=medium,
            boundary_displacement_m=lambda x: AMPLITUDE_M * shear_waves(x, k),
            frequency_hz=frequency_hz,
            density_kg_m3=DENSITY_KG_M3,
        ),
    )
    centres = np.argwhere(np.ones(shape, dtype=bool)) * VOXEL_M
    return solution.at(centres).reshape(*shape, 3)


def scanned(
    displacement_m: NDArray[np.complex128], noise: float, seed: int, frequency_hz: float = FREQUENCY_HZ
) -> WaveField:
    """A wave field with noise of a share of the mean |U| in each real and imaginary part, stated as such."""
    std_m = noise * float(np.linalg.norm(displacement_m, axis=-1).mean())
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *displacement_m.shape))
    return WaveField(
        displacement_m=displacement_m + std_m * (real + 1j * imaginary),
        mask=np.ones(displacement_m.shape[:3], dtype=bool),
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=frequency_hz,
        noise_std_m=std_m,
        density_kg_m3=DENSITY_KG_M3,
        label="sub-box",
    )
