"""Worlds in which images of two sessions lie, and the motions between them with their uncertainty.

Worlds are the elastograms of both sessions and their T1s. Edges between them are the recorded placements of the T1s,
the identity where both sessions have one T1, and where these lead nowhere a registration of images. A way of several
edges is one rigid motion, whose covariance is that of its edges to first order:

    C = sum_e J_e C_e J_e^T,     J_e the change of the way's six parameters by those of edge e.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.imaging.registration.rigid import Rigid

type SessionWorld = Literal["elastogram A", "elastogram B", "T1 of A", "T1 of B"]
type Link = tuple[SessionWorld, SessionWorld]

_STEPS: Final = (1e-4,) * 3 + (1e-3,) * 3
"""Steps of finite differences, rad and mm."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Motion between two worlds, as it was found.

    Attributes:
        start: world whose points are moved.
        end: world in which they then lie.
        motion: rigid motion that was estimated.
        covariance: covariance of its parameters (rad, mm), shape (6, 6); zero where it is exact or unknown.
        words: origin of the motion, in words.
        after_mm: exact rigid map that follows the motion, shape (4, 4).
    """

    start: SessionWorld
    end: SessionWorld
    motion: Rigid
    covariance: NDArray[np.float64]
    words: str
    after_mm: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    @property
    def link(self) -> Link:
        """Worlds that the edge links."""
        return self.start, self.end

    def matrix_mm(self, step: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the map of world RAS millimetres, shape (4, 4).

        Args:
            step: change of the motion's parameters, shape (6,); None for none.
        """
        parameters = self.motion.parameters if step is None else self.motion.parameters + step
        return np.asarray(self.after_mm @ Rigid(parameters, self.motion.centre_mm).matrix_mm)


type Passage = tuple[tuple[Edge, bool], ...]
"""Edges in the order in which they are passed, and whether each is passed backwards."""


@dataclass(frozen=True, slots=True)
class Places:
    """Worlds of two sessions with the motions between them.

    Attributes:
        edges: motions that are known.
    """

    edges: tuple[Edge, ...]

    def way(self, start: SessionWorld, end: SessionWorld) -> Passage | None:
        """Return the shortest way between two worlds; None where none leads there."""
        ways: dict[SessionWorld, Passage] = {start: ()}
        waiting: deque[SessionWorld] = deque([start])
        while waiting and end not in ways:
            here = waiting.popleft()
            for edge in self.edges:
                back = edge.end == here
                there = edge.start if back else edge.end
                if here in (edge.start, edge.end) and there not in ways:
                    ways[there] = (*ways[here], (edge, back))
                    waiting.append(there)
        return ways.get(end)

    def with_edge(self, edge: Edge) -> Places:
        """Return the worlds with one more motion between them."""
        return Places((*self.edges, edge))


def motion_of(
    way: Passage, centre_mm: NDArray[np.float64], exact: Collection[Link] = ()
) -> tuple[Rigid, NDArray[np.float64]]:
    """Return a way as one rigid motion, and the covariance of its parameters, shape (6, 6).

    Args:
        way: edges as Places gives them.
        centre_mm: centre of the motion: that of the tissue, world RAS, mm, shape (3,).
        exact: links of edges whose uncertainty is left out.
    """
    whole = _rigid(_product(way), centre_mm)
    covariance = np.zeros((6, 6))
    for number, (edge, _) in enumerate(way):
        if edge.link in exact or not np.any(edge.covariance):
            continue
        columns = []
        for step in np.diag(_STEPS):
            moved = _rigid(_product(way, number, step), centre_mm)
            columns.append((moved.parameters - whole.parameters) / step.sum())
        jacobian = np.stack(columns, axis=1)
        covariance += jacobian @ edge.covariance @ jacobian.T
    return whole, covariance


def shared_links(first: Passage, second: Passage) -> frozenset[Link]:
    """Return the links that two ways pass both: their errors move both ends alike."""
    return frozenset(edge.link for edge, _ in first) & frozenset(edge.link for edge, _ in second)


def _product(way: Passage, stepped: int = -1, step: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the matrix of a way, one of whose edges may be changed by a step of its parameters."""
    product = np.eye(4)
    for number, (edge, back) in enumerate(way):
        matrix = edge.matrix_mm(step if number == stepped else None)
        product = (np.linalg.inv(matrix) if back else matrix) @ product
    return product


def _rigid(matrix_mm: NDArray[np.float64], centre_mm: NDArray[np.float64]) -> Rigid:
    """Return the parameters of a rigid matrix about a centre; R = R_z R_x R_y."""
    turn = matrix_mm[:3, :3]
    angles: Sequence[float] = Rotation.from_matrix(turn).as_euler("yxz")
    shift = matrix_mm[:3, 3] - centre_mm + turn @ centre_mm
    return Rigid(np.array([angles[1], angles[0], angles[2], *shift]), centre_mm)
