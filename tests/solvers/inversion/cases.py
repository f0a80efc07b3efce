"""Small zones, exact waves and noise for the tests of the inversion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.meshing.zones import Zone, cut_zones
from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium, equilibrium_of
from palpate.solvers.inversion.zone.likelihood import Linearised, ZoneData
from palpate.solvers.inversion.zone.slice_phase import linear_phase_errors

UNIT_VOXEL = np.ones(3)
INERTIA = 0.19
"""rho omega^2 h^2 / g of 2 mm voxels, 60 Hz and 3 kPa."""

LOSS = 0.3
"""G'' / G' of the homogeneous medium; ln of it is the second parameter."""

SIGNAL_TO_NOISE = 50.0
"""Mean |U| / sigma at 2 % noise."""

DIRECTIONS = np.array([[1.0, 0.2, 0.1], [0.1, 1.0, -0.3], [-0.2, 0.3, 1.0]])
POLARISATIONS = np.array([[0.0, 1.0, 0.3j], [1.0, 0.0, 0.5], [0.4j, 1.0, 0.0]])


def box(*shape: int) -> Zone:
    """The one zone that fills a box of tissue."""
    (zone,) = cut_zones(np.ones(shape, dtype=bool), width_voxels=shape, stride_voxels=shape)
    return zone


def wavenumber(inertia: float, modulus: complex) -> complex:
    """The k with U ~ exp(-i k x) damped in the direction of travel under exp(+i omega t)."""
    return complex(np.sqrt(inertia / modulus))


def shear_waves(place: NDArray[np.float64], k: complex) -> NDArray[np.complex128]:
    """Three crossing plane shear waves without divergence: exact in a homogeneous medium; shape (n, 3)."""
    total = np.zeros(place.shape, dtype=np.complex128)
    for direction, polarisation in zip(DIRECTIONS, POLARISATIONS, strict=True):
        d = direction / np.linalg.norm(direction)
        total += np.exp(-1j * k * (place @ d))[:, None] * (polarisation - (polarisation @ d) * d)
    return total


def homogeneous(zone: Zone) -> NDArray[np.float64]:
    """The m of G* = 1 + 0.3 i, shape (2 n,)."""
    return np.repeat([0.0, np.log(LOSS)], len(zone.voxels))


def varied(zone: Zone, seed: int, size: float = 0.2) -> NDArray[np.float64]:
    """An m that differs at every voxel, shape (2 n,)."""
    return homogeneous(zone) + size * np.random.default_rng(seed).standard_normal(2 * len(zone.voxels))


def unit_noise(zone: Zone, seed: int) -> NDArray[np.complex128]:
    """Standard normal real and imaginary parts, shape (3 n,)."""
    real, imaginary = np.random.default_rng(seed).standard_normal((2, 3 * len(zone.voxels)))
    return np.asarray(real + 1j * imaginary)


def plane_wave_data(
    zone: Zone, seed: int = 0, noise: float = 1.0, tolerance: float = 0.3, phase_errors: float = 0.0
) -> ZoneData:
    """Shear waves of the homogeneous medium with noise of this many sigma and a probe; slices may have phase errors.

    The zone holds every voxel of its mask, in their order.
    """
    clean = shear_waves(zone.ijk * UNIT_VOXEL, wavenumber(INERTIA, 1.0 + 1j * LOSS))
    clean *= SIGNAL_TO_NOISE / np.linalg.norm(clean, axis=1).mean()
    seen = clean.ravel() + noise * unit_noise(zone, seed)
    return ZoneData(
        zone=zone,
        displacement=seen,
        phase_errors=linear_phase_errors(_mask_of(zone), phase_errors),
        probe=unit_noise(zone, seed + 1000),
        node_spacing=UNIT_VOXEL,
        axes=np.eye(3),
        inertia=INERTIA,
        divergence_tolerance=tolerance,
    )


def _mask_of(zone: Zone) -> NDArray[np.bool_]:
    mask = np.zeros(zone.ijk.max(axis=0) + 1, dtype=bool)
    mask[tuple(zone.ijk.T)] = True
    return mask


def linearise(
    data: ZoneData, parameters: NDArray[np.float64], equilibrium: WaveEquilibrium | None = None
) -> Linearised:
    """The likelihood of a zone; without `equilibrium` it is assembled anew."""
    return Linearised(data, equilibrium or equilibrium_of(data.zone, data.node_spacing, data.inertia), parameters)


def consistent(
    data: ZoneData, parameters: NDArray[np.float64], equilibrium: WaveEquilibrium | None = None
) -> NDArray[np.complex128]:
    """The displacement nearest to the data that obeys the zone's equations exactly at these moduli, shape (3 n,)."""
    return linearise(data, parameters, equilibrium).displacement
