"""Tissues of the foreign waves: uniform, smooth, spheres, layers, cells of Voronoi, heads, livers, fibres, slip.

All are drawn from formulas and random numbers on a grid of their own; no atlas, segmentation or mesh is read. A modulus
that jumps is smoothed by a Gaussian of SMOOTHING cells, far below a voxel, so that Fourier series resolve it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from foreign.scanner import ForeignScan
from foreign.spectral_waves import Fibres
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING: Final = 0.8
"""Standard deviation of the Gaussian that smooths jumps of the modulus, cells of the grid."""

MARGIN_M: Final = 0.016
"""Least width of tissue with forces around the field of view, metre; the box is periodic beyond it."""

PLAIN: Final = ForeignScan()
"""Cubic voxels of two cells, three components, 3 % noise."""

Grid = NDArray[np.float64]
Draw = Callable[[Grid, np.random.Generator], NDArray[np.complex128]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One tissue with its protocol.

    Attributes:
        name: name of the field, unique.
        group: class in which the field is scored.
        draw: function that returns G*, pascal, shape (x, y, z), at places in metre, shape (3, x, y, z).
        frequency_hz: frequency of the drive, hertz.
        scan: protocol.
        view_m: field of view, metre, (x, y, z).
        spacing_m: spacing of the grid, metre, (x, y, z).
        fibres: excess (phi, zeta) of transversely isotropic tissue, as Fibres; None for isotropic tissue.
    """

    name: str
    group: str
    draw: Draw
    frequency_hz: float = 50.0
    scan: ForeignScan = PLAIN
    view_m: tuple[float, float, float] = (0.036, 0.036, 0.036)
    spacing_m: tuple[float, float, float] = (0.001, 0.001, 0.001)
    fibres: tuple[float, float] | None = None

    def cells(self) -> tuple[int, ...]:
        """Return the number of grid cells of the field of view along each axis."""
        return tuple(round(view / step) for view, step in zip(self.view_m, self.spacing_m, strict=True))

    def margins(self) -> tuple[int, ...]:
        """Return the number of grid cells of the margin on either side along each axis."""
        return tuple(int(np.ceil(MARGIN_M / step)) for step in self.spacing_m)

    def places(self) -> Grid:
        """Return places of the grid's cells, the middle of the field of view at 0, metre, shape (3, x, y, z)."""
        lines = [
            (np.arange(count + 2 * margin) - 0.5 * (count + 2 * margin - 1)) * step
            for count, margin, step in zip(self.cells(), self.margins(), self.spacing_m, strict=True)
        ]
        return np.stack(np.meshgrid(*lines, indexing="ij"))

    def aligned(self, shape: tuple[int, ...]) -> Fibres | None:
        """Return fibres on the grid along an oblique direction, of constant excess."""
        if self.fibres is None:
            return None
        direction = np.array([2.0, 1.0, 2.0]) / 3.0
        return Fibres(direction, np.full(shape, self.fibres[0]), np.full(shape, self.fibres[1]))


def uniform(storage_kpa: float, tangent: float = 0.35) -> Draw:
    """Return tissue of one modulus.

    Args:
        storage_kpa: storage modulus G', kilopascal.
        tangent: loss tangent G''/G'.
    """
    return lambda places, _: np.full(places.shape[1:], 1e3 * storage_kpa * (1 + 1j * tangent))


def smooth(storage_kpa: float, spread: float, length_m: float) -> Draw:
    """Return tissue whose ln G' and ln tangent are Gaussian fields with Gaussian correlation.

    Args:
        storage_kpa: median of G', kilopascal.
        spread: standard deviation of ln G'.
        length_m: standard deviation of the smoothing kernel, metre.
    """

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        step = _steps(places)
        fields = []
        for _ in range(2):
            rough = generator.standard_normal(places.shape[1:])
            field = ndimage.gaussian_filter(rough, length_m / step, mode="wrap")
            fields.append((field - field.mean()) / field.std())
        storage = 1e3 * storage_kpa * np.exp(spread * fields[0])
        return np.asarray(storage * (1 + 0.35j * np.exp(0.3 * fields[1])))

    return draw


def spheres(storage_kpa: float, contrasts: tuple[float, ...], radius_m: float) -> Draw:
    """Return uniform tissue with spheres at random places, of given contrasts."""

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        modulus = np.full(places.shape[1:], 1e3 * storage_kpa * (1 + 0.35j))
        reach = 0.25 * np.ptp(places.reshape(3, -1), axis=1)
        for contrast in contrasts:
            middle = generator.uniform(-reach, reach)[:, None, None, None]
            modulus[np.linalg.norm(places - middle, axis=0) < radius_m] = 1e3 * storage_kpa * contrast * (1 + 0.3j)
        return _smoothed(modulus)

    return draw


