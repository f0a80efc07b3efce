"""Scale of the variation in each region: the scales tau of the prior, by the marginal likelihood.

White matter is more uniform than fluid at the voxels' resolution, where folds of cortex share the voxel. With the
columns [Y, b] of a zone cut by field f and region r (voxels of no region count as one more, whose factor is 1),

    [Y, b]^T C [Y, b] = sum_{fr, gs} tau_fr tau_gs P_{fr,gs} + M,

where P and M (unknown means and regions) do not depend on tau, so that evidence and gradient need no product over
voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.correlation import edge_of
from palpate.solvers.inversion.prior.empirical_bayes import ZoneEvidence, log_evidence_of, of_means
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture
from palpate.solvers.inversion.prior.parity_blocks import ParityBlocks

MOST_REGIONS = 6
"""Largest number of regions with a scale of their own: the chosen zones hold too little of each of more regions."""

NOTHING = 1e-9
"""Share of a region in a voxel below which it is rounding."""

BOUNDS = (0.6, 5.0)
"""Bounds of the scales: from tissue that is nearly as uniform as the rest to fluid between folds."""

HYPERPRIOR_SPREAD = 0.4
"""Standard deviation of the scales' logarithms around those of the expected scales."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """Contribution of one zone, columns cut by field and region, the rest last; R + 1 parts of each field.

    Attributes:
        varying: products P, shape (2 (R + 1), 2 (R + 1), k + 1, k + 1).
        fixed: part M of means and regions, shape (k + 1, k + 1).
    """

    varying: NDArray[np.float64]
    fixed: NDArray[np.float64]

    def log_evidence(self, tau: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the log evidence at scales tau, shape (2 (R + 1),), and its gradient by tau, in the same shape."""
        total = np.einsum("a,b,abij->ij", tau, tau, self.varying, optimize=True) + self.fixed
        value, slope = log_evidence_of(total)
        return value, np.asarray(2.0 * np.tensordot(self.varying, slope, axes=2) @ tau)


def expected_region_scales(variability: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Return the scales before any data, alike in both fields, shape (2, R); empty for no or too many regions.

    Args:
        variability: expected variation of each region over that of other tissue, shape (R,).
    """
    if not 0 < len(variability) <= MOST_REGIONS:
        return ()
    return (tuple(variability.tolist()),) * FIELDS


def fit_region_scales(
    zones: Sequence[ZoneEvidence],
    voxel_size_mm: NDArray[np.float64],
    start: HyperparameterMixture,
    variability: NDArray[np.float64],
    comm: MPI.Comm,
) -> HyperparameterMixture:
    """Return hypotheses with the most probable scales of the regions; equal on every rank.

    Args:
        zones: this rank's share of the chosen zones (may be empty).
        voxel_size_mm: edges of a voxel, mm, shape (3,).
        start: hypotheses; their scales and probabilities stay, their region scales are the start of the fit.
        variability: expected variation of each region over that of other tissue, shape (R,).
        comm: communicator of the ranks.

    Returns:
        The hypotheses; unchanged where they have no region scales.
    """
    if not start.region_scales:
        return start
    regions = len(variability)
    cuts = [_cut(zone, voxel_size_mm, start) for zone in zones]
    expected = np.tile(np.log(variability), FIELDS)

    def loss(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        tau = np.ones((FIELDS, regions + 1))
        tau[:, :-1] = np.exp(logs).reshape(FIELDS, regions)
        own = np.zeros(1 + tau.size)
        for cut in cuts:
            value, slopes = cut.log_evidence(tau.ravel())
            own += np.concatenate([[value], slopes])
        total = np.asarray(comm.allreduce(own))
        slopes = (total[1:].reshape(tau.shape) * tau)[:, :-1].ravel()
        strange = (logs - expected) / HYPERPRIOR_SPREAD
        return 0.5 * float(strange @ strange) - total[0], strange / HYPERPRIOR_SPREAD - slopes

    bounds = [tuple(np.log(BOUNDS))] * expected.size
    found = scipy.optimize.minimize(
        loss, np.log(start.region_scales).ravel(), jac=True, method="L-BFGS-B", bounds=bounds
    )
    fitted = np.exp(found.x).reshape(FIELDS, regions)
    return replace(start, region_scales=tuple(tuple(float(tau) for tau in field) for field in fitted))


def _cut(zone: ZoneEvidence, voxel_size_mm: NDArray[np.float64], hypotheses: HyperparameterMixture) -> _Cut:
    columns = np.split(zone.columns, FIELDS)
    fractions = zone.regions.toarray()
    fractions = np.column_stack([fractions, 1.0 - fractions.sum(axis=1)])
    width, pieces = columns[0].shape[1], fractions.shape[1]
    # A voxel belongs to one region or few: only its own rows of each piece are there to be multiplied.
    own = [np.flatnonzero(share > NOTHING) for share in fractions.T]
    parts = [[fractions[rows, r, None] * column[rows] for r, rows in enumerate(own)] for column in columns]
    box = ParityBlocks(zone.ijk, voxel_size_mm)
    folded = [box.fold((fractions[:, :, None] * c[:, None]).reshape(len(fractions), -1)) for c in columns]
    varying = np.empty((FIELDS, pieces, FIELDS, pieces, width, width))
    for f, g in ((0, 0), (1, 1), (0, 1)):
        image = box.unfold(box.times(box.blocks(_by_steps(box, hypotheses, f, g)), folded[g]))
        for r, rows in enumerate(own):
            between = parts[f][r].T @ image[rows]
            varying[f, r, g] = between.reshape(width, pieces, width).transpose(1, 0, 2)
        varying[g, :, f] = varying[f, :, g].transpose(1, 0, 3, 2)
    scale = hypotheses.mean
    mean, (alone, across) = of_means(zone)
    fixed = scale.mean_std**2 * mean + scale.region_std**2 * (alone + scale.cross_correlation * across)
    return _Cut(varying.reshape(FIELDS * pieces, FIELDS * pieces, width, width), fixed)


def _by_steps(box: ParityBlocks, hypotheses: HyperparameterMixture, f: int, g: int) -> NDArray[np.float64]:
    """Covariance of two fields at the box's distances, at scales of 1, without means and regions, in its shape."""
    total, edge_mm = np.zeros_like(box.distance_mm), edge_of(box.voxel_size_mm)
    for probability, scale in zip(hypotheses.probabilities, hypotheses.scales, strict=True):
        weight = probability * float(scale.covariance(np.ones(()))[f, g])
        total += weight * hypotheses.correlation(box.distance_mm, scale.length_mm, scale.roughness, edge_mm)
    return total
