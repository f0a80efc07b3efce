"""The prior of stiffness before any wave is seen: log-normal Matern random fields around an unknown mean.

m = (ln G'/g, ln G''/g), each field m_f = mean_f + x_f with x_f ~ Matern(nu = 1/2, standard deviation s_f, length l). The two fields are
correlated by rho, because fluid is low and tumour high in both:

    Cov(x_f(a), x_g(b)) = Sigma_fg exp(-|a - b| / l),   Sigma = [[s'^2, rho s' s''], [rho s' s'', s''^2]],

the solution of the stochastic equation (1/l^2 - Laplacian) x = white noise in three dimensions. Its correlation at
2, 4, 6, 8, 10 mm with l = 12 mm (0.85, 0.72, 0.61, 0.51, 0.43) is what 134 adult brains show (0.90, 0.78, 0.64, 0.53,
0.44). The mean has a normal prior so wide that data decide it: s_mean = 1 in ln G, a factor of 2.7 either way.

On the voxel lattice the covariance is a convolution, so that applying it and drawing from it are FFTs on a lattice
padded against wrap-around: exact away from the padding, no mesh, no boundary effects, N log N.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FIELDS = 2
"""ln G' and ln G''."""


@dataclass(frozen=True, slots=True)
class PriorScale:
    """Hyper-parameters.

    Attributes:
        storage_std: s of ln G'.
        loss_std: s of ln G''.
        length_mm: correlation length l.
        coupling: rho, correlation of the two fields at a point.
        mean_std: standard deviation of the unknown means.
    """

    storage_std: float
    loss_std: float
    length_mm: float
    coupling: float = 0.0
    mean_std: float = 1.0

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Sigma, of the two fields at a point around their means, shape (2, 2)."""
        cross = self.coupling * self.storage_std * self.loss_std
        return np.array([[self.storage_std**2, cross], [cross, self.loss_std**2]])


@dataclass(frozen=True)
class MaternField:
    """The prior covariance C over the voxels of a mask.

    Attributes:
        mask: shape (i, j, k); its N voxels in C order carry the parameters, shape (2 N,), field after field.
        voxel_size_mm: shape (3,).
        scale: hyper-parameters.
    """

    mask: NDArray[np.bool_]
    voxel_size_mm: NDArray[np.float64]
    scale: PriorScale

    @cached_property
    def _box(self) -> tuple[slice, ...]:
        where = np.argwhere(self.mask)
        return tuple(slice(int(a), int(b) + 1) for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True))

    @cached_property
    def _inside(self) -> NDArray[np.bool_]:
        return self.mask[self._box]

    @cached_property
    def _padded(self) -> tuple[int, ...]:
        """Lattice on which the covariance wraps only where it has fallen to exp(-3)."""
        reach = np.ceil(3.0 * self.scale.length_mm / self.voxel_size_mm).astype(int)
        return tuple(
            scipy.fft.next_fast_len(int(extent + pad), real=True)
            for extent, pad in zip(self._inside.shape, reach, strict=True)
        )

    @cached_property
    def _spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of the unit-variance correlation on the periodic lattice, half of them (real FFT)."""
        axes = [
            np.minimum(np.arange(extent), extent - np.arange(extent)) * size
            for extent, size in zip(self._padded, self.voxel_size_mm, strict=True)
        ]
        distance = np.sqrt(sum(np.square(a) for a in np.meshgrid(*axes, indexing="ij", sparse=True)))
        spectrum = scipy.fft.rfftn(np.exp(-distance / self.scale.length_mm)).real
        spectrum = np.maximum(spectrum, 0.0)  # wrap-around can leave tiny negative values
        points = float(np.prod(self._padded))
        return np.asarray(spectrum * points / _full_sum(spectrum, self._padded[-1]))  # variance exactly one

    def apply(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """C times weights.

        Args:
            weights: shape (2 N, k).
        """
        smooth = np.stack([self._correlate(field) for field in np.split(weights, FIELDS)])
        totals = np.stack([field.sum(axis=0) for field in np.split(weights, FIELDS)])
        mixed = np.einsum("fg,gnk->fnk", self.scale.covariance, smooth)
        return np.concatenate(mixed + self.scale.mean_std**2 * totals[:, None, :])

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Independent draws from N(0, C), shape (2 N, count)."""
        unit = np.stack([[self._draw_one(generator) for _ in range(count)] for _ in range(FIELDS)])
        means = self.scale.mean_std * generator.standard_normal((FIELDS, 1, count))
        mixed = np.einsum("fg,gkn->fnk", np.linalg.cholesky(self.scale.covariance), unit)
        return np.concatenate(mixed + means)

    def _correlate(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty_like(field)
        lattice = np.zeros(self._padded)
        box = tuple(slice(0, extent) for extent in self._inside.shape)
        for column in range(field.shape[1]):
            lattice[box][self._inside] = field[:, column]
            smooth = scipy.fft.irfftn(scipy.fft.rfftn(lattice) * self._spectrum, s=self._padded)
            out[:, column] = smooth[box][self._inside]
        return out

    def _draw_one(self, generator: np.random.Generator) -> NDArray[np.float64]:
        white = scipy.fft.rfftn(generator.standard_normal(self._padded))
        field = scipy.fft.irfftn(white * np.sqrt(self._spectrum), s=self._padded)
        return np.asarray(field[tuple(slice(0, extent) for extent in self._inside.shape)][self._inside])


def correlation(ijk: NDArray[np.int64], voxel_size_mm: NDArray[np.float64], length_mm: float) -> NDArray[np.float64]:
    """exp(-|a - b| / l) between voxels.

    Args:
        ijk: voxel indices, shape (n, 3).
        voxel_size_mm: shape (3,).
        length_mm: l.
    """
    place = ijk * voxel_size_mm
    square = np.sum(place**2, axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2.0 * place @ place.T, 0.0))
    np.fill_diagonal(distance, 0.0)
    return np.asarray(np.exp(-distance / length_mm))


def _full_sum(half: NDArray[np.float64], last: int) -> float:
    """Sum over the full spectrum of a real signal from the half that rfftn keeps."""
    total = 2.0 * half.sum() - half[..., 0].sum()
    return float(total - (half[..., -1].sum() if last % 2 == 0 else 0.0))
