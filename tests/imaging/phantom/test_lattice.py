"""The forward solver's mesh: a hole or an inverted element would be a different head."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from palpate.imaging.phantom.grid import rotation
from palpate.imaging.phantom.lattice import kuhn_lattice


@pytest.mark.parametrize("mirrored", [False, True])
def test_tetrahedra_fill_the_lattice_and_conform(*, mirrored: bool) -> None:
    """Positive volumes that add up, and every face shared by exactly two tetrahedra or on the boundary.

    Mirrored axes are what slices of a scanner have; they must not turn the elements inside out.
    """
    axes = rotation((10.0, -20.0, 30.0)) @ np.diag([-1.0, 1.0, 1.0] if mirrored else [1.0, 1.0, 1.0])
    edges = np.array([2.0, 2.3, 1.7])
    chosen = np.ones((3, 4, 2), dtype=np.bool_)
    chosen[0, 0, 0] = False
    points, cells = kuhn_lattice(np.array([1.0, 2.0, 3.0]), axes, edges, chosen)
    sides = points[cells[:, 1:]] - points[cells[:, :1]]
    volumes = np.linalg.det(sides) / 6
    assert volumes.min() > 0
    assert volumes.sum() == pytest.approx(chosen.sum() * edges.prod())
    faces = Counter(tuple(sorted(face)) for cell in cells for face in combinations(cell.tolist(), 3))
    assert max(faces.values()) == 2
    outer = np.array([face for face, count in faces.items() if count == 1])
    corners = points[outer]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    full = np.array([3, 4, 2]) * edges
    # A missing corner cube leaves the surface of the box as large as it was.
    assert area == pytest.approx(2 * (full[0] * full[1] + full[1] * full[2] + full[0] * full[2]))
    assert len(np.unique(cells)) == len(points)
