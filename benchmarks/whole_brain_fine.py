"""A whole brain at 1.25 mm: what a zone costs, and what that comes to.

The brain of `whole_brain.py` with voxels of 1.25 mm. Its middle is inverted in two sizes as a user would, `palpate
invert` with 100 joint draws. Cost goes by zones, whose size is in millimetres: that of the smaller piece predicts that
of the larger, which is a test of the extrapolation to the whole brain, whose zones are counted, not inverted.

    python benchmarks/whole_brain_fine.py --out folder [--ranks 2] [--short]

Waves and finished sizes are kept in the folder and taken over.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from command_line import options
from record import Row, write_record
from whole_brain import NOISE_PERCENT, SAMPLES, SETTINGS, SHORT, Run, crop, measure, patient, waves

from palpate.config.mesh import MeshSettings
from palpate.meshing.zone_mesh import zones_of

FINE: Final = SETTINGS.model_copy(update={"voxel_mm": 1.25})
VOXELS: Final = (15_000, 45_000)
SHORT_VOXELS: Final = (300, 700)
PREDICTION_GOAL: Final = "0.75..1.33"


def rank_seconds_per_zone(run: Run) -> float:
    """Of the whole command."""
    return run.ranks * run.seconds / run.zones


def rows_of(runs: Sequence[Run], voxels: int, zones: int) -> list[Row]:
    """The record's rows.

    Args:
        runs: the smaller piece, then the larger.
        voxels: of the whole brain.
        zones: of the whole brain.
    """
    smaller, larger = runs
    hours = rank_seconds_per_zone(larger) * zones / larger.ranks / 3600.0
    predicted = rank_seconds_per_zone(smaller) / rank_seconds_per_zone(larger)
    rows = [
        Row(
            f"whole brain, {voxels} voxels, {zones} zones: wall time on {larger.ranks} ranks, extrapolated",
            "h",
            hours,
            None,
        ),
        Row(
            "wall time of the larger piece, predicted by zones of the smaller, over measured",
            "",
            predicted,
            None,
            goal=PREDICTION_GOAL,
        ),
    ]
    for run in reversed(runs):
        size = f"{run.voxels} voxels ({run.zones} zones)"
        rows += [
            Row(f"rank seconds of a zone, {size}", "s", rank_seconds_per_zone(run), None),
            Row(f"wall time on {run.ranks} ranks, {size}", "min", run.seconds / 60.0, None),
            Row(f"memory of a rank at most, {size}", "GB", run.memory_gb, None),
            Row(f"median error of G' in tissue, {size}", "%", run.error_percent, None),
            Row(f"95 % intervals of G' that hold, {size}", "%", run.coverage_percent, None),
        ]
    return rows


def main() -> None:
    """Both pieces, and the whole brain's zones."""
    chosen = options(__doc__)
    began = time.perf_counter()
    settings, sizes = (SHORT, SHORT_VOXELS) if chosen.short else (FINE, VOXELS)
    chosen.out.mkdir(parents=True, exist_ok=True)
    head, atlas = patient(settings)
    field = waves(settings, head, atlas, chosen.out / "waves.npy")
    runs = [measure(crop(field, voxels), head, chosen.out / f"voxels-{voxels}", chosen.ranks) for voxels in sizes]
    zones = len(zones_of(field.mask, field.voxel_size_mm, MeshSettings()))
    write_record(
        "whole_brain_fine",
        rows_of(runs, int(field.mask.sum()), zones),
        published="none: open tools do not invert a whole brain with uncertainty",
        notes=[f"{SAMPLES} joint draws, {NOISE_PERCENT:g} % noise, steps: {', '.join(str(run.steps) for run in runs)}"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
