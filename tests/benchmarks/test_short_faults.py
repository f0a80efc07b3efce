"""The benchmark of faults in its short version, as from a terminal: every stage of the workflow, killed three times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.short_run import record_of
from tests.conftest import CHECKOUT

KILLS = 3


@pytest.mark.long
def test_every_rule_is_killed_and_made_again(tmp_path: Path) -> None:
    """A rule that the tiny study does not have would never be disturbed; a re-run must give the undisturbed bits.

    It takes some ten minutes of processor time, far more than CI has room for.
    """
    rows, _ = record_of("faults", tmp_path / "out")
    rules = set()
    for path in (CHECKOUT / "workflow" / "rules").glob("*.smk"):
        rules |= set(re.findall(r"^rule (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE))
    killed = {name.removeprefix("kill -9, "): row for name, row in rows.items() if name.startswith("kill -9, ")}
    assert killed.keys() == rules
    assert {row.ours for row in killed.values()} == {float(KILLS)}
    assert rows["faults whose re-run was not as undisturbed"].verdict == "met"
