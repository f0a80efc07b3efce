"""Scans of later dates on voxels of their own: what the model is compared with, and where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from palpate.imaging.tumour.history import NON_ENHANCING, TumourScan
from palpate.twin.lattice import lattice, on_lattice
from palpate.twin.observation.places import between
from palpate.twin.observation.readings import readings
from tests.twin.small import SETTINGS, history

SHAPE = (12, 11, 10)


def test_places_between_voxels_are_exact_for_quadratics() -> None:
    """A density's peak is a quadratic: linear interpolation would flatten it, and tumours would seem more diffuse."""
    rng = np.random.default_rng(3)
    tissue = np.ones(SHAPE, dtype=np.bool_)
    at = np.argwhere(tissue).astype(np.float64)
    offset = rng.uniform(-0.7, 0.7, at.shape)
    inner = np.all((at >= 2) & (at <= np.array(SHAPE) - 3), axis=1)
    curvature, slope = rng.standard_normal((3, 3)), rng.standard_normal(3)

    def field(x: np.ndarray) -> np.ndarray:
        return np.einsum("na,ab,nb->n", x, curvature, x) + x @ slope + 2.0

    found = between(tissue, offset) @ field(at)
    assert np.allclose(found[inner], field(at + offset)[inner], atol=1e-9)


def test_places_beside_fluid_stay_within_tissue() -> None:
    """Weights sum to one and ask for tissue alone: fluid has no density, and a zero there would lower the brink."""
    rng = np.random.default_rng(4)
    tissue = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5) > 0.0
    offset = rng.uniform(-0.5, 0.5, (int(tissue.sum()), 3))
    matrix = between(tissue, offset)
    assert np.allclose(matrix @ np.ones(matrix.shape[1]), 1.0, atol=1e-12)
    still = between(tissue, np.zeros_like(offset))
    assert np.allclose(still.toarray(), np.eye(len(offset)))


def test_a_moved_scan_is_read_without_bias() -> None:
    """A scan whose voxels lie between the lattice's is read as one that was not moved.

    Cells are measured only where they are many: interpolated from the measured side alone, a rim has 15 % too many.
    """
    own = history()
    at = np.indices(own.tissue.shape).transpose(1, 2, 3, 0).astype(np.float64)

    def density(index: np.ndarray) -> np.ndarray:
        away = np.linalg.norm((index - [6.3, 5.8, 5.1]) * own.edges_mm, axis=-1)
        return np.asarray(1.0 / (1.0 + np.exp((away - 12.0) / 3.0)))

    offset = np.broadcast_to([0.45, -0.4, 0.35], at.shape)
    true = density(at + offset)
    seen = (true > 0.18) & own.tissue
    cells = np.where(seen, true, np.nan)
    roi = np.where(seen, NON_ENHANCING, 0).astype(np.uint8)
    moved = TumourScan(25.0, cells, np.where(seen, 0.1, np.nan), roi, offset=offset.astype(np.float32))
    told = on_lattice(replace(own, scans=(own.scans[0], moved)), lattice(own, SETTINGS.voxel_mm, 100.0))
    cellularity = readings(told, SETTINGS.block_mm)[1][0]
    predicted = cellularity.average @ density(np.argwhere(told.tissue).astype(np.float64))
    assert np.abs(predicted - cellularity.values).max() < 0.02
    assert abs(float((predicted - cellularity.values).mean())) < 0.002
