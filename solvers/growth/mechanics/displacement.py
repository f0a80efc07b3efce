"""How far a tumour pushes the brain around it: displacement on boxes of two sizes, and what is left of boxes at none.

Errors of w fall as the square of the box (docs/decisions/0070), so that of boxes with edges h and H > h

    w = w_h + (w_h - w_H) h^2 / (H^2 - h^2)

is off by a few percent where w_h itself is by a fifth. All of it is linear in the density and in lambda / s.
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
from palpate.solvers.growth.space.space import Space
from palpate.units import m_to_mm

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

AROUND_MM: Final = 20.0
"""Brain up to so far from what is visible of the tumour is the brain around it."""
LARGEST: Final = 0.99
"""Share of the brain around that is displaced by no more than its largest displacement."""


class Pushing(Protocol):
    """Any law of elasticity that says how far a density pushes (Mechanics, FiniteStrain)."""

    def displacements_m(self, densities: Values) -> Values:
        """Displacements w at own control volumes by each of some densities, along the voxel axes. Collective.

        Args:
            densities: shape (p, n).

        Returns:
            Shape (p, n, 3).
        """


@dataclass(frozen=True, slots=True)
class Displacing:
    """A Pushing by two others of different boxes.

    Attributes:
        fine, coarse: with boxes of the smaller and the larger edge.
        weight: h^2 / (H^2 - h^2).
    """

    fine: Pushing
    coarse: Pushing
    weight: float

    def displacements_m(self, densities: Values) -> Values:
        """See Pushing."""
        fine = self.fine.displacements_m(densities)
        return np.asarray(fine + self.weight * (fine - self.coarse.displacements_m(densities)))


@dataclass(frozen=True, slots=True)
class SmallStrain:
    """A Pushing by small strain.

    Attributes:
        mechanics: factorised, on one rank.
    """

    mechanics: Mechanics

    def displacements_m(self, densities: Values) -> Values:
        """See Pushing; two densities go at the price of one."""
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
class Head:
    """What the tumour pushes.

    Attributes:
        space: control volumes, all on this rank.
        points_m: where they lie, in the voxels' coordinates, shape (n, 3).
        skull: voxels inside it, shape (i, j, k).
        edges_m: of a voxel, shape (3,).
        storage_pa: G', shape (i, j, k).
    """

    space: Space
    points_m: Values
    skull: Mask
    edges_m: Values
    storage_pa: Values


def displacing(
    head: Head,
    pressure: Pressure,
    box_m: float,
    coarser: float = COARSER,
    law: Callable[[Mechanics], Pushing] = SmallStrain,
) -> Displacing:
    """Factorise the elastic systems of both sizes of boxes, on this rank.

    Args:
        head: what is pushed.
        pressure: lambda and the scale of stiffness.
        box_m: edge of the smaller boxes; whole voxels.
        coarser: edge of the larger ones over it, at least one voxel more.
        law: of elasticity.

    Raises:
        InputError: see `lattice` and `mechanics`.
    """
    both = []
    for edge_m in (box_m, second_box(head.edges_m, box_m, coarser)):
        boxes = lattice(head.skull, head.edges_m, head.storage_pa, edge_m)
        both.append((boxes.edges_m, law(mechanics(head.space, head.points_m, boxes, pressure))))
    (fine_m, fine), (coarse_m, coarse) = both
    small, large = (float(np.prod(one) ** (2.0 / 3.0)) for one in (fine_m, coarse_m))
    return Displacing(fine, coarse, small / (large - small))


def brain_around(tissue: Mask, visible: Mask, edges_mm: Values) -> Mask:
    """The brain around a tumour: tissue outside what is visible of it and within AROUND_MM, shape (i, j, k).

    Args:
        tissue: shape (i, j, k).
        visible: the tumour, same shape.
        edges_mm: of a voxel, shape (3,).
    """
    away = ndimage.distance_transform_edt(~visible, sampling=edges_mm)
    return np.asarray(tissue & (away > 0.0) & (away <= AROUND_MM))


def lengths_mm(displacements_m: Values) -> Values:
    """Lengths of displacements.

    Args:
        displacements_m: shape (..., n, 3).

    Returns:
        Shape (..., n).
    """
    return np.asarray(m_to_mm(np.linalg.norm(displacements_m, axis=-1)))
