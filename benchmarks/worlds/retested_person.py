"""Two scans of one simulated person: tissue as a function of place, seen from two positions by waves of two drives.

The tissue is a smooth background with a spherical lesion, given by formulas at every point, so that no session's images
are an interpolation of the other's. Waves come from the foreign generator (`foreign/`): Fourier series, no mesh. Each
session has its own position, forces, noise and error of the recorded placement on the T1. Between the sessions the
lesion may have changed, and tissue may differ from scan to scan as it does in a person who is scanned twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from foreign.exams import forces
from foreign.scanner import ForeignScan, image
from foreign.scenes import MARGIN_M
from foreign.spectral_waves import DENSITY_KG_M3, Fibres, SpectralTissue
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.registration.placement import Placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.wavefield import WaveField

SEED: Final = 20272
SPACING_M: Final = 1e-3
"""Spacing of the grid of the waves, metre."""
VIEW_CELLS: Final = (39, 39, 18)
"""Cells of the field of view: 13 x 13 x 6 voxels of 3 mm."""
VOXEL_CELLS: Final = (3, 3, 3)
FREQUENCY_HZ: Final = 60.0
NOISE_PERCENT: Final = 3.0
LESION_MM: Final = 7.0
"""Radius of the lesion, mm."""
AROUND_MM: Final = (10.0, 15.0)
"""Inner and outer radius of the ring around the lesion, mm."""
SLAB_MM: Final = 6.0
"""Half of the ring's height, mm."""
MOST_MM: Final = 3.0
MOST_DEG: Final = 5.0
"""Largest shift and turn of the person between two scans."""
PLACED_MM: Final = 0.25
PLACED_DEG: Final = 0.4
"""Standard deviation of the recorded placement's error along and about each axis, as registrations have it."""
NAMES: Final = {1: "lesion", 2: "around"}
_WAVES: Final = 48
_LENGTH_MM: Final = 9.0
_BORDER_MM: Final = 0.6


