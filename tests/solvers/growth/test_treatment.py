"""Treatment: exact where a formula exists, the same for every time step, and closed to what cannot have happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from palpate.errors import InputError
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.solvers.growth.treatment.pharmacokinetics import (
    DrugCourse,
    Emax,
    LogKill,
    one_compartment,
    two_compartment,
)
from palpate.solvers.growth.treatment.treatment import Fraction, Resection, Treatment
from palpate.units import days_to_s, per_day_to_per_s
from tests.solvers.growth.patient import course, days, patient

PLACE = voxels(np.ones((2, 2, 2), dtype=bool), np.full(3, 2e-3))
UNIFORM = np.full(8, 0.3)
GROWTH = np.array(np.log(per_day_to_per_s(0.05)))


def _parameters(*sensitivities: float, k: float = 0.05) -> Parameters:
    rate = np.array(np.log(per_day_to_per_s(k)))
    return Parameters(np.full(8, np.log(1e-12)), rate, float(np.log(0.3)), np.log(np.array(sensitivities)))


def test_one_fraction_is_exact() -> None:
    """What is left is exp(-alpha d - beta d^2), not the 1 / (2 - S) of a fraction smeared over a time step."""
    dose = np.linspace(0.0, 4.0, 8)
    hit = GrowthModel(PLACE.space, days(1e-9), Treatment((Fraction(0.0, dose),)), alpha_beta_gy=10.0)
    (state,) = hit.forecast(_parameters(), UNIFORM).states
    # Cells that stay where they are would be exact; over 1e-9 days diffusion and growth move 1e-9 of them.
    np.testing.assert_allclose(state, 0.3 * np.exp(-0.3 * dose - 0.03 * dose**2), rtol=1e-8)


@pytest.mark.parametrize("saturating", [False, True])
def test_the_time_step_does_not_change_a_treatment(saturating: bool) -> None:  # noqa: FBT001
    """A uniform tumour has no splitting error, so whatever differs between steps would be a wrong exposure."""
    treatment = Treatment((Fraction(days_to_s(5.1), np.array(2.0)),), (course(saturating=saturating),))
    model = GrowthModel(PLACE.space, days(4.0, 20.0), treatment)
    found = [
        replace(model, step_s=days_to_s(step)).forecast(_parameters(5e-4), UNIFORM).states for step in (9, 1, 0.07)
    ]
    assert found[0][1].max() < 0.29  # the drug did something
    for states in found[1:]:
        np.testing.assert_allclose(states, found[0], rtol=1e-11)


def test_growth_under_a_drug_solves_its_equation() -> None:
    """U' = k u (1 - u) - s C(t) u against an integrator that knows nothing of Bernoulli."""
    drug, s, k = course(), 5e-4, per_day_to_per_s(0.05)
    states = GrowthModel(PLACE.space, days(20.0), Treatment(courses=(drug,))).forecast(_parameters(s), UNIFORM).states

    def rate(t: float, u: np.ndarray) -> np.ndarray:
        return k * u * (1 - u) - s * drug.concentration(np.array(t)) * u

    u = np.array([0.3])
    stops = [0.0, *drug.times_s, days_to_s(20.0)]
    for a, b in pairwise(stops):
        u = solve_ivp(rate, (a, b), u, rtol=1e-11, atol=1e-13, method="DOP853", max_step=2e4).y[:, -1]
    assert states[0][0] == pytest.approx(float(u[0]), rel=1e-8)


def test_two_compartments_solve_their_equations() -> None:
    """The closed form against the two balances it solves."""
    v, k10, k12, k21 = 0.02, 1e-5, 4e-5, 2e-5
    one = DrugCourse("drug", (0.0,), (1e-4,), two_compartment(v, k10, k12, k21))
    at = np.linspace(0.0, 3e5, 7)

    def balances(_t: float, x: np.ndarray) -> list[float]:
        return [-(k10 + k12) * x[0] + k21 * x[1], k12 * x[0] - k21 * x[1]]

    solved = solve_ivp(balances, (0.0, at[-1]), [1e-4, 0.0], t_eval=at, rtol=1e-11, atol=1e-18).y[0] / v
    np.testing.assert_allclose(one.concentration(at), solved, rtol=1e-6)


