"""Displacement of the brain around a tumour: boxes of two sizes, extrapolated to boxes of no size.

Errors of w are proportional to the square of the box edge (docs/decisions/0070), so that with edges h and H > h

    w = w_h + (w_h - w_H) h^2 / (H^2 - h^2)

has an error of a few percent where w_h itself has one of a fifth. With SmallStrain, w is linear in the density and in
lambda / s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import batched
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.tumour.head import COARSER, second_box
from palpate.solvers.growth.mechanics.coupling import Mechanics, Pressure, mechanics
from palpate.solvers.growth.mechanics.lattice import lattice
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.units import m_to_mm

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

AROUND_MM: Final = 20.0
"""Largest distance from the visible tumour at which brain counts as the brain around it, millimetres."""
LARGEST: Final = 0.99
"""Quantile of the displacements in the brain around a tumour that is reported as the largest displacement."""


class DisplacementLaw(Protocol):
    """Law of elasticity that gives the displacement by a density (SmallStrain, FiniteStrain, DisplacementSystem)."""

    def displacements_m(self, densities: Values) -> Values:
        """Return displacements w at own control volumes by each of p densities, along the voxel axes. Collective.

        Args:
            densities: densities at own control volumes, shape (p, n).

        Returns:
            Displacements, metres, shape (p, n, 3).
        """


@dataclass(frozen=True, slots=True)
class DisplacementSystem:
    """Displacement extrapolated from two laws on boxes of different sizes (DisplacementLaw).

    Attributes:
        fine, coarse: laws on boxes of the smaller and the larger edge.
        weight: weight h^2 / (H^2 - h^2) of their difference.
    """

    fine: DisplacementLaw
    coarse: DisplacementLaw
    weight: float

    def displacements_m(self, densities: Values) -> Values:
        """See DisplacementLaw."""
        fine = self.fine.displacements_m(densities)
        return np.asarray(fine + self.weight * (fine - self.coarse.displacements_m(densities)))


@dataclass(frozen=True, slots=True)
class SmallStrain:
    """Displacement at small strain (DisplacementLaw).

    Attributes:
        mechanics: factorised coupling, all on one rank.
    """

    mechanics: Mechanics

    def displacements_m(self, densities: Values) -> Values:
        """See DisplacementLaw; each solve takes two densities."""
        own = self.mechanics
        assert own.elastic is not None  # it is on one rank
        push = own.pressure.growth_pa / own.pressure.scale
        found = np.zeros((*densities.shape, 3))
        for pair in batched(range(len(densities)), 2):
            loads = own.elastic.swelling @ (push * own.deposited(densities[list(pair)].T))
            moved = own.elastic.solve(*loads.T)
            for number, one in zip(pair, moved, strict=False):
                found[number] = own.weights @ (own.elastic.at_corners @ one).reshape(-1, 3)
        return found


@dataclass(frozen=True, slots=True)
class ElasticHead:
    """Tissue and skull of a head that a tumour displaces.

    Attributes:
        space: control volumes, all on this rank.
        points_m: centres of the control volumes in the voxels' coordinates, metres, shape (n, 3).
        skull: voxels inside the skull, shape (i, j, k).
        edges_m: voxel edges, metres, shape (3,).
        storage_pa: storage modulus G', pascal, shape (i, j, k).
    """

    space: GrowthSpace
    points_m: Values
    skull: Mask
    edges_m: Values
    storage_pa: Values


def displacement_system(
    head: ElasticHead,
    pressure: Pressure,
    box_m: float,
    coarser: float = COARSER,
    law: Callable[[Mechanics], DisplacementLaw] = SmallStrain,
) -> DisplacementSystem:
    """Factorise the elastic systems of both sizes of boxes, on this rank.

    Args:
        head: tissue and skull.
        pressure: lambda and the scale of stiffness.
        box_m: edge of the smaller boxes, metres; rounded to whole voxels.
        coarser: ratio of the larger to the smaller edge; the larger is at least one voxel longer.
        law: constructor of the law of elasticity from its small-strain coupling.

    Raises:
        InputError: see `lattice` and `mechanics`.
    """
    both = []
    for edge_m in (box_m, second_box(head.edges_m, box_m, coarser)):
        boxes = lattice(head.skull, head.edges_m, head.storage_pa, edge_m)
        both.append((boxes.edges_m, law(mechanics(head.space, head.points_m, boxes, pressure))))
    (fine_m, fine), (coarse_m, coarse) = both
    small, large = (float(np.prod(one) ** (2.0 / 3.0)) for one in (fine_m, coarse_m))
    return DisplacementSystem(fine, coarse, small / (large - small))


def brain_around(tissue: Mask, visible: Mask, edges_mm: Values) -> Mask:
    """Return the brain around a tumour: tissue outside the visible tumour and within AROUND_MM of it, shape (i, j, k).

    Args:
        tissue: voxels of tissue, shape (i, j, k).
        visible: voxels of the visible tumour, shape (i, j, k).
        edges_mm: voxel edges, millimetres, shape (3,).
    """
    away = ndimage.distance_transform_edt(~visible, sampling=edges_mm)
    return np.asarray(tissue & (away > 0.0) & (away <= AROUND_MM))


def lengths_mm(displacements_m: Values) -> Values:
    """Return the lengths of displacements in millimetres.

    Args:
        displacements_m: displacements, metres, shape (..., n, 3).

    Returns:
        Lengths, millimetres, shape (..., n).
    """
    return np.asarray(m_to_mm(np.linalg.norm(displacements_m, axis=-1)))
