"""The forward wave solver on several ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import BIN, run


@pytest.mark.long
def test_the_wave_does_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    """One answer for every N: a ghost left out or a point counted twice on the border between ranks shows here."""
    waves = []
    for ranks in (1, 3):
        out = tmp_path / f"{ranks}.npy"
        done = run("mpiexec", "-n", ranks, BIN / "python", Path(__file__).parent / "wave_on_ranks.py", out)
        assert done.returncode == 0, done.stderr
        waves.append(np.load(out))
    assert np.isfinite(waves[0]).all()
    assert np.abs(waves[1] - waves[0]).max() < 1e-7 * np.abs(waves[0]).max()
