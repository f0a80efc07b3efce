"""A patient that is followed by files: what is late, replaced, unknown, wrong or interrupted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, TumourHistory
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.imaging.tumour.streams.value import StreamValue
from palpate.twin.assimilation.record import LifelongRecord
from palpate.twin.assimilation.record_file import load_record
from palpate.twin.follow import patient_files, patient_setup
from palpate.twin.follow.patient_files import assimilate_into, state_beside
from palpate.twin.follow.patient_setup import patient_setup as setup_of
from palpate.twin.follow.update import followed
from tests.twin.drawn import drawn
from tests.twin.small import DAYS, SETTINGS, history

LATE = StreamValue("enhancing_volume", "mL", 50.0, 75.0, 3.0, 1.0)
LDH = StreamValue("serum_ldh", "U/L", 5.0, 6.0, 180.0, 9.0)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_setup, "PARTICLES", 200)


def _until(scans: int, *streams: StreamValue) -> TumourHistory:
    whole = history()
    return replace(whole, scans=whole.scans[:scans], streams=streams)


def _run(tmp_path: Path, given: TumourHistory, day: float | None = None, rung: str = "logistic") -> LifelongRecord:
    write_history(tmp_path / "history.h5", given)
    return assimilate_into(tmp_path / "history.h5", tmp_path / "record.h5", SETTINGS, rung, day=day)[1]


def _fresh(tmp_path: Path) -> LifelongRecord:
    """The record of one run from nothing, of the history as its file has it."""
    given = read_history(tmp_path / "history.h5")
    return followed(setup_of(given, SETTINGS, "logistic"), given, SETTINGS)


def _state(tmp_path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    return told


def _same(one: LifelongRecord, other: LifelongRecord) -> None:
    assert [visit.key for visit in one.checkpoints] == [visit.key for visit in other.checkpoints]
    for a, b in zip(one.checkpoints, other.checkpoints, strict=True):
        assert np.array_equal(a.belief.moments()[0], b.belief.moments()[0])


def test_visit_by_visit_and_late_equals_all_at_once(tmp_path: Path) -> None:
    """The record of three runs, with a result that comes after a later scan, is that of one run to the last bit."""
    for given, day in ((_until(1), 0.0), (_until(3), 70.0), (_until(3, LATE), 80.0)):
        record = _run(tmp_path, given, day)
    (tmp_path / "other").mkdir()
    _same(record, _run(tmp_path / "other", _until(3, LATE), 80.0))
    assert [visit.day for visit in record.checkpoints] == [0.0, 25.0, 50.0, 70.0]


def test_the_state_names_the_rung_on_every_line_and_says_what_is_unidentified(tmp_path: Path) -> None:
    """Two scans before any treatment say nothing of its effect: alpha's posterior is its prior."""
    _run(tmp_path, _until(2))
    told = _state(tmp_path)
    lines = [*told["state"], *told["parameters"], *told["innovations"], *told["streams"]]
    assert {one["rung"] for one in lines} == {"logistic"}
    says = {one["name"]: one["says"] for one in told["parameters"]}
    assert says["alpha"] == says["kill:temozolomide"] == "unidentified"
    assert says["flair_per_burden"] == "informed"
    assert {one["verdict"] for one in told["innovations"]} <= {"as expected", "odd", "wrong"}
    for one in told["state"]:
        assert one["lower"] <= one["median"] <= one["upper"]


def test_one_scan_is_the_population(tmp_path: Path) -> None:
    """Nothing has been seen to change yet."""
    _run(tmp_path, _until(1))
    assert _state(tmp_path)["basis"] == "population, not this patient"


def test_a_stream_without_a_model_is_stored_and_said(tmp_path: Path) -> None:
    """The state is that without it."""
    with_it = _run(tmp_path, _until(2, LDH))
    write_history(tmp_path / "history.h5", _until(2))
    _same(with_it, _fresh(tmp_path))
    rows = {one["stream"]: one for one in _state(tmp_path)["measurements"]}
    assert rows["serum_ldh"] == {"stream": "serum_ldh", "stored": 1, "assimilated": 0, "model": False}
    said = [one["sentence"] for one in _state(tmp_path)["warnings"] if one["code"] == "stream-without-model"]
    assert any(one.startswith("serum_ldh: 1 values are stored and not assimilated") for one in said)


def test_a_scan_that_was_drawn_anew_replaces_its_numbers(tmp_path: Path) -> None:
    """A corrected contour counts from its own day on, as if it had always been so."""
    _run(tmp_path, _until(2))
    whole = _until(3)
    second = replace(whole.scans[1], roi=whole.scans[2].roi)
    corrected = replace(whole, scans=(whole.scans[0], second, whole.scans[2]))
    record = _run(tmp_path, corrected)
    assert "scan-numbers-replaced" in [one.code for one in record.warnings]
    np.testing.assert_array_equal(record.innovations[-1].normalised, _fresh(tmp_path).innovations[-1].normalised)


def test_a_scan_corrected_on_the_same_day(tmp_path: Path) -> None:
    """The record keeps one value for one time."""
    _run(tmp_path, _until(2))
    whole = _until(2)
    corrected = replace(whole, scans=(whole.scans[0], replace(whole.scans[1], roi=whole.scans[0].roi)))
    record = _run(tmp_path, corrected)
    _same(record, _fresh(tmp_path))


