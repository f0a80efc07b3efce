"""Registration of the T1 to the elastogram: its error and its stated uncertainty, for known motions of a head.

Random motions of up to 10 mm and 10 degrees, in the default block inside the brain and in a slab of five slices of
4 mm, with little and much noise; then elastograms that differ from the T1 by more than a motion: shaded, or bent along
their columns as echo-planar images are. An error is the root mean square over the tissue, in millimetres; beside it
stands the error without registration. Failures are cases that palpate itself reports as failed.

    python benchmarks/registration.py --out folder [--short]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from worlds.moved_heads import block_grid, healthy_head, moved_head, random_motion, slab_grid

from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.tissue import Head
from palpate.imaging.registration.register import register

MOTIONS: Final = 20
SHORT_MOTIONS: Final = 2
GOAL_MM: Final = "<= 1"
SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition under which heads are registered.

    Attributes:
        name: name in words.
        grid: function that makes the elastogram's voxels.
        snr: signal-to-noise ratio of both images.
        distortion_mm: amplitude of the elastogram's distortion along its columns, millimetres.
        shading: share by which the elastogram's signal grows from one end of its first axis to the other.
        goal: goal for the errors, millimetres.
    """

    name: str
    grid: Callable[[], ScanGrid]
    snr: float
    distortion_mm: float = 0.0
    shading: float = 0.0
    goal: str = GOAL_MM


CONDITIONS: Final = (
    Condition("block, signal-to-noise 30", block_grid, 30.0),
    Condition("block, signal-to-noise 8", block_grid, 8.0),
    Condition("block, shaded by 60 %", block_grid, 20.0, shading=0.6),
    Condition("slab, signal-to-noise 30", slab_grid, 30.0),
    Condition("slab, signal-to-noise 8", slab_grid, 8.0),
    Condition("slab, bent by up to 3 mm", slab_grid, 20.0, distortion_mm=3.0, goal=""),
)


@dataclass(frozen=True, slots=True)
class MotionOutcome:
    """Outcome of the registration after one motion.

    Attributes:
        before_mm: error without registration, millimetres.
        error_mm: error with registration, millimetres.
        stated_mm: uncertainty that the registration states, millimetres.
        failed: whether the registration reports that it failed.
    """

    before_mm: float
    error_mm: float
    stated_mm: float
    failed: bool


def measure(head: Head, condition: Condition, count: int) -> list[MotionOutcome]:
    """Register a head after each of a number of random motions."""
    found = []
    grid = condition.grid()
    for number in range(count):
        generator = np.random.default_rng([SEED, number])
        case = moved_head(
            head,
            grid,
            random_motion(generator),
            snr=condition.snr,
            generator=generator,
            distortion_mm=condition.distortion_mm,
            shading=condition.shading,
        )
        placement = register(case.magnitude, case.tissue, case.anatomy)
        before_mm, error_mm = (
            float(np.sqrt(np.mean(case.errors_mm(matrix) ** 2))) for matrix in (np.eye(4), placement.motion.matrix_mm)
        )
        found.append(MotionOutcome(before_mm, error_mm, placement.uncertainty_mm or 0.0, not placement.usable))
        print(f"{condition.name}: {found[-1]} {placement.warnings}", flush=True)
    return found


def rows_of(condition: Condition, found: Sequence[MotionOutcome]) -> list[Row]:
    """Return rows of the errors and stated uncertainties of the registrations that were not called failed."""
    used = [one for one in found if not one.failed]
    errors, stated = (np.array([getattr(one, name) for one in used]) for name in ("error_mm", "stated_mm"))
    before = {"not registered": float(np.median([one.before_mm for one in found]))}
    worst_before = {"not registered": max(one.before_mm for one in found)}
    ratio = float(np.sqrt(np.mean(errors**2) / np.mean(stated**2))) if used else None
    median, worst = (float(np.median(errors)), float(errors.max())) if used else (None, None)
    return [
        Row(f"{condition.name}: median error", "mm", median, None, before, condition.goal),
        Row(f"{condition.name}: worst error", "mm", worst, None, worst_before, condition.goal),
        Row(f"{condition.name}: error over stated uncertainty", "", ratio, None),
        Row(f"{condition.name}: called failed", "%", 100.0 * (len(found) - len(used)) / len(found), None),
    ]


def main() -> None:
    """Run all conditions, one after the other, and record the errors."""
    chosen = options(__doc__)
    began = time.perf_counter()
    head = healthy_head()
    conditions, count = (CONDITIONS[:2], SHORT_MOTIONS) if chosen.short else (CONDITIONS, MOTIONS)
    rows = [row for condition in conditions for row in rows_of(condition, measure(head, condition, count))]
    write_record(
        "registration",
        rows,
        published="none comparable: published errors are judged by markers in patients",
        notes=[f"{count} motions a condition", "Errors and uncertainties are of all registrations not called failed."],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