def layers(low_kpa: float, high_kpa: float, width_m: float) -> Draw:
    """Return oblique layers of two moduli in turn."""

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        normal = generator.standard_normal(3)
        depth = np.tensordot(normal / np.linalg.norm(normal), places, axes=1)
        stiff = np.floor(depth / width_m).astype(int) % 2 == 0
        return _smoothed(1e3 * np.where(stiff, high_kpa, low_kpa) * np.where(stiff, 1 + 0.25j, 1 + 0.45j))

    return draw


def voronoi(low_kpa: float, high_kpa: float, cells: int) -> Draw:
    """Return the cells of Voronoi of random points, each with a modulus of its own."""

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        half = 0.5 * np.ptp(places.reshape(3, -1), axis=1)
        points = generator.uniform(-half, half, (cells, 3))
        apart = ((places[None] - points[:, :, None, None, None]) ** 2).sum(axis=1)
        storage = np.exp(generator.uniform(np.log(low_kpa), np.log(high_kpa), cells))
        loss = storage * generator.uniform(0.2, 0.5, cells)
        return _smoothed(1e3 * (storage + 1j * loss)[np.argmin(apart, axis=0)])

    return draw


def folded(scale: float) -> Draw:
    """Return tissue like a brain's: a folded sheet of grey matter between white matter and fluid, and a ventricle."""

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        x, y, z = places / 0.009
        phases = generator.uniform(0, 2 * np.pi, 3)
        fold = sum(np.sin(a + p) for a, p in zip((x + 0.5 * y, y - 0.7 * z, z + 0.3 * x), phases, strict=True))
        height = places[2] + 0.003 * fold
        middle = generator.uniform(-0.008, 0.0, 3)[:, None, None, None]
        ventricle = np.linalg.norm((places - middle) / np.array([1.0, 2.0, 0.7])[:, None, None, None], axis=0) < 0.005
        white, grey, fluid = scale * (3.0 + 1.2j), scale * (2.2 + 0.9j), 0.35 + 0.25j
        modulus = np.where(height < 0.006, white, np.where(height < 0.010, grey, fluid))
        return _smoothed(1e3 * np.where(ventricle, fluid, modulus))

    return draw


def liver(storage_kpa: float) -> Draw:
    """Return tissue like a liver's: slowly varying, with vessels, under a softer wall on one side."""

    def draw(places: Grid, generator: np.random.Generator) -> NDArray[np.complex128]:
        modulus = smooth(storage_kpa, 0.08, 0.015)(places, generator) * (1 - 0.1j)
        reach = 0.4 * np.ptp(places.reshape(3, -1), axis=1)
        for _ in range(3):
            through = generator.uniform(-reach, reach)[:, None, None, None]
            along = generator.standard_normal(3)
            along = (along / np.linalg.norm(along))[:, None, None, None]
            away = places - through
            away = away - along * np.sum(away * along, axis=0)
            modulus[np.linalg.norm(away, axis=0) < 0.003] = 600 + 400j
        wall = places[1] > reach[1]
        modulus[wall] = 1500 + 700j
        return _smoothed(modulus)

    return draw


def slipping(storage_kpa: float, ratio: float) -> Draw:
    """Return uniform tissue, cut by a thin lubricated plane.

    Args:
        storage_kpa: storage modulus G' of the tissue, kilopascal.
        ratio: modulus of the plane over the tissue's.
    """

    def draw(places: Grid, _: np.random.Generator) -> NDArray[np.complex128]:
        away = np.abs(places[0] + 0.4 * places[2]) / np.hypot(1.0, 0.4)
        plane = np.exp(-0.5 * (away / 0.0007) ** 2)
        return np.asarray(1e3 * storage_kpa * (1 + 0.35j) * ratio**plane)

    return draw


