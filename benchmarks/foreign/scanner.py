"""Images of waves as a scanner makes them: means over voxels, gaps, interpolation, noise, holes and bulk motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft


@dataclass(frozen=True, slots=True)
class ForeignScan:
    """Protocol of one exam.

    Attributes:
        cells: number of grid cells that a voxel spans along each axis; a slice's cells are averaged.
        gap_cells: number of cells between two slices that no slice sees.
        zero_filled: whether the in-plane images are interpolated twofold by zero filling, as scanners do.
        noise_percent: standard deviation of each real and imaginary part, percent of mean |u| in the mask.
        noise_ratio: ratio of the largest to the smallest noise, which grows from one side to the other.
        hole_fraction: fraction of voxels without data, scattered over the mask.
        void_voxels: edge of a cube of voxels whose data are noise alone, in voxels; 0 for none.
        bulk: amplitude of a rigid motion of the whole body, over the mean of |u|.
        components: components that were measured, as columns of (x, y, z).
    """

    cells: tuple[int, int, int] = (2, 2, 2)
    gap_cells: int = 0
    zero_filled: bool = False
    noise_percent: float = 3.0
    noise_ratio: float = 1.0
    hole_fraction: float = 0.0
    void_voxels: int = 0
    bulk: float = 0.0
    components: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class ForeignImages:
    """Measured waves with the truth that belongs to their voxels.

    Attributes:
        displacement_m: measured displacement, metre, shape (i, j, k, directions).
        modulus_pa: mean of G* over each voxel, pascal, shape (i, j, k).
        measured: whether a voxel has data, shape (i, j, k).
        void: whether a voxel's data are noise alone, shape (i, j, k).
        noise_m: standard deviation of each real and imaginary part, metre, shape (i, j, k, directions).
        spacing_m: distance between voxels along the axes, metre, shape (3,).
        thickness_m: thickness of a slice, metre.
        acquired_matrix: pixels along i and j before zero filling; None where images are as acquired.
        density_kg_m3: true density, which no scan states, kg/m3.
    """

    displacement_m: NDArray[np.complex128]
    modulus_pa: NDArray[np.complex128]
    measured: NDArray[np.bool_]
    void: NDArray[np.bool_]
    noise_m: NDArray[np.float64]
    spacing_m: NDArray[np.float64]
    thickness_m: float
    acquired_matrix: tuple[int, int] | None = None
    density_kg_m3: float = 1000.0


def image(
    waves_m: NDArray[np.complex128],
    modulus_pa: NDArray[np.complex128],
    spacing_m: NDArray[np.float64],
    scan: ForeignScan,
    generator: np.random.Generator,
) -> ForeignImages:
    """Scan waves.

    Args:
        waves_m: displacement on the grid's cells in the field of view, metre, shape (3, x, y, z).
        modulus_pa: complex shear modulus G* there, pascal, shape (x, y, z).
        spacing_m: spacing of the grid, metre, shape (3,).
        scan: protocol.
        generator: source of noise and holes.
    """
    chosen = np.moveaxis(waves_m[list(scan.components)], 0, -1)
    mean = float(np.linalg.norm(np.moveaxis(waves_m, 0, -1), axis=-1).mean())
    moved = chosen + scan.bulk * mean * _bulk(chosen.shape, generator)
    signal, modulus = _voxels(moved, scan), _voxels(modulus_pa, scan)
    shape = signal.shape[:3]
    noise = _noise_level(shape, scan, mean)[..., None] * np.ones(signal.shape[3])
    void = _void(shape, scan)
    real, imaginary = generator.standard_normal((2, *signal.shape))
    noisy = np.where(void[..., None], 0.0, signal) + np.where(void[..., None], mean, noise) * (real + 1j * imaginary)
    matrix = None
    if scan.zero_filled:
        noisy, modulus = _zero_filled(noisy), modulus.repeat(2, axis=0).repeat(2, axis=1)
        noise, void = (part.repeat(2, axis=0).repeat(2, axis=1) for part in (noise, void))
        matrix = (shape[0], shape[1])
    measured = generator.random(noisy.shape[:3]) >= scan.hole_fraction
    edges = np.array(scan.cells) / ((2.0, 2.0, 1.0) if scan.zero_filled else 1.0)
    pitch = edges + np.array((0.0, 0.0, scan.gap_cells))
    return ForeignImages(
        noisy, modulus, measured, void, noise, pitch * spacing_m, float(edges[2] * spacing_m[2]), matrix
    )


def _voxels(values: NDArray[np.complex128], scan: ForeignScan) -> NDArray[np.complex128]:
    """Return means over voxels, what lies in gaps left out, shape (i, j, k, ...)."""
    x, y, z = scan.cells
    pitch = z + scan.gap_cells
    counts = (values.shape[0] // x, values.shape[1] // y, (values.shape[2] + scan.gap_cells) // pitch)
    inside = values[: counts[0] * x, : counts[1] * y]
    slices = [inside[:, :, k * pitch : k * pitch + z].mean(axis=2) for k in range(counts[2])]
    stack = np.stack(slices, axis=2)
    rest = stack.shape[2:]
    return np.asarray(stack.reshape(counts[0], x, counts[1], y, *rest).mean(axis=(1, 3)))


def _bulk(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.complex128]:
    """Return a rigid motion of unit size: a shift and a turn, complex, the same for the whole field of view."""
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:3]), indexing="ij"), axis=-1)
    shift, turn = (np.ravel(v[0] + 1j * v[1]) for v in generator.standard_normal((2, 2, 3)))
    motion = shift + 0.3 * np.cross(turn, places)
    size = float(np.linalg.norm(motion, axis=-1).mean())
    return np.asarray(motion[..., : shape[3]] / size)


def _noise_level(shape: tuple[int, ...], scan: ForeignScan, mean: float) -> NDArray[np.float64]:
    """Return the noise by voxel, which grows along the first axis by the protocol's ratio about its mean."""
    ramp = np.geomspace(1.0, scan.noise_ratio, shape[0])
    return np.asarray(scan.noise_percent / 100.0 * mean * (ramp / ramp.mean())[:, None, None] * np.ones(shape))


def _void(shape: tuple[int, ...], scan: ForeignScan) -> NDArray[np.bool_]:
    """Return where the signal is void: a cube in the middle."""
    void = np.zeros(shape, dtype=bool)
    if scan.void_voxels:
        void[tuple(slice((n - scan.void_voxels) // 2, (n + scan.void_voxels) // 2) for n in shape)] = True
    return void


def _zero_filled(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return images on twice as many voxels in plane, by padding their Fourier series with zeros.

    A scanner's field of view is wider than the block, so that opposite faces do not meet: the block goes on beyond its
    faces as its mirror image, which is cut off again.
    """
    x, y = values.shape[:2]
    mirrored = np.concatenate([values, values[::-1]])
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]], axis=1)
    shift = np.exp(-0.5j * np.pi * np.add.outer(fft.fftfreq(2 * x), fft.fftfreq(2 * y)))  # new voxels lie in pairs
    series = fft.fft2(mirrored, axes=(0, 1)) * shift.reshape(2 * x, 2 * y, *(1,) * (values.ndim - 2))
    series = fft.fftshift(series, axes=(0, 1))
    padded = np.pad(series, [(x, x), (y, y), *[(0, 0)] * (values.ndim - 2)])
    filled = fft.ifft2(fft.ifftshift(padded, axes=(0, 1)), axes=(0, 1)) * 4.0
    return np.asarray(filled[: 2 * x, : 2 * y])
