"""Rigid motion of the whole body, which a field of view narrower than some wavelengths holds beside its waves.

Where the table shakes or the body sways, voxels move by t + theta x (r - r_0), complex. An incompressible medium
follows a shift by its pressure alone, but no elastic wave turns as a rigid body does: taken for a wave, the turn is one
of infinite stiffness. Of waves alone, whatever their length, the turn of best fit has about as much energy as the
strain, which the rest of the displacement holds: ratios of 0.02 to 0.7 in real scans at 20 to 60 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TURN: Final = 4.0
"""Mean square of the turn over that of the rest from which on it is bulk motion; all of it at one more."""


@dataclass(frozen=True, slots=True)
class RigidMotion:
    """Bulk motion of a wave field.

    Attributes:
        displacement_m: rigid motion at the voxels, metre, shape (N, 3).
        turn_std_m: root mean square of its turn, of the real and of the imaginary part of each component, metre.
    """

    displacement_m: NDArray[np.complex128]
    turn_std_m: float


def turns(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the displacement by small turns about three axes through the middle, orthonormal, shape (3 N, 3).

    Args:
        places: places of N voxels, shape (N, 3), along the axes of the displacement's components.
    """
    arms = places - places.mean(axis=0)
    columns = [np.cross(axis, arms).ravel() for axis in np.eye(3)]
    return np.asarray(np.linalg.qr(np.column_stack(columns))[0])


def bulk_motion(displacement_m: NDArray[np.complex128], places: NDArray[np.float64]) -> RigidMotion | None:
    """Return the rigid motion that waves do not explain; None where there is none.

    Args:
        displacement_m: displacement, metre, shape (N, 3).
        places: places of the voxels, mm along the components' axes, shape (N, 3).
    """
    basis = turns(places)
    shift = displacement_m.mean(axis=0)
    turn = (basis @ (basis.T @ (displacement_m - shift).ravel())).reshape(displacement_m.shape)
    of_turn, of_rest = (float(np.mean(np.abs(part) ** 2)) for part in (turn, displacement_m - shift - turn))
    part = float(np.clip(of_turn / of_rest - TURN, 0.0, 1.0)) if of_rest > 0.0 else 0.0
    if part == 0.0:
        return None
    return RigidMotion(part * (shift + turn), float(np.sqrt(part * of_turn / 2.0)))
