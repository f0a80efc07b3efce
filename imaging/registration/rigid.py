"""Rigid motions from the elastogram's world to the anatomy's, and their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, slots=True)
class Rigid:
    """Rigid motion y = R (x - c) + c + t from world points x of the elastogram to world points y of the anatomy.

    Attributes:
        parameters: three Euler angles in radians (R = R_z R_x R_y), then t along R, A, S in millimetres, shape (6,).
        centre_mm: centre c, world RAS, mm, shape (3,).
    """

    parameters: NDArray[np.float64]
    centre_mm: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse what is no motion.

        Raises:
            ValueError: another shape, or numbers that are not finite.
        """
        for name, values, shape in (("parameters", self.parameters, (6,)), ("centre_mm", self.centre_mm, (3,))):
            if values.shape != shape or not np.all(np.isfinite(values)):
                raise ValueError(f"{name}: finite, shape {shape} expected, got {values}")

    @property
    def transform(self) -> sitk.Euler3DTransform:
        """Motion as a transform of SimpleITK."""
        import SimpleITK as sitk  # here, since every rank of an inversion would load it for nothing

        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.centre_mm.tolist())
        transform.SetParameters(self.parameters.tolist())
        return transform

    @property
    def matrix_mm(self) -> NDArray[np.float64]:
        """Matrix from world RAS millimetres of the elastogram to those of the anatomy, shape (4, 4)."""
        transform = self.transform
        turn = np.reshape(transform.GetMatrix(), (3, 3))
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = self.centre_mm + np.array(transform.GetTranslation()) - turn @ self.centre_mm
        return matrix

    @property
    def angle_deg(self) -> float:
        """Angle of the turn about its own axis, degrees."""
        cosine = (np.trace(self.matrix_mm[:3, :3]) - 1.0) / 2.0
        return float(np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0))))

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return world points of the anatomy for those of the elastogram, mm, shape (..., 3)."""
        matrix = self.matrix_mm
        return np.asarray(points_mm @ matrix[:3, :3].T + matrix[:3, 3])

    def distance_mm(self, other: Rigid, points_mm: NDArray[np.float64]) -> float:
        """Return the root mean square distance, mm, between the images of world points (N, 3) under two motions."""
        return float(np.sqrt(np.mean(np.sum((self.moved(points_mm) - other.moved(points_mm)) ** 2, axis=-1))))

    def spread_mm(self, covariance: NDArray[np.float64], points_mm: NDArray[np.float64]) -> float:
        """Return the root mean square error, mm, over world points (N, 3) that a covariance of the parameters means.

        The motion is linearised: e^2 = mean_x trace(J(x) C J(x)^T).
        """
        steps = np.diag([1e-4] * 3 + [1e-3] * 3)
        columns = [
            (Rigid(self.parameters + step, self.centre_mm).moved(points_mm) - self.moved(points_mm)) / step.sum()
            for step in steps
        ]
        jacobian = np.stack(columns, axis=-1)
        return float(np.sqrt(np.einsum("nip,pq,niq->n", jacobian, covariance, jacobian).mean()))

    def draws(self, covariance: NDArray[np.float64], count: int, seed: int) -> Iterator[Rigid]:
        """Yield motions of normally distributed parameters around this one.

        Args:
            covariance: covariance of the parameters, shape (6, 6), positive semidefinite.
            count: number of motions.
            seed: seed of the random numbers; equal seeds give equal motions.
        """
        generator = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        for _ in range(count):
            yield Rigid(self.parameters + root @ generator.standard_normal(6), self.centre_mm)


def at_rest(centre_mm: NDArray[np.float64]) -> Rigid:
    """Return the identity, with parameters about a centre."""
    return Rigid(np.zeros(6), centre_mm)
