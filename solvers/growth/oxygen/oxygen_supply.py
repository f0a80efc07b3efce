"""Level of oxygen at which supply, consumption and diffusion are in balance.

    -L^2 div grad o = c (1 - o) - beta (u / theta) o,      no flux at skull, CSF and cavity

c = 1 - n / theta is the share of tissue that is not necrotic: vessels are lost with the cells, and dead tissue does not
consume. On the graph of the space this is A o = M c with A = L^2 (diagonal - S) + M (c + beta u / theta), symmetric and
diagonally dominant, with A 1 >= M c and, since u <= theta c, A o_full <= M c. Where S >= 0, A is an M-matrix and
therefore o_full <= o <= 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.growth.conjugate_gradients import conjugate_gradients
from palpate.solvers.growth.oxygen.law import Oxygen
from palpate.solvers.growth.scheme.diffusion import Work
from palpate.solvers.growth.space.space import GrowthSpace

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OxygenatedTissue:
    """Living and dead cells in the variables of the scheme: space without necrosis, and density of living cells in it.

    In these variables the bounds are intervals, 0 <= v <= theta and 0 < c <= 1, and stay exact however small c is.

    Attributes:
        occupied: density v = u / c of living cells in tissue that is not necrotic, shape (n,).
        room: share c = 1 - n / theta of tissue that is not necrotic, shape (n,).
    """

    occupied: Values
    room: Values

    @property
    def living(self) -> Values:
        """Density u of living cells, shape (n,)."""
        return self.room * self.occupied

    def necrosis(self, capacity: float) -> Values:
        """Return the density n of necrosis, shape (n,).

        Args:
            capacity: largest density theta.
        """
        return capacity * (1.0 - self.room)


@dataclass(frozen=True, slots=True)
class Vessels:
    """Quantities besides cells on which the level of oxygen depends.

    Attributes:
        space: control volumes.
        oxygen: constants L and beta.
        exchange_m3: exchange L^2 S between neighbours that no cavity separates, shape (n, n + ghosts).
        losses_m3: sums of the exchange over neighbours, shape (n,).
        capacity: largest density theta.
        work: counter of products.
    """

    space: GrowthSpace
    oxygen: Oxygen
    exchange_m3: sparse.csr_matrix
    losses_m3: Values
    capacity: float
    work: Work

    def supply(self, tissue: OxygenatedTissue) -> Supply:
        """Compute the level of oxygen for living and dead cells. Collective.

        Args:
            tissue: living and dead cells.
        """
        volumes, consumed = self.space.volumes_m3, self.oxygen.demand * tissue.living / self.capacity
        diagonal = self.losses_m3 + volumes * (tissue.room + consumed)
        level = self.solve(diagonal, volumes * tissue.room)
        return Supply(self, diagonal, level)

    def solve(self, diagonal: Values, right: Values) -> Values:
        """Return A^-1 b, of the shape of b. Collective.

        Args:
            diagonal: diagonal of A, shape (n,).
            right: right-hand sides b, shape (n,) or (n, p).
        """

        def multiply(x: Values) -> Values:
            self.work.products += 1
            scaled = diagonal.reshape(-1, *[1] * (x.ndim - 1)) * x
            return np.asarray(scaled - self.exchange_m3 @ self.space.halo.extended(x))

        return conjugate_gradients(multiply, diagonal, right, self.space.halo.comm)


@dataclass(frozen=True, slots=True)
class Supply:
    """Level of oxygen and its derivatives.

    Attributes:
        vessels: quantities besides cells on which the level depends.
        diagonal: diagonal of A, shape (n,).
        level: level o, shape (n,).
    """

    vessels: Vessels
    diagonal: Values
    level: Values

    def tangent(self, living: Values, room: Values) -> Values:
        """Return changes of o, A do = M (1 - o) dc - M beta o du / theta, shape (n, p). Collective.

        Args:
            living: changes du, shape (n, p).
            room: changes dc, shape (n, p).
        """
        gained, lost = self._by_cells()
        return self.vessels.solve(self.diagonal, gained[:, None] * room - lost[:, None] * living)

    def pull_back(self, by_level: Values) -> tuple[Values, Values]:
        """Return derivatives by u and by c from those by o, shape (n,) each. Collective."""
        adjoint = self.vessels.solve(self.diagonal, by_level)
        gained, lost = self._by_cells()
        return -lost * adjoint, gained * adjoint

    def _by_cells(self) -> tuple[Values, Values]:
        """Return the derivative of the right-hand side by c, and minus that by u."""
        volumes, demand = self.vessels.space.volumes_m3, self.vessels.oxygen.demand / self.vessels.capacity
        return volumes * (1.0 - self.level), volumes * demand * self.level


def vessels(space: GrowthSpace, oxygen: Oxygen, passable: NDArray[np.bool_], capacity: float, work: Work) -> Vessels:
    """Prepare the exchange of oxygen. Collective.

    Args:
        space: control volumes.
        oxygen: constants L and beta.
        passable: whether a control volume is outside of cavities, whose walls let nothing through, shape (n,).
        capacity: largest density theta.
        work: counter of products.
    """
    whole = space.halo.extended(passable.astype(np.float64))
    between = sparse.diags_array(oxygen.length_m**2 * whole[: space.size]) @ space.conductances_m
    exchange = sparse.csr_matrix(between @ sparse.diags_array(whole))
    return Vessels(space, oxygen, exchange, np.asarray(exchange.sum(axis=1)).ravel(), capacity, work)