def _smoothed(modulus: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return a modulus without jumps, smoothed in its logarithm."""
    return np.asarray(np.exp(ndimage.gaussian_filter(np.log(modulus), SMOOTHING, mode="wrap")))


def _steps(places: Grid) -> NDArray[np.float64]:
    """Return the spacing of the grid along each axis, metre, shape (3,)."""
    return np.array([np.diff(places[axis], axis=axis).flat[0] for axis in range(3)])


_THICK: Final = ForeignScan(cells=(2, 2, 4))
_WIDE: Final = (0.06, 0.06, 0.05)
_LIVER_VIEW: Final = (0.1, 0.08, 0.04)
_COARSE: Final = (0.00125, 0.00125, 0.0025)
_ONE_DIRECTION: Final = ForeignScan(cells=(2, 2, 4), components=(2,))


def clinical_liver(name: str, storage_kpa: float) -> Scene:
    """Return a liver in 4 slices of 10 mm of which one component is measured.

    Args:
        name: name of the field, unique.
        storage_kpa: median storage modulus G', kilopascal.
    """
    return Scene(name, "liver", liver(storage_kpa), 60.0, _ONE_DIRECTION, _LIVER_VIEW, _COARSE)


SCENES: Final = (
    Scene("uniform-1-20hz", "smooth", uniform(1.0), 20.0),
    Scene("uniform-3-60hz", "smooth", uniform(3.0), 60.0),
    Scene("uniform-8-60hz", "smooth", uniform(8.0, 0.2), 60.0),
    Scene("uniform-15-100hz", "smooth", uniform(15.0, 0.2), 100.0),
    Scene("smooth-2-8mm", "smooth", smooth(2.0, 0.2, 0.008)),
    Scene("smooth-3-5mm", "smooth", smooth(3.0, 0.25, 0.005)),
    Scene("smooth-5-6mm-80hz", "smooth", smooth(5.0, 0.3, 0.006), 80.0),
    Scene("smooth-10-6mm-100hz", "smooth", smooth(10.0, 0.25, 0.006), 100.0),
    Scene("smooth-2-4mm-30hz", "smooth", smooth(2.0, 0.25, 0.004), 30.0),
    Scene("spheres-stiff", "sharp", spheres(2.5, (2.0, 3.0), 0.006)),
    Scene("spheres-soft", "sharp", spheres(4.0, (0.4, 0.6), 0.006), 60.0),
    Scene("spheres-small", "sharp", spheres(2.5, (2.0, 2.0, 2.0, 0.5), 0.004), 60.0),
    Scene("layers-wide", "sharp", layers(2.0, 4.0, 0.008)),
    Scene("layers-narrow", "sharp", layers(2.0, 5.0, 0.005), 60.0),
    Scene("voronoi-20", "sharp", voronoi(1.5, 5.0, 20)),
    Scene("voronoi-60", "sharp", voronoi(1.5, 6.0, 60), 60.0),
    Scene("voronoi-stiff-90hz", "sharp", voronoi(4.0, 15.0, 30), 90.0),
    Scene("brain-50hz", "sharp", folded(1.0)),
    Scene("brain-30hz", "sharp", folded(0.9), 30.0),
    Scene("brain-70hz", "sharp", folded(1.15), 70.0),
    Scene("thick-uniform", "thick slices", uniform(3.0), 60.0, _THICK, _WIDE, _COARSE),
    Scene("thick-smooth", "thick slices", smooth(3.0, 0.15, 0.012), 60.0, _THICK, _WIDE, _COARSE),
    Scene(
        "thick-gap", "thick slices", smooth(4.0, 0.15, 0.012), 60.0, ForeignScan((2, 2, 2), gap_cells=1), _WIDE, _COARSE
    ),
    Scene("boxes-2-2-4", "anisotropic voxels", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan((2, 2, 4))),
    Scene("boxes-2-3-2", "anisotropic voxels", voronoi(2.0, 5.0, 20), 50.0, ForeignScan((2, 3, 2))),
    clinical_liver("liver-4-slices", 2.2),
    Scene("liver-5-slices", "liver", liver(4.0), 60.0, _ONE_DIRECTION, (0.1, 0.08, 0.05), _COARSE),
    Scene("noise-fourfold", "noise and damage", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan(noise_ratio=4.0)),
    Scene("zero-filled", "noise and damage", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan((4, 4, 2), zero_filled=True)),
    Scene("void", "noise and damage", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan(void_voxels=3)),
    Scene("holes", "noise and damage", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan(hole_fraction=0.03)),
    Scene("bulk-motion", "noise and damage", smooth(3.0, 0.2, 0.006), 50.0, ForeignScan(bulk=10.0)),
    Scene("fibres-1.3", "other physics", uniform(3.0), 50.0, fibres=(0.3, 0.0)),
    Scene("fibres-2", "other physics", uniform(3.0), 50.0, fibres=(1.0, 0.0)),
    Scene("fibres-2-tensile", "other physics", uniform(3.0), 50.0, fibres=(1.0, 1.0)),
    Scene("slip", "other physics", slipping(3.0, 0.05)),
)
"""All fields."""
