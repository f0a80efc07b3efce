"""What another schedule does to the same patient: paired by draw, without a new calibration."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.twin import TEMOZOLOMIDE
from palpate.imaging.tumour.history import DrugDose, Irradiation
from palpate.twin.calibration.calibrate import Calibration, calibrate
from palpate.twin.calibration_file import save_calibration
from palpate.twin.forecast.predict import predict_days
from palpate.twin.priors import ALPHA
from palpate.twin.scenario.effects import under
from palpate.twin.scenario.schedule import read_schedule
from palpate.twin.scenario.what_if import courses_of, differences
from tests.conftest import Outcome
from tests.twin.small import SETTINGS, SHAPE, history

DRUGS = {"temozolomide": TEMOZOLOMIDE, "other": TEMOZOLOMIDE}
QUICK = SETTINGS.model_copy(update={"max_iterations": 3, "draws": 24, "mechanics": False, "drugs": DRUGS})
DAYS = (90.0, 110.0)


@pytest.fixture(scope="module")
def patient() -> Calibration:
    """The small tumour, with ten fractions and a dose of a drug ahead of its last scan on day 70."""
    own = history()
    dose = np.full(SHAPE, 2.0)
    ahead = tuple(Irradiation(77.0 + day, dose) for day in range(10))
    planned = dataclasses.replace(
        own,
        irradiations=(*own.irradiations, *ahead),
        drug_doses=(*own.drug_doses, DrugDose(80.0, "temozolomide", 300.0)),
    )
    return calibrate(planned, QUICK)


def schedule(folder: Path, name: str, text: str) -> Path:
    """A schedule's file."""
    path = folder / f"{name}.yaml"
    path.write_text(f"name: {name}\n{text}\n")
    return path


def burdens(patient: Calibration, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the burden on the last day, and the planned burden."""
    _, other = courses_of(patient, [read_schedule(path)])
    planned, changed = predict_days(patient, DAYS), predict_days(other.calibration, DAYS)
    found = [one.values for one in differences(planned, changed, "other") if one.quantity == "burden_ml"]
    return found[-1], planned[-1].burdens_ml()


def test_doing_what_is_planned_changes_no_bit(patient: Calibration, tmp_path: Path) -> None:
    """The draws meet the same chances, so that the difference of equal schedules is zero and not only near it."""
    change, _ = burdens(patient, schedule(tmp_path, "same", ""))
    assert np.array_equal(change, np.zeros(QUICK.draws))


def test_leaving_treatment_out_leaves_more_cells_in_every_draw(patient: Calibration, tmp_path: Path) -> None:
    """Radiotherapy and drugs kill; paired, the difference is surer than two forecasts side by side."""
    change, planned = burdens(patient, schedule(tmp_path, "none", "drop: all_planned"))
    assert (change > 0.0).all()
    assert change.std() < np.hypot(planned.std(), (planned + change).std())


def test_more_dose_leaves_fewer_cells(patient: Calibration, tmp_path: Path) -> None:
    """The order of three doses of one fraction is that of what survives."""
    up = burdens(patient, schedule(tmp_path, "up", "scale: [{date: 80, factor: 1.5}]"))[0]
    down = burdens(patient, schedule(tmp_path, "down", "scale: [{date: 80, factor: 0.5}]"))[0]
    assert (up < 0.0).all()
    assert (down > 0.0).all()


def test_days_before_the_first_change_are_the_same(patient: Calibration, tmp_path: Path) -> None:
    """A cause does not act before it: without mechanics the course until then has the same bits."""
    _, other = courses_of(patient, [read_schedule(schedule(tmp_path, "later", "drop: [86]"))])
    (before,), (after,) = predict_days(patient, (86.0,)), predict_days(other.calibration, (86.0,))
    assert np.array_equal(before.densities, after.densities)


def test_a_drug_never_given_enters_with_its_prior(patient: Calibration, tmp_path: Path) -> None:
    """Nothing in this patient's data tells its effect: it varies as the population's, and costs no old parameter."""
    text = "add: [{date: 90, kind: chemotherapy, drug: other, amount_mg: 300}]"
    _, new = courses_of(patient, [read_schedule(schedule(tmp_path, "drug", text))])
    assert new.from_prior == ("kill:other",)
    assert new.calibration.unknowns.names.index("kill:other") < new.calibration.unknowns.names.index(
        "kill:temozolomide"
    )
    at = new.calibration.unknowns.names.index("kill:other")
    assert np.array_equal(np.delete(new.calibration.draws.xi, at, axis=1), patient.draws.xi)
    assert 0.5 < float(new.calibration.draws.xi[:, at].std()) < 1.6
    assert (burdens(patient, tmp_path / "drug.yaml")[0] < 0.0).all()


def test_radiotherapy_never_given_enters_with_its_prior(patient: Calibration) -> None:
    """A patient who was never irradiated has no alpha; one is drawn for each draw, the same in every schedule."""
    at = patient.unknowns.names.index(ALPHA)
    single = tuple(one for one in patient.unknowns.single if one.name != ALPHA)
    never = dataclasses.replace(
        patient,
        unknowns=dataclasses.replace(patient.unknowns, single=single),
        mode=np.delete(patient.mode, at),
        covariance=np.delete(np.delete(patient.covariance, at, axis=0), at, axis=1),
        quantiles=np.delete(patient.bounds, at, axis=1),
        draws=dataclasses.replace(patient.draws, xi=np.delete(patient.draws.xi, at, axis=1)),
        history=dataclasses.replace(patient.history, irradiations=()),
    )
    one, two = under(never, patient.history), under(never, patient.history)
    assert one.unknowns.names == patient.unknowns.names
    assert np.array_equal(one.draws.xi, two.draws.xi)


def test_command_writes_a_forecast_for_each_and_the_differences(
    patient: Calibration, tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """The folder that a planner opens: forecasts side by side, and what the schedule does with its interval."""
    folder = tmp_path / "calibration"
    folder.mkdir()
    save_calibration(patient, folder / "calibration.h5")
    none = schedule(tmp_path, "none", "drop: all_planned")
    new = schedule(tmp_path, "drug", "add: [{date: 90, kind: chemotherapy, drug: other, amount_mg: 300}]")
    out = tmp_path / "what-if"
    words = ["forecast", str(folder), "--do", str(none), "--do", str(new), "--after-days", "20", "--out", str(out)]
    done = palpate_inside(*words)
    assert done.code == 0, done.printed
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"as_planned", "none", "drug"}
    rows = list(csv.DictReader((out / "difference.tsv").open(), delimiter="\t"))
    assert list(rows[0]) == ["schedule", "day", "quantity", "mean", "std", "lower", "upper"]
    assert {(row["schedule"], row["quantity"]) for row in rows} == {
        (name, quantity) for name in ("none", "drug") for quantity in ("enhancing_ml", "visible_ml", "burden_ml")
    }
    record = json.loads((out / "difference.json").read_text())
    from_prior, untried = record["warnings"]
    assert (from_prior["code"], untried["code"]) == ("effect-from-prior", "outside-validated-domain")
    assert "largest edge of the images' voxels 4 mm (tried 3 mm, growth_cohort)" in untried["sentence"]
    assert set(record["domain"]) == {"as_planned", "none", "drug"}
    assert record["draws"] == QUICK.draws
    again = palpate_inside(*words[:2], "--do", str(none), "--do", str(none), "--out", str(tmp_path / "x"))
    assert again.code == 2
    assert "the name none again" in again.printed
