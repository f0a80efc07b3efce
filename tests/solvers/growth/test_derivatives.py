"""Tangent and gradient of the whole scheme, through resection, drugs and fractions (laws of design section 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.growth.model import COLUMNS
from palpate.solvers.growth.parameters import Derivative, Directions, block, collect, spread
from tests.laws.operators import ROUNDING
from tests.laws.taylor import rates
from tests.solvers.growth.patient import Patient, patient

type Values = NDArray[np.float64]

CASES = [(True, False), (False, False), (True, True)]
STEPS = (1e-1, 3e-2, 1e-2, 3e-3)


def functional(states: Sequence[Values], weights: Sequence[Values], who: Patient) -> float:
    """Sum of y u + u^2 over observations and voxels of all ranks."""
    local = sum(float(np.sum(y * u + u**2)) for y, u in zip(weights, states, strict=True))
    return who.voxels.space.halo.summed(local)


@pytest.mark.mpi
@pytest.mark.parametrize(("field_of_k", "saturating"), CASES)
def test_gradient(field_of_k: bool, saturating: bool) -> None:  # noqa: FBT001
    """Taylor remainders of order two: calibration by gradients has nothing else to hold on to."""
    who = patient(MPI.COMM_WORLD, field_of_k=field_of_k, saturating=saturating)
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    weights = [who.field() for _ in kept.states]
    gradient = who.model.gradient(kept, [y + 2 * u for y, u in zip(weights, kept.states, strict=True)])
    by = who.direction()
    slope = gradient.dot(by, who.voxels.space)
    here = functional(kept.states, weights, who)
    remainders = []
    for step in STEPS:
        there = functional(who.model.forecast(*who.moved(by, step)).states, weights, who)
        remainders.append(abs(there - here - step * slope))
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.1)


UNKNOWNS = ("density", "log_diffusivity", "log_proliferation", "log_alpha", "log_sensitivities")


@pytest.mark.parametrize("unknown", UNKNOWNS)
def test_each_unknown(unknown: str) -> None:
    """Every part of the gradient alone: in a sum a small wrong part would hide behind a large right one."""
    who = patient()
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    gradient = who.model.gradient(kept, [2 * u for u in kept.states])
    whole = who.direction()
    parts = {name: getattr(whole, name) * float(name == unknown) for name in UNKNOWNS}
    by = Derivative(**parts)
    nothing = [np.zeros_like(u) for u in kept.states]
    here, slope = functional(kept.states, nothing, who), gradient.dot(by, who.voxels.space)
    remainders = [
        abs(functional(who.model.forecast(*who.moved(by, h)).states, nothing, who) - here - h * slope) for h in STEPS
    ]
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.15)


@pytest.mark.mpi
@pytest.mark.parametrize(("field_of_k", "saturating"), CASES)
def test_tangent_is_the_gradients_transpose(field_of_k: bool, saturating: bool) -> None:  # noqa: FBT001
    """<J v, y> = <v, J^T y> to rounding for every v: Gauss-Newton needs both, and they must belong together."""
    who = patient(MPI.COMM_WORLD, field_of_k=field_of_k, saturating=saturating)
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    directions, weights = [who.direction() for _ in range(3)], [who.field() for _ in kept.states]
    states, changes = who.model.tangents(who.parameters, who.density, [block(directions[:2]), block(directions[2:])])
    for one, other in zip(states, kept.states, strict=True):
        np.testing.assert_array_equal(one, other)
    gradient = who.model.gradient(kept, weights)
    for column, by in enumerate(directions):
        pairs = [(change[:, column], y) for change, y in zip(changes, weights, strict=True)]
        forward = who.voxels.space.halo.summed(sum(float(change @ y) for change, y in pairs))
        backward = gradient.dot(by, who.voxels.space)
        sizes = who.voxels.space.halo.summed(sum(float(np.abs(change) @ np.abs(y)) for change, y in pairs))
        assert abs(forward - backward) <= ROUNDING * sizes


@pytest.mark.parametrize("unknown", UNKNOWNS)
def test_tangent_of_each_unknown(unknown: str) -> None:
    """Taylor remainders of order two in a block that changes nothing else: what is left out must be as if zero."""
    who = patient()
    whole = who.direction()
    by = Derivative(**{name: getattr(whole, name) * float(name == unknown) for name in UNKNOWNS})
    full = block([by])
    sparse = Directions(full.density, **({} if unknown == "density" else {unknown: getattr(full, unknown)}))
    states, changes = who.model.tangents(who.parameters, who.density, [sparse])
    remainders = [
        sum(
            float(np.linalg.norm(there - here - h * change[:, 0]))
            for there, here, change in zip(who.model.forecast(*who.moved(by, h)).states, states, changes, strict=True)
        )
        for h in STEPS
    ]
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.15)


def test_blocks_do_not_mix() -> None:
    """Many directions at once give what each gives alone: columns of one block share memory, and blocks are cut."""
    who = patient()
    directions = [who.direction() for _ in range(COLUMNS + 3)]
    _, together = who.model.tangents(who.parameters, who.density, [block(directions)])
    for column in (0, COLUMNS - 1, COLUMNS, COLUMNS + 2):
        _, alone = who.model.tangents(who.parameters, who.density, [block([directions[column]])])
        for one, other in zip(together, alone, strict=True):
            assert one.shape[1] == len(directions)
            bound = ROUNDING * float(np.abs(other).max())
            np.testing.assert_allclose(one[:, column], other[:, 0], rtol=0.0, atol=bound)


def test_tissues_are_the_transpose_of_their_field() -> None:
    """A number a tissue is a linear map to a field; its gradient is the sum over the tissue."""
    who = patient()
    labels = np.arange(who.voxels.space.size) % 3
    numbers, field = np.array([1.0, -2.0, 0.5]), who.field()
    assert spread(numbers, labels) @ field == pytest.approx(numbers @ collect(field, labels, 3, who.voxels.space))


def test_gradient_of_what_was_not_kept() -> None:
    """A trajectory without its states cannot be differentiated; zero would be a silent lie."""
    who = patient()
    bare = who.model.forecast(who.parameters, who.density)
    with pytest.raises(ValueError, match="keep=True"):
        who.model.gradient(bare, list(bare.states))
