"""Directed acyclic graphs, and sets of measured variables that close every back door from a treatment to an outcome.

A set Z is enough where no member descends from the treatment, and Z separates treatment and outcome in the graph
without the arrows that leave the treatment (Pearl, Biometrika 82 (1995) 669). Separation is checked in the moral graph
of the ancestors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

type Onwards = Callable[[str], frozenset[str]]

MOST_CANDIDATES: Final = 14
"""Largest number of variables among which sets are looked for; beyond it the set of all of them alone is examined."""


@dataclass(frozen=True, slots=True)
class CausalGraph:
    """Directed graph of causes and effects.

    Attributes:
        arrows: pairs of cause and effect.
        hidden: names that nobody measured.
    """

    arrows: frozenset[tuple[str, str]]
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a graph with a cycle.

        Raises:
            ValueError: a variable is a cause of itself; the message names one.
        """
        for name in sorted(self.names):
            if any(name in self.descendants(child) or name == child for child in self.children(name)):
                raise ValueError(f"{name} is a cause of itself")

    @property
    def names(self) -> frozenset[str]:
        """Names of all variables."""
        return frozenset(name for arrow in self.arrows for name in arrow)

    def children(self, name: str) -> frozenset[str]:
        """Return what a variable acts on directly."""
        return frozenset(effect for cause, effect in self.arrows if cause == name)

    def parents(self, name: str) -> frozenset[str]:
        """Return what acts on a variable directly."""
        return frozenset(cause for cause, effect in self.arrows if effect == name)

    def descendants(self, name: str) -> frozenset[str]:
        """Return everything that a variable acts on, itself left out."""
        return self._reached((name,), self.children) - {name}

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Return variables and everything that acts on them."""
        return self._reached(names, self.parents)

    def separated(self, one: str, other: str, given: Collection[str]) -> bool:
        """Return whether a set blocks every path between two variables (d-separation).

        Args:
            one: a variable.
            other: another one.
            given: variables that are held fixed.
        """
        kept = self.ancestors((one, other, *given))
        neighbours: dict[str, set[str]] = {name: set() for name in kept}
        for name in kept:
            family = (self.parents(name) & kept) | {name}
            for a, b in combinations(sorted(family), 2):
                neighbours[a].add(b)
                neighbours[b].add(a)
        reached = self._reached((one,), lambda name: frozenset(neighbours[name]) - set(given))
        return other not in reached

    def closes(self, treatment: str, outcome: str, chosen: Collection[str]) -> bool:
        """Return whether a set closes every back door from a treatment to an outcome.

        Args:
            treatment: the treatment.
            outcome: the outcome.
            chosen: variables that are adjusted for.
        """
        if set(chosen) & (self.descendants(treatment) | {treatment, outcome}):
            return False
        without = CausalGraph(frozenset(one for one in self.arrows if one[0] != treatment), self.hidden)
        return without.separated(treatment, outcome, [name for name in chosen if name in without.names])

    def back_door_sets(self, treatment: str, outcome: str) -> tuple[frozenset[str], ...]:
        """Return the smallest sets of measured variables that close every back door; none where there is none.

        Args:
            treatment: the treatment.
            outcome: the outcome.
        """
        taken = self.descendants(treatment) | {treatment, outcome} | self.hidden
        candidates = sorted((self.ancestors((treatment, outcome)) & self.names) - taken)
        sizes = range(len(candidates) + 1) if len(candidates) <= MOST_CANDIDATES else (len(candidates),)
        found: list[frozenset[str]] = []
        for size in sizes:
            for chosen in map(frozenset, combinations(candidates, size)):
                if not any(smaller <= chosen for smaller in found) and self.closes(treatment, outcome, chosen):
                    found.append(chosen)
        return tuple(found)

    @staticmethod
    def _reached(start: Iterable[str], onwards: Onwards) -> frozenset[str]:
        found: set[str] = set()
        ahead = list(start)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += sorted(onwards(name))
        return frozenset(found)
