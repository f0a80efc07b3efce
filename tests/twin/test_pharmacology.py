"""Drugs of the configuration: kinetics, effect, sensitisation, and clearance of a patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from palpate.config.participants import Participant
from palpate.config.twin import DrugSettings, ExchangeSettings, LogNormal, TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, TumourMarkers
from palpate.imaging.tumour.markers import creatinine_clearance
from palpate.twin.pharmacology import clearance_warnings, course, gram_exposure, kinetics, of_patient
from palpate.twin.priors import ALPHA, PROLIFERATION
from palpate.twin.rungs.cells import cell_rates
from palpate.twin.rungs.logistic import logistic_model
from palpate.twin.rungs.regimen import DatedFraction, Regimen
from palpate.units import days_to_s

KILL = LogNormal(median=0.5, log_std=0.3)
PLAIN = DrugSettings(half_life_h=6.0, volume_l=20.0, kill_1_g=KILL)
SLOW = PLAIN.model_copy(update={"exchange": ExchangeSettings(out_1_day=3.0, back_1_day=1.0)})
SWALLOWED = SLOW.model_copy(update={"absorption_1_day": 20.0, "bioavailability": 0.6})
SATURATING = SWALLOWED.model_copy(update={"half_effect_mg_l": 2.0})
DRUGS = {"injected": PLAIN, "slow": SLOW, "swallowed": SWALLOWED, "saturating": SATURATING}
GRAM = (DrugDose(0.0, "drug", 1000.0),)


def _settings(drug: DrugSettings) -> TwinSettings:
    return TwinSettings(drugs={"drug": drug})


def test_swallowed_into_two_compartments_is_the_solution_of_their_equations() -> None:
    """The sum of exponentials is checked against an integration of gut, blood and tissue by another's code."""
    rates = np.log(2.0) / 0.25, 3.0, 1.0, 20.0

    def flow(_: float, amounts: np.ndarray) -> list[float]:
        k10, k12, k21, ka = rates
        gut, blood, tissue = amounts
        return [-ka * gut, ka * gut - (k10 + k12) * blood + k21 * tissue, k12 * blood - k21 * tissue]

    days = np.linspace(0.01, 3.0, 40)
    exact = solve_ivp(flow, (0.0, 3.0), [0.6e-3, 0.0, 0.0], t_eval=days, rtol=1e-11, atol=1e-18).y[1] / 0.02
    ours = course("drug", GRAM, SWALLOWED).concentration(np.array([days_to_s(day) for day in days]))
    np.testing.assert_allclose(ours, exact, rtol=1e-7)


def test_absorption_that_equals_a_rate_of_decline_is_refused() -> None:
    """Two equal rates have no such sum of exponentials."""
    fast = max(kinetics(SLOW).rates_1_s)
    with pytest.raises(InputError, match="equals a rate of decline"):
        kinetics(SLOW.model_copy(update={"absorption_1_day": fast * 86400.0}))


@pytest.mark.parametrize("drug", DRUGS.values(), ids=DRUGS)
def test_one_gram_leaves_the_share_that_its_kill_says(drug: DrugSettings) -> None:
    """The kill of one gram means the same whatever the kinetics and the form of the effect."""
    settings = _settings(drug)
    model = logistic_model(settings, 10.0)
    rates = cell_rates(model.parameters, np.zeros((1, len(model.parameters))), np.zeros(1), Regimen((), GRAM), settings)
    exponent = sum(rates.flow(day, day + 1.0)[0] - rates.growth_1_day for day in range(60))
    np.testing.assert_allclose(exponent, -0.5, rtol=1e-8)


def test_a_saturating_drug_kills_more_in_two_halves() -> None:
    """Emax is concave: a share of the dose has more than that share of the effect."""
    half = course("drug", (DrugDose(0.0, "drug", 500.0),), SATURATING).exposure(0.0, np.array(days_to_s(60.0)))
    assert 2.0 * float(half) > 1.05 * gram_exposure(SATURATING)
    linear = course("drug", (DrugDose(0.0, "drug", 500.0),), SWALLOWED).exposure(0.0, np.array(days_to_s(60.0)))
    np.testing.assert_allclose(2.0 * float(linear), gram_exposure(SWALLOWED), rtol=1e-8)


