"""Measurements and records that cannot be, or are odd: each an error or a statement of one sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.errors import InputError
from palpate.twin.assimilation.assimilate import assimilate, present
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.record_file import load_record, save_record
from palpate.twin.assimilation.setup import FilterSettings, Localisation, ParameterDrift, Regimes
from palpate.twin.state_space.event import Event
from tests.twin.assimilation.linear_model import events_of, linear_setup
from tests.twin.assimilation.test_late_results import TODAY, VISITS, scalar_setup, volume

SETUP = scalar_setup("unscented")


def _assimilated(*events: Event, day: float = TODAY) -> LifelongRecord:
    return assimilate(SETUP, begin_record(SETUP, "sub-01"), events, day)


def test_two_values_for_one_time() -> None:
    """Nobody can tell which of them counts."""
    with pytest.raises(InputError, match=r"stream volume: found two values for day 10, both available on day 10"):
        _assimilated(volume(10.0, 1.9), volume(10.0, 2.0))
    record = _assimilated(volume(10.0, 1.9))
    with pytest.raises(InputError, match="two values for day 10"):
        assimilate(SETUP, record, (volume(10.0, 2.0),), TODAY)


def test_a_future_acquisition() -> None:
    """Day and month exchanged, mostly."""
    with pytest.raises(InputError, match=r"found a value acquired on day 61, after today, day 60"):
        _assimilated(volume(61.0, 1.9))


def test_available_before_acquired() -> None:
    """A result cannot be known before it is measured."""
    with pytest.raises(ValueError, match="volume: available on day 9, before it was acquired on 10"):
        volume(10.0, 1.9, available=9.0)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0, np.nan, "a value or error on day 3 is not a finite number"),
        (np.nan, 1.0, "a value or error on day 3 is not a finite number"),
        (1.0, 0.0, "the covariance of errors on day 3 is not positive definite"),
        (1.0, -1.0, "the covariance of errors on day 3 is not positive definite"),
    ],
)
def test_numbers_that_are_none(value: float, error: float, message: str) -> None:
    """One NaN in a covariance would spread over the whole state."""
    with pytest.raises(ValueError, match=message):
        Event(3.0, 3.0, "volume", np.array([value]), np.array([[error]]))


def test_a_duplicate_visit() -> None:
    """The same value given twice counts once, and it is said."""
    record = _assimilated(*VISITS, VISITS[1])
    (said,) = record.warnings
    assert said.code == "result-repeated"
    assert said.sentence == "volume of day 10 was given twice with the same value and is used once."
    assert len(record.innovations) == len(VISITS)


def test_another_length_than_the_stream() -> None:
    """Two numbers for a stream of one."""
    two = Event(3.0, 3.0, "volume", np.ones(2), np.eye(2))
    with pytest.raises(InputError, match=r"found 2 numbers on day 3; expected 1 \(ln_volume_ml\)"):
        _assimilated(two)


def test_a_stream_that_stops() -> None:
    """Six visits ten days apart, then none for forty days."""
    weekly = [volume(10.0 * number, 1.7) for number in range(6)]
    assert not _assimilated(*weekly, day=70.0).warnings
    (said,) = _assimilated(*weekly, day=90.0).warnings
    assert said.code == "stream-stopped"
    assert said.sentence == "volume had a value every 10 days and has had none for 40."


def test_a_stream_without_a_model_is_stored_and_not_used() -> None:
    """The state is that without it, the record keeps it, and it is listed."""
    score = Event(20.0, 20.0, "karnofsky", np.array([80.0]), np.eye(1))
    record, without = _assimilated(*VISITS, score), _assimilated(*VISITS)
    assert score in record.events
    (said,) = record.warnings
    assert said.code == "stream-without-model"
    assert said.sentence.startswith("karnofsky: 1 values are stored and not assimilated")
    assert np.array_equal(record.checkpoints[-1].belief.moments()[0], without.checkpoints[-1].belief.moments()[0])


def test_a_measurement_before_day_0_is_said() -> None:
    """The model has no state before its first day."""
    record = _assimilated(volume(-3.0, 1.0), *VISITS)
    assert [one.code for one in record.warnings] == ["result-before-first-scan"]
    assert len(record.innovations) == len(VISITS)


def test_days_that_cannot_be() -> None:
    """Time goes on; an earlier day would silently forget what came after."""
    record = _assimilated(*VISITS)
    for day in (59.0, np.nan, np.inf):
        with pytest.raises(InputError, match="expected a day from that of the record, 60, on"):
            assimilate(SETUP, record, (), day)
    with pytest.raises(InputError, match="expected a day from that of the last visit, 55, on"):
        present(SETUP, record, 54.0)


def test_a_record_of_another_rung_or_setup() -> None:
    """Its states mean something else."""
    linear = linear_setup("unscented")
    with pytest.raises(InputError, match="found a record of the rung scalar tumour; expected one of the rung linear"):
        assimilate(linear, _assimilated(*VISITS), events_of(1)[0], TODAY)
    with pytest.raises(InputError, match="found an assimilation with another setup"):
        present(scalar_setup("extended"), _assimilated(*VISITS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drifts": (ParameterDrift("growth", 0.1),)}, "expected parameters of the rung scalar tumour, found growth"),
        ({"drifts": (ParameterDrift("alpha", 0.1),) * 2}, "expected one drift a parameter"),
        ({"observations": (SETUP.observations[0],) * 2}, "expected one observation model a stream"),
        ({"localisation": Localisation(np.zeros((1, 3)), {}, 5.0)}, "expected the ensemble filter with a taper"),
        ({"regimes": Regimes("none", (), ("kill",))}, "expected parameters of the rung scalar tumour, found kill"),
    ],
)
def test_setups_that_cannot_be(change: dict[str, object], message: str) -> None:
    """A misspelt parameter would otherwise never drift, in silence."""
    with pytest.raises(ValueError, match=message):
        replace(SETUP, **change)  # type: ignore[arg-type]


def test_numbers_of_a_setup_that_cannot_be() -> None:
    """Each value is refused where it is made."""
    for make in (
        lambda: ParameterDrift("alpha", 0.0),
        lambda: FilterSettings("ensemble", 3),
        lambda: FilterSettings(spread=0.0),
        lambda: Regimes("a", ((5.0, "b"), (5.0, "c")), ()),
        lambda: Regimes("a", ((5.0, "a"),), ()),
        lambda: Regimes("a", (), (), similarity=1.1),
        lambda: Localisation(np.zeros((1, 3)), {}, 0.0),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "value", "header", "format", "array"])
def test_a_damaged_record(tmp_path: Path, damage: str) -> None:
    """A record is for life: no damage may pass for a patient's state."""
    path = tmp_path / "record.h5"
    save_record(_assimilated(*VISITS), path)
    match damage:
        case "missing":
            path.unlink()
        case "text":
            path.write_text("no record")
        case "cut":
            path.write_bytes(path.read_bytes()[:-3000])
        case _:
            with h5py.File(path, "r+") as file:
                if damage == "value":
                    file["checkpoint-1/mean"][0] += 1e-12
                elif damage == "header":
                    text = str(file["header"].asstr()[()])
                    del file["header"]
                    file["header"] = re.sub(r"sub-01", "sub-02", text)
                elif damage == "format":
                    file.attrs["format"] = "palpate lifelong record 0"
                else:
                    del file["checkpoint-2"]
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_record(path)


def test_an_interrupted_save_leaves_the_earlier_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut while a visit is stored must not cost the years before it."""
    path = tmp_path / "record.h5"
    save_record(_assimilated(*VISITS[:3]), path)
    before = path.read_bytes()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "create_dataset", stop)
    with pytest.raises(KeyboardInterrupt):
        save_record(_assimilated(*VISITS), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["record.h5"]
