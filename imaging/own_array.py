"""Displacement that a user holds as arrays: checked like a wave-field folder, and converted to SI units.

The reader of folders (palpate.imaging.files.wavefield_folder) and this module check the same numbers in the same way;
their errors differ, because they name a file or an argument.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from palpate.errors import InputError
from palpate.imaging.displacement import to_world, world_noise, world_noise_map
from palpate.imaging.limits.plausible import (
    demand_directions,
    demand_displacement,
    demand_measured,
    demand_tissue,
    shear_of,
)
from palpate.imaging.limits.stated import METRES_PER_UNIT, unit_vectors

WHERE: Final = "palpate.WaveField"
"""Name of this input in errors."""

ASSUMED_DENSITY_KG_M3: Final = 1000.0
"""Density that elastography assumes where it is unknown, that of water, kg/m3."""

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ROUNDING: Final = 1e-6


def in_si_units(
    displacement: ArrayLike,
    affine_mm: ArrayLike,
    frequency_hz: float,
    *,
    mask: ArrayLike,
    units: str,
    directions: ArrayLike | None,
    slice_thickness_mm: float | None,
    acquired_matrix: tuple[int, int] | None,
    noise: ArrayLike | None,
    density_kg_m3: float | None,
    label: str,
) -> dict[str, Any]:
    """Return the attributes of a WaveField from a user's arrays; the arguments are described in WaveField.

    Raises:
        InputError: an argument has another shape, kind or unit than it must have, or holds no measurement.
    """
    if units not in METRES_PER_UNIT:
        raise _refusal(f"units={units!r}", "units: one of nm, um, mm, m", "State the unit of the displacement.")
    metres = METRES_PER_UNIT[units]
    encoded = _displacement(displacement)
    inside = _mask(mask, encoded.shape[:3])
    vectors = _directions(directions, encoded.shape[3])
    values = np.asarray(np.where(inside[..., None], encoded, 0.0), dtype=np.complex128)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        advice = "Leave voxels without a measurement out of the mask."
        raise _refusal(f"{bad} values that are not finite inside the mask", "finite displacement in the mask", advice)
    named = tuple("RAS" if directions is None else "123")[: len(vectors)]
    demand_measured(WHERE, values[inside], names=named)
    demand_displacement(WHERE, np.asarray(metres * values[inside], dtype=np.complex128), key="units")
    noise_std_m, noise_map_m = _noise(noise, vectors, inside, metres)
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise _refusal(f"label={label!r}", "letters, digits, - and _", "Choose a label such as sub-01_ses-01.")
    if slice_thickness_mm is not None and not 0.0 < slice_thickness_mm < np.inf:
        raise _refusal(
            f"slice_thickness_mm={slice_thickness_mm!r}", "a thickness above 0 mm", "Leave it out, or mend it."
        )
    whole = len(vectors) == 3
    turned = not np.array_equal(vectors, np.eye(len(vectors), 3))
    return {
        "displacement_m": metres * (to_world(np.moveaxis(values, -1, 0), vectors) if whole and turned else values),
        "mask": inside,
        "affine_mm": _affine(affine_mm),
        "frequency_hz": _number("frequency_hz", frequency_hz),
        "noise_std_m": noise_std_m,
        "density_kg_m3": ASSUMED_DENSITY_KG_M3 if density_kg_m3 is None else _number("density_kg_m3", density_kg_m3),
        "label": label,
        "density_assumed": density_kg_m3 is None,
        "slice_thickness_mm": slice_thickness_mm,
        "acquired_matrix": _matrix(acquired_matrix),
        "directions": None if whole else vectors,
        "noise_map_m": noise_map_m,
    }


def _displacement(given: ArrayLike) -> NDArray[np.complex128]:
    """Complex displacement, shape (i, j, k, n)."""
    values = _unmasked(given)
    if values.ndim != 4 or not 1 <= values.shape[3] <= 3 or 0 in values.shape:
        found = f"a displacement of shape {values.shape}"
        advice = "Put the components into the last axis."
        raise _refusal(found, "shape (i, j, k, 3), the components along R, A, S (or along directions)", advice)
    if values.dtype.kind != "c":
        found = f"a displacement of {values.dtype} numbers"
        advice = "Take the Fourier component at the vibration's frequency over the time offsets, exp(+i omega t)."
        raise _refusal(found, "complex amplitudes U with u(t) = Re(U exp(+i omega t))", advice)
    return values.astype(np.complex128)


def _unmasked(given: ArrayLike) -> NDArray[Any]:
    """Return values as a plain array that is NaN where a masked array hides them, since hidden values are no data."""
    values = np.asarray(given)
    hidden = np.ma.getmaskarray(given) if isinstance(given, np.ma.MaskedArray) else None
    if hidden is None or not hidden.any():
        return values
    return np.where(hidden, np.nan, values)


def _mask(given: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mask of tissue, shape (i, j, k)."""
    values = _unmasked(given)
    if values.shape != shape:
        found = f"a mask of shape {values.shape}"
        raise _refusal(found, f"a mask of shape {shape}", "Give the mask on the displacement's grid.")
    if not np.all((values == 0) | (values == 1)):
        found = f"a mask with values from {np.nanmin(values)} to {np.nanmax(values)}"
        raise _refusal(found, "tissue = 1 or True, all else 0", "Give mask == label, or mask > 0.")
    inside = np.asarray(values != 0)
    demand_tissue(WHERE, inside)
    return inside


