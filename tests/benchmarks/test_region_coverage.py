"""Coverage of regions' intervals, on a patient whose truth is one more draw of the posterior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from region_coverage import QUANTITIES, cohort, notes, rows

from palpate.config.study import Session
from tests.service.conftest import write_session


def test_truths_rank_among_draws_as_one_more_draw(tmp_path: Path) -> None:
    """Where the truth is a draw, intervals hold about as often as they say; half the spread would be seen."""
    found = {}
    for factor in (1.0, 0.25):
        folder = tmp_path / f"{factor}"
        write_session(folder / "sub-01" / "ses-01", folder / "truth", spread_factor=factor)
        known = cohort(folder, (Session("01", "01", truth=folder / "truth"),))
        found[factor] = {row.quantity: row.ours for row in rows(known) if row.ours is not None}
        assert len(list(notes(known))) == 3
    held = {factor: float(np.mean(list(shares.values()))) for factor, shares in found.items()}
    assert len(found[1.0]) == 3 * len(QUANTITIES)
    assert held[1.0] > 80.0 > held[0.25]
