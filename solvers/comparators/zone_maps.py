"""Common parts of the zone-wise comparators: a zone with its data and equations, and maps joined from zones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import Zone
from palpate.solvers.comparators.direct import DirectResult, direct_inversion, filled_positive
from palpate.solvers.inversion.zone.equilibrium import Scales, WaveEquilibrium, equilibrium_of
from palpate.units import mm_to_m


@dataclass(frozen=True, slots=True)
class ComparatorResult:
    """Moduli of a comparator.

    Attributes:
        storage_pa: storage modulus G', pascal, shape (i, j, k), positive; NaN outside the mask.
        loss_pa: loss modulus G'', pascal, shape (i, j, k), positive; NaN outside the mask.
        own: voxels for which the method itself gave two positive moduli, shape (i, j, k). The others have the median of
            their neighbours, or the nearest value, as in DirectResult.
        statistics: numbers by name that describe cost and convergence.
    """

    storage_pa: NDArray[np.float64]
    loss_pa: NDArray[np.float64]
    own: NDArray[np.bool_]
    statistics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ZoneProblem:
    """One zone's data and equations in its own units (Scales), displacement over the field's mean |U|.

    Attributes:
        zone: cells and the n nodes.
        displacement: data d, complex, components along the voxel axes, shape (3 n,).
        equilibrium: the balance of momentum on the zone.
    """

    zone: Zone
    displacement: NDArray[np.complex128]
    equilibrium: WaveEquilibrium


@dataclass(frozen=True, slots=True)
class FieldUnits:
    """Units of all zones of a field, from the algebraic inversion.

    Attributes:
        scales: length h and modulus g.
        displacement_m: mean |U|, metres.
        start: G* / g of a homogeneous medium with the median G' and G'' of the algebraic inversion.
    """

    scales: Scales
    displacement_m: float
    start: complex


def units_of(field: WaveField) -> FieldUnits:
    """Compute the scales and a homogeneous start from the algebraic inversion."""
    direct: DirectResult = direct_inversion(field)
    median = complex(np.nanmedian(direct.storage_pa), np.nanmedian(direct.loss_pa))
    scales = Scales(mm_to_m(float(field.voxel_size_mm.min())), abs(median))
    mean_m = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    return FieldUnits(scales, mean_m, median / scales.modulus_pa)


def map_from_zones(
    field: WaveField, zones: Sequence[Zone], units: FieldUnits, solve: Callable[[ZoneProblem], NDArray[np.complex128]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Solve every zone and average G* where zones overlap, by their weights, which sum to one.

    Args:
        field: the wave field.
        zones: zones that cover its mask.
        units: result of `units_of`.
        solve: function that returns G* / g at a zone's nodes, shape (n,).

    Returns:
        G' and G'' in pascal, positive inside the mask, NaN outside; and the voxels that zones reach with two positive
        moduli.
    """
    axes = field.affine_mm[:3, :3] / field.voxel_size_mm
    data = field.displacement_m[field.mask] @ axes / units.displacement_m
    size = mm_to_m(field.voxel_size_mm) / units.scales.length_m
    inertia = units.scales.inertia(field.density_kg_m3, field.frequency_hz)
    total = np.zeros(len(data), dtype=np.complex128)
    for zone in zones:
        equations = equilibrium_of(zone, size, inertia, trilinear=True)
        moduli = solve(ZoneProblem(zone, data[zone.voxels].ravel(), equations))
        np.add.at(total, zone.voxels, zone.weight * moduli)
    modulus = np.full(field.mask.shape, np.nan, dtype=np.complex128)
    modulus[field.mask] = total * units.scales.modulus_pa
    own = (modulus.real > 0.0) & (modulus.imag > 0.0)
    return filled_positive(modulus.real, field.mask), filled_positive(modulus.imag, field.mask), own
