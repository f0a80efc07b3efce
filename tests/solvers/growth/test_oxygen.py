"""Oxygen and deaths by themselves: formulas where they exist, bounds everywhere, and exact derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from palpate.errors import InputError
from palpate.solvers.growth.conjugate_gradients import conjugate_gradients
from palpate.solvers.growth.oxygen.law import Oxygen, response
from palpate.solvers.growth.oxygen.necrosis import Starvation
from palpate.solvers.growth.oxygen.oxygen_supply import OxygenatedTissue, Supply, vessels
from palpate.solvers.growth.scheme.diffusion import Work
from palpate.solvers.growth.space.voxels import Voxels, voxels
from tests.laws.operators import ROUNDING
from tests.laws.taylor import rates

SHAPE = (7, 6, 5)
STEPS = (1e-1, 3e-2, 1e-2, 3e-3)


def _supplied(place: Voxels, oxygen: Oxygen, tissue: OxygenatedTissue) -> Supply:
    passable = np.ones(place.space.size, dtype=np.bool_)
    return vessels(place.space, oxygen, passable, 1.0, Work()).supply(tissue)


def _patchy(comm: MPI.Comm = MPI.COMM_SELF) -> tuple[Voxels, OxygenatedTissue, np.random.Generator]:
    """Tissue with holes and cells of any density, from none to full, from alive to almost all dead."""
    rng = np.random.default_rng(3)
    place = voxels(rng.random(SHAPE) > 0.2, np.array([2e-3, 2e-3, 3e-3]), comm)
    occupied, room = (place.from_volume(rng.random(SHAPE).round(1)) for _ in range(2))
    return place, OxygenatedTissue(occupied, np.maximum(room, 1e-12)), rng


@pytest.mark.mpi
@pytest.mark.parametrize("length_m", [0.0, 0.5e-3, 5e-3, 1.0])
def test_oxygen_keeps_its_bounds(length_m: float) -> None:
    """From o_full to 1 for any cells and any length: rates follow from logarithms of the level."""
    place, tissue, _ = _patchy(MPI.COMM_WORLD)
    oxygen = Oxygen(length_m, 0.05)
    low, high = place.space.extremes(_supplied(place, oxygen, tissue).level)
    assert 0.05 * (1.0 - 1e-12) <= low < high <= 1.0 + 1e-12


@pytest.mark.parametrize("room", [1.0, 0.25])
def test_even_tissue_has_a_formula(room: float) -> None:
    """One over 1 + beta v, whatever the length; vessels perish with cells, so that necrosis does not bring oxygen."""
    place = _patchy()[0]
    size = place.space.size
    level = _supplied(place, Oxygen(4e-3, 0.2), OxygenatedTissue(np.full(size, 0.6), np.full(size, room))).level
    np.testing.assert_allclose(level, 1.0 / (1.0 + 4.0 * 0.6), rtol=1e-12)


def test_level_at_the_edge_of_a_tumour() -> None:
    """1 - A exp(-x / L) outside, o_full + B exp(x / L sqrt(o_full)) inside: second order, right lengths."""
    oxygen, errors, edges = Oxygen(2e-3, 0.16), [], []
    inner = oxygen.length_m * np.sqrt(oxygen.at_capacity)
    outside = (1.0 - oxygen.at_capacity) / (1.0 + inner / oxygen.length_m)
    for cells in (200, 400, 800):
        edge = 40e-3 / cells
        place = voxels(np.ones((cells, 1, 1), dtype=bool), np.full(3, edge))
        x = (np.arange(cells) + 0.5) * edge - 20e-3
        level = _supplied(place, oxygen, OxygenatedTissue(np.where(x < 0, 1.0, 0.0), np.ones(cells))).level
        away = np.where(x < 0, x / inner, -x / oxygen.length_m)
        exact = np.where(
            x < 0,
            oxygen.at_capacity + outside * inner / oxygen.length_m * np.exp(away),
            1.0 - outside * np.exp(away),
        )
        errors.append(float(np.abs(level - exact).max()))
        edges.append(edge)
    np.testing.assert_allclose(rates(errors, edges), 2.0, atol=0.1)
    assert errors[-1] < 1e-3


def test_a_cavity_lets_nothing_through() -> None:
    """A plane that was cut out parts the oxygen of both sides as it parts the cells."""
    place = voxels(np.ones((9, 2, 2), dtype=bool), np.full(3, 2e-3))
    at = np.indices(place.mask.shape)[0].ravel()
    full = OxygenatedTissue(np.where(at < 4, 1.0, 0.0), np.ones(36))
    level = vessels(place.space, Oxygen(1e-2, 0.05), at != 4, 1.0, Work()).supply(full).level
    np.testing.assert_allclose(level, np.where(at < 4, 0.05, 1.0), rtol=1e-12)


def test_supply_and_its_transpose() -> None:
    """Taylor remainders of order two and <J v, y> = <v, J^T y>: in the model's gradient a small part could hide."""
    place, tissue, rng = _patchy()
    u, c = 0.8 * tissue.living, 0.2 + 0.8 * tissue.room
    du, dc, y = (
        0.05 * rng.normal(size=(2, *u.shape)) * u,
        0.1 * rng.normal(size=(2, *u.shape)) * c,
        rng.normal(size=u.size),
    )

    def supply(step: float) -> Supply:
        room = c + step * dc[0]
        return _supplied(place, Oxygen(3e-3, 0.1), OxygenatedTissue((u + step * du[0]) / room, room))

    here = supply(0.0)
    tangent = here.tangent(du.T, dc.T)
    remainders = [float(np.abs(supply(h).level - here.level - h * tangent[:, 0]).max()) for h in STEPS]
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.1)
    by_living, by_room = here.pull_back(y)
    np.testing.assert_allclose(tangent.T @ y, du @ by_living + dc @ by_room, rtol=ROUNDING)