def _directions(given: ArrayLike | None, components: int) -> NDArray[np.float64]:
    """Unit vectors along which the components lie, shape (n, 3)."""
    if given is None and components == 3:
        return np.eye(3)
    vectors = None if given is None else unit_vectors(np.asarray(given).tolist(), components)
    if vectors is None:
        raise _refusal(
            "no directions" if given is None else f"directions={np.asarray(given).tolist()!r}",
            f"directions: {components} independent unit vectors in R, A, S, one for each component",
            "State the direction of every component that is there, such as [[0, 0, 1]] for one along S.",
        )
    demand_directions(WHERE, vectors, key="directions")
    return vectors


def _affine(given: ArrayLike) -> NDArray[np.float64]:
    """Voxel indices to world RAS millimetres, shape (4, 4), without shear."""
    values = np.asarray(given, dtype=np.float64)
    sound = values.shape == (4, 4) and bool(np.all(np.isfinite(values))) and np.array_equal(values[3], [0, 0, 0, 1])
    if not sound or shear_of(values) >= 1e3 * _ROUNDING:
        raise _refusal(
            f"affine_mm={values.tolist()!r}",
            "a (4, 4) matrix from voxel indices to RAS millimetres, axes at right angles, last row 0 0 0 1",
            "Take the affine of the NIfTI file, or numpy.diag([x, y, z, 1]) with the voxels' edges.",
        )
    return values


def _noise(
    given: ArrayLike | None, directions: NDArray[np.float64], inside: NDArray[np.bool_], metres: float
) -> tuple[float | None, NDArray[np.float64] | None]:
    """Standard deviation of a component, and by voxel and component (None where only one number is known), metres."""
    if given is None:
        return None, None
    values = _unmasked(given).astype(np.float64)
    shape = (*inside.shape, len(directions))
    if values.shape not in ((), shape):
        found = f"noise of shape {values.shape}"
        advice = "Give the standard deviation of real and imaginary parts, in units."
        raise _refusal(found, f"one number, or an array of shape {shape}", advice)
    known = values[inside] if values.shape else values
    if not np.all(np.isfinite(known)) or known.min() < 0.0 or not known.max() > 0.0:
        advice = "Leave noise out where it is not known."
        raise _refusal("noise that is not finite, below 0, or 0 everywhere", "standard deviations above 0", advice)
    turned = not np.array_equal(directions, np.eye(3)) and len(directions) == 3
    if not values.shape:
        along = np.full(len(directions), float(values))
        return metres * (world_noise(along, directions) if turned else float(values)), None
    by_voxel = metres * (world_noise_map(values, directions) if turned else values)
    return float(np.sqrt(np.mean(by_voxel[inside] ** 2))), by_voxel


def _matrix(given: tuple[int, int] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    values = np.asarray(given)
    if values.shape != (2,) or values.dtype.kind not in "iu" or values.min() < 1:
        raise _refusal(f"acquired_matrix={given!r}", "two whole numbers, columns and rows", "Leave it out, or mend it.")
    return int(values[0]), int(values[1])


def _number(name: str, given: float) -> float:
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise _refusal(f"{name}={given!r}", "a number", "Give one number.") from error


def _refusal(found: str, expected: str, advice: str) -> InputError:
    return InputError(WHERE, found=found, expected=expected, advice=advice)
