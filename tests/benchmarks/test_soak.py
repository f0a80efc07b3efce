"""The soak benchmark in its short version, as from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.short_run import record_of


@pytest.mark.long
def test_soak(tmp_path: Path) -> None:
    """Thirty sessions through one Python process and thirty looks at a study leave no file open (2 min).

    What memory does in so few sessions is not judged: caches still fill.
    """
    rows, facts = record_of("soak", tmp_path / "out")
    for part in ("door", "status"):
        assert rows[f"{part}: growth of open files in 200 sessions, upper end of 95 %"].verdict == "met"
        memory_mb = rows[f"{part}: memory at the end"].ours
        assert memory_mb is not None
        assert memory_mb > 20.0
    assert facts["notes"] == ["door: 30 sessions.", "status: 30 sessions."]
