"""Gompertz's law, and two laws of growth weighted by a tumour's scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import DrugDose, TumourHistory, TumourScan
from palpate.twin.doubt.growth_laws import laws_of_growth
from palpate.twin.pharmacology import course
from palpate.twin.rungs.cells import cell_rates
from palpate.twin.rungs.gompertz import GompertzModel
from palpate.twin.rungs.logistic import logistic_model
from palpate.twin.rungs.regimen import DatedFraction, Regimen
from palpate.units import days_to_s
from tests.twin.small import history

SETTINGS = TwinSettings()
LOGISTIC = logistic_model(SETTINGS, 20.0)
MODEL = GompertzModel(SETTINGS, LOGISTIC.parameters)
DOSES = (DrugDose(3.0, "temozolomide", 300.0), DrugDose(9.0, "temozolomide", 250.0))
TREATED = Regimen((DatedFraction(5.0, 2.0), DatedFraction(6.0, 2.0)), DOSES)


def _theta(count: int = 3) -> np.ndarray:
    return 0.7 * np.random.default_rng(4).standard_normal((count, len(MODEL.parameters)))


def test_it_is_the_solution_of_its_equation_under_a_drug() -> None:
    """The closed form is checked against an integration by another's code, through two doses and no event."""
    theta, u = _theta(1), Regimen((), DOSES)
    start, end = MODEL.start(theta), 12.0
    rates = cell_rates(MODEL.parameters, theta, np.zeros(1), u, SETTINGS)
    share = float(np.exp(-start[0, 0]))
    slowing = float(rates.growth_1_day[0]) * (1.0 - share) / -np.log(share)
    drug = course("temozolomide", DOSES, SETTINGS.drugs["temozolomide"])

    def flow(day: float, y: np.ndarray) -> list[float]:
        rate = float(drug.concentration(np.array(days_to_s(day)))) * days_to_s(1.0) / rates.unit_kg_s_m3[0]
        return [-slowing * y[0] + float(rates.kill_1_g[0, 0]) * rate]

    exact, at = [float(start[0, 0])], 0.0
    for stop in (3.0, 9.0, end):
        exact = solve_ivp(flow, (at, stop - 1e-9), exact, rtol=1e-10, atol=1e-12, max_step=0.05).y[:, -1].tolist()
        at = stop
    ours = MODEL.step(start, theta, u, 0.0, end, np.zeros((1, 1)))
    assert float(ours[0, 0]) == pytest.approx(exact[0], rel=1e-6)


def test_two_steps_are_one() -> None:
    """It must not matter how a time is cut."""
    theta, still = _theta(), np.zeros((3, 1))
    whole = MODEL.step(MODEL.start(theta), theta, TREATED, 0.0, 20.0, still)
    half = MODEL.step(MODEL.start(theta), theta, TREATED, 0.0, 7.5, still)
    np.testing.assert_allclose(MODEL.step(half, theta, TREATED, 7.5, 20.0, still), whole, rtol=1e-10)


def test_both_laws_begin_alike_and_stay_below_the_capacity() -> None:
    """They share the rate at the first scan; later Gompertz's tumour is the smaller one."""
    theta, still, none = _theta(), np.zeros((3, 1)), Regimen()

    def burden(model: GompertzModel | type(LOGISTIC), days: float) -> np.ndarray:  # type: ignore[valid-type]
        return model.burden_ml(model.step(model.start(theta), theta, none, 0.0, days, still), theta)

    start = MODEL.burden_ml(MODEL.start(theta), theta)
    early = [np.log(burden(model, 1e-3) / start) for model in (MODEL, LOGISTIC)]
    np.testing.assert_allclose(early[0], early[1], rtol=1e-3)
    assert (burden(MODEL, 60.0) < burden(LOGISTIC, 60.0)).all()
    assert (burden(MODEL, 5000.0) <= MODEL.capacity_ml(theta)).all()


def _grown(radii_mm: tuple[float, ...], days: tuple[float, ...]) -> TumourHistory:
    """The small tumour without treatment, as balls of given radii on given days."""
    like = history()
    shape = like.tissue.shape
    at = (np.indices(shape) + 0.5) * like.edges_mm[:, None, None, None]
    middle = (np.array(shape) * like.edges_mm / 2.0)[:, None, None, None]
    distance = np.linalg.norm(at - middle, axis=0)
    scans = []
    for day, radius in zip(days, radii_mm, strict=True):
        roi = np.where(distance < radius - 3.0, 1, np.where(distance < radius + 2.0, 2, 0)).astype(np.uint8)
        cells = np.where(roi > 0, 0.8, np.nan)
        scans.append(TumourScan(day, cells, np.where(np.isfinite(cells), 0.12, np.nan), roi))
    return replace(like, scans=tuple(scans), irradiations=(), drug_doses=())


def test_weights_sum_to_one_and_follow_the_scans() -> None:
    """Two scans leave both laws possible; weights are the same whenever they are asked for."""
    tumour = _grown((8.0, 11.0), (0.0, 30.0))
    laws = laws_of_growth(tumour, SETTINGS, (60.0, 90.0))
    assert sum(one.weight for one in laws) == pytest.approx(1.0)
    assert all(0.05 < one.weight < 0.95 for one in laws)
    assert all(one.effective > 50.0 for one in laws)
    logistic, gompertz = laws
    assert (gompertz.log_ml["visible_ml"] < logistic.log_ml["visible_ml"]).all()
    again = laws_of_growth(tumour, SETTINGS, (60.0, 90.0))
    assert [one.weight for one in again] == [one.weight for one in laws]
