"""Way from the points of one frame of reference to those of another, with its uncertainty.

A way takes a point x of a session's image to M T(theta) x in the frame of a region or dose: T is a rigid motion about a
centre c, T(theta) x = R (x - c) + c + t, with parameters theta ~ N(0, C), and M an affine map.

Ways that follow one another are one way: an error T2 behind the map M1 is the error M1^-1 T2 M1 before it, to first
order in theta a rigid motion, and exactly one where M1 is rigid. Covariances of independent errors add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.rigid import Rigid, at_rest
from palpate.quality_warning import QualityWarning

type WaySource = Literal[
    "same frame of reference", "placement of the T1", "spatial registration", "ITK transform", "own registration"
]

_STEPS: Final = np.diag([1e-5] * 3 + [1e-3] * 3)
"""Steps of the parameters for derivatives, radian and mm."""


@dataclass(frozen=True, slots=True)
class Affine:
    """Affine map of world points.

    Attributes:
        matrix_mm: matrix, world RAS millimetres, shape (4, 4).
    """

    matrix_mm: NDArray[np.float64]

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where world points lie, mm, shape (..., 3)."""
        return np.asarray(points_mm @ self.matrix_mm[:3, :3].T + self.matrix_mm[:3, 3])


@dataclass(frozen=True, slots=True)
class FrameWay:
    """Way from a session's image (elastogram, T1 or first scan of a tumour) to the frame of a region or dose.

    Attributes:
        source: origin of the way; of several that follow one another, of the last.
        matrix_mm: most probable map M, world RAS millimetres, shape (4, 4).
        centre_mm: centre c of the error's rotation in the session's image, mm, shape (3,).
        covariance: covariance C of the error's parameters, Euler angles in radian and shifts in mm, shape (6, 6).
        warnings: warnings about the way.
    """

    source: WaySource
    matrix_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    covariance: NDArray[np.float64]
    warnings: tuple[QualityWarning, ...] = ()

    @property
    def assumed(self) -> bool:
        """Whether the error of the last part is assumed, since its file states none, and not measured."""
        return self.source in ("spatial registration", "ITK transform")

    @property
    def scale(self) -> float:
        """Volume in the frame of the region over that in the session's image: 1 for rigid ways."""
        return float(np.linalg.det(self.matrix_mm[:3, :3]))

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points of the session's image most probably lie in the region's frame, mm, shape (..., 3)."""
        return Affine(self.matrix_mm).moved(points_mm)

    def draws(self, count: int, seed: int) -> Iterator[Affine]:
        """Yield maps that the uncertainty allows; equal seeds give equal maps."""
        for one in at_rest(self.centre_mm).draws(self.covariance, count, seed):
            yield Affine(self.matrix_mm @ one.matrix_mm)

    def displaced(self, deviations: float) -> tuple[Affine, ...]:
        """Return maps forth and back along each principal direction of the error; none where there is no error.

        Args:
            deviations: distance from the most probable map, standard deviations.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        if not values.max() > 0.0:
            return ()
        wide = values > 1e-12 * values.max()
        steps = (vectors[:, wide] * np.sqrt(values[wide])).T * deviations
        turned = [Rigid(sign * one, self.centre_mm) for one in steps for sign in (1.0, -1.0)]
        return tuple(Affine(self.matrix_mm @ one.matrix_mm) for one in turned)

    def uncertainty_mm(self, points_mm: NDArray[np.float64]) -> float:
        """Return the root mean square distance by which points of the session's image may lie off, mm.

        Args:
            points_mm: points, world RAS, mm, shape (N, 3).
        """
        return at_rest(self.centre_mm).spread_mm(self.covariance, points_mm)

    def then(self, other: FrameWay) -> FrameWay:
        """Return this way followed by another one, which begins where this one ends."""
        there, back = self.matrix_mm, np.linalg.inv(self.matrix_mm)
        pulled = []
        for step in np.eye(6):
            speed = np.zeros((4, 4))
            speed[:3, :3] = _cross(step[:3])
            speed[:3, 3] = step[3:] - speed[:3, :3] @ other.centre_mm
            pulled.append(_parameters(back @ speed @ there, self.centre_mm))
        jacobian = np.stack(pulled, axis=1)
        return replace(
            other,
            matrix_mm=other.matrix_mm @ self.matrix_mm,
            centre_mm=self.centre_mm,
            covariance=self.covariance + jacobian @ other.covariance @ jacobian.T,
            warnings=(*self.warnings, *other.warnings),
        )


def same_frame(centre_mm: NDArray[np.float64] | None = None) -> FrameWay:
    """Return the way between images of one frame of reference, which is none and has no error."""
    centre = np.zeros(3) if centre_mm is None else centre_mm
    return FrameWay("same frame of reference", np.eye(4), centre, np.zeros((6, 6)))


def placement_way(
    placement: Placement, warnings: tuple[QualityWarning, ...] = (), source: WaySource = "placement of the T1"
) -> FrameWay:
    """Return the way from the fixed image of a registration (the elastogram) to the moved one (the T1, a CT).

    Args:
        placement: outcome of the registration, which must be usable.
        warnings: warnings about it.
        source: origin of the way.
    """
    rigid = placement.motion
    matrix, centre = rigid.matrix_mm, rigid.centre_mm
    columns = []
    for step in _STEPS:
        forth, back = (Rigid(rigid.parameters + sign * step, centre).matrix_mm for sign in (1.0, -1.0))
        columns.append(_parameters(np.linalg.solve(matrix, (forth - back) / (2.0 * step.sum())), centre))
    jacobian = np.stack(columns, axis=1)
    return FrameWay(source, matrix, centre, jacobian @ placement.covariance @ jacobian.T, warnings)


def given_way(
    source: WaySource,
    matrix_mm: NDArray[np.float64],
    uncertainty_mm: float,
    warnings: tuple[QualityWarning, ...] = (),
) -> FrameWay:
    """Return a way by a matrix whose error nobody has measured.

    The error is taken as a shift, the same in all directions, of the root mean square length that is stated.

    Args:
        source: origin of the matrix.
        matrix_mm: map of world RAS millimetres, shape (4, 4).
        uncertainty_mm: root mean square distance by which points may lie off, mm.
        warnings: warnings about the matrix.
    """
    covariance = np.diag([0.0] * 3 + [uncertainty_mm**2 / 3.0] * 3)
    return FrameWay(source, matrix_mm, np.zeros(3), covariance, warnings)


def _parameters(speed: NDArray[np.float64], centre_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the parameters of the infinitesimal rigid motion nearest to a field of speeds, shape (6,).

    Args:
        speed: matrix of the field v(x) = speed (x, 1), shape (4, 4).
        centre_mm: centre of the rotation, mm, shape (3,).
    """
    turning = speed[:3, :3]
    angles = np.array([turning[2, 1] - turning[1, 2], turning[0, 2] - turning[2, 0], turning[1, 0] - turning[0, 1]]) / 2
    return np.concatenate([angles, turning @ centre_mm + speed[:3, 3]])


def _cross(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix of the cross product with a vector, shape (3, 3)."""
    x, y, z = angles
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
