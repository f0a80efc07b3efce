"""Sphere as a region: a place and a radius that a user names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.regions.region import DrawnRegion

_LARGEST_MM = 1e4
"""Largest coordinate or radius, mm: larger ones are typing errors."""


@dataclass(frozen=True, slots=True)
class SphereShape:
    """Shape of a sphere.

    Attributes:
        centre_mm: centre, world RAS millimetres, shape (3,).
        radius_mm: radius, millimetres.
    """

    centre_mm: NDArray[np.float64]
    radius_mm: float

    @property
    def volume_mm3(self) -> float:
        """Volume, cubic millimetres."""
        return 4.0 / 3.0 * float(np.pi) * self.radius_mm**3

    @property
    def box_mm(self) -> NDArray[np.float64]:
        """Lowest and highest corner of the box around the sphere, world RAS millimetres, shape (2, 3)."""
        return np.stack([self.centre_mm - self.radius_mm, self.centre_mm + self.radius_mm])

    def shares(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 1 for points inside and 0 for others, shape (...).

        Args:
            points_mm: points in world RAS millimetres, shape (..., 3).
        """
        away = points_mm - self.centre_mm
        return np.asarray(np.einsum("...i,...i->...", away, away) <= self.radius_mm**2, dtype=np.float64)


def read_sphere(given: str) -> DrawnRegion:
    """Return the sphere that a text names.

    Args:
        given: centre in R A S millimetres of the elastogram's world and radius in millimetres, such as "-12,30,8,10".

    Raises:
        InputError: the text is no such four numbers.
    """
    try:
        numbers = np.array([float(one) for one in given.split(",")])
    except ValueError:
        numbers = np.zeros(0)
    sound = numbers.shape == (4,) and bool(np.all(np.abs(numbers) < _LARGEST_MM)) and numbers[3] > 0.0
    if not sound:
        raise InputError(
            "--sphere",
            found=repr(given[:60]),
            expected="X,Y,Z,RADIUS: three coordinates (R A S) and a radius above 0, all in millimetres",
            advice="Write for example --sphere -12.5,30,8,10 without spaces.",
        )
    name = "sphere " + ",".join(f"{one:g}" for one in numbers)
    return DrawnRegion("--sphere", "sphere", SphereShape(numbers[:3], float(numbers[3])), name=name)
