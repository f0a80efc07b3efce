"""The density at the first scan, as a family that is part of the posterior.

    u_0(x) = p / (1 + exp(-z)),     z(x) = (a - d(x) - sum_j phi_j(x) xi_j) / w,    w = c sqrt(D_white / k).

d is the signed distance to the outline seen, a and the shapes phi_j move it, p is the plateau. Far outside u_0 falls
as exp(-d / w), the tail of a wave of Fisher's equation at its natural speed where c = 1: what no image shows is tied to
the rates. The shapes are a Matern 3/2 field given its values at centres spread over the outline: the prior of
the displacement at the centres is exactly that field's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import cholesky, solve_triangular

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import ENHANCING, NECROTIC, TumourHistory
from palpate.twin.lattice import smoothed, visible

type Values = NDArray[np.float64]

_HALF: Final = 0.45
_REACH_MM: Final = 12.0


@dataclass(frozen=True, slots=True)
class Outline:
    """Distances and shapes at the tissue voxels.

    Attributes:
        distance_mm: d, negative inside, shape (n,).
        shapes_mm: phi, shape (n, s).
    """

    distance_mm: Values
    shapes_mm: Values


def outline(history: TumourHistory, settings: TwinSettings) -> Outline:
    """The outline of the first scan.

    Args:
        history: on the lattice.
        settings: how far the true outline may be, number of shapes, their length.
    """
    scan, edges_mm = history.scans[0], history.edges_mm
    core = np.isin(scan.roi, (ENHANCING, NECROTIC))
    dense = smoothed(scan, np.full(3, 0.7)) > _HALF
    inside = (dense | (core & ~np.isfinite(scan.cellularity))) & history.tissue
    if not inside.any():
        inside = visible(scan, edges_mm) & history.tissue
    if not inside.any():  # nothing at the first scan: a seed where the next one shows most
        later = np.stack([visible(one, edges_mm) for one in history.scans[1:]]).any(axis=0) & history.tissue
        depth = ndimage.distance_transform_edt(later, sampling=edges_mm)
        inside = depth == depth.max()
    signed = signed_distance_mm(inside, edges_mm)
    points = np.argwhere(history.tissue) * edges_mm
    d = signed[history.tissue]
    centres = spread_out(points[np.abs(d) < _REACH_MM], settings.outline_modes)
    between = matern(centres, centres, settings.correlation_mm) + 1e-8 * np.eye(len(centres))
    half = cholesky(between, lower=True)
    shapes = solve_triangular(half, matern(centres, points, settings.correlation_mm), lower=True).T
    return Outline(d, settings.outline_std_mm * shapes)


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
    r = np.sqrt(3.0 * np.maximum(squares, 0.0)) / length
    return np.asarray((1.0 + r) * np.exp(-r))


def spread_out(points: Values, count: int) -> Values:
    """So many of the points, each as far from those before as can be."""
    chosen = [int(np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.asarray(points[chosen])
