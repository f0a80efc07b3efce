"""Spherical shells: diffusion of many draws at once, positive and conservative.

    du/dt = D A u,     (A u)_i = (F_(i+1) (u_(i+1) - u_i) - F_i (u_i - u_(i-1))) / (h V_i)

with F the areas of the shells' faces, V their volumes and h their thickness. With P = 1 + A / rate, a matrix of means,
exp(D t A) = sum_j Poisson(j; q) P^j with q = rate D t. Sums of positive numbers lose no digits, so that the tail ahead
of a front, from which it grows, keeps its relative accuracy however small it is; eigenvectors would not. Weights are
divided by their sum: the result is a mean of the densities before, at any number of terms.

On shells of thickness h a settled front is too fast by about p / 24, p = h^2 k / D (palpate.twin.front). A smaller D
would mend that, but not the first months of a front that began otherwise: there the error became larger, not smaller
(decision 0146).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

TAIL: Final = 1e-7
"""Largest probability of more steps of the random walk than are summed."""
_MOST: Final = 60.0
"""Largest mean number q of steps that is summed at once."""
_BLOCK: Final = 256
"""Largest number of draws that are moved at once, so that their densities stay in a processor's cache."""
_TERMS: Final = np.unique(np.ceil(np.geomspace(3.0, 130.0, 14)).astype(int))
"""Numbers of terms that are used. A draw's number depends on its own q alone, so that draws are independent."""


@dataclass(frozen=True)
class Shells:
    """Shells of equal thickness around a centre, closed at the outside.

    Attributes:
        count: number of shells.
        extent_mm: outer radius, mm.
    """

    count: int
    extent_mm: float

    def __post_init__(self) -> None:
        """Refuse shells that resolve nothing.

        Raises:
            ValueError: there are fewer than two shells, or the radius is not positive.
        """
        if self.count < 2 or not 0.0 < self.extent_mm < np.inf:
            raise ValueError(f"expected two shells or more, found {self.count} to {self.extent_mm:g} mm")

    @property
    def thickness_mm(self) -> float:
        """Thickness h of a shell, mm."""
        return self.extent_mm / self.count

    @cached_property
    def radii_mm(self) -> Values:
        """Radii of the shells' middles, mm, shape (shells,)."""
        return np.asarray((np.arange(self.count) + 0.5) * self.thickness_mm)

    @cached_property
    def volumes_ml(self) -> Values:
        """Volumes V of the shells, ml, shape (shells,)."""
        edges_mm = np.arange(self.count + 1.0) * self.thickness_mm
        return np.asarray(np.diff(edges_mm**3) * (4e-3 / 3.0 * np.pi))

    @property
    def rate_1_mm2(self) -> float:
        """Largest rate at which cells leave a shell at unit diffusivity, that of the innermost, 1/mm2."""
        return 3.0 / self.thickness_mm**2

    def walks(self, diffusivity_mm2_day: Values, closed: Mask) -> tuple[RandomWalk, ...]:
        """Return diffusion by steps of a day or less, for blocks of draws that are much alike.

        Args:
            diffusivity_mm2_day: diffusivity D of each draw, mm2/day, shape (draws,).
            closed: shells that nothing enters or leaves, shape (shells,).
        """
        return _walks(self, diffusivity_mm2_day.tobytes(), closed.tobytes())

    def walks_of(self, diffusivity_mm2_day: Values, closed: Mask) -> tuple[RandomWalk, ...]:
        """Return what `walks` returns, made anew: every day of a follow-up asks for the same.

        Args:
            diffusivity_mm2_day: diffusivity D of each draw, mm2/day, shape (draws,).
            closed: shells that nothing enters or leaves, shape (shells,).
        """
        faces = _faces(self.count, closed.tobytes())
        q = self.rate_1_mm2 * diffusivity_mm2_day
        parts = np.maximum(np.ceil(q / _MOST), 1.0).astype(int)
        need = stats.poisson.isf(TAIL, q / parts)
        terms = _TERMS[np.minimum(np.searchsorted(_TERMS, need), len(_TERMS) - 1)]
        found = []
        for part, term in np.unique(np.stack([parts, terms]), axis=1).T:
            those = np.flatnonzero((parts == part) & (terms == term))
            blocks = np.array_split(those, -(-len(those) // _BLOCK))
            found += [RandomWalk(block, q[block], int(part), int(term), faces) for block in blocks]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class RandomWalk:
    """Diffusion of a block of draws.

    Attributes:
        draws: numbers of the draws, shape (block,).
        steps_1_day: mean number q of steps of the random walk a day, shape (block,).
        parts: number of equal parts of a diffusion.
        terms: number of powers of P that are summed in each part.
        faces: probabilities of a step inwards, of none and outwards, as columns.
    """

    draws: NDArray[np.int64]
    steps_1_day: Values
    parts: int
    terms: int
    faces: tuple[Values, Values, Values]

    def spread(self, density: Values, days: float) -> Values:
        """Return the block's density after diffusion, shape (shells, block).

        Args:
            density: density u, shape (shells, block).
            days: time, at most one day.
        """
        q = self.steps_1_day * (days / self.parts)
        for _ in range(self.parts):
            density = self._mean(density, q)
        return density

    def _mean(self, density: Values, q: Values) -> Values:
        """Return sum_j q^j / j! P^j u over sum_j q^j / j!, by Horner's rule, shape (shells, block)."""
        down, stay, up = self.faces
        total, found, other = np.ones_like(q), density.copy(), np.empty_like(density)
        moved = np.empty((len(density) - 1, len(q)))
        for number in range(self.terms, 0, -1):
            share = q / number
            total = 1.0 + share * total
            np.multiply(found, stay, out=other)
            np.multiply(found[1:], up, out=moved)
            other[:-1] += moved
            np.multiply(found[:-1], down, out=moved)
            other[1:] += moved
            other *= share
            other += density
            found, other = other, found
        found /= total
        return found


@lru_cache(maxsize=16)
def _walks(shells: Shells, diffusivity: bytes, closed: bytes) -> tuple[RandomWalk, ...]:
    """Return the walks of draws and closed shells, which are given as the bytes of arrays."""
    return shells.walks_of(np.frombuffer(diffusivity), np.frombuffer(closed, np.bool_))


@lru_cache(maxsize=64)
def _faces(count: int, closed: bytes) -> tuple[Values, Values, Values]:
    """Return the probabilities of P: from the shell within, of staying, from the shell outside; rows sum to one."""
    shut = np.frombuffer(closed, np.bool_)
    edges = np.arange(count + 1.0)
    volumes = np.diff(edges**3) / 3.0
    faces = np.where(shut[1:] | shut[:-1], 0.0, edges[1:-1] ** 2)
    up, down = faces / volumes[:-1] / 3.0, faces / volumes[1:] / 3.0
    stay = 1.0 - np.concatenate([up, [0.0]]) - np.concatenate([[0.0], down])
    return down[:, None], stay[:, None], up[:, None]