def test_deaths() -> None:
    """Of u the share exp(-e) is left, u + n stays, c falls, v keeps its bounds where all is full; and derivatives."""
    _, tissue, rng = _patchy()
    exponent = rng.exponential(size=tissue.room.shape)
    death = Starvation(tissue, exponent, 1.0)
    after = death.after()
    np.testing.assert_allclose(after.living, tissue.living * np.exp(-exponent), rtol=1e-12)
    np.testing.assert_allclose(after.living + after.necrosis(1.0), tissue.living + tissue.necrosis(1.0), rtol=1e-12)
    assert (after.room <= tissue.room).all()
    assert 0.0 <= after.occupied.min() <= after.occupied.max() <= 1.0 + 1e-15
    dv, dc, de = 0.3 * rng.normal(size=(3, tissue.room.size, 1))
    by_v, by_c = death.tangent(dv, dc, de)
    remainders = []
    for h in STEPS:
        moved = OxygenatedTissue(tissue.occupied + h * dv[:, 0], tissue.room * np.exp(h * dc[:, 0]))
        there = replace(death, before=moved, exponent=exponent * np.exp(h * de[:, 0])).after()
        off = there.occupied - after.occupied - h * by_v[:, 0], np.log(there.room / after.room) - h * by_c[:, 0]
        remainders.append(float(np.linalg.norm(off)))
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.1)
    y, z = rng.normal(size=(2, tissue.room.size))
    back_v, back_e = death.pull_back(y, z)
    forward = y @ by_v + z @ by_c
    np.testing.assert_allclose(forward, back_v @ dv + z @ dc + back_e @ de, rtol=ROUNDING)


def test_responses() -> None:
    """Healthy tissue has g = 1, both are halves where their names say, and neither turns."""
    oxygen = Oxygen(half_proliferation=0.1, half_death=0.2)
    level = np.linspace(0.01, 1.0, 100)
    found = response(oxygen, level)
    growing, dying = np.exp(found.log_rates)
    assert growing[-1] == pytest.approx(1.0)
    assert np.interp(0.1, level, growing) == pytest.approx(0.55)
    assert np.interp(0.2, level, dying) == pytest.approx(0.5)
    assert (np.diff(growing) > 0.0).all()
    assert (np.diff(dying) < 0.0).all()
    assert (found.slopes[0] > 0.0).all()
    assert (found.slopes[1] < 0.0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("length_m", -1.0),
        ("at_capacity", 0.0),
        ("at_capacity", 1.1),
        ("half_proliferation", 0.0),
        ("half_death", 1.0),
        ("death_1_s", -1.0),
        ("every_s", 0.0),
        ("every_s", np.nan),
    ],
)
def test_what_is_no_oxygen(name: str, value: float) -> None:
    """Each mistake is said by its name before anything is computed."""
    with pytest.raises(InputError, match=f"{name}.*expected"):
        Oxygen(**{name: value})


@pytest.mark.parametrize("signs", [(1.0, -1.0, 1.0), (1.0, np.nan, 1.0)])
def test_a_system_without_solution_is_said(signs: tuple[float, float, float]) -> None:
    """An indefinite matrix, or one that holds no numbers, must not come back as a level of oxygen."""
    with pytest.raises(RuntimeError, match="positive definite"):
        conjugate_gradients(lambda x: np.array(signs) * x, np.ones(3), np.array([1.0, 2.0, 0.5]), MPI.COMM_SELF)
