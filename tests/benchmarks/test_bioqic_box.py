"""The BIOQIC benchmark's short form: what its table claims must hold before its hours are spent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import CHECKOUT

LEVEL_PERCENT, FREQUENCY_HZ = 1.0, 60.0


@pytest.fixture
def benchmark_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The benchmark and its waves; benchmarks are plain modules that import each other."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    import bioqic_box
    import bioqic_waves

    yield bioqic_box, bioqic_waves
    for name in ("bioqic_box", "bioqic_waves", "command_line", "record"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_short_box(benchmark_modules: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    """One cylinder in one zone, waves of tetrahedra that miss the voxels, `palpate invert` as a user runs it.

    The goal of the full box, 20 %; better than every method that has no prior, else the prior earns nothing; and away
    from interfaces intervals that hold at least what they claim, as the theory of zones says.
    """
    box, waves = benchmark_modules
    scores = box.study(waves.SHORT, [waves.waves(waves.SHORT, FREQUENCY_HZ)], LEVEL_PERCENT, tmp_path, ranks=1)
    ours = scores.storage_percent[box.OURS]
    others = {name: value for name, value in scores.storage_percent.items() if name != box.OURS}
    assert ours < 20
    assert len(others) == 4
    assert ours < min(others.values()), others
    assert scores.coverage_percent[0] >= 95
    rows = box.rows_of(waves.SHORT, LEVEL_PERCENT, scores)
    assert {name for row in rows for name in row.baselines} == set(others)
