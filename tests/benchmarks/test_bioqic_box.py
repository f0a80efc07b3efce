"""The BIOQIC benchmark's short form: what its table claims must hold before its minutes are spent."""

from __future__ import annotations

from pathlib import Path

import pytest
from bioqic_box import OURS, rows_of, study
from worlds.bioqic_waves import SHORT, waves

LEVEL_PERCENT, FREQUENCY_HZ = 1.0, 60.0


@pytest.mark.long
def test_short_box(tmp_path: Path) -> None:
    """One cylinder in one zone, waves of tetrahedra that miss the voxels, `palpate invert` as a user runs it.

    The goal of the full box, 20 %; better than every method that has no prior, else the prior earns nothing; and away
    from interfaces intervals that hold at least what they claim, as the theory of zones says.
    """
    scores = study(SHORT, [waves(SHORT, FREQUENCY_HZ)], LEVEL_PERCENT, tmp_path, ranks=1)
    others = {name: value for name, value in scores.storage_percent.items() if name != OURS}
    assert len(others) == 4
    assert scores.storage_percent[OURS] < 20
    assert scores.storage_percent[OURS] < min(others.values()), others
    assert scores.coverage_percent[0] >= 95
    assert {name for row in rows_of(SHORT, LEVEL_PERCENT, scores) for name in row.baselines} == set(others)
