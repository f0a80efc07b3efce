"""Motions that carry points of the elastogram's world to the world in which a region was drawn.

A registration is known to within its covariance C alone. Its effect on a region is evaluated at the nodes

    p + sqrt(3) s_i u_i   and   p - sqrt(3) s_i u_i

for each of the six principal directions u_i of C, of standard deviation s_i: the outer nodes of Gauss-Hermite
quadrature with three points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.rigid import Rigid

NODE: Final = 3.0**0.5
"""Distance of the displaced motions from the estimate, in standard deviations."""


class Motion(Protocol):
    """Affine motion of points from one world to another."""

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points lie in the other world, mm, shape (..., 3).

        Args:
            points_mm: world RAS millimetres, shape (..., 3).
        """
        ...


@dataclass(frozen=True, slots=True)
class UncertainMotion:
    """Motion that is known to within some error.

    Attributes:
        motion: most probable motion.
        displaced: motions that are NODE standard deviations away, forth and back along each principal direction of
            the error, in this order; empty where the error is not known.
    """

    motion: Motion
    displaced: tuple[Motion, ...] = ()

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points lie under the most probable motion, mm, shape (..., 3).

        Args:
            points_mm: world RAS millimetres, shape (..., 3).
        """
        return self.motion.moved(points_mm)


def uncertain(motion: Rigid, covariance: NDArray[np.float64]) -> UncertainMotion:
    """Return a rigid motion with its displaced motions.

    Args:
        motion: most probable motion from the elastogram.
        covariance: covariance of its parameters, shape (6, 6), positive semidefinite.
    """
    values, vectors = np.linalg.eigh(covariance)
    if not values.max() > 0.0:
        return UncertainMotion(motion)
    steps = (vectors * np.sqrt(np.clip(values, 0.0, None))).T * NODE
    around = [Rigid(motion.parameters + sign * one, motion.centre_mm) for one in steps for sign in (1.0, -1.0)]
    return UncertainMotion(motion, tuple(around))


def motion_to_anatomy(placement: Placement) -> UncertainMotion:
    """Return the motion from the elastogram to the anatomy, with its recorded uncertainty.

    Args:
        placement: placement of the anatomy on the elastogram; it must be usable.
    """
    return uncertain(placement.motion, placement.covariance)


def affine_of(motion: Motion) -> NDArray[np.float64]:
    """Return the matrix of a motion, world millimetres to world millimetres, shape (4, 4).

    Args:
        motion: affine motion.
    """
    moved = motion.moved(np.concatenate([np.zeros((1, 3)), np.eye(3)]))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (moved[1:] - moved[0]).T, moved[0]
    return matrix
