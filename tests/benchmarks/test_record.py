"""A record says plainly whether a goal was met, keeps every figure and gives nobody away."""

from __future__ import annotations

import getpass
import json
import math
import platform
from pathlib import Path

import pytest
from harness.record import Row, write_record

from palpate.records.goals import figure, judge
from tests.conftest import CHECKOUT


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        ("<= 20", 20.0, "met"),
        ("<= 20", 25.5, "missed by 5.5"),
        ("< 5", 5.0, "missed by 0"),
        (">= -1.5e-3", -2e-3, "missed by 0.0005"),
        ("93..97", 93.0, "met"),
        ("93..97", 97.0, "met"),
        ("93..97", 91.2, "missed by 1.8"),
        ("93..97", 98.0, "missed by 1"),
        ("-2..2", -2.5, "missed by 0.5"),
        ("<= 20", None, "missed: no figure"),
        ("no worse than direct inversion", 1.0, ""),
        ("", None, ""),
    ],
)
def test_goals_are_judged(goal: str, value: float | None, verdict: str) -> None:
    """The ends of a range meet it; an absent figure never does; prose is left to the reader."""
    assert judge(goal, value) == verdict


@pytest.mark.parametrize("goal", ["<= 20 %", "<20mm", "93...97", "93..", "=> 3..4", ">"])
def test_a_goal_that_only_looks_judged_is_refused(goal: str) -> None:
    """Taken for prose it would silently never be missed."""
    with pytest.raises(ValueError, match="neither a bound"):
        judge(goal, 1.0)


@pytest.mark.parametrize("value", [0.0, 9.4, 100.0, -3.25, 0.00123456, 99.999, 123456.7, 1e-7, 2.5e9])
def test_a_figure_keeps_its_size(value: float) -> None:
    """Three digits at least: dropping zeros must not drop those of 100, nor rounding change a goal's side by more."""
    assert float(figure(value)) == pytest.approx(value, rel=5e-3, abs=0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_is_finite(value: float) -> None:
    """NaN compares false with every bound and is no JSON."""
    with pytest.raises(ValueError, match="no figure"):
        Row("error", "%", value, None)
    with pytest.raises(ValueError, match="no figure"):
        Row("error", "%", 1.0, None, {"direct": value})


def test_the_record_holds_what_was_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows come back from the file as they were, and the table shows every method and every missed goal."""
    rows = [
        Row("error of G'", "%", 5.25, 9.4, {"direct inversion": 12.0}, "<= 7"),
        Row("coverage", "%", 91.0, "none reported", {"other": 1.0}, "93..97"),
        Row("width", "mm", None, None, goal="> 0"),
    ]
    path = write_record("test", rows, published="Nobody 1900", seconds=1.25, notes=["one"], out=tmp_path / "r.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [Row(**row) for row in content["rows"]] == rows
    printed = capsys.readouterr().out
    for text in ("9.4", "none reported", "direct inversion", "other", "met", "missed by 2", "missed: no figure"):
        assert text in printed
    assert content["published"] == "Nobody 1900"
    assert content["notes"] == ["one"]
    assert content["versions"]["numpy"]
    assert len(content["commit"]) == 40


def test_the_record_gives_nobody_away(tmp_path: Path) -> None:
    """Records are published: no host, no user, no path."""
    path = write_record("test", [], published="", seconds=0.0, out=tmp_path / "r.json")
    text = path.read_text(encoding="utf-8")
    for secret in (platform.node(), getpass.getuser(), str(CHECKOUT), str(Path.home()), str(tmp_path)):
        assert f'"{secret}"' not in text
        assert len(secret) < 5 or secret not in text
