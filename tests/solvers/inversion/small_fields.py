"""Program for test_same_answer: invert several small wave fields and keep what they show.

Usage: [mpiexec -n N] python -m tests.solvers.inversion.small_fields OUT.npz
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.config.inversion import InversionSettings
from palpate.config.mesh import MeshSettings
from palpate.imaging.anatomy.labels import Regions
from palpate.imaging.wavefield import WaveField
from palpate.meshing.lattice import lattice_of_run
from palpate.meshing.refined_zones import zones_on
from palpate.meshing.zones import cut_zones
from palpate.solvers.inversion.results import informed_voxels
from palpate.solvers.inversion.run import Inversion, invert_wave_field
from palpate.solvers.inversion.steps.problem import InversionDomain
from tests.solvers.inversion.cases import shear_waves, wavenumber

VOXEL_MM, FREQUENCY_HZ, DENSITY_KG_M3 = 2.0, 90.0, 1000.0
MODULUS_PA = 3000.0 + 900.0j
AMPLITUDE_M = 1e-5
WIDTH, STRIDE = 5, 2
"""Zones overlap by more than half of their width, in voxels."""

type Wave = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Case:
    """One small wave field and how it is inverted.

    Attributes:
        shape: voxels.
        wave: displacement at points in voxels, shape (n, 3), of unit size.
        noise: standard deviation over the mean displacement.
        seed: of the noise.
        settings: what differs from few draws and two steps.
        regions: how many labelled regions, slabs along the first axis.
        thickness: voxels of the wave that a slice averages; of thick slices only the third component is measured.
    """

    shape: tuple[int, int, int]
    wave: Callable[[NDArray[np.float64]], Wave]
    noise: float
    seed: int
    settings: Mapping[str, object] = field(default_factory=dict)
    regions: int = 0
    thickness: int = 1


def _k() -> complex:
    """The wavenumber of the background, per voxel."""
    voxel_m = 1e-3 * VOXEL_MM
    return wavenumber(DENSITY_KG_M3 * (2.0 * np.pi * FREQUENCY_HZ * voxel_m) ** 2, MODULUS_PA)


def travelling(place: NDArray[np.float64]) -> Wave:
    """Three crossing shear waves in uniform tissue."""
    return shear_waves(place, _k())


def softening(place: NDArray[np.float64]) -> Wave:
    """The same with a wavelength that shortens along the first axis: tissue that varies, and a model that misfits."""
    bent = place.copy()
    bent[:, 0] *= 1.0 + 0.03 * place[:, 0]
    return shear_waves(bent, _k())


def symmetric(place: NDArray[np.float64]) -> Wave:
    """Standing shear waves that go into themselves where axes are exchanged in turn or reflected.

    What waves tell of stiffness then comes in directions of equal information, pairs and triples.
    """
    middle = place - place.mean(axis=0)
    return np.stack([np.cos(_k() * middle[:, (axis + 1) % 3]) for axis in range(3)], axis=1)


BAR, CUBE = (11, 5, 5), (7, 7, 7)
CASES: Mapping[str, Case] = {
    "plain": Case(BAR, travelling, 0.02, 1, {"hessian_rank": 40, "fit_prior": False}),
    "fitted": Case(BAR, softening, 0.02, 2),
    "noisy": Case(BAR, softening, 0.1, 3, {"hessian_rank": 20}),
    "labelled": Case(BAR, softening, 0.03, 4, {"max_iterations": 4}, regions=2),
    "symmetric": Case(CUBE, symmetric, 0.0, 5, {"fit_prior": False}),
    "one component": Case((11, 7, 2), travelling, 0.03, 6, thickness=4),
}


def wave_field(case: Case) -> WaveField:
    """Return the scan of a case, with at least 2 % of noise stated.

    Args:
        case: the wave and its noise.
    """
    fine = (*case.shape[:2], case.shape[2] * case.thickness)
    clean = AMPLITUDE_M * case.wave(np.argwhere(np.ones(fine, dtype=bool)).astype(np.float64))
    clean = clean.reshape(*case.shape, case.thickness, 3).mean(axis=3)
    mean = float(np.linalg.norm(clean, axis=-1).mean())
    real, imaginary = np.random.default_rng(case.seed).standard_normal((2, *clean.shape))
    seen = clean + case.noise * mean * (real + 1j * imaginary)
    return WaveField(
        displacement_m=seen if case.thickness == 1 else seen[..., 2:],
        mask=np.ones(case.shape, dtype=bool),
        affine_mm=np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM * case.thickness, 1.0]),
        frequency_hz=FREQUENCY_HZ,
        noise_std_m=max(case.noise, 0.02) * mean,
        density_kg_m3=DENSITY_KG_M3,
        label="small",
        directions=None if case.thickness == 1 else np.array([[0.0, 0.0, 1.0]]),
    )


def inverted(case: Case, comm: MPI.Comm) -> Inversion:
    """Invert a case.

    Args:
        case: what to invert.
        comm: the ranks.
    """
    scan = wave_field(case)
    if case.thickness > 1:
        lattice = lattice_of_run([scan])
        domain = InversionDomain(
            zones_on(lattice, MeshSettings(zone_width_mm=7.0, zone_stride_mm=4.0)), lattice=lattice
        )
        return invert_wave_field(scan, domain, settings_of(case), comm)
    zones = cut_zones(scan.mask, width_voxels=(WIDTH,) * 3, stride_voxels=(STRIDE,) * 3)
    regions = None
    if case.regions:
        slab = np.argwhere(scan.mask)[:, 0] * case.regions // case.shape[0]
        fractions = sparse.csr_matrix((np.ones(len(slab)), (np.arange(len(slab)), slab)))
        regions = Regions(np.arange(1, case.regions + 1), fractions, np.ones(case.regions))
    return invert_wave_field(scan, InversionDomain(zones, regions), settings_of(case), comm)


def settings_of(case: Case) -> InversionSettings:
    """Return the inversion section of a case.

    Args:
        case: whose settings are wanted.
    """
    return InversionSettings.model_validate({"samples": 20, "max_iterations": 2} | dict(case.settings))


def kept(name: str, inversion: Inversion, settings: InversionSettings) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Name what is compared of an inversion.

    Args:
        name: of the case.
        inversion: its result.
        settings: its settings.
    """
    yield f"{name}/mean", inversion.log_mean
    yield f"{name}/std", inversion.log_std
    yield f"{name}/draws", inversion.log_draws
    yield f"{name}/informed", informed_voxels(inversion, settings)
    yield f"{name}/steps", np.array(len(inversion.fit.state.history))
    yield f"{name}/converged", np.array(inversion.fit.converged)


def main() -> None:
    """Invert all cases; rank 0 writes."""
    found: dict[str, NDArray[np.generic]] = {}
    for name, case in CASES.items():
        found |= kept(name, inverted(case, MPI.COMM_WORLD), settings_of(case))
    if MPI.COMM_WORLD.rank == 0:
        np.savez(sys.argv[1], **found)  # type: ignore[arg-type]  # its stub takes the names for options


if __name__ == "__main__":
    main()
