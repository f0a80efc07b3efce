"""Hyperparameters of the prior (spreads, length, cross-correlation) and the probability of each set of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.prior.correlation import Correlation, matern

FIELDS = 2
"""Number of fields: ln G' and ln G''."""

UNRESOLVED_LENGTH_MM = 4.0
"""Correlation length of variation that waves do not resolve, mm: half of the smallest length that they do."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One set of hyperparameters.

    Attributes:
        storage_std: standard deviation s of ln G'.
        loss_std: standard deviation s of ln G''.
        length_mm: correlation length l, mm.
        cross_correlation: correlation rho of the two fields at a point.
        roughness: share alpha of the variance that is rough (order 1/2); the rest is smooth (order 3/2).
        mean_std: standard deviation of the unknown means.
        unresolved_std: standard deviation s_unresolved of the least variation below the waves' resolution, in both
            fields; not fitted.
        region_std: standard deviation s_region of labelled regions' means around the organ's, in both fields.
    """

    storage_std: float
    loss_std: float
    length_mm: float
    cross_correlation: float = 0.0
    roughness: float = 1.0
    mean_std: float = 1.0
    unresolved_std: float = 0.0
    region_std: float = 0.0

    @property
    def field_correlation(self) -> NDArray[np.float64]:
        """Correlation of the two fields at a point, shape (2, 2)."""
        return np.array([[1.0, self.cross_correlation], [self.cross_correlation, 1.0]])

    @property
    def stds(self) -> NDArray[np.float64]:
        """Standard deviations of the two fields, shape (2,)."""
        return np.array([self.storage_std, self.loss_std])

    def unresolved_variance(self, edge_mm: float, law: Correlation = matern) -> float:
        """Return the variance that is added below the waves' resolution, so that the least variation there is reached.

        With R_u rough and l_u long, half of the mean squared difference over l_u is then, averaged over
        both fields, at least s_unresolved^2 (1 - R_u(l_u)).

        Args:
            edge_mm: edge of the voxels, mm.
            law: correlation by distance.
        """
        over = np.array(UNRESOLVED_LENGTH_MM)
        own = float(np.mean(self.stds**2)) * (1.0 - float(law(over, self.length_mm, self.roughness, edge_mm)))
        least = 1.0 - float(law(over, UNRESOLVED_LENGTH_MM, 1.0, edge_mm))
        return max(0.0, self.unresolved_std**2 - own / least)

    def covariance(self, correlation: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return s_f s_g rho_fg R for a correlation R of any shape, shape (2, 2, ...)."""
        between = self.stds[:, None] * self.field_correlation * self.stds
        return np.asarray(between.reshape(FIELDS, FIELDS, *[1] * correlation.ndim) * correlation)


REFERENCE_PRIOR: Final = Hyperparameters(storage_std=0.5, loss_std=0.5, length_mm=12.0)
"""Prior that is used only to choose the directions that count as informed; the inversion's own prior enters later,
exactly."""


@dataclass(frozen=True, slots=True)
class HyperparameterMixture:
    """Mixture of hyperparameters that are probable given the data.

    Attributes:
        scales: sets of hyperparameters; their mean_std, unresolved_std and region_std may differ only by the fit.
        probabilities: probability of each set given the data; they sum to one.
        region_scales: scale tau of each region, a factor on its variation of ln G' and ln G'', shape (2, R); empty
            where all regions vary alike.
        correlation: correlation R between voxels by their distance.
    """

    scales: tuple[Hyperparameters, ...]
    probabilities: tuple[float, ...]
    region_scales: tuple[tuple[float, ...], ...] = ()
    correlation: Correlation = matern

    def __post_init__(self) -> None:
        """Refuse weights that are not probabilities."""
        if len(self.scales) != len(self.probabilities) or abs(sum(self.probabilities) - 1.0) > 1e-9:
            raise ValueError(f"{len(self.scales)} hypotheses need as many probabilities with sum 1")

    @classmethod
    def certain(cls, scale: Hyperparameters) -> HyperparameterMixture:
        """Return a mixture of one set of hyperparameters."""
        return cls((scale,), (1.0,))

    def amplitude(self, regions: sparse.csr_matrix) -> NDArray[np.float64]:
        """Return the factor A on the variation of each voxel, shape (2, n).

        Args:
            regions: fractions of the voxels in the regions, shape (n, R).
        """
        if not self.region_scales:
            return np.ones((FIELDS, regions.shape[0]))
        return np.asarray(1.0 + (regions @ (np.array(self.region_scales).T - 1.0)).T)

    def unresolved_variance(self, edge_mm: float) -> float:
        """Return the variance that the hypotheses add below the waves' resolution, averaged over them.

        Args:
            edge_mm: edge of the voxels, mm.
        """
        return sum(
            p * s.unresolved_variance(edge_mm, self.correlation)
            for p, s in zip(self.probabilities, self.scales, strict=True)
        )

    @property
    def mean(self) -> Hyperparameters:
        """Set with the mixture's covariance of the two fields at a point, and typical length and roughness."""
        weights = np.array(self.probabilities)
        between = sum(w * s.covariance(np.ones(())) for w, s in zip(weights, self.scales, strict=True))
        stds = np.sqrt(np.diag(between))
        by_variance = weights * [s.storage_std**2 + s.loss_std**2 for s in self.scales]
        by_variance = by_variance / by_variance.sum()
        return replace(
            self.scales[0],
            storage_std=float(stds[0]),
            loss_std=float(stds[1]),
            cross_correlation=float(between[0, 1] / np.prod(stds)),
            length_mm=float(np.exp(by_variance @ np.log([s.length_mm for s in self.scales]))),
            roughness=float(by_variance @ [s.roughness for s in self.scales]),
            region_std=float(np.sqrt(weights @ [s.region_std**2 for s in self.scales])),
        )
