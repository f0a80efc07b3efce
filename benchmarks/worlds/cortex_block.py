"""Scan of the cortex benchmark: a block of a brain in parcels, each uniform in mu and xi, its waves and its labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from worlds.noise import write_noisy

from palpate.config.phantom import PhantomSettings
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.anatomy.labels import Regions, read_regions
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.phantom.grid import scan_grid
from palpate.imaging.phantom.tissue import Head
from palpate.imaging.wavefield import WaveField
from palpate.solvers.virtual_patient import vibrate

NOISE_PERCENT = 2.0
FREQUENCY_HZ = 50.0
FLUID = 1
CENTRE_MM = (-42.0, -20.0, 44.0)
"""Centre of the block, world RAS mm, in the left post-central cortex: sulci, gyri and white matter."""
PARCEL_MM = 16.0
"""Least distance between the centres of two parcels of one tissue."""
MU_KPA = {"grey": (2.0, 3.3), "white": (2.6, 3.9)}
XI = (0.13, 0.25)
LABELS_OFF_MM = (2.0, 0.0, 0.0)
SEED = 2022


@dataclass(frozen=True, slots=True)
class CortexCase:
    """Simulated scan on disk and its truth.

    Attributes:
        wavefield: folder of the wave field.
        labels: NIfTI file of the parcels.
        displaced: NIfTI file of the parcels, displaced by LABELS_OFF_MM.
        regions: parcels in the mask's voxels.
        mu_kpa, xi: true shear modulus mu, kilopascal, and damping ratio xi in the mask's voxels, shape (N,).
        voxel_mm: edge of the voxels, millimetres.
    """

    wavefield: Path
    labels: Path
    displaced: Path
    regions: Regions
    mu_kpa: NDArray[np.float64]
    xi: NDArray[np.float64]
    voxel_mm: float


def parcels(atlas: Atlas, near_mm: NDArray[np.float64], reach_mm: float) -> NDArray[np.uint8]:
    """Return the numbers of parcels on the atlas: 1 fluid, then grey, then white matter, around random centres."""
    generator = np.random.default_rng([SEED, 1])
    fluid = 1.0 - atlas.grey - atlas.white
    tissue = np.argmax([fluid, atlas.grey, atlas.white], axis=0)
    number = np.full(tissue.shape, FLUID, dtype=np.uint8)
    close = np.linalg.norm(atlas.points_mm - near_mm, axis=-1) < reach_mm
    following = FLUID + 1
    for kind in (1, 2):
        inside = (tissue == kind) & atlas.brain
        centres = _spread_out(atlas.points_mm[inside & close], generator)
        points = atlas.points_mm[inside]
        nearest = np.argmin([np.sum((points - centre) ** 2, axis=1) for centre in centres], axis=0)
        number[inside] = following + nearest
        following += len(centres)
    return number


def _spread_out(points_mm: NDArray[np.float64], generator: np.random.Generator) -> list[NDArray[np.float64]]:
    """Random points no two of which are closer than PARCEL_MM."""
    chosen: list[NDArray[np.float64]] = []
    for point in points_mm[generator.permutation(len(points_mm))]:
        if all(np.linalg.norm(point - other) >= PARCEL_MM for other in chosen):
            chosen.append(point)
    return chosen


def piecewise_head(atlas: Atlas, number: NDArray[np.uint8]) -> Head:
    """Return the brain with one modulus for each parcel."""
    generator = np.random.default_rng([SEED, 2])
    storage_kpa, loss_kpa = np.full(number.max() + 1, 0.3), np.full(number.max() + 1, 0.3)
    for parcel in range(FLUID + 1, number.max() + 1):
        kind = "grey" if (atlas.grey > atlas.white)[number == parcel].mean() > 0.5 else "white"
        mu_kpa, xi = generator.uniform(*MU_KPA[kind]), generator.uniform(*XI)
        ratio = np.sqrt(1.0 + 4.0 * xi**2)
        storage_kpa[parcel] = mu_kpa * (1.0 + ratio) / (2.0 * ratio**2)
        loss_kpa[parcel] = 2.0 * xi * storage_kpa[parcel]
    return Head(
        modulus_kpa=storage_kpa[number] + 1j * loss_kpa[number],
        magnitude=atlas.brain.astype(np.float64),
        t1=atlas.t1,
        brain=atlas.brain,
        tissue=number,
        affine_mm=atlas.affine_mm,
    )


def engineering(modulus: NDArray[np.complex128]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pair mu, in the unit of G*, and xi."""
    size = np.abs(modulus)
    return 2.0 * size**2 / (modulus.real + size), modulus.imag / (2.0 * modulus.real)


def simulate(folder: Path, voxel_mm: float, edges_mm: tuple[float, float, float]) -> CortexCase:
    """Make the scan and write it as a wave-field folder, with labels beside."""
    atlas = load_atlas()
    shape = (round(edges_mm[0] / voxel_mm), round(edges_mm[1] / voxel_mm), round(edges_mm[2] / voxel_mm))
    settings = PhantomSettings(
        centre_mm=CENTRE_MM, shape=shape, voxel_mm=voxel_mm, frequency_hz=FREQUENCY_HZ, lesion=None, seed=SEED
    )
    grid = scan_grid(settings, atlas)
    number = parcels(atlas, np.array(CENTRE_MM), 0.6 * float(np.linalg.norm(edges_mm)))
    head = piecewise_head(atlas, number)
    displacement_m, _ = vibrate(MPI.COMM_SELF, settings, head, grid)
    mask = head.in_brain(grid.points_mm)
    field = WaveField(
        displacement_m=displacement_m,
        mask=mask,
        affine_mm=grid.affine_mm,
        frequency_hz=FREQUENCY_HZ,
        noise_std_m=None,
        density_kg_m3=settings.density_kg_m3,
        label="sub-cortex",
    )
    write_noisy(field, folder / "wavefield", NOISE_PERCENT, [SEED, 3])
    moved = atlas.affine_mm.copy()
    moved[:3, 3] += LABELS_OFF_MM
    write_nifti(folder / "labels.nii.gz", number, atlas.affine_mm)
    write_nifti(folder / "displaced.nii.gz", number, moved)
    mu_kpa, xi = engineering(head.modulus_kpa_in(grid)[mask])
    regions = read_regions(folder / "labels.nii.gz", mask, grid.affine_mm)
    return CortexCase(
        folder / "wavefield", folder / "labels.nii.gz", folder / "displaced.nii.gz", regions, mu_kpa, xi, voxel_mm
    )