@pytest.mark.parametrize("dynamics", [LogKill(), Emax(1e-3), Emax(1e-7)])
@pytest.mark.parametrize(
    "kinetics",
    [
        one_compartment(0.03, 1.07e-4),
        one_compartment(0.03, 1.07e-4, 4.6e-4, 0.9),
        two_compartment(0.02, 1e-4, 4e-4, 2e-6),
    ],
)
def test_exposure(kinetics: object, dynamics: LogKill | Emax) -> None:
    """Closed forms and Gauss panels against adaptive quadrature, also with EC50 far below the dose; additive."""
    drug = DrugCourse("drug", days(0.5, 1.0, 1.25), (2e-4, 1e-4, 3e-4), kinetics, dynamics)  # type: ignore[arg-type]
    end = days_to_s(3.0)
    stops = [0.0, *drug.times_s, days_to_s(1.7), end]

    def effect(t: float) -> float:
        return float(dynamics.effect(drug.concentration(np.array(t))))

    # The microsecond leaves out the jump at the next dose.
    pieces = [quad(effect, a, b - 1e-6, epsabs=0, epsrel=1e-11, limit=500)[0] for a, b in pairwise(stops[1:])]
    whole = float(drug.exposure(0.0, np.array(end)))
    assert whole == pytest.approx(sum(pieces), rel=1e-8)
    middle = days_to_s(1.123)
    parts = float(drug.exposure(0.0, np.array(middle))) + float(drug.exposure(middle, np.array(end)))
    assert parts == pytest.approx(whole, rel=1e-12)


def test_a_drug_makes_radiation_stronger_while_it_is_there() -> None:
    """Alpha (1 + x C): at the concentration of the moment, and no more once the drug is gone."""
    drug = course()
    plain = Treatment((Fraction(days_to_s(7.0), np.array(2.0)), Fraction(days_to_s(40.0), np.array(2.0))), (drug,))
    left = []
    for x in (0.0, 50.0):
        treatment = replace(plain, courses=(replace(drug, radiosensitisation_m3_kg=x),))
        left.append(GrowthModel(PLACE.space, days(7.01, 41.0), treatment).forecast(_parameters(1e-30), 1e-6 * UNIFORM))
    extra = np.exp(-0.3 * 2.0 * 50.0 * float(drug.concentration(np.array(days_to_s(7.0)))))
    for a, b in zip(left[1].states, left[0].states, strict=True):
        np.testing.assert_allclose(a / b, extra, rtol=1e-4)  # 1e-6 of the capacity: crowding is as small


def test_a_cavity_stays_empty() -> None:
    """No cells in the cavity, none through its walls: a plane cut out leaves the far side without tumour."""
    place = voxels(np.ones((9, 2, 2), dtype=bool), np.full(3, 2e-3))
    at = np.indices(place.mask.shape)[0].ravel()
    cut = Treatment(resections=(Resection(0.0, at == 4),))
    start = np.where(at < 3, 0.5, 0.0)
    parameters = Parameters(np.full(36, np.log(1e-11)), GROWTH)
    (state,) = GrowthModel(place.space, days(60.0), cut).forecast(parameters, start).states
    assert state[at < 4].min() > 0.1
    assert state[at >= 4].max() == 0.0


BAD: dict[str, Callable[[], object]] = {
    "negative dose": lambda: Fraction(0.0, np.array([2.0, -1.0])),
    "dose not a number": lambda: Fraction(0.0, np.array(np.nan)),
    "fractions out of order": lambda: Treatment((Fraction(9.0, np.array(2.0)), Fraction(3.0, np.array(2.0)))),
    "capsules out of order": lambda: replace(course(), times_s=days(3, 2, 5, 6, 7)),
    "negative amount": lambda: replace(course(), amounts_kg=(-1.0, 1.0, 1.0, 1.0, 1.0)),
    "drug twice": lambda: Treatment(courses=(course(), course())),
    "volume zero": lambda: one_compartment(0.0, 1.0),
    "rates equal": lambda: one_compartment(1.0, 1.0, 1.0),
    "EC50 negative": lambda: Emax(-1.0),
    "event after the end": lambda: _run(Treatment((Fraction(days_to_s(5.0), np.array(2.0)),))),
    "event before the beginning": lambda: _run(Treatment((Fraction(-1.0, np.array(2.0)),))),
    "no dates": lambda: _run(Treatment(), ()),
    "dates out of order": lambda: _run(Treatment(), days(3.0, 2.0)),
    "no tumour": lambda: _run(Treatment(), days(2.0), np.zeros(8)),
    "denser than the capacity": lambda: _run(Treatment(), days(2.0), np.full(8, 1.1)),
    "density not a number": lambda: _run(Treatment(), days(2.0), np.full(8, np.nan)),
    "no tissue": lambda: voxels(np.zeros((2, 2, 2), dtype=bool), np.ones(3)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    """A user's mistake is said in a sentence and stops the forecast before it starts."""
    with pytest.raises(InputError, match="expected"):
        BAD[name]()


def _run(treatment: Treatment, at: tuple[float, ...] = days(2.0), start: np.ndarray = UNIFORM) -> object:
    return GrowthModel(PLACE.space, at, treatment).forecast(_parameters(), start)


def test_patient_keeps_bounds() -> None:
    """Through everything that can happen, the range of all times stays within 0..theta."""
    who = patient()
    low, high = who.model.forecast(who.parameters, who.density).extremes
    assert low >= 0.0
    assert high <= 1.0
