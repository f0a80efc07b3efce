"""Progress that a log can hold and that several ranks do not repeat."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from palpate.launcher import launcher_rank, launcher_size
from palpate.progress import (
    Loudness,
    Progress,
    detail,
    duration_text,
    say,
    set_loudness,
    track,
)


class _Full(io.StringIO):
    """A log on a full disk."""

    def write(self, _: str, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_log_stays_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Thousands of quick zones make one line in a log: the last."""
    assert list(track(range(5000), "zones", total=5000)) == list(range(5000))
    assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == ["5000/5000 zones"]


def test_slow_work_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """Between two lines no more than the chosen time passes, with an estimate of what is left."""
    progress = Progress("zones", total=2, log_every_s=0.0)
    progress.step()
    assert "1/2 zones, about 0 s left" in capsys.readouterr().err


def test_only_the_first_rank_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty-two ranks must not print each line thirty-two times."""
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    assert (launcher_rank(), launcher_size()) == (1, 2)
    say("hello")
    Progress("zones", total=1).step()
    assert capsys.readouterr().err == ""


def test_a_log_on_a_full_disk_costs_its_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps may lie on another disk than the log: hours of work must not end because a line cannot be written."""
    monkeypatch.setattr(sys, "stderr", _Full())
    say("hello")
    Progress("zones", total=1).step()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "5 s"), (41, "40 s"), (58, "1 min"), (350, "6 min"), (3580, "1 h"), (7000, "2 h"), (7900, "2 h 10 min")],
)
def test_durations_are_round(seconds: float, text: str) -> None:
    """An estimate is not known to the second, and must not look as if it were."""
    assert duration_text(seconds) == text


def test_loudness(capsys: pytest.CaptureFixture[str]) -> None:
    """-q silences progress, -v adds details; the rule is undone, because one process runs all tests."""
    try:
        for loudness, expected in ((Loudness.QUIET, []), (Loudness.NORMAL, ["b"]), (Loudness.VERBOSE, ["a", "b"])):
            set_loudness(loudness)
            detail("a")
            say("b")
            assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == expected
    finally:
        set_loudness(Loudness.NORMAL)
