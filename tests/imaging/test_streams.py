"""Streams beside a tumour's images: what is read is what was written, and what cannot be is refused in one sentence."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.imaging.tumour.reading import read_tumour
from palpate.imaging.tumour.streams.reading import read_streams
from palpate.imaging.tumour.streams.table import read_observations_table
from palpate.imaging.tumour.streams.value import StreamValue
from tests.imaging.tumour_study import make_study

HEADER = "subject\tstream\tvalue\tunit\terror\tacquired\tavailable"
FIRST = datetime.date(2025, 1, 6)


def table(folder: Path, *lines: str) -> Path:
    """The table of streams, and the path of a table of sessions beside it."""
    (folder / "observations.tsv").write_text("\n".join((HEADER, *lines)) + "\n")
    return folder / "sessions.tsv"


def read(sessions: Path) -> tuple[tuple[StreamValue, ...], tuple[str, ...]]:
    """The numbers and notes of subject 07."""
    return read_streams(sessions, "07", FIRST, 60.0, {"07", "08"})


def observation(**more: object) -> dict[str, Any]:
    """An Observation of FHIR as a laboratory exports it."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Serum LDH"},
        "subject": {"reference": "Patient/07"},
        "effectiveDateTime": "2025-01-16T06:00:00+01:00",
        "issued": "2025-01-17T06:00:00+01:00",
        "valueQuantity": {"value": 180, "unit": "U/L", "code": "U/L"},
    } | more


def resources(folder: Path, *content: dict[str, Any]) -> Path:
    """A Bundle beside the path of a table of sessions."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in content]}
    (folder / "observations.json").write_text(json.dumps(bundle))
    return folder / "sessions.tsv"


def test_a_table_and_a_bundle_say_the_same(tmp_path: Path) -> None:
    """A hospital's export and a scientist's table are two spellings of one fact: same day, value, unit."""
    rows = table(tmp_path, "07\tserum_ldh\t180\tU/L\t\t2025-01-16T06:00\t2025-01-17T06:00")
    from_table, _ = read(rows)
    (tmp_path / "observations.tsv").unlink()
    from_bundle, _ = read(resources(tmp_path, observation()))
    assert from_table == from_bundle == (StreamValue("serum_ldh", "U/L", 10.25, 11.25, 180.0, None),)


def test_lines_and_components_are_read(tmp_path: Path) -> None:
    """Archives export a resource a line; a panel states its numbers in components."""
    part = {"code": {"text": "diastolic"}, "valueQuantity": {"value": 80, "code": "mm[Hg]"}}
    panel = observation(code={"coding": [{"code": "85354-9"}]}, component=[part])
    del panel["valueQuantity"]
    (tmp_path / "observations.ndjson").write_text(json.dumps(observation()) + "\n" + json.dumps(panel) + "\n")
    values, _ = read(tmp_path / "sessions.tsv")
    assert {(one.stream, one.value) for one in values} == {("serum_ldh", 180.0), ("85354_9.diastolic", 80.0)}


def test_a_correction_is_kept_beside_what_it_replaces(tmp_path: Path) -> None:
    """What was known on a day must be answerable later, so that the first result stays with its own day."""
    lines = ["07\tldh\t180\tU/L\t\t2025-01-16\t2025-01-17", "07\tldh\t210\tU/L\t5\t2025-01-16\t2025-01-20"]
    values, _ = read(table(tmp_path, *lines))
    assert [(one.available, one.value, one.error) for one in values] == [(11.0, 180.0, None), (14.0, 210.0, 5.0)]


def test_a_bare_day_of_availability_may_be_that_of_the_measurement(tmp_path: Path) -> None:
    """A result of 8:30 that was known the same day is no contradiction to midnight."""
    values, _ = read(table(tmp_path, "07\tldh\t180\tU/L\t\t2025-01-16T08:30\t2025-01-16"))
    assert values[0].available == values[0].acquired


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Results in error, without a number, or of nobody in the study do not vanish in silence."""
    text = observation(valueString="negative")
    del text["valueQuantity"]
    stranger = observation(subject={"reference": "Patient/99"})
    values, notes = read(resources(tmp_path, observation(status="entered-in-error"), text, stranger))
    assert not values
    assert len(notes) == 3
    assert "99" not in " ".join(notes)