def test_a_treatment_that_changes_has_later_visits_run_again(tmp_path: Path) -> None:
    """A dose that was forgotten acts on all visits after it."""
    before = _run(tmp_path, _until(3))
    more = replace(_until(3), drug_doses=(DrugDose(30.0, "temozolomide", 3000.0), *_until(3).drug_doses))
    after = _run(tmp_path, more)
    assert [a.key == b.key for a, b in zip(before.checkpoints, after.checkpoints, strict=True)] == [True, True, False]


def test_no_later_scan_changes_the_numbers_of_an_earlier_one(tmp_path: Path) -> None:
    """Otherwise each visit would replace all results before it."""
    _run(tmp_path, _until(2))
    assert not any(one.code == "scan-numbers-replaced" for one in _run(tmp_path, _until(3)).warnings)


def test_a_kill_leaves_the_old_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it comes: here while the new record is written."""
    _run(tmp_path, _until(2))
    before = {path.name: path.read_bytes() for path in tmp_path.glob("record.*")}
    assert set(before) == {"record.h5", "record.json"}
    write = patient_files.write_record

    def killed(record: LifelongRecord, path: Path) -> None:
        write(record, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(patient_files, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, _until(3))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("record.*")} == before
    assert load_record(tmp_path / "record.h5").day == DAYS[1]


BAD: dict[str, tuple[Callable[[], TumourHistory], str]] = {
    "unit": (lambda: _until(3, replace(LATE, unit="cm")), "found the unit cm; expected a volume, such as mL"),
    "negative": (lambda: _until(3, replace(LATE, value=-1.0)), "found -1 mL; expected no negative number"),
    "two values": (
        lambda: _until(3, replace(LATE, acquired=25.0, available=25.0)),
        "found two values for day 25, both available on day 25",
    ),
    "future": (lambda: _until(3, replace(LATE, acquired=300.0, available=300.0)), "after today, day 80"),
    "another patient": (lambda: replace(_until(3), subject="other"), "found the record of sub-small"),
    "no tumour at first": (
        lambda: replace(
            _until(3),
            scans=(
                replace(
                    _until(3).scans[0],
                    roi=np.zeros_like(_until(3).scans[0].roi),
                    drawn=True,
                    cellularity=np.full(_until(3).tissue.shape, np.nan),
                ),
                *_until(3).scans[1:],
            ),
        ),
        "found no tumour in the first scan",
    ),
    "unknown drug": (
        lambda: replace(_until(3), drug_doses=(DrugDose(10.0, "nosuchdrug", 1.0),)),
        "found the drug nosuchdrug",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_and_changes_nothing(name: str, tmp_path: Path) -> None:
    """Each with a sentence, and the record stays as it was."""
    _run(tmp_path, _until(2))
    before = (tmp_path / "record.h5").read_bytes()
    make, message = BAD[name]
    with pytest.raises(InputError, match=re.escape(message)):
        _run(tmp_path, make(), 80.0)
    assert (tmp_path / "record.h5").read_bytes() == before


def test_rungs_that_no_filter_follows_are_refused(tmp_path: Path) -> None:
    """The lattice with the reason, a misspelt name with the choice; another rung's record is not overwritten."""
    _run(tmp_path, _until(1))
    for rung, message in (
        ("lattice", "found lattice, whose thousands of voxels no filter"),
        ("radiall", "found 'radiall'; expected radial or logistic"),
        ("radial", "found a record of the rung logistic; expected one of the rung radial"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            _run(tmp_path, _until(1), rung=rung)


def test_a_day_before_the_records(tmp_path: Path) -> None:
    """The record does not forget."""
    _run(tmp_path, _until(3))
    with pytest.raises(InputError, match="expected a day from that of the record, 70, on"):
        _run(tmp_path, _until(2), 25.0)


def test_outputs_replace_no_input_and_no_other_file(tmp_path: Path) -> None:
    """The history is an input; a text beside is somebody's."""
    write_history(tmp_path / "history.h5", _until(1))
    with pytest.raises(InputError, match="found the input history itself"):
        assimilate_into(tmp_path / "history.h5", tmp_path / "history.h5", SETTINGS)
    (tmp_path / "record.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match=r"record\.json"):
        assimilate_into(tmp_path / "history.h5", tmp_path / "record.h5", SETTINGS)
    assert state_beside(tmp_path / "record.h5").read_text() == '{"mine": 1}'


def test_the_model_begins_with_a_calibration() -> None:
    """Scans that the calibration used are part of the prior and not used twice; its rates are the prior's."""
    calibration, whole = drawn(20), history()
    whole = replace(whole, scans=(*whole.scans, replace(whole.scans[-1], day=100.0)))
    setup = setup_of(whole, SETTINGS, "radial", calibration)
    prior = {one.name: one for one in setup_of(whole, SETTINGS, "radial").model.parameters}
    mine = {one.name: one for one in setup.model.parameters}
    assert setup.begins == DAYS[-1]
    for name in ("proliferation", "diffusivity", "alpha"):
        assert mine[name].std < prior[name].std
    record = followed(setup, whole, SETTINGS)
    assert {one.acquired for one in record.innovations} == {100.0}
    assert len(record.events) > len(record.innovations)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "other"}, "found a calibration of sub-other; expected one of sub-small"),
        ({"scans": None}, "found a calibration whose last scan is of day 99"),
    ],
)
def test_a_calibration_of_another_tumour(change: dict[str, Any], message: str) -> None:
    """Its rates would be another patient's."""
    calibration, whole = drawn(4), history()
    if "scans" in change:
        change = {"scans": (*whole.scans[:-1], replace(whole.scans[-1], day=99.0))}
    other = replace(calibration, history=replace(calibration.history, **change))
    with pytest.raises(InputError, match=re.escape(message)):
        setup_of(whole, SETTINGS, "radial", other)
