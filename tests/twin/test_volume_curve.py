"""Daily volumes of the past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palpate.twin.clocks.posterior import ClockEstimate, ClockSummary
from palpate.twin.clocks.shift import TREATMENTS
from palpate.twin.products.volume_curve import past_curve
from tests.twin.drawn import drawn
from tests.twin.small import DAYS


def test_a_draw_whose_treatments_were_early_shrinks_early() -> None:
    """Each draw's past has the dates of that draw, or the curve between scans is not the one that was calibrated.

    Two fractions and a drug are recorded for days 30 to 32; five days earlier they act before day 29.
    """
    twin = drawn(1)
    clocks = ClockSummary(0.5, (ClockEstimate(TREATMENTS, 5.0, 1.0, 14.0, True, True, 0.5),))
    late = replace(
        twin, clocks=clocks, draws=replace(twin.draws, stream=np.array([0]), shift_days=np.array([5], dtype=np.int64))
    )
    plain, shifted = ({row["day"]: row["burden_ml"]["median"] for row in past_curve(one)} for one in (twin, late))
    assert plain[DAYS[1]] == shifted[DAYS[1]]
    assert shifted[29.0] < 0.97 * plain[29.0]
