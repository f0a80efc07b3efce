"""Density at the first scan as a parametric family, whose parameters are part of the posterior.

    u_0(x) = p / (1 + exp(-z))^2,    z(x) = z_b(x) + (a - d(x) - sum_j phi_j(x) xi_j) / w,    w = c sqrt(6 D_white / k).

Where no cellularity was measured, u_0 is its mean over the voxel (twin.start_profile).
With z_b and the shapes left out this is the travelling wave of Fisher's equation in closed form (Ablowitz and
Zeppetella 1979), whose speed is within 2 % of the natural one: the density that no image shows is tied to the rates.
Where cellularity was measured, z_b follows the image, lightly smoothed, up to the visible edge, and d is the distance
outside of that; else d is the signed distance to the outline drawn and z_b is constant. a and the shapes phi_j move the
fronts, p is the plateau. So the image gives the pattern of the density, and the posterior corrects it. Errors of the
image that are smaller than the shapes stay; to a forecast they are noise that diffusion evens out.

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
"""Standard deviation of the Gaussian that smooths the image, in voxels."""
_BOUNDS: Final = (0.03, 0.97)
_NECROTIC_AS: Final = 0.9
"""Density assumed in visible tumour without measured cells, such as necrosis, which the model does not contain."""
_EDGE_AT: Final = 0.5
"""Density at a drawn outline where no cellularity was measured."""
_TYPICAL_WIDTH_MM: Final = 3.0
_FAR: Final = 60.0
_LEAST_SHARE: Final = 0.5
"""Smallest measured share of the visible tumour with which the image is used."""
_REACH_MM: Final = 12.0
_JITTER: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Outline:
    """Distances and shapes at the tissue voxels.

    Attributes:
        base: argument z of the density where nothing is moved, without its tail, shape (n,).
        distance_mm: distance d, millimetres, shape (n,).
        shapes_mm: shapes phi of displacement, millimetres, shape (n, s).
    """

    base: Values
    distance_mm: Values
    shapes_mm: Values


def outline(history: TumourHistory, settings: TwinSettings) -> Outline:
    """Return the family of densities at the first scan.

    Args:
        history: history on the lattice.
        settings: standard deviation of the outline's displacement, number of shapes and their correlation length.
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
    """Return z_b and d as one scan alone gives them, shape (i, j, k) each; d is infinite where it shows no tumour.

    Args:
        scan: scan of one date, on the lattice.
        tissue: mask of tissue, shape (i, j, k).
        edges_mm: edges of a voxel, millimetres, shape (3,).
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
    """Return a density estimated from one scan alone, enough for the place and slope of fronts, shape (i, j, k)."""
    base, distance_mm = front(scan, tissue, edges_mm)
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(distance_mm / _TYPICAL_WIDTH_MM, _FAR) - base)) ** 2)


def log_odds_of_root(density: Values) -> Values:
    """Return the z with 1 / (1 + exp(-z))^2 = u, for densities kept away from 0 and 1."""
    root = np.sqrt(np.clip(density, *_BOUNDS))
    return np.asarray(np.log(root) - np.log1p(-root))


def signed_distance_mm(inside: NDArray[np.bool_], edges_mm: Values) -> Values:
    """Return the distance to a region's surface, negative inside; half a voxel is taken off either way."""
    half = 0.5 * float(np.cbrt(np.prod(edges_mm)))
    outside = ndimage.distance_transform_edt(~inside, sampling=edges_mm)
    within = ndimage.distance_transform_edt(inside, sampling=edges_mm)
    return np.asarray(np.where(inside, half - within, outside - half))


def matern(a: Values, b: Values, length: float) -> Values:
    """Return the correlation (1 + sqrt(3) r / l) exp(-sqrt(3) r / l) of points, shape (len(a), len(b)).

    Args:
        a: points, shape (n, 3).
        b: points, shape (m, 3).
        length: correlation length l, in the points' unit.
    """
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    return correlation.matern(np.sqrt(np.maximum(squares, 0.0)), length, roughness=0.0, edge_mm=0.0)


def matern_shapes(centres: Values, points: Values, length: float, jitter: float = _JITTER) -> Values:
    """Return C(x, c) L^-T with C(c, c) = L L^T, shape (n, m).

    Times standard normal numbers it is a random field of unit variance, given by its values at the centres.

    Args:
        centres: centres c, shape (m, 3).
        points: points x, shape (n, 3).
        length: correlation length, in the points' unit.
        jitter: variance added at the centres.
    """
    half = cholesky(matern(centres, centres, length) + jitter * np.eye(len(centres)), lower=True)
    return np.asarray(solve_triangular(half, matern(centres, points, length), lower=True).T)


def spread_out(points: Values, count: int) -> Values:
    """Choose `count` of the points, each as far as possible from those chosen before."""
    chosen = [int(np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.asarray(points[chosen])