def test_a_stream_that_stops_is_said(tmp_path: Path) -> None:
    """A regular stream without values of late may have been cut off by an export."""
    lines = [f"07\tldh\t{180 + day}\tU/L\t\t2025-01-{day:02d}\t" for day in (7, 10, 13, 16)]
    _, notes = read(table(tmp_path, *lines))
    assert any("ldh has no value in the last 50 days" in note for note in notes)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("07\tldh\t180\tU/L\t\t2025-01-16\t", "07\tldh\t190\tU/L\t\t2025-01-16\t"), "two values of ldh for one time"),
        (("07\tldh\t180\tU/L\t\t2025-01-16\t",) * 2, "the same line twice"),
        (("07\tldh\t180\tU/L\t\t2025-01-16\t2025-01-15",), "before it was acquired"),
        (("07\tldh\t180\tU/L\t\t2025-03-02\t2025-02-04",), "Day and month of one of them look exchanged"),
        (("07\tldh\t180\tU/L\t\t2999-01-16\t",), "a date in the future"),
        (("07\tldh\t180\tU/L\t\t2025-01-16\t", "07\tldh\t3\tukat/L\t\t2025-01-20\t"), "ldh in ukat/L, after U/L"),
        (("07\tldh\tnan\tU/L\t\t2025-01-16\t",), "finite number"),
        (("07\tldh\t<5\tU/L\t\t2025-01-16\t",), "bound of detection"),
        (("07\tldh\t1,5\tU/L\t\t2025-01-16\t",), "decimal point"),
        (("07\tldh\t180\t\t\t2025-01-16\t",), "no unit"),
        (("07\tldh\t180\tU per L\t\t2025-01-16\t",), "as UCUM writes it"),
        (("07\tldh\t180\tU/L\t-1\t2025-01-16\t",), "positive standard deviation"),
        (("07\tldh\t180\tU/L\tnan\t2025-01-16\t",), "finite number"),
        (("07\tldh\t180\tU/L\t\t16.01.2025\t",), "ISO 8601"),
        (("07\tldh\t180\tU/L\t\t2025-13-01\t",), "ISO 8601"),
        (("07\tserum LDH\t180\tU/L\t\t2025-01-16\t",), "a name of letters"),
        (("\tldh\t180\tU/L\t\t2025-01-16\t",), "no subject"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, lines: tuple[str, ...], sentence: str) -> None:
    """Each would become a wrong number with a straight face; the error names file, line and remedy."""
    with pytest.raises(InputError, match=sentence) as refused:
        read(table(tmp_path, *lines))
    assert "observations.tsv, line" in str(refused.value)


def test_an_exchanged_day_and_month_is_recognised(tmp_path: Path) -> None:
    """The commonest slip of a date: read in June, the 11th of May written as the 5th of November lies in the future."""
    path = table(tmp_path, "07\tldh\t180\tU/L\t\t2025-11-05\t").with_name("observations.tsv")
    with pytest.raises(InputError, match="Day and month look exchanged"):
        read_observations_table(path, datetime.date(2025, 6, 1))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"status": "perhaps"}, "status"),
        ({"subject": {}}, "subject"),
        ({"code": {}}, "code"),
        ({"effectiveDateTime": None}, "effectiveDateTime"),
        ({"effectiveDateTime": "2999-01-01"}, "in the future"),
        ({"issued": "2025-01-01T00:00:00Z"}, "before it was acquired"),
        ({"valueQuantity": {"value": "high", "code": "U/L"}}, "finite number"),
        ({"valueQuantity": {"value": True, "code": "U/L"}}, "finite number"),
        ({"valueQuantity": {"value": 5, "code": "U/L", "comparator": "<"}}, "bound of detection"),
        ({"valueQuantity": {"value": 5}}, "no unit"),
    ],
)
def test_an_observation_that_cannot_be_used_is_refused(
    tmp_path: Path, changed: dict[str, object], sentence: str
) -> None:
    """An export of a hospital is no more trusted than a table, and its errors repeat no identity."""
    with pytest.raises(InputError, match=sentence):
        read(resources(tmp_path, observation(**changed)))


@pytest.mark.parametrize("content", ["[1]", "{", '{"resourceType": "Patient"}', "\udcff"])
def test_a_file_that_is_no_fhir_is_refused(tmp_path: Path, content: str) -> None:
    """Whatever lies under the name is named, not guessed at."""
    (tmp_path / "observations.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"observations\.json"):
        read(tmp_path / "sessions.tsv")


def test_streams_are_kept_beside_the_history(tmp_path: Path) -> None:
    """What was measured goes into the history, in days and without dates, and comes back unchanged."""
    make_study(tmp_path)
    sessions = table(tmp_path, "07\tldh\t180\tU/L\t4\t2025-01-16\t2025-01-17", "08\tldh\t1\tU/L\t\t2025-01-01\t")
    history = read_tumour(read_study(sessions), "07", TumourSettings(), table=sessions).history
    assert history.streams == (StreamValue("ldh", "U/L", 10.0, 11.0, 180.0, 4.0),)
    path = tmp_path / "out" / "history.h5"
    path.parent.mkdir()
    write_history(path, history)
    assert read_history(path).streams == history.streams
    assert b"2025-01" not in path.read_bytes()
