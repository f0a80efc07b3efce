"""Growth that oxygen limits: its equations, its bounds, its derivatives, and where necrosis appears."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI
from scipy.integrate import solve_ivp

from palpate.errors import InputError
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.oxygen.law import Oxygen
from palpate.solvers.growth.oxygen.oxygen_limited import OxygenLimitedGrowth
from palpate.solvers.growth.parameters import Parameters, block
from palpate.solvers.growth.space.voxels import voxels
from palpate.units import days_to_s, mm2_day_to_m2_s, per_day_to_per_s
from tests.laws.operators import ROUNDING
from tests.laws.taylor import rates
from tests.solvers.growth.breathing import STRONG, breathing
from tests.solvers.growth.patient import days
from tests.solvers.growth.test_derivatives import STEPS, functional

EXTREME = Oxygen(0.0, 1e-3, 10.0, 0.9, per_day_to_per_s(40.0), days_to_s(15.0))
"""All die between two renewals."""
PLACE = voxels(np.ones((2, 2, 2), dtype=bool), np.full(3, 2e-3))


def _parameters(size: int, k_1_day: float = 0.06) -> Parameters:
    return Parameters(np.full(size, np.log(mm2_day_to_m2_s(0.1))), np.array(np.log(per_day_to_per_s(k_1_day))))


def test_ample_oxygen_is_the_model_without() -> None:
    """Where nothing consumes and nothing dies, every step is that of GrowthModel: the variant is the same model."""
    own = breathing(MPI.COMM_SELF)
    ample = Oxygen(at_capacity=1.0, death_1_s=0.0, every_s=days_to_s(1e3))
    who = own.who
    found = OxygenLimitedGrowth(who.model, ample).forecast(who.parameters, who.density)
    due = who.model.forecast(who.parameters, who.density)
    for one, other in zip(found.states, due.states, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    assert not any(dead.any() for dead in found.necrosis)


def test_second_order_in_renewals() -> None:
    """A uniform tumour against its two equations, u' = k g u (1 - u - n) - nu h u and n' = nu h u."""
    k, nu, start, oxygen = per_day_to_per_s(0.06), STRONG.death_1_s, np.array([0.3, 0.1]), STRONG

    def rate(_t: float, state: np.ndarray) -> np.ndarray:
        u, n = state
        level = (1.0 - n) / (1.0 - n + oxygen.demand * u)
        g = (1.0 + oxygen.half_proliferation) * level / (level + oxygen.half_proliferation)
        died = nu * u / (1.0 + (level / oxygen.half_death) ** 4)
        return np.array([k * g * u * (1.0 - u - n) - died, died])

    exact = solve_ivp(rate, (0.0, days_to_s(48.0)), start, rtol=1e-11, atol=1e-13).y[:, -1]
    errors, intervals = [], (4.0, 2.0, 1.0, 0.5)
    for every in intervals:
        model = OxygenLimitedGrowth(GrowthModel(PLACE.space, days(48.0)), replace(oxygen, every_s=days_to_s(every)))
        found = model.forecast(_parameters(8), np.full(8, start[0]), np.full(8, start[1]))
        errors.append(np.hypot(found.states[0][0] - exact[0], found.necrosis[0][0] - exact[1]))
    np.testing.assert_allclose(rates(errors[1:], intervals[1:]), 2.0, atol=0.2)
    assert errors[0] < 0.02


@pytest.mark.parametrize("oxygen", [STRONG, EXTREME])
def test_bounds_through_everything(oxygen: Oxygen) -> None:
    """No cell fewer than none, u + n <= theta, and n falls where tissue was taken out, to nothing, and nowhere else."""
    own = breathing(MPI.COMM_SELF)
    own = replace(own, model=replace(own.model, oxygen=oxygen))
    taken = own.who.model.treatment.resections[0].removed
    found, before = own.forecast(keep=True), own.necrosis
    for u, n in zip(found.states, found.necrosis, strict=True):
        assert u.min() >= 0.0
        assert n.min() >= 0.0
        assert (u + n).max() <= 1.0 + 1e-15
        assert (n[~taken] >= before[~taken]).all()
        assert not (u + n)[taken].any()
        before = n
    assert found.levels[0] >= oxygen.at_capacity
    (after,) = (interval for _, interval in found.intervals if interval.cut is not None)
    assert after.weight == 0.0  # a jump is no trend
    np.testing.assert_allclose(after.supply.level[taken], 1.0, rtol=1e-12)  # no cell breathes through its wall
    assert found.necrosis[-1].max() > own.necrosis.max() + 0.05


def test_death_moves_no_mass() -> None:
    """Without growth and treatment u + n is kept to rounding while cells spread and die: none is lost on the way."""
    own = breathing(MPI.COMM_SELF)
    still = replace(own.who.parameters, log_proliferation=np.array(-80.0), log_sensitivities=np.zeros(0))
    model = OxygenLimitedGrowth(GrowthModel(own.who.voxels.space, days(5.0, 30.0)), STRONG)
    found, integral = model.forecast(still, own.who.density, own.necrosis), own.who.voxels.space.integral_m3
    start = integral(own.who.density) + integral(own.necrosis)
    for u, n in zip(found.states, found.necrosis, strict=True):
        assert integral(u) + integral(n) == pytest.approx(start, rel=1e-12)
    assert integral(found.necrosis[-1]) > 1.1 * integral(own.necrosis)


def test_necrosis_is_a_wall() -> None:
    """Cells spread through what is not dead: behind a dead plane are none, and in it what its little room holds."""
    place = voxels(np.ones((9, 2, 2), dtype=bool), np.full(3, 2e-3))
    at = np.indices(place.mask.shape)[0].ravel()
    model = OxygenLimitedGrowth(GrowthModel(place.space, days(60.0)), Oxygen())
    dead = np.where(at == 4, 1.0, 0.0)
    (state,) = model.forecast(_parameters(36), np.where(at < 3, 0.5, 0.0), dead).states
    assert state[at == 3].min() > 0.1
    assert state[at >= 4].max() < 1e-10


def test_core_dies_in_a_large_tumour_only() -> None:
    """Of equally dense balls the large one's middle is beyond oxygen's reach and dies; its rim and the small one live.

    The reach is L sqrt(o_full) = 1.9 mm in dense tumour; radii are 3 and 14 mm.
    """
    place = voxels(np.ones((18, 18, 18), dtype=bool), np.full(3, 2e-3))
    distance_mm = 2.0 * np.sqrt(((np.indices(place.mask.shape) + 0.5) ** 2).sum(axis=0)).ravel()
    oxygen = Oxygen(6e-3, half_death=0.2, death_1_s=per_day_to_per_s(0.2))
    model = OxygenLimitedGrowth(GrowthModel(place.space, days(10.0)), oxygen)
    dead, living = [], []
    for radius in (3.0, 14.0):
        found = model.forecast(_parameters(place.space.size), 0.8 / (1.0 + np.exp((distance_mm - radius) / 0.7)))
        dead.append(found.necrosis[0])
        living.append(found.states[0])
    middle, rim = distance_mm.argmin(), np.abs(distance_mm - 13.0).argmin()
    assert dead[0].max() < 0.02
    assert dead[1][middle] > 0.5 > 2.0 * dead[1][rim]
    assert living[1][rim] > 1.5 * living[1][middle]


def test_derivatives() -> None:
    """Taylor remainders of order two through all treatment, of tangents and of the gradient, of u and of n."""
    own = breathing(MPI.COMM_SELF, field_of_k=False)
    who, kept, by = own.who, own.forecast(keep=True), own.direction()
    states, living, dead = own.model.tangents(who.parameters, who.density, [block([by])], own.necrosis)
    for one, other in zip(states, kept.states, strict=True):
        np.testing.assert_array_equal(one, other)
    both, here = (*kept.states, *kept.necrosis), np.concatenate([one[:, 0] for one in (*living, *dead)])
    nothing = [np.zeros_like(one) for one in both]
    gradient = own.model.gradient(kept, [2 * u for u in kept.states], [2 * n for n in kept.necrosis])
    slope, value = gradient.dot(by, who.voxels.space), functional(both, nothing, who)
    tangents, gradients = [], []
    for h in STEPS:
        moved = own.moved(by, h)
        there = (*moved.states, *moved.necrosis)
        tangents.append(float(np.linalg.norm(np.concatenate(there) - np.concatenate(both) - h * here)))
        gradients.append(abs(functional(there, nothing, who) - value - h * slope))
    for remainders in (tangents, gradients):
        np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.15)


@pytest.mark.mpi
@pytest.mark.parametrize("pushed", [False, True])
def test_tangent_is_the_gradients_transpose(pushed: bool) -> None:  # noqa: FBT001
    """<J v, y> = <v, J^T y> to rounding, of u and n, by all unknowns, with and without mechanics, on all ranks."""
    own = breathing(MPI.COMM_WORLD, pushed=pushed)
    who, space, kept = own.who, own.who.voxels.space, own.forecast(keep=True)
    directions = [own.direction() for _ in range(3)]
    sources, dead_sources = [who.field() for _ in kept.states], [who.field() for _ in kept.states]
    gradient = own.model.gradient(kept, sources, dead_sources)
    blocks = [block(directions[:2]), block(directions[2:])]
    _, living, dead = own.model.tangents(who.parameters, who.density, blocks, own.necrosis)
    for column, by in enumerate(directions):
        pairs = [(one[:, column], y) for one, y in zip((*living, *dead), (*sources, *dead_sources), strict=True)]
        forward = space.halo.summed(sum(float(one @ y) for one, y in pairs))
        sizes = space.halo.summed(sum(float(np.abs(one) @ np.abs(y)) for one, y in pairs))
        assert abs(forward - gradient.dot(by, space)) <= ROUNDING * sizes


@pytest.mark.mpi
def test_ranks() -> None:
    """A cluster must say what a laptop says: cells, oxygen, and every part of the gradient."""
    found = []
    for comm in (MPI.COMM_WORLD, MPI.COMM_SELF):
        own = breathing(comm)
        kept = own.forecast(keep=True)
        gradient = own.model.gradient(kept, list(kept.states), list(kept.necrosis))
        assert gradient.necrosis is not None
        fields = [*kept.states, *kept.necrosis, own.model.level(own.who.density, own.necrosis)]
        fields += [gradient.density, gradient.necrosis, gradient.log_diffusivity, gradient.log_proliferation]
        numbers = [gradient.log_alpha, *gradient.log_sensitivities, *kept.extremes, *kept.levels]
        found.append(([own.who.voxels.to_volume(one) for one in fields], numbers))
    for one, other in zip(*(fields for fields, _ in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.abs(other).max())
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11)


def test_bad_beginnings() -> None:
    """Cells beyond the capacity, dead ones fewer than none and what was not kept are said, not computed with."""
    own = breathing(MPI.COMM_SELF)
    who, u = own.who, own.who.density
    for dead in (-own.necrosis, 1.1 - u, np.full_like(u, np.nan)):
        with pytest.raises(InputError, match=r"necrosis.*expected"):
            own.model.forecast(who.parameters, u, dead)
    with pytest.raises(InputError, match="no tumour"):
        own.model.forecast(who.parameters, np.zeros_like(u), own.necrosis)
    with pytest.raises(ValueError, match="keep=True"):
        own.model.gradient(own.forecast(), [u, u, u])


def test_complete_necrosis_goes_on() -> None:
    """A forecast may begin where another ended, even where all is dead: n = theta leaves room for nothing, not NaN."""
    size = PLACE.space.size
    dead = np.where(np.arange(size) < 4, 1.0, 0.2)
    model = OxygenLimitedGrowth(GrowthModel(PLACE.space, days(20.0)), STRONG)
    found = model.forecast(_parameters(size), np.where(dead < 1.0, 0.5, 0.0), dead)
    assert np.isfinite(found.states[0]).all()
    assert found.states[0][:4].max() < 1e-11
    np.testing.assert_allclose(found.necrosis[0][:4], 1.0, rtol=1e-11)
