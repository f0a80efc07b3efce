"""The density at the first scan, as a family that is part of the posterior.

    u_0(x) = p / (1 + exp(-z))^2,    z(x) = z_b(x) + (a - d(x) - sum_j phi_j(x) xi_j) / w,    w = c sqrt(6 D_white / k).

Without the rest this is the wave of Fisher's equation in closed form (Ablowitz and Zeppetella 1979), whose speed is
within 2 % of the natural one: what no image shows is tied to the rates. Where cellularity was measured, z_b follows the
image, lightly smoothed, up to the visible edge, and d is the distance outside of that; else d is the signed distance to
the outline drawn and z_b is constant. a and the shapes phi_j move the fronts, p is the plateau. So the image says where
density varies, and the posterior how much of what it says is true: errors of the image that are smaller than the shapes
stay, which for a forecast are noise that diffusion evens out.

The shapes are a Matern 3/2 field given its values at centres spread over the outline: the prior of the displacement at
the centres is exactly that field's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import cholesky, solve_triangular

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import ENHANCING, NECROTIC, TumourHistory, TumourScan
from palpate.solvers.inversion.prior import correlation
from palpate.twin.lattice import nearest_in, smoothed, visible

type Values = NDArray[np.float64]

_SMOOTHING: Final = 0.7
"""Of the image, in voxels."""
_BOUNDS: Final = (0.03, 0.97)
_NECROTIC_AS: Final = 0.9
"""Within contrast agent: no cells alive are measured there, but the model has no necrosis."""
_EDGE_AT: Final = 0.5
"""Density at an outline that is drawn and nothing else."""
_TYPICAL_WIDTH_MM: Final = 3.0
_FAR: Final = 60.0
_LEAST_SHARE: Final = 0.5
"""Of the visible tumour, for the image to be used."""
_REACH_MM: Final = 12.0
_JITTER: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Outline:
    """Distances and shapes at the tissue voxels.

    Attributes:
        base: z where nothing is moved, without its tail, shape (n,).
        distance_mm: d, shape (n,).
        shapes_mm: phi, shape (n, s).
    """

    base: Values
    distance_mm: Values
    shapes_mm: Values


def outline(history: TumourHistory, settings: TwinSettings) -> Outline:
    """The outline of the first scan.

    Args:
        history: on the lattice.
        settings: how far the true outline may be, number of shapes, their length.
    """
    scan, edges_mm = history.scans[0], history.edges_mm
    base, signed = front(scan, history.tissue, edges_mm)
    seen = visible(scan, edges_mm) & history.tissue
    if not seen.any():  # nothing at the first scan: a seed where the next ones show most
        later = np.stack([visible(one, edges_mm) for one in history.scans[1:]]).any(axis=0) & history.tissue
        depth = ndimage.distance_transform_edt(later, sampling=edges_mm)
        seen = depth == depth.max()
        signed = signed_distance_mm(seen, edges_mm)
    points = np.argwhere(history.tissue) * edges_mm
    d = signed[history.tissue]
    around = signed_distance_mm(seen, edges_mm)[history.tissue]
    centres = spread_out(points[np.abs(around) < _REACH_MM], settings.outline_modes)
    shapes = matern_shapes(centres, points, settings.correlation_mm)
    return Outline(base[history.tissue], d, settings.outline_std_mm * shapes)


def front(scan: TumourScan, tissue: NDArray[np.bool_], edges_mm: Values) -> tuple[Values, Values]:
    """What one scan says by itself: z_b and d, shape (i, j, k) each; d is infinite where it shows nothing.

    Args:
        scan: one date, on the lattice.
        tissue: shape (i, j, k).
        edges_mm: of a voxel, shape (3,).
    """
    measured = np.isfinite(scan.cellularity) & tissue & (scan.roi != NECROTIC)
    seen = visible(scan, edges_mm) & tissue
    edge = np.full(tissue.shape, log_odds_of_root(np.array(_EDGE_AT)))
    if not seen.any():
        return edge, np.full(tissue.shape, np.inf)
    if (seen & measured).sum() < _LEAST_SHARE * seen.sum():
        core = np.isin(scan.roi, (ENHANCING, NECROTIC)) & tissue
        return edge, signed_distance_mm(core if core.any() else seen, edges_mm)
    levels = np.where(measured, smoothed(scan, np.full(3, _SMOOTHING)), _NECROTIC_AS)
    return log_odds_of_root(levels)[nearest_in(seen, edges_mm)], np.maximum(signed_distance_mm(seen, edges_mm), 0.0)


def apparent_density(scan: TumourScan, tissue: NDArray[np.bool_], edges_mm: Values) -> Values:
    """A density as the scan by itself suggests it, good enough for where fronts are and how steep, shape (i, j, k)."""
    base, distance_mm = front(scan, tissue, edges_mm)
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(distance_mm / _TYPICAL_WIDTH_MM, _FAR) - base)) ** 2)


def log_odds_of_root(density: Values) -> Values:
    """The z of 1 / (1 + exp(-z))^2 = u, for densities kept away from 0 and 1."""
    root = np.sqrt(np.clip(density, *_BOUNDS))
    return np.asarray(np.log(root) - np.log1p(-root))


def signed_distance_mm(inside: NDArray[np.bool_], edges_mm: Values) -> Values:
    """Distance to a region's surface, negative inside; half a voxel is taken off either way."""
    half = 0.5 * float(np.cbrt(np.prod(edges_mm)))
    outside = ndimage.distance_transform_edt(~inside, sampling=edges_mm)
    within = ndimage.distance_transform_edt(inside, sampling=edges_mm)
    return np.asarray(np.where(inside, half - within, outside - half))


def matern(a: Values, b: Values, length: float) -> Values:
    """Correlation (1 + sqrt(3) r / l) exp(-sqrt(3) r / l) of points, shape (len(a), len(b)).

    Args:
        a: shape (n, 3).
        b: shape (m, 3).
        length: l, in the points' unit.
    """
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    return correlation.matern(np.sqrt(np.maximum(squares, 0.0)), length, roughness=0.0, edge_mm=0.0)


def matern_shapes(centres: Values, points: Values, length: float, jitter: float = _JITTER) -> Values:
    """C(x, c) L^-T with C(c, c) = L L^T: times standard normals a field of unit variance, given at centres, (n, m).

    Args:
        centres: c, shape (m, 3).
        points: x, shape (n, 3).
        length: of correlation, in the points' unit.
        jitter: added to the variance at the centres.
    """
    half = cholesky(matern(centres, centres, length) + jitter * np.eye(len(centres)), lower=True)
    return np.asarray(solve_triangular(half, matern(centres, points, length), lower=True).T)


def spread_out(points: Values, count: int) -> Values:
    """So many of the points, each as far from those before as can be."""
    chosen = [int(np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.asarray(points[chosen])
