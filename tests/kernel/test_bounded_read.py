"""A record larger than any that palpate writes is refused before it is parsed: it could be larger than the memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from palpate.bounded_read import MOST_BYTES, OversizeError, read_bounded
from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.registration.placement import ENDING, read_placement
from palpate.output_kinds import FileKind, json_kind
from palpate.output_marker import MARKER, read_mark
from palpate.outputs import claim_file
from palpate.receipt import is_as_received

KIND = FileKind("report", "record", (".json",), json_kind("exams"))


@pytest.fixture
def never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any parsing fail."""

    def fails(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("json.loads", fails)


def _large(path: Path) -> Path:
    """Write a record of 10 GB; nearly all of it is a hole that takes no room on the disk."""
    with path.open("wb") as stream:
        stream.write(b'{"Units": "kPa"}')
        stream.truncate(10 << 30)
    return path


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "record of a step": ("sub-01_inversion.json", read_json, "found more than 64 MB; expected the record of a step"),
    "transform": (f"sub-01{ENDING}", lambda path: read_placement(path.parent, "sub-01"), "record that cannot be used"),
    "file to replace": ("report.json", lambda path: claim_file(path, KIND, {}), "palpate report did not write"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.usefixtures("never_parsed")
def test_large_record_is_refused_unparsed(what: str, tmp_path: Path) -> None:
    """Whoever reads a results folder from elsewhere must not lose the machine's memory to one of its files."""
    name, read, said = REFUSED[what]
    with pytest.raises(InputError, match=said):
        read(_large(tmp_path / name))


@pytest.mark.usefixtures("never_parsed")
def test_large_bookkeeping_counts_as_none(tmp_path: Path) -> None:
    """A marker or a receipt that palpate cannot have written says nothing."""
    _large(tmp_path / MARKER)
    assert read_mark(tmp_path).files is None
    (tmp_path / "page.html").write_text("page")
    _large(tmp_path / ".page.html.receipt.json")
    assert is_as_received(tmp_path / "page.html") is None


def test_limit_is_of_what_is_read(tmp_path: Path) -> None:
    """A device states no size; a file of just the limit is read."""
    with pytest.raises(OversizeError):
        read_bounded(Path("/dev/zero"))
    with (tmp_path / "full").open("wb") as stream:
        stream.truncate(MOST_BYTES)
    assert len(read_bounded(tmp_path / "full")) == MOST_BYTES
