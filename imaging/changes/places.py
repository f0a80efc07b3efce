"""Worlds in which images of two sessions lie, and the motions between them with their uncertainty.

Worlds are the elastograms of both sessions and their T1s. Edges between them are the recorded placements of the T1s,
the identity where both sessions have one T1, and where these lead from nowhere to nowhere a registration of images.
Whatever two ways share is drawn once, so that an error in it does not separate the sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.registration.rigid import Rigid

type World = Literal["elastogram A", "elastogram B", "T1 of A", "T1 of B"]


@dataclass(frozen=True, slots=True)
class WorldMatrix:
    """Map of world points from one world to another.

    Attributes:
        matrix_mm: matrix in world RAS millimetres, shape (4, 4).
    """

    matrix_mm: NDArray[np.float64]

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where world points lie in the other world, mm, shape (..., 3)."""
        return np.asarray(points_mm @ self.matrix_mm[:3, :3].T + self.matrix_mm[:3, 3])


@dataclass(frozen=True, slots=True)
class Edge:
    """Motion between two worlds, as it was found.

    Attributes:
        start: world whose points are moved.
        end: world in which they then lie.
        motion: rigid motion that was estimated.
        covariance: covariance of its parameters (rad, mm), shape (6, 6); zero where it is exact or unknown.
        words: origin of the motion, in words.
        after_mm: exact map that follows the motion, shape (4, 4).
    """

    start: World
    end: World
    motion: Rigid
    covariance: NDArray[np.float64]
    words: str
    after_mm: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    def drawn_mm(self, count: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """Yield matrices that the uncertainty allows, shape (4, 4) each."""
        for one in self.motion.draws(self.covariance, count, seed):
            yield np.asarray(self.after_mm @ one.matrix_mm)


@dataclass(frozen=True, slots=True)
class Places:
    """Worlds of two sessions with the motions between them.

    Attributes:
        edges: motions that are known.
    """

    edges: tuple[Edge, ...]

    @property
    def uncertain(self) -> bool:
        """Whether any motion has an uncertainty."""
        return any(np.any(one.covariance) for one in self.edges)

    def passed(self, start: World, end: World) -> tuple[Edge, ...] | None:
        """Return the edges on the shortest way between two worlds; None where no way leads there."""
        found = self._way(start, end)
        return None if found is None else tuple(self.edges[number] for number, _ in found)

    def between(self, start: World, end: World) -> WorldMatrix | None:
        """Return the most probable map from one world to another; None where no way leads there."""
        way = self._way(start, end)
        return None if way is None else self._product(way, [one.after_mm @ one.motion.matrix_mm for one in self.edges])

    def drawn(self, ways: Sequence[tuple[World, World]], count: int, seed: int) -> Iterator[tuple[WorldMatrix, ...]]:
        """Yield maps for several ways at a time, drawn together; equal seeds give equal maps.

        Args:
            ways: start and end of each; a way leads from one to the other.
            count: number of draws.
            seed: seed of the random numbers; each edge has numbers of its own.
        """
        found = [way for start, end in ways if (way := self._way(start, end)) is not None]
        streams = [one.drawn_mm(count, seed + number) for number, one in enumerate(self.edges)]
        for _ in range(count):
            matrices = [next(stream) for stream in streams]
            yield tuple(self._product(way, matrices) for way in found)

    def with_edge(self, edge: Edge) -> Places:
        """Return the worlds with one more motion between them."""
        return Places((*self.edges, edge))

    def _product(self, way: Sequence[tuple[int, bool]], matrices: Sequence[NDArray[np.float64]]) -> WorldMatrix:
        product = np.eye(4)
        for number, back in way:
            product = (np.linalg.inv(matrices[number]) if back else matrices[number]) @ product
        return WorldMatrix(product)

    def _way(self, start: World, end: World) -> list[tuple[int, bool]] | None:
        """Return numbers of the edges to pass, and whether each is passed backwards."""
        ways: dict[World, list[tuple[int, bool]]] = {start: []}
        waiting: deque[World] = deque([start])
        while waiting and end not in ways:
            here = waiting.popleft()
            for number, edge in enumerate(self.edges):
                for there, back in ((edge.end, False),) * (edge.start == here) + ((edge.start, True),) * (
                    edge.end == here
                ):
                    if there not in ways:
                        ways[there] = [*ways[here], (number, back)]
                        waiting.append(there)
        return ways.get(end)
