"""The documentation says what the records say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from document import documents, outdated, read_records
from harness.record import Row, write_record

from tests.conftest import CHECKOUT

MISSED = Row("median |error|", "%", 9.0, 9.4, {"direct": 14.0}, "<= 7")
PICTURE = "docs/pictures/phantom_box.svg: Errors"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one benchmark and one record, whose only goal was missed."""
    for folder in ("benchmarks/results", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(CHECKOUT / "benchmarks" / "phantom_box.py", tmp_path / "benchmarks")
    text = "above\n<!-- benchmarks:begin -->\nold\n<!-- benchmarks:end -->\nbelow\n"
    (tmp_path / "README.md").write_text(text)
    out = tmp_path / "benchmarks" / "results" / "phantom_box.json"
    write_record("phantom_box", [MISSED], published="Nobody 1900", seconds=1.0, notes=["noted", PICTURE], out=out)
    return tmp_path


def test_the_documents_are_up_to_date() -> None:
    """A record or a benchmark that changed without its page: run python benchmarks/document.py."""
    assert not [path.name for path in outdated()]


def test_a_missed_goal_is_said(checkout: Path) -> None:
    """In the page by how much, on the front page of how many; bars in names do not break the table."""
    made, readme = documents(checkout).values()
    assert "**0 of 1 goals met.** Missed: median |error| (missed by 2 %)." in made
    row = r"median \|error\|, % | 9 | 9.4 |"
    assert f"| {row} 14 | <= 7 | missed by 2 |" in made
    assert f"| 0/1 | {row} <= 7 |" in readme
    for text in ("Nobody 1900", "- noted\n", "![Errors](pictures/phantom_box.svg)", "a stiff sphere"):
        assert text in made


def test_a_met_goal_hides_no_missed_one(checkout: Path) -> None:
    """The front page shows one row of a benchmark; 17 x "met" there stood for goals missed elsewhere."""
    record = checkout / "benchmarks" / "results" / "phantom_box.json"
    content = json.loads(record.read_text())
    missed = content["rows"][0]
    content["rows"] = [missed | {"ours": 6.0}, missed, missed, missed | {"goal": ""}]
    record.write_text(json.dumps(content))
    (readme,) = (text for path, text in documents(checkout).items() if path.name == "README.md")
    assert "| 1/3 |" in readme


def test_only_the_table_of_the_readme_changes(checkout: Path) -> None:
    """What people wrote around the markers stays, and writing twice changes nothing."""
    for path, text in outdated(checkout).items():
        path.write_text(text)
    lines = (checkout / "README.md").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("above", "below")
    assert "old" not in lines
    assert not outdated(checkout)


def test_a_changed_record_makes_both_outdated(checkout: Path) -> None:
    """The check of `--check` can fail."""
    for path, text in outdated(checkout).items():
        path.write_text(text)
    record = checkout / "benchmarks" / "results" / "phantom_box.json"
    content = json.loads(record.read_text())
    content["rows"][0]["ours"] = 6.9
    record.write_text(json.dumps(content))
    assert [path.name for path in outdated(checkout)] == ["benchmarks.md", "README.md"]


def test_a_record_without_its_benchmark_is_refused(checkout: Path) -> None:
    """A figure that nobody can make again is none."""
    (checkout / "benchmarks" / "phantom_box.py").unlink()
    with pytest.raises(ValueError, match="belongs to no benchmark"):
        read_records(checkout)