def test_a_fraction_under_a_sensitiser_has_a_larger_alpha() -> None:
    """On a rung, alpha becomes alpha (1 + x C) at the concentration of the moment, and only then."""
    drug = PLAIN.model_copy(update={"radiosensitisation_l_mg": 0.02, "kill_1_g": LogNormal(median=1e-12, log_std=0.1)})
    settings = _settings(drug)
    model = logistic_model(settings, 10.0)
    theta = np.zeros((1, len(model.parameters)))
    theta[:, [one.name for one in model.parameters].index(PROLIFERATION)] = -20.0  # hardly any growth
    alpha = settings.alpha_1_gy.median

    def left(u: Regimen) -> float:
        x = model.start(theta)
        after = model.step(x, theta, u, 0.0, 1.0, np.zeros((1, 1)))
        return float(np.log(model.burden_ml(after, theta) / model.burden_ml(x, theta))[0])

    fraction = (DatedFraction(0.25, 2.0),)
    concentration_mg_l = 1000.0 / 20.0 * 0.5  # one half-life after the dose
    difference = left(Regimen(fraction, GRAM)) - left(Regimen(fraction))
    np.testing.assert_allclose(difference, -alpha * 2.0 * 0.02 * concentration_mg_l, rtol=1e-5)
    np.testing.assert_allclose(left(Regimen((), GRAM)), left(Regimen()), atol=1e-9)
    assert ALPHA in [one.name for one in model.parameters]


def test_clearance_of_creatinine_is_that_of_cockcroft_and_gault() -> None:
    """A man of 40 years and 72 kg with 1 mg/dL clears 100 mL/min, a woman 85."""
    man = Participant("01", age=40.0, sex="male", weight_kg=72.0, creatinine=88.4)
    assert creatinine_clearance(man) == pytest.approx(100.0)
    woman = Participant("01", age=40.0, sex="female", weight_kg=72.0, creatinine=88.4)
    assert creatinine_clearance(woman) == pytest.approx(85.0)
    assert creatinine_clearance(Participant("01", age=40.0)) is None


def test_half_the_kidneys_double_the_kill_of_a_renal_drug() -> None:
    """Exposure is dose over clearance; a drug that the liver clears does not notice."""
    patient = TumourMarkers(creatinine_clearance_ml_min=60.0)
    renal = PLAIN.model_copy(update={"renal_share": 1.0})
    adapted, missing = of_patient(_settings(renal), patient)
    assert missing == ()
    own = adapted.drugs["drug"]
    assert own.half_life_h == pytest.approx(12.0)
    assert own.kill_1_g.median == pytest.approx(1.0)
    same, _ = of_patient(_settings(PLAIN), patient)
    assert same.drugs["drug"] is PLAIN


def test_weight_scales_volume_in_proportion_and_clearance_by_its_three_quarters() -> None:
    """A heavier patient is less exposed to the same dose."""
    patient = TumourMarkers(weight_kg=140.0)
    adapted, missing = of_patient(_settings(PLAIN.model_copy(update={"by_weight": True})), patient)
    own = adapted.drugs["drug"]
    assert own.volume_l == pytest.approx(40.0)
    assert own.half_life_h == pytest.approx(6.0 * 2.0**0.25)
    assert own.kill_1_g.median == pytest.approx(0.5 * 2.0**-0.75)
    assert missing == ()


def test_a_missing_fact_is_said_and_the_usual_value_taken() -> None:
    """Unknown kidneys are no healthy kidneys; a reader must know which was assumed."""
    renal = PLAIN.model_copy(update={"renal_share": 0.5, "by_weight": True})
    adapted, missing = of_patient(_settings(renal), None)
    assert adapted.drugs["drug"].half_life_h == renal.half_life_h
    (warning,) = clearance_warnings(missing)
    assert "weight and clearance of creatinine" in warning.sentence
    assert clearance_warnings(()) == ()


def test_adapted_settings_stay_as_they_are() -> None:
    """A calibration keeps its patient's kinetics; rungs that are built from it must not adapt them again."""
    patient = TumourMarkers(weight_kg=140.0)
    once, _ = of_patient(_settings(PLAIN.model_copy(update={"by_weight": True})), patient)
    assert of_patient(once, patient)[0] == once
