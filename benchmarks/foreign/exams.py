"""Exam of a scene: forces, waves and images."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Final

import numpy as np
from foreign.scanner import ForeignImages, image
from foreign.scenes import Scene
from foreign.spectral_waves import DENSITY_KG_M3, SpectralTissue
from numpy.typing import NDArray
from scipy import ndimage

SEED: Final = 20270
"""Seed of all random numbers, beside the scene's name."""

SOURCES: Final = 40
"""Number of forces in the margin, so that waves come from all sides."""

REACH: Final = 5
"""Distance from the field of view within which no force lies, cells: no force reaches into it (4 x 1.2 cells)."""


LIGHTEST_KG_M3: Final = 1000.0
HEAVIEST_KG_M3: Final = 1060.0
"""Range of tissue's density, uniform: fluid 1007, brain 1040, muscle 1050, liver 1060 (ICRU report 44)."""


def scan(scene: Scene) -> ForeignImages:
    """Return the images of a scene, the same at every call.

    The scene's moduli are those at DENSITY_KG_M3, for which waves are computed; as waves tell G* / rho only, tissue of
    another density that has these waves has moduli in proportion to its density.
    """
    generator = np.random.default_rng([SEED, zlib.crc32(scene.name.encode())])
    places = scene.places()
    modulus = scene.draw(places, generator)
    spacing_m = np.asarray(scene.spacing_m)
    tissue = SpectralTissue(modulus, spacing_m, scene.frequency_hz, scene.aligned(modulus.shape))
    waves = tissue.waves(forces(modulus.shape, scene.margins(), generator))
    view = tuple(slice(margin, margin + count) for margin, count in zip(scene.margins(), scene.cells(), strict=True))
    seen = waves[:, *view]
    seen = seen * (1e-5 / np.linalg.norm(seen, axis=0).mean())  # ten micrometres, as an actuator gives
    images = image(seen, modulus[view], spacing_m, scene.scan, generator)
    density = float(generator.uniform(LIGHTEST_KG_M3, HEAVIEST_KG_M3))
    return replace(images, modulus_pa=density / DENSITY_KG_M3 * images.modulus_pa, density_kg_m3=density)


def forces(shape: tuple[int, ...], margins: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.complex128]:
    """Return forces of random place, direction and phase in the margin, smooth on the grid, shape (3, x, y, z).

    Args:
        shape: number of cells along each axis, the margins included.
        margins: number of cells of the margin on either side along each axis.
        generator: source of the random numbers.
    """
    force = np.zeros((3, *shape), dtype=complex)
    inner = np.array([[m, n - m] for m, n in zip(margins, shape, strict=True)])
    placed = 0
    while placed < SOURCES:
        place = np.array([generator.integers(n) for n in shape])
        if np.all((place >= inner[:, 0] - REACH) & (place < inner[:, 1] + REACH)):
            continue
        real, imaginary = generator.standard_normal((2, 3))
        force[:, *place] = real + 1j * imaginary
        placed += 1
    return np.stack([ndimage.gaussian_filter(part, 1.2, mode="wrap") for part in force])
