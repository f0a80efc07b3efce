"""Prior of stiffness: log-normal Matern random fields around an unknown mean.

m = (ln G'/g, ln G''/g), each field m_f = mean_f + x_f with x_f part rough, as at the borders of tissues, and part
smooth, as within them: Matern fields of order 1/2 and 3/2 in shares that are fitted to the data. The two fields are
correlated, because fluid is low and tumour high in both:

    Cov(x_f(a), x_g(b)) = s_f rho_fg s_g R(|a - b|),   rho_11 = rho_22 = 1,
    R(r) = alpha exp(-(sqrt(r^2 + e^2) - e) / l) + (1 - alpha) (1 + sqrt(3) r / l) exp(-sqrt(3) r / l),

where e, 0.72 of a voxel's edge, rounds the rough part's cusp, because the values of voxels are means over the voxel
(correlation.py).

Data seldom distinguish between a long smooth and a short rough correlation, and the one that fits slightly better need
not be true. So C is the average over hypotheses j of the hyperparameters, weighted by their probability given the
data:

    Cov(x_f(a), x_g(b)) = sum_j p_j s_fj s_gj rho_fgj R_j(|a - b|).

Tissue also differs from voxel to voxel by more than waves resolve. The data contain no information about its size, so
that a fitted prior that happens to be smooth would give intervals that are too narrow, while a rough one includes
variation below the waves' resolution by itself. Each hypothesis is complemented to the least variation over 4 mm (s_j^2
the mean over both fields):

    Cov += sum_j p_j u_j rho_fg R_u(|a - b|),
    u_j = max(0, s_unresolved^2 - s_j^2 (1 - R_j(4 mm)) / (1 - R_u(4 mm))),

with R_u rough and 4 mm long.

The size of this variation is extrapolated and known to 25 % at best: every draw has an amplitude of its own.

Where the anatomy is labelled, every region r has a mean of its own, added by the fraction W_ar of a voxel in it:

    Cov += s_region^2 rho_fg sum_r W_ar W_br.

Regions may differ, they need not: s_region is fitted to the data, and x_f stays free to contradict a label.

Tissues are not equally uniform: with few regions, x and the unresolved variation are multiplied in each field by

    A_fa = 1 + sum_r W_ar (tau_fr - 1),

where the region scales tau are fitted to the data as well.

The rough part's correlation at 2, 4, 6, 8, 10 mm with l = 11 mm in voxels of 2 mm (0.91, 0.77, 0.65, 0.54, 0.45) is
that of 134 adult brains (0.90, 0.78, 0.64, 0.53, 0.44). The mean has a normal prior so wide that data determine it:
s_mean = 1 in ln G, a factor of 2.7 either way.

On the voxel lattice the covariance is a convolution, so that applying it and drawing from it are FFTs on a lattice
padded against wrap-around: no mesh, no boundary effects, N log N. Up to a constant, which the unknown mean
absorbs, correlations inside the box are within 0.04 of the formula (0.012 root mean square) where the box is no longer
than the correlation, and closer where it is; the error sits at the longest distances.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.prior.correlation import edge_of
from palpate.solvers.inversion.prior.hyperparameters import (
    FIELDS,
    UNRESOLVED_LENGTH_MM,
    HyperparameterMixture,
    Hyperparameters,
)

AMPLITUDE_SPREAD: Final = 0.25
"""Standard deviation of the logarithm of the amplitude of tissue's variation, which is extrapolated from scales that
waves resolve to those that they do not. Each draw has an amplitude of its own, whose square is one on average."""


@dataclass(frozen=True)
class MaternField:
    """Prior with covariance C over the voxels of a mask.

    Attributes:
        mask: mask of N voxels, shape (i, j, k); in C order they carry the parameters, shape (2 N,), field after field.
        voxel_size_mm: edges of a voxel, mm, shape (3,).
        hypotheses: mixture of hyperparameters.
        regions: fraction W of each voxel in each labelled region, shape (N, R); R may be 0.
        local_scale: local scale, a factor on the variation of each voxel beside its region's factor, shape (N,), or one
            number for all.
        amplitude_spread: standard deviation of the logarithm of a draw's amplitude; 0 for normal draws.
    """

    mask: NDArray[np.bool_]
    voxel_size_mm: NDArray[np.float64]
    hypotheses: HyperparameterMixture
    regions: sparse.csr_matrix
    local_scale: NDArray[np.float64] | float = 1.0
    amplitude_spread: float = AMPLITUDE_SPREAD

    @cached_property
    def scale(self) -> Hyperparameters:
        """Mean of the hypotheses; hyperparameters that they share are exact in it."""
        return self.hypotheses.mean

    @cached_property
    def amplitude(self) -> NDArray[np.float64]:
        """Factor A on the variation of each voxel, shape (2, N)."""
        return self.local_scale * self.hypotheses.amplitude(self.regions)

    @property
    def local_std(self) -> NDArray[np.float64]:
        """Standard deviation around the means of organ and regions, shape (2, N)."""
        return self.amplitude * np.sqrt(self._variances)[:, None]

    @property
    def _variances(self) -> NDArray[np.float64]:
        """Variances of the local variation of both fields where A is one, shape (2,)."""
        return self.scale.stds**2 + self.hypotheses.unresolved_variance(self._edge_mm)

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation around the organ's means, that of the voxel's region included, shape (2, N)."""
        in_region = np.asarray(self.regions.power(2).sum(axis=1)).ravel()
        return np.sqrt(self.local_std**2 + self.scale.region_std**2 * in_region)

    @cached_property
    def _edge_mm(self) -> float:
        return edge_of(self.voxel_size_mm)

    @cached_property
    def _box(self) -> tuple[slice, ...]:
        where = np.argwhere(self.mask)
        return tuple(slice(int(a), int(b) + 1) for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True))

    @cached_property
    def _inside(self) -> NDArray[np.bool_]:
        return self.mask[self._box]

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Places of the mask's voxels in its box, shape (N,)."""
        return np.flatnonzero(self._inside)

    @cached_property
    def _padded(self) -> tuple[int, ...]:
        """Lattice on which the covariance wraps only where it has fallen to exp(-2)."""
        longest = max(scale.length_mm for scale in self.hypotheses.scales)
        reach = np.ceil(2.0 * longest / self.voxel_size_mm).astype(int)
        return tuple(
            scipy.fft.next_fast_len(int(extent + pad), real=True)
            for extent, pad in zip(self._inside.shape, reach, strict=True)
        )

    @cached_property
    def _spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of C without means, regions and A on the periodic lattice, half of them, shape (2, 2, ...)."""
        unresolved_std = np.sqrt(self.hypotheses.unresolved_variance(self._edge_mm))
        unresolved = replace(self.scale, storage_std=unresolved_std, loss_std=unresolved_std)
        total = unresolved.covariance(self._unit_spectrum(UNRESOLVED_LENGTH_MM, 1.0))
        for weight, scale in zip(self.hypotheses.probabilities, self.hypotheses.scales, strict=True):
            total += weight * scale.covariance(self._unit_spectrum(scale.length_mm, scale.roughness))
        return total

    @cached_property
    def _single_spectrum(self) -> NDArray[np.float32]:
        return self._spectrum.astype(np.float32)

    @cached_property
    def _distance(self) -> NDArray[np.float64]:
        """Shortest distance to the origin on the periodic lattice, mm."""
        axes = [
            np.minimum(np.arange(extent), extent - np.arange(extent)) * size
            for extent, size in zip(self._padded, self.voxel_size_mm, strict=True)
        ]
        return np.asarray(np.sqrt(sum(np.square(a) for a in np.meshgrid(*axes, indexing="ij", sparse=True))))

    def _unit_spectrum(self, length_mm: float, roughness: float) -> NDArray[np.float64]:
        """Return the spectrum of a correlation, scaled so that the variance is exactly one."""
        by_distance = self.hypotheses.correlation(self._distance, length_mm, roughness, self._edge_mm)
        spectrum = scipy.fft.rfftn(by_distance).real
        spectrum = np.maximum(spectrum, 0.0)  # wrap-around can leave tiny negative values
        points = float(np.prod(self._padded))
        return np.asarray(spectrum * points / _full_sum(spectrum, self._padded[-1]))

    def apply(self, weights: NDArray[np.float64], *, single: bool = False) -> NDArray[np.float64]:
        """Return C times weights, shape (2 N, k).

        Args:
            weights: weights, shape (2 N, k).
            single: whether the local part may be in single precision, exact to some 1e-7 of its size, in half the time.
        """
        fields = weights.reshape(FIELDS, -1, weights.shape[1])
        means = self.scale.mean_std**2 * fields.sum(axis=1, keepdims=True)
        mixed = np.einsum(
            "fg,grk->frk", self.scale.field_correlation, np.stack([self.regions.T @ field for field in fields])
        )
        of_regions = self.scale.region_std**2 * np.stack([self.regions @ field for field in mixed])
        return np.concatenate(self._local(fields, single=single) + means + of_regions)

    @cached_property
    def variance_around_mean(self) -> NDArray[np.float64]:
        """Share of the local variation's variance that is around its mean over the voxels, shape (2,)."""
        voxels = self.regions.shape[0]
        alone = np.zeros((FIELDS, voxels, FIELDS))
        alone[range(FIELDS), :, range(FIELDS)] = 1.0
        sums = np.einsum("fvf->f", self._correlate(alone)) / voxels**2
        return np.asarray(1.0 - sums / self._variances)

    def local_part(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the part of x = C w that is neither the organ's mean nor a region's, shape (2, N).

        Args:
            weights: weights w, shape (2 N,).
        """
        return self._local(weights.reshape(FIELDS, -1, 1))[..., 0]

    def draw(self, numbers: range, seed: int) -> NDArray[np.float64]:
        """Return independent draws with mean 0 and covariance C, shape (2 N, len(numbers)), each of its own amplitude.

        Args:
            numbers: numbers of the draws; a draw's random numbers depend on its number, not on the rank that makes it.
            seed: seed of all draws.
        """
        coupled = np.linalg.cholesky(self.scale.field_correlation)
        drawn = np.empty((FIELDS, self.regions.shape[0], len(numbers)))
        for column, number in enumerate(numbers):
            generator = np.random.default_rng([seed, number])
            local = self.amplitude * self._draw_local(generator)
            local *= np.exp(self.amplitude_spread * generator.standard_normal() - self.amplitude_spread**2)
            means = self.scale.mean_std * generator.standard_normal((FIELDS, 1))
            of_each = coupled @ generator.standard_normal((FIELDS, self.regions.shape[1]))
            drawn[:, :, column] = local + means + self.scale.region_std * (self.regions @ of_each.T).T
        return drawn.reshape(-1, len(numbers))

    def _local(self, fields: NDArray[np.float64], *, single: bool = False) -> NDArray[np.float64]:
        """Return C without means and regions, times columns of both fields, shape (2, N, k)."""
        amplitude = self.amplitude[:, :, None]
        return np.asarray(amplitude * self._correlate(amplitude * fields, single=single))

    def _correlate(self, fields: NDArray[np.float64], *, single: bool = False) -> NDArray[np.float64]:
        """Return C without means, regions and A, times columns of both fields, shape (2, N, k)."""
        spectrum = self._single_spectrum if single else self._spectrum
        block = np.zeros((FIELDS, *self._inside.shape), dtype=spectrum.dtype)
        columns = np.ascontiguousarray(np.moveaxis(fields, 2, 0), dtype=spectrum.dtype)
        out = np.empty(columns.shape)
        own, other, both = spectrum[0, 0], spectrum[1, 1], spectrum[0, 1]
        for number, column in enumerate(columns):
            block.reshape(FIELDS, -1)[:, self._places] = column
            first, second = self._waves(block)
            mixed = np.stack([own * first + both * second, both * first + other * second])
            out[number] = self._inside_of(mixed)
        return np.moveaxis(out, 0, 2)

    def _waves(self, block: NDArray[np.floating]) -> NDArray[np.complexfloating]:
        """Fourier transform of both fields on the mask's box, padded with zeros; their transforms are left out."""
        rows, columns, slices = self._padded
        waves = scipy.fft.rfft(block, slices, axis=3)
        waves = scipy.fft.fft(waves, columns, axis=2, overwrite_x=True)
        return np.asarray(scipy.fft.fft(waves, rows, axis=1, overwrite_x=True))

    def _inside_of(self, waves: NDArray[np.complexfloating]) -> NDArray[np.floating]:
        """Return both fields in the mask, shape (2, N), from their transform; what lies outside its box is left out."""
        rows, columns, slices = self._inside.shape
        fields = scipy.fft.ifft(waves, axis=1, overwrite_x=True)[:, :rows]
        fields = scipy.fft.ifft(fields, axis=2)[:, :, :columns]
        fields = scipy.fft.irfft(fields, self._padded[2], axis=3)[..., :slices]
        return np.asarray(fields.reshape(FIELDS, -1)[:, self._places])

    def _draw_local(self, generator: np.random.Generator) -> NDArray[np.floating]:
        """Return both fields without means, regions and A, shape (2, N)."""
        first, along, across = self._spectrum_roots
        white = scipy.fft.rfftn(generator.standard_normal((FIELDS, *self._padded), np.float32), axes=(1, 2, 3))
        mixed = np.stack([first * white[0], along * white[0] + across * white[1]])
        return self._inside_of(mixed)

    @cached_property
    def _spectrum_roots(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Triangular root of the two fields' spectrum: 1 with 1, 2 with 1 and 2 with 2."""
        spectrum = self._single_spectrum
        first = np.sqrt(spectrum[0, 0])
        along = np.divide(spectrum[1, 0], first, out=np.zeros_like(first), where=first > 0.0)
        return first, along, np.sqrt(np.maximum(spectrum[1, 1] - along**2, 0.0))


def _full_sum(half: NDArray[np.float64], last: int) -> float:
    """Sum over the full spectrum of a real signal from the half that rfftn keeps."""
    total = 2.0 * half.sum() - half[..., 0].sum()
    return float(total - (half[..., -1].sum() if last % 2 == 0 else 0.0))
