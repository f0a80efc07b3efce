"""Ranges of plausible numbers in elastography: one outside is in a wrong unit or of the wrong element.

Every reader checks them, whether a number comes from a DICOM header, a sidecar, a file's name or the settings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.limits.check_limits import (
    DENSITY_KG_M3,
    DIRECTIONS_CONDITION,
    DISPLACEMENT_UM,
    FREQUENCY_HZ,
    NOISE_RATIO,
    SHEAR,
    THICKNESS,
    VOXEL_MM,
)
from palpate.units import m_to_um

FEWEST_VOXELS = 27
"""Number of voxels at the nodes of one cell of the inversion."""


def demand_frequency(where: Path | str, frequency_hz: float, *, key: str = "a vibration frequency") -> None:
    """Raise InputError unless a frequency is one that elastography uses.

    Args:
        where: file, series or setting that states it.
        frequency_hz: frequency f, hertz.
        key: name of the number in that place.
    """
    advice = "State the frequency in hertz (not kHz, not rad/s) and a vibration period in microseconds."
    _demand_within(where, key, frequency_hz, FREQUENCY_HZ, "Hz", advice)


def demand_density(where: Path | str, density_kg_m3: float, *, key: str = "a density") -> None:
    """Raise InputError unless a density is one of tissue or of a gel.

    Args:
        where: file or setting that states it.
        density_kg_m3: density rho, kg/m3.
        key: name of the number in that place.
    """
    advice = "State the density in kg/m3: water has 1000 (1 g/cm3)."
    _demand_within(where, key, density_kg_m3, DENSITY_KG_M3, "kg/m3", advice)


def _demand_within(
    where: Path | str, key: str, value: float, limits: tuple[float, float], unit: str, advice: str
) -> None:
    low, high = limits
    if not low <= value <= high:
        raise InputError(
            where, found=f"{key} of {value:g} {unit}", expected=f"{low:g} to {high:g} {unit}", advice=advice
        )


def demand_voxels(where: Path | str, affine_mm: NDArray[np.float64]) -> None:
    """Raise InputError unless the edges of the voxels are those of images of a patient, a gel or a specimen.

    Args:
        where: file or label of the images.
        affine_mm: voxel indices to world millimetres, shape (4, 4).
    """
    low, high = VOXEL_MM
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    if not low <= edges_mm.min() <= edges_mm.max() <= high:
        raise InputError(
            where,
            found=f"voxels of {' x '.join(f'{edge:.3g}' for edge in edges_mm)} mm",
            expected=f"edges of {low:g} to {high:g} mm",
            advice="State the affine in millimetres, not in metres or micrometres.",
        )
    cosine = shear_of(affine_mm)
    if cosine > SHEAR:
        raise InputError(
            where,
            found=f"voxel axes that meet at {np.degrees(np.arccos(min(cosine, 1.0))):.1f} degrees",
            expected="axes at right angles",
            advice="Resample the images to a grid without shear, or correct the affine.",
        )


def shear_of(affine_mm: NDArray[np.float64]) -> float:
    """Return the largest cosine of the angle between two voxel axes: 0 where voxels are boxes.

    Args:
        affine_mm: voxel indices to world millimetres, shape (4, 4); an axis of no length counts as sheared.
    """
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    axes = affine_mm[:3, :3] / np.maximum(edges_mm, np.finfo(float).tiny)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def demand_thickness(where: Path | str, thickness_mm: float, spacing_mm: float) -> None:
    """Raise InputError where a slice's thickness cannot be one beside the distance between slices.

    Args:
        where: file or label of the images.
        thickness_mm: thickness of a slice, mm.
        spacing_mm: distance between the middles of neighbouring slices, mm.
    """
    low, high = THICKNESS
    if not low * spacing_mm <= thickness_mm <= high * spacing_mm:
        raise InputError(
            where,
            found=f"slices of {thickness_mm:.4g} mm at a distance of {spacing_mm:.4g} mm",
            expected=f"a thickness of {low:g} to {high:g} times the distance",
            advice="State the slice thickness in millimetres, or leave it out where it is the distance.",
        )


def demand_noise(where: Path | str, map_m: NDArray[np.float64], std_m: float) -> None:
    """Raise InputError where a map of noise and one number for it contradict each other.

    Args:
        where: file or label of the wave field.
        map_m: standard deviation by voxel and component within the mask, metres, shape (N, n).
        std_m: standard deviation of the whole field, metres.
    """
    typical_m = float(np.median(map_m))  # a few voxels without signal have a hundred times the noise of the others
    if not 1.0 / NOISE_RATIO <= typical_m / std_m <= NOISE_RATIO:
        raise InputError(
            where,
            found=f"a noise map of {m_to_um(typical_m):.3g} um beside a noise of {m_to_um(std_m):.3g} um",
            expected=f"the same noise, to a factor of {NOISE_RATIO:g}",
            advice="Check the unit of the map and of NoiseStd, which is that of the displacement.",
        )


def demand_tissue(where: Path | str, mask: NDArray[np.bool_]) -> None:
    """Raise InputError where a mask has fewer voxels than one cell of the inversion.

    The checks of a wave field compare voxels, and would blame something else.

    Args:
        where: file or argument that holds the mask.
        mask: tissue voxels, shape (i, j, k).
    """
    count = int(np.count_nonzero(mask))
    if count < FEWEST_VOXELS:
        raise InputError(
            where,
            found="an empty mask" if count == 0 else f"a mask of {count} {'voxel' if count == 1 else 'voxels'}",
            expected=f"at least the {FEWEST_VOXELS} voxels of one cell; the inversion needs 5 x 5 x 5 somewhere",
            advice="Check the mask: it may be of another scan, or a point instead of a region.",
        )


def demand_directions(where: Path | str, directions: NDArray[np.float64], *, key: str = "encoding directions") -> None:
    """Raise InputError where directions are so nearly dependent that the components between them are mostly noise.

    Args:
        where: file or series that states them.
        directions: vectors in rows, of any length above 0, shape (n, 3).
        key: name of the directions in that place.
    """
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    condition = float(np.linalg.cond(unit))
    if not condition <= DIRECTIONS_CONDITION:
        cosines = np.abs(unit @ unit.T)[np.triu_indices(len(unit), 1)]
        least_deg = float(np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0))).min())
        told = f"{condition:.3g}" if condition < 1e3 else "above 1000"
        raise InputError(
            where,
            found=f"{key} that are nearly dependent: condition number {told}, the closest two {least_deg:.1f} degrees "
            "apart",
            expected=f"independent directions, with a condition number of at most {DIRECTIONS_CONDITION:g}",
            advice="Check the directions and the unit of their angles; noise would be multiplied by the condition "
            "number.",
        )


def demand_displacement(where: Path | str, inside_m: NDArray[np.complex128], *, key: str) -> None:
    """Raise InputError where nothing moves, or so little or much that the unit must be another one.

    Args:
        where: file that holds the displacement.
        inside_m: displacement U in the mask's voxels, metres, shape (N, components).
        key: name of the setting or key that states the unit, for the advice.
    """
    low, high = DISPLACEMENT_UM
    largest_um = float(m_to_um(np.linalg.norm(np.abs(inside_m), axis=-1).max())) if inside_m.size else 0.0
    if not low <= largest_um <= high:
        raise InputError(
            where,
            found=f"a largest displacement of {largest_um:.3g} um",
            expected=f"{low:g} to {high:g} um",
            advice=f"Correct {key}, or check the export of the wave field.",
        )


def demand_measured(where: Path | str, inside: NDArray[np.complex128], *, names: tuple[str, ...]) -> None:
    """Raise InputError where a component holds no measurement: all zero, all the same, or a copy of another one.

    The real and the imaginary part are checked in the same way: a part that is zero, or a copy of the other, was never
    written.

    Args:
        where: file that holds the displacement.
        inside: displacement in the mask's voxels, any unit, shape (N, components).
        names: names of the components.
    """
    size = float(np.abs(inside).max()) if inside.size else 0.0
    for number, name in enumerate(names):
        values = inside[:, number]
        spread = float(np.abs(values - values[:1]).max()) if values.size else 0.0
        if spread <= _NOTHING * size:
            raise InputError(
                where,
                found=f"component {name} {'zero' if np.abs(values).max() <= _NOTHING * size else 'the same'} in every "
                "voxel of the mask",
                expected="a measured displacement along every axis",
                advice="A component that was not measured must be left out (sidecar key Directions), never filled.",
            )
        _demand_both_parts(where, values, name)
        for other in range(number):
            apart = min(float(np.abs(values - sign * inside[:, other]).max()) for sign in (1.0, -1.0))
            if apart <= _NOTHING * size:
                raise InputError(
                    where,
                    found=f"components {names[other]} and {name} that are the same in every voxel of the mask",
                    expected="a measurement of its own along every axis",
                    advice="Check the export: one component was written twice.",
                )


def _demand_both_parts(where: Path | str, values: NDArray[np.complex128], name: str) -> None:
    """Raise InputError unless real and imaginary part of one component are measurements of their own, shape (N,)."""
    limit = _NOTHING * float(np.abs(values).max())
    for part, numbers in (("real", values.real), ("imaginary", values.imag)):
        if float(np.abs(numbers).max()) <= limit:
            raise InputError(
                where,
                found=f"component {name}: the {part} part is zero in every voxel of the mask",
                expected="real and imaginary part of a wave, both measured",
                advice="Write both parts of the complex displacement; an amplitude or one instant is not enough.",
            )
    apart = min(float(np.abs(values.real - sign * values.imag).max()) for sign in (1.0, -1.0))
    if apart <= limit:
        raise InputError(
            where,
            found=f"component {name}: real and imaginary part are the same in every voxel of the mask",
            expected="real and imaginary part of a wave, both measured",
            advice="Check the export: one part was written twice.",
        )


_NOTHING = 1e-6
"""Share of the largest displacement below which a difference is rounding of float32."""
