"""Data that are compared with the model: block means of cellularity, and shares of blocks inside the regions drawn.

Cellularity is g times the density. Of the regions drawn, the share of a block that is enhancing (or necrotic within) is
compared with the mean of 1 / (1 + exp(-kappa (logit u - logit t))), t the uncertain threshold of enhancement, and
likewise everything marked with the threshold of infiltration, if the scan marks any. Regions count also where
cellularity was measured: that is often just inside of them, and the blocks outside alone, which all lie below the
threshold, would raise it without end.

A scan whose regions were drawn and hold no tumour has shares of 0, of every kind that any other scan shows: the density
is below the thresholds near where the tumour is on other dates. Cavities are no tissue and give no data.

A biopsy tells the density at its point, interpolated between voxels, without the patient's factor on cellularity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from palpate.imaging.tumour.history import CAVITY, ENHANCING, NECROTIC, NON_ENHANCING, TumourHistory, TumourScan
from palpate.twin.lattice import visible
from palpate.twin.observation.places import between, interpolation
from palpate.twin.priors import BIOPSY, ENHANCING_ABOVE, GAIN, INFILTRATED_ABOVE, Unknowns

type Values = NDArray[np.float64]

REACH_MM: Final = 15.0
"""Largest distance of data from visible tumour, mm; farther away neither the data nor the model show any tumour."""
STEEPNESS: Final = {"independent": 2.0, "correlated": 4.0}
"""Steepness kappa by the model of contours' errors (twin.contour_errors). Across a voxel at a front the logit changes
by about 2, so that part of the voxel is above the threshold; 4 leaves no bias at the true density (decision 0148)."""
_TINY: Final = 1e-9
_FAR: Final = 60.0
_LEAST_VOXELS: Final = 0.25
"""Smallest share of a block's voxels that must be measured."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Data of one kind of one scan: y = mean over blocks of a function f of u, plus errors.

    Attributes:
        kind: GAIN for cellularity, BIOPSY for samples, else the name of the threshold.
        average: means over blocks of a field at the places that the scan's voxels show, shape (m, n).
        values: data y, shape (m,).
        variances: variances of the blocks' independent errors, shape (m,); those of shares depend on the density
            (Observations.around).
        points_mm: middles of the blocks on the lattice, shape (m, 3).
        voxels: number of measured voxels of each block, shape (m,).
        steepness: steepness kappa of the share of a voxel over the logit of its density.
    """

    kind: str
    average: sparse.csr_matrix
    values: Values
    variances: Values
    points_mm: Values
    voxels: Values
    steepness: float

    def of(self, density: Values, xi: Values, unknown: Unknowns) -> tuple[Values, Values, Values]:
        """Return the function f of u at voxels, its derivative by u, and its derivative by xi's entry of this kind.

        Args:
            density: density u at all tissue voxels, shape (n,).
            xi: unknowns, shape (p,).
            unknown: layout of xi.
        """
        if self.kind == BIOPSY:
            return density, np.ones_like(density), np.zeros_like(density)
        one = unknown.single[unknown.names.index(self.kind)]
        q = unknown.value(xi, self.kind)
        if self.kind == GAIN:
            gain = np.exp(q)
            return gain * density, np.full_like(density, gain), one.std * gain * density
        inside = np.clip(density, _TINY, 1.0 - _TINY)
        odds = np.exp(np.clip(self.steepness * (np.log(inside) - np.log1p(-inside) - q), -_FAR, _FAR))
        share = odds / (1.0 + odds)
        slope = self.steepness * share / (1.0 + odds)
        return share, slope / (inside * (1.0 - inside)), -one.std * slope


def readings(
    history: TumourHistory, block_mm: float, steepness: float = STEEPNESS["independent"]
) -> tuple[tuple[Reading, ...], ...]:
    """Return the readings of every scan.

    Args:
        history: history on the lattice.
        block_mm: edge of a block, millimetres.
        steepness: steepness kappa of shares.
    """
    edges_mm = history.edges_mm
    seen = np.any([visible(scan, edges_mm) for scan in history.scans], axis=0)
    near = ndimage.distance_transform_edt(~seen, sampling=edges_mm) <= REACH_MM
    where = near & history.tissue
    factors = np.maximum(1, np.round(block_mm / edges_mm)).astype(int)
    any_kind = {kind for scan in history.scans for kind in _kinds(scan)}
    found = []
    for scan in history.scans:
        kinds = any_kind if scan.drawn and not scan.tumour.any() else _kinds(scan)
        own = _scan_readings(scan, kinds, where, history.tissue, factors, edges_mm)
        samples = (_samples(scan, history),) if scan.biopsies else ()
        found.append((*(replace(one, steepness=steepness) for one in own), *samples))
    return tuple(found)


def _kinds(scan: TumourScan) -> set[str]:
    """Return thresholds of the regions that a scan shows."""
    kinds = {ENHANCING_ABOVE: (ENHANCING, NECROTIC), INFILTRATED_ABOVE: (NON_ENHANCING,)}
    return {kind for kind, regions in kinds.items() if np.isin(scan.roi, regions).any()}


def _scan_readings(
    scan: TumourScan,
    shown: set[str],
    where: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    factors: NDArray[np.int64],
    edges_mm: Values,
) -> tuple[Reading, ...]:
    measured = where & np.isfinite(scan.cellularity) & (scan.cellularity_std > 0) & (scan.roi != NECROTIC)
    kinds = [(GAIN, measured, scan.cellularity, scan.cellularity_std**2)]
    core, looked = np.isin(scan.roi, (ENHANCING, NECROTIC)), where & (scan.roi != CAVITY)
    for kind, region in ((ENHANCING_ABOVE, core), (INFILTRATED_ABOVE, scan.tumour)):
        if kind in shown:
            kinds.append((kind, looked, region.astype(np.float64), np.zeros(scan.roi.shape)))
    found = []
    places = None if scan.offset is None else between(tissue, scan.offset[tissue])
    for kind, there, values, variances in kinds:
        average, points = _blocks(there, tissue, factors)
        if not average.shape[0]:
            continue
        y = average @ np.where(there, values, 0.0)[tissue]
        own = average.power(2) @ np.where(there, variances, 0.0)[tissue]
        voxels = np.diff(average.indptr).astype(np.float64)
        seen = average if places is None else average @ places
        found.append(Reading(kind, seen, y, own, points * edges_mm, voxels, STEEPNESS["independent"]))
    return tuple(found)


def _samples(scan: TumourScan, history: TumourHistory) -> Reading:
    """Return the densities of a scan's biopsies."""
    points = np.array([(*one.point_mm, 1.0) for one in scan.biopsies])
    places = np.linalg.solve(history.affine_mm, points.T)[:3].T
    average = interpolation(history.tissue, np.clip(places, 0.0, np.array(history.tissue.shape) - 1.0))
    values = np.array([one.density for one in scan.biopsies])
    variances = np.array([one.std**2 for one in scan.biopsies])
    voxels = np.ones(len(values))
    return Reading(BIOPSY, average, values, variances, places * history.edges_mm, voxels, STEEPNESS["independent"])


def _blocks(
    there: NDArray[np.bool_], tissue: NDArray[np.bool_], factors: NDArray[np.int64]
) -> tuple[sparse.csr_matrix, Values]:
    """Return means over blocks that have enough voxels, shape (m, n), and the middles of the blocks' voxels."""
    at = np.argwhere(tissue)
    chosen = np.flatnonzero(there[tissue])
    counts = -(-np.array(tissue.shape) // factors)
    blocks = np.ravel_multi_index(tuple((at[chosen] // factors).T), tuple(counts))
    names, rows, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    average = sparse.csr_matrix((1.0 / sizes[rows], (rows, chosen)), shape=(len(names), len(at)))
    average = average[sizes >= _LEAST_VOXELS * float(np.prod(factors))]
    return average, np.asarray(average @ at.astype(np.float64))
