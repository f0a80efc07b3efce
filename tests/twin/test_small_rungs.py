"""The logistic and the radial rung against solutions of their equations, and their certificates of dependence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Surgery
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.solvers.growth.treatment.treatment import Treatment
from palpate.twin.priors import ALPHA, DIFFUSIVITY, KILL, PROLIFERATION, WIDTH
from palpate.twin.rungs.cells import cell_rates
from palpate.twin.rungs.from_history import regimen
from palpate.twin.rungs.logistic import ROOM_ML, START_ML, LogisticModel, logistic_model
from palpate.twin.rungs.observed import FRONT_RADIUS
from palpate.twin.rungs.radial import RADIUS_MM, RadialModel, radial_model
from palpate.twin.rungs.regimen import DatedFraction, DatedOperation, Regimen
from palpate.twin.rungs.shells import TAIL, Shells
from palpate.twin.state_space.dependence import ParameterBox, dependence_warnings, difference
from palpate.units import days_to_s, mm2_day_to_m2_s, mm_to_m, per_day_to_per_s
from tests.laws.taylor import rates
from tests.twin.small import history

type Values = NDArray[np.float64]

SETTINGS = TwinSettings()
TREATED = Regimen(
    tuple(DatedFraction(float(day), 2.0) for day in (5, 6, 7, 8)),
    tuple(DrugDose(float(day), "temozolomide", 140.0) for day in (5, 6, 7)),
    (DatedOperation(3.0, 0.8),),
)


def theta(model: LogisticModel | RadialModel, **values: float) -> Values:
    """One draw with given numbers, in their own units; the others are at their medians."""
    found = np.zeros((1, len(model.parameters)))
    for at, one in enumerate(model.parameters):
        if one.name in values:
            found[0, at] = (np.log(values[one.name]) - one.mean) / one.std
    return found


def grown(model: LogisticModel | RadialModel, x: Values, at: Values, u: Regimen, t0: float, t1: float) -> Values:
    """A step without noise."""
    return model.step(x, at, u, t0, t1, np.zeros((len(x), 1)))


def front_mm(model: RadialModel, x: Values, at: Values) -> float:
    """Radius of what is bright on FLAIR."""
    (one,) = (one for one in model.observations if one.stream == FRONT_RADIUS)
    return float(one.h(x, at)[0, 0])


def test_the_logistic_rung_solves_its_equation() -> None:
    """Against an ordinary solver, through an operation, fractions and three doses whose concentrations overlap."""
    model = logistic_model(SETTINGS, 20.0)
    at = theta(model, **{KILL + "temozolomide": 2.0})
    rate = cell_rates(model.parameters, at, np.zeros(1), TREATED, SETTINGS)
    (course,), unit, capacity = rate.courses, rate.unit_kg_s_m3[0], float(model.capacity_ml(at)[0])

    def slope(day: float, u: Values) -> Values:
        drug = 2.0 * float(course.concentration(np.array(days_to_s(day)))) / unit * days_to_s(1.0)
        return rate.growth_1_day[0] * u * (1.0 - u / capacity) - drug * u

    u, day = 20.0, 0.0
    for stop, share in (
        (3.0, 0.2),
        *((float(d), float(np.exp(-0.035 * 2.0 * 1.2))) for d in (5, 6, 7, 8)),
        (12.0, 1.0),
    ):
        u = share * float(solve_ivp(slope, (day, stop), [u], rtol=1e-11, atol=1e-12, max_step=0.02).y[0, -1])
        day = stop
    found = model.burden_ml(grown(model, model.start(at), at, TREATED, 0.0, 12.0), at)
    assert float(found[0]) == pytest.approx(u, rel=1e-7)


def test_the_start_honours_the_prior() -> None:
    """Standard normal numbers give the log-normal numbers that the settings state, in burden and radius."""
    z = np.random.default_rng(0).standard_normal((4000, 7))
    logistic = logistic_model(SETTINGS, 20.0, 0.3)
    burden = np.log(logistic.burden_ml(logistic.start(z), z))
    assert burden.mean() == pytest.approx(np.log(20.0), abs=0.02)
    assert burden.std() == pytest.approx(0.3, rel=0.04)
    room = logistic.capacity_ml(z) - logistic.burden_ml(logistic.start(z), z)
    assert np.log(room).std() == pytest.approx(next(o.std for o in logistic.parameters if o.name == ROOM_ML), rel=0.04)
    radial = radial_model(SETTINGS, 15.0)
    for radius in (9.0, 15.0, 24.0):
        at = theta(radial, **{RADIUS_MM: radius, WIDTH: 0.3})
        density = radial.start(at)[0, :-1]
        quarter = np.interp(-0.25 * density.max(), -density, radial.shells.radii_mm)
        assert quarter == pytest.approx(radius, abs=0.05)
    assert START_ML in [one.name for one in logistic.parameters]


def test_without_diffusion_every_shell_is_a_logistic_rung() -> None:
    """By the same treatment, to rounding: the equation of a shell is that of the burden over its capacity."""
    radial, logistic = radial_model(SETTINGS, 15.0), logistic_model(SETTINGS, 20.0)
    values = {ALPHA: 0.05, PROLIFERATION: per_day_to_per_s(0.08), KILL + "temozolomide": 0.7}
    still = theta(radial, **values, **{DIFFUSIVITY: 1e-40})
    x = radial.start(theta(radial))
    density = grown(radial, x, still, TREATED, 0.0, 40.0)[0, :-1]
    p = x[0, :-1]
    z = np.stack([np.log(p) - np.log1p(-p), np.zeros_like(p)], axis=1)
    at = np.repeat(theta(logistic, **values), len(p), axis=0)
    expected = 1.0 / (1.0 + np.exp(-grown(logistic, z, at, TREATED, 0.0, 40.0)[:, 0]))
    np.testing.assert_allclose(density, expected, rtol=1e-11)


def test_diffusion_conserves_cells_and_leaves_cavities_closed() -> None:
    """The sum over shells without growth; and nothing enters a ball that was removed."""
    model = radial_model(SETTINGS, 15.0)
    at = theta(model, **{PROLIFERATION: 1e-30, DIFFUSIVITY: mm2_day_to_m2_s(1.0)})
    x = model.start(theta(model))
    moved = grown(model, x, at, Regimen(), 0.0, 60.0)
    assert float(model.burden_ml(moved)[0]) == pytest.approx(float(model.burden_ml(x)[0]), rel=1e-12)
    assert difference(moved, x)[0] > 0.1
    cut = Regimen(operations=(DatedOperation(10.0, 0.7, 12.0),))
    at = theta(model)
    for days in ((0.0, 90.0), (0.0, 10.0, 90.0), (0.0, 40.0, 90.0)):
        x = model.start(at)
        for first, last in pairwise(days):
            x = grown(model, x, at, cut, first, last)
        inside = model.shells.radii_mm < 12.0
        assert (x[0, :-1][inside] == 0.0).all()
        assert x[0, :-1][~inside].max() > 0.5


def test_doses_by_radius_reach_their_shells() -> None:
    """Half of the dose beyond 10 mm, and none of it where the profile says so."""
    model = radial_model(SETTINGS, 15.0)
    at = theta(model)
    profile = DatedFraction(0.0, 3.0, (0.0, 10.0, 10.001, 30.0), (4.0, 4.0, 0.0, 0.0))
    x = model.start(at)
    found = grown(model, x, at, Regimen((profile,)), 0.0, 1e-9)[0, :-1] / x[0, :-1]
    np.testing.assert_allclose(
        found, np.where(model.shells.radii_mm < 10.0, np.exp(-0.035 * 4.0 * 1.4), 1.0), rtol=1e-5
    )


def burden_ml(count: int, faster: float = 1.0) -> float:
    """Burden when a ball has grown by a third in radius, by rates multiplied and times divided by a factor."""
    model = radial_model(SETTINGS, 12.0, Shells(count, 48.0))
    d, k = mm2_day_to_m2_s(0.4 * faster), per_day_to_per_s(0.04 * faster)
    at = theta(model, **{DIFFUSIVITY: d, PROLIFERATION: k, WIDTH: 1.0})
    return float(model.burden_ml(grown(model, model.start(at), at, Regimen(), 0.0, 32.0 / faster))[0])


def test_order_of_convergence() -> None:
    """Second order in space and, with rates that are scaled up instead of longer steps, in time."""
    exact = burden_ml(384)
    errors = [abs(burden_ml(count) - exact) for count in (24, 48, 96)]
    np.testing.assert_allclose(rates(errors, [4.0, 2.0, 1.0]), 2.0, atol=0.25)
    exact = burden_ml(96, 0.5)
    errors = [abs(burden_ml(96, faster) - exact) for faster in (8.0, 4.0, 2.0)]
    np.testing.assert_allclose(rates(errors, [4.0, 2.0, 1.0]), 2.0, atol=0.3)


def test_speed_of_the_front() -> None:
    """On shells of 0.1 mm: 2 sqrt(D k), less what a front of finite age and curvature lags behind, to 0.5 %.

    In units of k and sqrt(D / k), a front that began steep moves at 2 - (3 + d - 1) / (2 t) + 3 sqrt(pi) / (2 t^1.5) in
    d dimensions (Bramson 1983, Gaertner 1982, Ebert and van Saarloos 2000).
    """
    d, k = 0.1, 0.2
    model = radial_model(SETTINGS, 8.0, Shells(760, 76.0))
    at = theta(model, **{DIFFUSIVITY: mm2_day_to_m2_s(d), PROLIFERATION: per_day_to_per_s(k), WIDTH: 0.2})
    before = grown(model, model.start(at), at, Regimen(), 0.0, 120.0)
    after = grown(model, before, at, Regimen(), 120.0, 220.0)
    moved = (front_mm(model, after, at) - front_mm(model, before, at)) / np.sqrt(d / k)
    t0, t1 = 120.0 * k, 220.0 * k
    expected = 2.0 * (t1 - t0) - 2.5 * np.log(t1 / t0) + 3.0 * np.sqrt(np.pi) * (t0**-0.5 - t1**-0.5)
    assert moved == pytest.approx(expected, rel=0.005)


def test_default_shells_against_fine_ones() -> None:
    """The front at 30, 60 and 90 days to 1 %, from D and k at the narrowest front of the issue to the widest."""
    for d, k, most in ((0.01, 0.1, 0.01), (0.1, 0.05, 0.001), (0.3, 0.02, 0.001)):
        radii = []
        for count in (600, 120):
            model = radial_model(SETTINGS, 15.0, Shells(count, 60.0))
            at = theta(model, **{DIFFUSIVITY: mm2_day_to_m2_s(d), PROLIFERATION: per_day_to_per_s(k)})
            x = [model.start(at)]
            for day in (0.0, 30.0, 60.0):
                x.append(grown(model, x[-1], at, Regimen(), day, day + 30.0))
            radii.append(np.array([front_mm(model, one, at) for one in x[1:]]))
        np.testing.assert_allclose(radii[1], radii[0], rtol=most)


def test_a_ball_on_the_lattice_grows_as_shells_say() -> None:
    """The solver of the lattice shares nothing with the shells; voxels of 2 mm, a front of 3.2 mm: 1 % of burden."""
    d, k, edge_mm, count = 0.5, 0.05, 2.0, 36
    model = radial_model(SETTINGS, 12.0, Shells(160, 36.0))
    at = theta(model, **{DIFFUSIVITY: mm2_day_to_m2_s(d), PROLIFERATION: per_day_to_per_s(k), WIDTH: 1.0})
    middle = (np.arange(count) - 0.5 * (count - 1)) * edge_mm
    radius = np.sqrt(sum(np.square(one) for one in np.meshgrid(middle, middle, middle, indexing="ij")))
    place = voxels(radius < 36.0, np.full(3, mm_to_m(edge_mm)))
    inside = radius[radius < 36.0]
    x = model.start(at)
    density = np.interp(inside, model.shells.radii_mm, x[0, :-1])
    parameters = Parameters(
        np.full(len(inside), np.log(mm2_day_to_m2_s(d))), np.full(len(inside), np.log(per_day_to_per_s(k)))
    )
    lattice = GrowthModel(place.space, (days_to_s(40.0),), Treatment(), step_s=days_to_s(1.0))
    (after,) = lattice.forecast(parameters, density).states
    shells = grown(model, x, at, Regimen(), 0.0, 40.0)
    factors = (after.sum() / density.sum(), float(model.burden_ml(shells)[0] / model.burden_ml(x)[0]))
    assert factors[0] == pytest.approx(factors[1], rel=0.01)
    assert factors[1] > 3.0


@pytest.mark.parametrize("name", ["logistic", "radial"])
def test_certificate_of_continuous_dependence(name: str) -> None:
    """Of random pairs in the box, none moves farther apart than exp(L t) (|x| + C |theta|); some come near."""
    box, rng, draws = ParameterBox(1.5, 0.4), np.random.default_rng(3), 40
    model = logistic_model(SETTINGS, 20.0) if name == "logistic" else radial_model(SETTINGS, 15.0, Shells(40, 50.0))
    certificate = model.certificate(TREATED, 0.0, 12.0, box)
    one = rng.uniform(-box.reach, box.reach, (draws, len(model.parameters)))
    x = model.start(one)
    x[:, -1] = rng.uniform(-box.drift, box.drift, draws)
    closest = 0.0
    for size in (1e-4, 0.05, 0.5):
        for moved in ("state", "drift", "theta", "all"):
            other, y = one.copy(), x.copy()
            if moved in ("theta", "all"):
                other = np.clip(one + size * rng.uniform(-1.0, 1.0, one.shape), -box.reach, box.reach)
            if moved in ("state", "all"):
                y[:, :-1] += size * rng.uniform(-1.0, 1.0, y[:, :-1].shape)
                y[:, :-1] = np.clip(y[:, :-1], *((-np.inf, np.inf) if name == "logistic" else (0.0, 1.0)))
            if moved in ("drift", "all"):
                y[:, -1] = np.clip(y[:, -1] + size * rng.uniform(-1.0, 1.0, draws), -box.drift, box.drift)
            apart = difference(grown(model, x, one, TREATED, 0.0, 12.0), grown(model, y, other, TREATED, 0.0, 12.0))
            allowed = certificate.bound(12.0, difference(x, y), difference(one, other))
            assert (apart <= allowed * (1.0 + 1e-9) + 12.0 * TAIL).all()
            closest = max(closest, float((apart / allowed).max()))
    assert closest > 0.05


def test_dependence_is_found_broken() -> None:
    """A model that amplifies differences is told in a sentence; the right one is not."""

    class Amplifying(RadialModel):
        def step(self, x: Values, theta: Values, u: Regimen, t0: float, t1: float, noise: Values) -> Values:
            found = super().step(x, theta, u, t0, t1, noise)
            found[:, :-1] = np.clip(0.5 + 5.0 * (found[:, :-1] - 0.5), 0.0, 1.0)
            return found

    right = radial_model(SETTINGS, 15.0)
    wrong = Amplifying(right.settings, right.parameters, right.shells)
    at = theta(right)
    k = 0.05
    for model, count in ((right, 0), (wrong, 1)):
        found = dependence_warnings(model, right.start(at), at, Regimen(), (0.0, 10.0), k, slice(0, 160))
        assert [one.code for one in found] == ["dependence-not-continuous"] * count
    assert "radial" in found[0].sentence


def test_treatment_of_a_history() -> None:
    """The mean over the visible tumour and by distance from its edge; shares and balls of operations."""
    whole = history()
    at = np.indices(whole.tissue.shape)
    dose = np.where(whole.scans[0].roi > 0, 2.0, 1.0)
    one = replace(whole.irradiations[0], dose_gy=dose)
    seen = whole.scans[0].tumour & whole.tissue
    half = Surgery(10.0, seen & (at[0] < np.median(at[0][seen])))
    found = regimen(replace(whole, irradiations=(replace(one, day=20.0),), surgeries=(half,)))
    (fraction,), (operation,) = found.fractions, found.operations
    assert fraction.dose_gy == 2.0
    np.testing.assert_allclose(fraction.at(np.array([2.0, 40.0])), [2.0, 1.0])
    assert 0.2 < operation.share < 0.6
    assert operation.radius_mm == pytest.approx(np.cbrt(3.0 * half.removed.sum() * 64.0 / (4.0 * np.pi)))
    assert found.drugs == ("temozolomide",)


def test_what_is_no_treatment_is_refused() -> None:
    """Doses, shares, amounts and dates that cannot be, and drugs that nobody described."""
    for make in (
        lambda: DatedFraction(1.0, -2.0),
        lambda: DatedFraction(1.0, np.nan),
        lambda: DatedFraction(1.0, 2.0, (3.0, 1.0), (2.0, 2.0)),
        lambda: DatedOperation(1.0, 1.0),
        lambda: DatedOperation(1.0, 0.5, -3.0),
        lambda: Regimen((DatedFraction(2.0, 2.0), DatedFraction(1.0, 2.0))),
        lambda: Regimen(drug_doses=(DrugDose(0.0, "temozolomide", -1.0),)),
    ):
        with pytest.raises(InputError):
            make()
    model = logistic_model(SETTINGS, 20.0)
    at = theta(model)
    with pytest.raises(InputError, match="drug aspirin"):
        grown(model, model.start(at), at, Regimen(drug_doses=(DrugDose(0.0, "aspirin", 1.0),)), 0.0, 1.0)
