"""Forecasts that are not of the patient: from given parameters, or from one scan; every output says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.service.forecast_report import write_forecast_report
from palpate.twin.forecast.predict import predict
from palpate.twin.forward import forward_from_calibration, forward_from_history
from palpate.twin.given_parameters import read_parameters, standardised
from palpate.twin.products.calibration_folder import calibrate_into
from palpate.twin.products.forecast_folder import forecast_into
from tests.twin.drawn import drawn
from tests.twin.small import SETTINGS, history, problem

QUICK = SETTINGS.model_copy(update={"mechanics": False, "draws": 20, "max_iterations": 2})
POPULATION, GIVEN = "population, not this patient", "given rates, not this patient"


def test_given_rates_are_those_of_the_run() -> None:
    """Twice as fast a growth must give more tumour, in units that the names state; the run has no spread."""
    burdens = {}
    for k in (0.04, 0.08):
        found = forward_from_history(history(), {"k_1_day": k, "d_mm2_day": 0.05}, Path("rates.yaml"), QUICK)
        rates = {one.name: one.median for one in found.estimates()}
        assert rates["proliferation"] * 86400.0 == pytest.approx(k)
        assert rates["diffusivity"] * 86400.0 * 1e6 == pytest.approx(0.05)
        assert rates["white_to_grey"] == pytest.approx(QUICK.white_to_grey.median)
        assert len(found.draws.xi) == 1
        (burdens[k],) = predict(found, 100.0).burdens_ml()
    assert burdens[0.08] > 1.3 * burdens[0.04]


@pytest.mark.long
def test_a_calibration_and_a_history_give_one_run() -> None:
    """The posterior plays no part: its lattice, treatments and stress are all that a calibration adds."""
    twin = drawn(2, QUICK)
    given = {"k_1_day": 0.05}
    first = forward_from_calibration(twin, given, Path("rates.yaml"))
    second = forward_from_history(history(), given, Path("rates.yaml"), QUICK)
    np.testing.assert_allclose(predict(first, 90.0).burdens_ml(), predict(second, 90.0).burdens_ml(), rtol=0.02)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k: 0.05", "k_1_day, d_mm2_day, white_to_grey, alpha_1_gy, kill_temozolomide_1_g"),
        ("kill_lomustine_1_g: 0.1", "kill_temozolomide_1_g"),
        ("k_1_day: fast", "a finite number"),
        ("k_1_day: true", "a finite number"),
        ("k_1_day: .nan", "a finite number"),
        ("k_1_day: -0.05", "a number above 0"),
        ("plateau: 1.0", "between 0 and 1"),
        ("{}", "at least one"),
        ("k_1_day: 0.05\nk_1_day: 0.06", "once"),
    ],
)
def test_bad_parameters_are_refused(text: str, words: str, tmp_path: Path) -> None:
    """A misspelt name would run with the prior's median, and nobody would know."""
    path = tmp_path / "rates.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        standardised(read_parameters(path), problem(QUICK).dynamics.unknowns, path)
    assert words in str(refused.value)
    assert "rates.yaml" in str(refused.value)


def test_one_scan_is_the_populations_everywhere(tmp_path: Path) -> None:
    """One scan shows where a tumour is, not how it grows: a forecast that looks like the patient's would mislead."""
    one = replace(history(), scans=history().scans[:1], irradiations=(), drug_doses=())
    twin = calibrate_into(one, QUICK, tmp_path / "calibration")
    forecast_into(twin, [30.0], tmp_path / "forecast")
    for name in ("calibration/calibration.json", "forecast/forecast.json"):
        record = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        assert record["basis"] == POPULATION
        assert record["warnings"][0]["code"] == "population-forecast"
    for name in ("forecast.tsv", "curve.tsv"):
        head, *lines = (tmp_path / "forecast" / name).read_text(encoding="utf-8").splitlines()
        assert head.endswith("\tbasis")
        assert all(line.endswith(POPULATION) for line in lines)
    maps = list((tmp_path / "forecast").rglob("*_density.nii.gz"))
    assert maps
    for path in maps:
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        assert json.loads(sidecar.read_text(encoding="utf-8")) == {"Basis": POPULATION}
    write_forecast_report(tmp_path / "calibration", tmp_path / "forecast", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<strong>Population, not this patient: On day 30" in page
    first = page.index('<p class="warning">Forecast of the population')
    assert first < page.index("<strong>Population")


def test_given_rates_are_marked(tmp_path: Path) -> None:
    """One run without an interval must not pass for a forecast of the patient."""
    twin = forward_from_history(history(), {"k_1_day": 0.05}, Path("rates.yaml"), QUICK)
    (row,) = forecast_into(twin, [20.0], tmp_path / "forecast")
    record = json.loads((tmp_path / "forecast" / "forecast.json").read_text(encoding="utf-8"))
    assert (record["basis"], record["given"]) == (GIVEN, {"k_1_day": 0.05})
    assert record["warnings"][0]["code"] == "given-parameters"
    assert row["burden_ml"]["95"] == [row["burden_ml"]["median"]] * 2