@dataclass(frozen=True, slots=True)
class Person:
    """Tissue of one person at one time.

    Attributes:
        storage_kpa: median storage modulus of the background, kilopascal.
        tangent: loss tangent of the background.
        contrast: modulus of the lesion over the background's.
        waves_mm: wave vectors of the variation of ln G' and of the tangent, rad/mm, shape (2, n, 3).
        phases: their phases, rad, shape (2, n).
        middle_mm: centre of the lesion, mm, shape (3,).
        factor: modulus of all tissue on this day over its own mean.
        fibres: direction of fibres in the T1's world, times the excess of the shear modulus in planes along them, shape
            (3,); zero without fibres.
    """

    storage_kpa: float
    tangent: float
    contrast: float
    waves_mm: NDArray[np.float64]
    phases: NDArray[np.float64]
    middle_mm: NDArray[np.float64]
    factor: float = 1.0
    fibres: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def modulus_kpa(self, points_mm: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Return G* at points of the T1's world, kilopascal, shape (...).

        Args:
            points_mm: points, world RAS, mm, shape (..., 3).
        """
        rough = [
            np.sqrt(2.0 / _WAVES) * np.cos(points_mm @ waves.T + phases).sum(axis=-1)
            for waves, phases in zip(self.waves_mm, self.phases, strict=True)
        ]
        away_mm = np.linalg.norm(points_mm - self.middle_mm, axis=-1)
        inside = 1.0 / (1.0 + np.exp(np.clip((away_mm - LESION_MM) / _BORDER_MM, -50.0, 50.0)))
        storage = self.factor * self.storage_kpa * np.exp(0.1 * rough[0] + inside * np.log(self.contrast))
        return np.asarray(storage * (1.0 + 1j * self.tangent * np.exp(0.1 * rough[1])))


def person(number: int) -> Person:
    """Return one person, the same at every call.

    Args:
        number: number of the pair.
    """
    generator = np.random.default_rng([SEED, number, 0])
    return Person(
        storage_kpa=float(np.exp(generator.uniform(np.log(2.0), np.log(4.0)))),
        tangent=float(generator.uniform(0.25, 0.5)),
        contrast=float(np.exp(generator.uniform(np.log(0.7), np.log(2.0)))),
        waves_mm=generator.standard_normal((2, _WAVES, 3)) / _LENGTH_MM,
        phases=generator.uniform(0.0, 2.0 * np.pi, (2, _WAVES)),
        middle_mm=generator.uniform(-1.0, 1.0, 3),
    )


def labels(tissue: Person) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the labels on the T1's voxels of 1 mm: 1 the lesion, 2 a ring around it; and their affine.

    Args:
        tissue: person, of whom the lesion's place is used.
    """
    shape = (56, 56, 32)
    affine_mm = np.diag([1.0, 1.0, 1.0, 1.0])
    affine_mm[:3, 3] = -0.5 * (np.array(shape) - 1.0)
    points_mm = _points_mm(shape, affine_mm) - tissue.middle_mm
    away_mm = np.linalg.norm(points_mm, axis=-1)
    found = np.zeros(shape, dtype=np.int16)
    found[away_mm < LESION_MM] = 1
    flat_mm = np.linalg.norm(points_mm[..., :2], axis=-1)
    ring = (flat_mm > AROUND_MM[0]) & (flat_mm < AROUND_MM[1]) & (np.abs(points_mm[..., 2]) < SLAB_MM)
    found[ring] = 2
    return found, affine_mm


def write_session(folder: Path, tissue: Person, number: int, session: int, drive: int | None = None) -> None:
    """Scan a person and write the wave-field folder, with the T1 and the recorded placement on it.

    Args:
        folder: wave-field folder, which exists and is empty.
        tissue: person on the day of the scan.
        number: number of the pair; with the session it gives position, forces, noise and error of the placement.
        session: number of the session.
        drive: session whose forces act in this one, too; None for forces of its own.
    """
    generator = np.random.default_rng([SEED, number, session])
    driver = np.random.default_rng([SEED, number, session if drive is None else drive, 1])
    true = _motion(generator)
    margins = (round(MARGIN_M / SPACING_M),) * 3
    shape = tuple(view + 2 * margin for view, margin in zip(VIEW_CELLS, margins, strict=True))
    grid_mm = np.diag([1e3 * SPACING_M] * 3 + [1.0])
    grid_mm[:3, 3] = -0.5 * (np.array(shape) - 1.0) * 1e3 * SPACING_M
    modulus_pa = 1e3 * tissue.modulus_kpa(true.moved(_points_mm(shape, grid_mm)))
    spacing_m = np.full(3, SPACING_M)
    fibres = _fibres_of(tissue, true, shape)
    waves = SpectralTissue(modulus_pa, spacing_m, FREQUENCY_HZ, fibres).waves(forces(shape, margins, driver))
    view = tuple(slice(margin, margin + count) for margin, count in zip(margins, VIEW_CELLS, strict=True))
    seen = waves[:, *view]
    seen = seen * (1e-5 / np.linalg.norm(seen, axis=0).mean())  # ten micrometres, as an actuator gives
    scan = ForeignScan(cells=VOXEL_CELLS, noise_percent=NOISE_PERCENT)
    images = image(seen, modulus_pa[view], spacing_m, scan, generator)
    affine_mm = np.diag([*(1e3 * images.spacing_m), 1.0])
    affine_mm[:3, 3] = -0.5 * (np.array(images.measured.shape) - 1.0) * np.diag(affine_mm)[:3]
    label = f"sub-{number:03d}_ses-{session:02d}"
    field = WaveField(
        displacement_m=images.displacement_m,
        mask=images.measured,
        affine_mm=affine_mm,
        frequency_hz=FREQUENCY_HZ,
        noise_std_m=float(np.sqrt(np.mean(images.noise_m**2))),
        density_kg_m3=DENSITY_KG_M3,
        label=label,
    )
    write_wave_field(folder, field)
    _write_placement(folder, label, true, generator)
    of_labels, t1_mm = labels(tissue)
    write_nifti(folder / f"{label}_T1w.nii.gz", np.full(of_labels.shape, 100.0, dtype=np.float32), t1_mm)


def _fibres_of(tissue: Person, motion: Rigid, shape: tuple[int, ...]) -> Fibres | None:
    """Return the fibres on the grid of a session; None without fibres."""
    excess = float(np.linalg.norm(tissue.fibres))
    if excess == 0.0:
        return None
    direction = motion.matrix_mm[:3, :3].T @ (np.array(tissue.fibres) / excess)
    return Fibres(direction, np.full(shape, excess), np.zeros(shape))


def _motion(generator: np.random.Generator) -> Rigid:
    """Draw the motion from the elastogram's world to the T1's: a shift and a turn in random directions."""
    turn, shift = (axis / np.linalg.norm(axis) for axis in generator.standard_normal((2, 3)))
    angle, length = generator.uniform(0.0, (np.deg2rad(MOST_DEG), MOST_MM))
    euler = Rotation.from_rotvec(angle * turn).as_euler("yxz")  # R = R_z R_x R_y
    return Rigid(np.concatenate([euler[[1, 0, 2]], length * shift]), np.zeros(3))


def _write_placement(folder: Path, label: str, true: Rigid, generator: np.random.Generator) -> None:
    """Write a placement that is off the true motion by as much as its covariance says."""
    covariance = np.diag([np.deg2rad(PLACED_DEG) ** 2] * 3 + [PLACED_MM**2] * 3)
    (found,) = true.draws(covariance, 1, int(generator.integers(2**31)))
    spread_mm = found.spread_mm(covariance, 10.0 * generator.standard_normal((100, 3)))
    write_placement(folder, label, Placement("registered", found, covariance, spread_mm))


def _points_mm(shape: tuple[int, ...], affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centres of all voxels of a grid, mm, shape (i, j, k, 3)."""
    index = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1)
    return np.asarray(index @ affine_mm[:3, :3].T + affine_mm[:3, 3])
