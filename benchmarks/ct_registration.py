"""Registration of a planning CT to MR images of the same head: error and stated uncertainty, for known motions.

Heads with skull and scalp are scanned by MR and by CT in frames of reference of their own: origins up to 300 mm apart,
the head turned by up to 15 degrees about each axis, the CT from neck to crown with a head rest. T1 images of the whole
head; then a T1 bent by up to 1 mm as by gradients that are not linear, a scalp pressed in by 4 mm on the rest, and
much noise; and a slab of five slices of 4 mm without a T1. An error is the root mean square over the brain,
millimetres. Coverage is the share of motions whose error is below the 95 % quantile that the stated covariance means.

    python benchmarks/ct_registration.py --out folder [--short]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from worlds.planning_heads import Scanned, ct_motion, head_slab, scanned_head, t1_grid

from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.registration.planning_ct import register_ct
from palpate.imaging.registration.way import placement_way

MOTIONS: Final = 12
SHORT_MOTIONS: Final = 1
SEED: Final = 7
DRAWS: Final = 200
GOAL_MM: Final = "<= 1"
GOAL_COVERED: Final = ">= 90"
CT_MM: Final = (1.5, 1.5, 3.0)


@dataclass(frozen=True, slots=True)
class CtCondition:
    """Condition under which a CT is registered.

    Attributes:
        name: name in words.
        grid: function that makes the MR image's voxels.
        scan: further arguments of scanned_head.
    """

    name: str
    grid: Callable[[], ScanGrid]
    scan: Mapping[str, Any] = field(default_factory=dict)


CONDITIONS: Final = (
    CtCondition("T1 of the head", lambda: t1_grid(2.0)),
    CtCondition(
        "T1, bent, noisy, scalp pressed in",
        lambda: t1_grid(2.0),
        {"snr": 8.0, "ct_noise_hu": 20.0, "pressed_mm": 4.0, "bent_mm": 1.0},
    ),
    CtCondition("five slices, no T1", head_slab),
)


@dataclass(frozen=True, slots=True)
class CtOutcome:
    """Outcome of the registration of a CT.

    Attributes:
        error_mm: root mean square error over the brain, millimetres.
        stated_mm: uncertainty that the registration states, millimetres.
        covered: whether the error is below the 95 % quantile of errors that the covariance means.
        failed: whether the registration reports that it failed.
    """

    error_mm: float
    stated_mm: float
    covered: bool
    failed: bool


def measure(condition: CtCondition, count: int) -> list[CtOutcome]:
    """Register CTs after each of a number of random motions."""
    found = []
    for number in range(count):
        generator = np.random.default_rng([SEED, number])
        motion = ct_motion(generator)
        case = scanned_head(generator, motion, mr_grid=condition.grid(), ct_voxel_mm=CT_MM, **condition.scan)
        found.append(_outcome(case))
        print(f"{condition.name}: {found[-1]}", flush=True)
    return found


def _outcome(case: Scanned) -> CtOutcome:
    placement = register_ct(case.mr, case.ct)
    way = placement_way(placement)
    error_mm = case.error_mm(way.matrix_mm)
    meant = [
        float(np.sqrt(np.mean(np.sum((one.moved(case.brain_mm) - way.moved(case.brain_mm)) ** 2, axis=1))))
        for one in way.draws(DRAWS, SEED)
    ]
    stated_mm = way.uncertainty_mm(case.brain_mm)
    return CtOutcome(error_mm, stated_mm, error_mm <= float(np.quantile(meant, 0.95)), not placement.usable)


def rows_of(condition: CtCondition, found: Sequence[CtOutcome]) -> list[Row]:
    """Return rows of errors, uncertainties and coverage of the registrations that were not called failed."""
    used = [one for one in found if not one.failed]
    errors, stated = (np.array([getattr(one, name) for one in used]) for name in ("error_mm", "stated_mm"))
    median, worst = (float(np.median(errors)), float(errors.max())) if used else (None, None)
    ratio = float(np.sqrt(np.mean(errors**2) / np.mean(stated**2))) if used else None
    covered = 100.0 * sum(one.covered for one in used) / len(used) if used else None
    return [
        Row(f"{condition.name}: median error", "mm", median, None, goal=GOAL_MM),
        Row(f"{condition.name}: worst error", "mm", worst, None, goal=GOAL_MM),
        Row(f"{condition.name}: error over stated uncertainty", "", ratio, None),
        Row(f"{condition.name}: errors within the 95 % that is stated", "%", covered, None, goal=GOAL_COVERED),
        Row(f"{condition.name}: called failed", "%", 100.0 * (len(found) - len(used)) / len(found), None),
    ]


def main() -> None:
    """Run all conditions, one after the other, and record the errors."""
    chosen = options(__doc__)
    began = time.perf_counter()
    conditions, count = (CONDITIONS[:1], SHORT_MOTIONS) if chosen.short else (CONDITIONS, MOTIONS)
    rows = [row for condition in conditions for row in rows_of(condition, measure(condition, count))]
    write_record(
        "ct_registration",
        rows,
        published="none comparable: published errors are judged by markers or landmarks in patients",
        notes=[f"{count} motions a condition", "Figures are of all registrations not called failed."],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
