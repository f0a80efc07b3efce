"""Plane polygons: which points they enclose by the even-odd rule, their area, and whether one crosses itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Points = NDArray[np.float64]
"""Points of a plane, shape (n, 2)."""

_PAIRS: Final = 4_000_000
"""Pairs of points and edges that are compared at once."""
_STRIPS: Final = 512
"""Strips between corners by which an area is measured; with fewer corners it is exact,
unless edges cross."""


@dataclass(frozen=True, slots=True)
class Polygons:
    """Closed polygons of one plane, joined by the even-odd rule: what lies within two of them is a hole.

    Attributes:
        begin: first corner of each edge, shape (m, 2).
        end: second corner of each edge, shape (m, 2).
    """

    begin: Points
    end: Points

    @classmethod
    def of(cls, corners: Iterable[Points]) -> Polygons:
        """Return the polygons of some lists of corners; the last corner of each is joined to its first.

        Args:
            corners: corners of each polygon in order, each of shape (m, 2).
        """
        listed = list(corners)
        return cls(np.concatenate(listed), np.concatenate([np.roll(one, -1, axis=0) for one in listed]))

    def enclose(self, points: Points) -> NDArray[np.bool_]:
        """Return which points are enclosed, shape (n,).

        A point on an edge belongs to one side of it only, so that polygons with a common edge share no point.

        Args:
            points: points, shape (n, 2).
        """
        inside = np.zeros(len(points), dtype=bool)
        low, high = self.begin.min(axis=0), self.begin.max(axis=0)
        near = np.flatnonzero(np.all((points >= low) & (points <= high), axis=1))
        step = max(1, _PAIRS // len(self.begin))
        for first in range(0, len(near), step):
            chosen = near[first : first + step]
            inside[chosen] = np.count_nonzero(self._right_of(points[chosen]), axis=1) % 2 == 1
        return inside

    @property
    def area(self) -> float:
        """Area enclosed."""
        heights = np.unique(self.begin[:, 1])
        finer = 1 + _STRIPS // (2 * len(heights))  # corners are not all: edges may cross between them
        places = np.linspace(0.0, len(heights) - 1.0, min(finer * (len(heights) - 1), _STRIPS) + 1)
        borders = np.interp(places, np.arange(len(heights)), heights)
        total = 0.0
        for low, high in itertools.pairwise(borders):
            middle = 0.5 * (low + high)
            crossed = (self.begin[:, 1] <= middle) != (self.end[:, 1] <= middle)
            begin, end = self.begin[crossed], self.end[crossed]
            share = (middle - begin[:, 1]) / (end[:, 1] - begin[:, 1])
            met = np.sort(begin[:, 0] + share * (end[:, 0] - begin[:, 0]))
            total += float(np.sum(met[1::2] - met[::2])) * float(high - low)
        return total

    def _right_of(self, points: Points) -> NDArray[np.bool_]:
        """Return the edges that lie to the right of each point, shape (n, m)."""
        x, y = points[:, :1], points[:, 1:]
        spans = (self.begin[:, 1] <= y) != (self.end[:, 1] <= y)
        rise = self.end[:, 1] - self.begin[:, 1]
        share = (y - self.begin[:, 1]) / np.where(rise == 0.0, 1.0, rise)
        return np.asarray(spans & (x < self.begin[:, 0] + share * (self.end[:, 0] - self.begin[:, 0])))


def signed_area(corners: Points) -> float:
    """Return the area by the shoelace formula: each part counts as often as the polygon winds around it.

    Args:
        corners: corners of one polygon in order, shape (m, 2).
    """
    following = np.roll(corners, -1, axis=0)
    return float(0.5 * np.sum(corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]))


def crosses_itself(corners: Points) -> bool:
    """Return whether two edges of a polygon cross within both; edges that touch or coincide do not.

    A keyhole, which cuts a hole by an edge there and back, touches itself and does not cross.

    Args:
        corners: corners of one polygon in order, shape (m, 2).
    """
    begin, end = corners, np.roll(corners, -1, axis=0)
    slack = 1e-9 * float(np.ptp(corners, axis=0).max()) ** 2
    for at in range(len(corners) - 1):
        later = slice(at + 1, None)
        pairs = (
            (_side(begin[at], end[at], begin[later]), _side(begin[at], end[at], end[later])),
            (_side(begin[later], end[later], begin[at]), _side(begin[later], end[later], end[at])),
        )
        apart = [(np.minimum(*pair) < -slack) & (np.maximum(*pair) > slack) for pair in pairs]
        if np.any(apart[0] & apart[1]):
            return True
    return False


def _side(begin: Points, end: Points, point: Points) -> Points:
    """Return on which side of a line points lie, as twice the area of the triangle with its sign."""
    along, away = end - begin, point - begin
    return np.asarray(along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0])
