"""Plans that treatments follow: the identifier that palpate plan gives, in the column recommended_by.

A later fit on treatments that the twin itself proposed is not independent of the twin: whoever judges it must see which
they are.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from palpate.imaging.tumour.treatments import TreatmentRow


def plan_notes(rows: Sequence[TreatmentRow], first: datetime.date) -> tuple[str, ...]:
    """Return a sentence on each plan that treatments follow, in the order of their dates.

    Args:
        rows: lines of the table of treatments.
        first: day of the first scan.
    """
    of_plan: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.plan_id:
            of_plan.setdefault((row.plan_id, row.kind), []).append((row.date - first).days)
    return tuple(
        f"{kind} follows plan {plan}: {len(days)} {'line' if len(days) == 1 else 'lines'}, from day {min(days)} on"
        for (plan, kind), days in of_plan.items()
    )
