"""Virtual patients that differ as people and scans do: in anatomy, stiffness, lesion, density, wave and noise.

Calibration is a statement about a population, so the population is defined once, here, and shared by every benchmark.
The inversion knows nothing about it: its prior is fitted to each patient's own waves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import LesionSettings, PhantomSettings, TissueSettings
from palpate.imaging.anatomy.atlas import Atlas
from palpate.imaging.files.nifti import voxel_indices
from palpate.imaging.phantom.grid import ScanGrid, scan_grid

BETWEEN_PATIENTS = 0.07
"""Standard deviation of ln of a patient's mean stiffness; 134 adults had 186 Pa around a mean of 2770 Pa."""

BETWEEN_TISSUES = 0.10
"""Standard deviation of ln of a tissue's moduli around the patient's own."""

FREQUENCIES_HZ = (40.0, 50.0, 60.0)
"""Vibration frequencies of the patients, Hz, equally probable; those usual in brains."""
NOISE_PERCENT = (1.0, 4.0)
"""Range of the noise, percent of mean |U|; its logarithm is uniform."""
VARIATION = (0.05, 0.20)
"""Range of the standard deviation of ln G' and ln G'' within solid tissue, uniform."""
CORRELATION_MM = (6.0, 14.0)
"""Range of the correlation length of that variation, mm, uniform."""
FINE_VARIATION = (0.0, 0.14)
"""Range of the standard deviation of ln G' and ln G'' from voxel to voxel, in addition to that of the settings.

Variation that waves do not resolve is unknown; the root mean square over patients is 8 %.
"""

DENSITY = (1010.0 / 1030.0, 1050.0 / 1030.0)
"""Range of a patient's density over that of the settings: 1010 to 1050 kg/m3 where that is 1030.

A scan does not state density. White matter has 1041 kg/m3, grey matter 1045, fluid 1007.
"""

ANISOTROPY = (0.1, 0.4)
"""Range of phi, the share by which white matter is stiffer in shear along its fibres, unless the settings state it."""

LESION_SHARE = 0.6
"""Share of patients with a lesion."""

LESION_RADIUS_MM = (4.0, 10.0)
"""Range of the radius of a lesion, mm, uniform."""
LESION_CONTRAST = (0.5, 2.0)
"""Stiffness of a lesion over that of white matter, softer as often as stiffer."""

TILT_DEG = 8.0
"""Largest rotation of the slices about each axis, degrees."""
LEAST_BRAIN = 0.9
"""Smallest share of a block that is brain or its fluid."""


def cohort(settings: PhantomSettings, atlas: Atlas, count: int) -> Iterator[PhantomSettings]:
    """Yield the settings of `count` patients.

    Equal seeds give equal patients, and an earlier patient does not depend on a later one.

    Args:
        settings: block, voxel and scan that all patients share; its tissues are the population's means.
        atlas: atlas of the head in which blocks are placed.
        count: number of patients.
    """
    for number in range(1, count + 1):
        yield _patient(settings, atlas, number, np.random.default_rng([settings.seed, 9, number]))


def _patient(settings: PhantomSettings, atlas: Atlas, number: int, generator: np.random.Generator) -> PhantomSettings:
    own = float(np.exp(BETWEEN_PATIENTS * generator.standard_normal()))
    white = _tissue(settings.white, own, generator)
    moved = settings.model_copy(
        update={
            "subject": f"{number:02d}",
            "seed": int(generator.integers(2**31)),
            "tilt_deg": tuple(generator.uniform(-TILT_DEG, TILT_DEG, 3).tolist()),
            "grey": _tissue(settings.grey, own, generator),
            "white": white,
            "variation": float(generator.uniform(*VARIATION)),
            "correlation_mm": float(generator.uniform(*CORRELATION_MM)),
            "frequency_hz": float(generator.choice(FREQUENCIES_HZ)),
            "noise_percent": float(np.exp(generator.uniform(*np.log(NOISE_PERCENT)))),
        }
    )
    grid = _placed(moved, atlas, generator)
    centre_mm = tuple((grid.affine_mm @ [*(np.asarray(grid.shape) - 1) / 2, 1.0])[:3].tolist())
    lesion = _lesion(grid, white, generator) if generator.uniform() < LESION_SHARE else None
    unseen = {
        "fine_variation": float(np.hypot(settings.fine_variation, generator.uniform(*FINE_VARIATION))),
        "density_kg_m3": settings.density_kg_m3 * float(generator.uniform(*DENSITY)),
        "anisotropy": settings.anisotropy or float(generator.uniform(*ANISOTROPY)),
    }
    return moved.model_copy(update={"centre_mm": centre_mm, "lesion": lesion, **unseen})


def _tissue(mean: TissueSettings, own: float, generator: np.random.Generator) -> TissueSettings:
    storage, loss = own * np.exp(BETWEEN_TISSUES * generator.standard_normal(2))
    return mean.model_copy(
        update={"storage_kpa": float(mean.storage_kpa * storage), "loss_kpa": float(mean.loss_kpa * loss)}
    )


def _placed(settings: PhantomSettings, atlas: Atlas, generator: np.random.Generator) -> ScanGrid:
    """Return a block at a random place of the brain, hardly any of it outside."""
    places = atlas.points_mm[atlas.brain]
    while True:
        centre = places[generator.integers(len(places))]
        grid = scan_grid(settings.model_copy(update={"centre_mm": tuple(centre.tolist())}), atlas)
        if _inside(atlas, grid.points_mm).mean() >= LEAST_BRAIN:
            return grid


def _inside(atlas: Atlas, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    nearest = np.rint(voxel_indices(atlas.affine_mm, points_mm)).astype(int)
    valid = np.all((nearest >= 0) & (nearest < atlas.brain.shape), axis=-1)
    found = np.zeros(valid.shape, dtype=bool)
    found[valid] = atlas.brain[tuple(nearest[valid].T)]
    return found


def _lesion(grid: ScanGrid, tissue: TissueSettings, generator: np.random.Generator) -> LesionSettings:
    """Return a ball inside the block, harder or softer than white matter."""
    radius = float(generator.uniform(*LESION_RADIUS_MM))
    room = np.maximum((np.asarray(grid.shape) * grid.voxel_mm) / 2 - radius, 0.0)
    place = (np.asarray(grid.shape) - 1) / 2 + generator.uniform(-1.0, 1.0, 3) * room / grid.voxel_mm
    contrast = np.exp(generator.uniform(*np.log(LESION_CONTRAST)))
    return LesionSettings(
        centre_mm=tuple((grid.affine_mm @ [*place, 1.0])[:3].tolist()),
        radius_mm=radius,
        tissue=tissue.model_copy(
            update={
                "storage_kpa": float(tissue.storage_kpa * contrast),
                "loss_kpa": float(tissue.loss_kpa * contrast * np.exp(0.2 * generator.standard_normal())),
            }
        ),
    )
