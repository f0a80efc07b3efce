"""Choice of the filter, and its run along a course."""

from __future__ import annotations

from typing import Protocol, cast

from palpate.twin.assimilation.belief import Belief
from palpate.twin.assimilation.course import Operation, Visit
from palpate.twin.assimilation.ensemble import EnsembleFilter
from palpate.twin.assimilation.gaussian import GaussianFilter
from palpate.twin.assimilation.innovation import EventInnovation
from palpate.twin.assimilation.joint_state import JointModel
from palpate.twin.assimilation.refitted import RefittedMonteCarlo
from palpate.twin.assimilation.sequential import SequentialMonteCarlo
from palpate.twin.assimilation.setup import AssimilationSetup


class BeliefFilter(Protocol):
    """Filter that carries a belief from day 0 through what happens."""

    def begin(self) -> Belief:
        """Return what is known before any measurement."""

    def apply(
        self, belief: Belief, operation: Operation, past: tuple[Operation, ...]
    ) -> tuple[Belief, EventInnovation | None]:
        """Return the belief after an operation, and the innovation where it is a measurement.

        Args:
            belief: belief before.
            operation: operation to apply.
            past: all operations before, from day 0 on.
        """


def filter_of[U](setup: AssimilationSetup[U]) -> BeliefFilter:
    """Return the filter that the setup names."""
    joint = JointModel(setup)
    chosen = {
        "ensemble": EnsembleFilter[U],
        "sequential": SequentialMonteCarlo[U],
        "refitted": RefittedMonteCarlo[U],
    }.get(setup.filter.method, GaussianFilter[U])
    return cast("BeliefFilter", chosen(joint))


def through(
    own: BeliefFilter, belief: Belief, operations: tuple[Operation, ...], past: tuple[Operation, ...]
) -> tuple[Belief, tuple[EventInnovation, ...]]:
    """Return the belief after some operations, and the innovations on the way.

    Args:
        own: filter.
        belief: belief before.
        operations: operations in order.
        past: all operations before, from day 0 on.

    Raises:
        RuntimeError: the model gave numbers that are not finite.
    """
    found = []
    for operation in operations:
        belief, innovation = own.apply(belief, operation, past)
        past = (*past, operation)
        found += [] if innovation is None else [innovation]
        if not belief.is_finite():
            raise RuntimeError(f"the model gave numbers that are not finite: {operation}")
    return belief, tuple(found)


def operations_of(visits: tuple[Visit, ...]) -> tuple[Operation, ...]:
    """Return all operations of some visits, in order."""
    return tuple(one for visit in visits for one in visit.operations)
