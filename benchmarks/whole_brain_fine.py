"""A whole brain at 1.25 mm: cost of a zone, and the cost of all zones extrapolated from it.

The brain of `whole_brain.py` with voxels of 1.25 mm. Its middle is inverted in two sizes as a user would, `palpate
invert` with 100 joint draws. Cost is proportional to the work of the zones, interior nodes to the power 1.5, by which
ranks share them. The time for a unit of work in the smaller piece predicts that of the larger, which tests the
extrapolation to the whole brain, whose zones are counted, not inverted.

    python benchmarks/whole_brain_fine.py --out folder [--ranks 2] [--short]

Waves and finished sizes are kept in the folder and taken over.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.command_line import options
from harness.record import Row, write_record
from whole_brain import NOISE_PERCENT, SAMPLES, SETTINGS, SHORT, BrainRun, crop, measure, patient, waves

from palpate.config.mesh import MeshSettings
from palpate.meshing.zone_mesh import zones_of
from palpate.meshing.zones import Zone

FINE: Final = SETTINGS.model_copy(update={"voxel_mm": 1.25})
VOXELS: Final = (25_000, 50_000)
SHORT_VOXELS: Final = (300, 700)
GOAL: Final = "0.8..1.25"


@dataclass(frozen=True, slots=True)
class Piece:
    """Piece of the brain that was inverted.

    Attributes:
        run: cost and accuracy of the inversion.
        work: work of the piece's zones, sum of interior nodes to the power 1.5.
    """

    run: BrainRun
    work: float

    @property
    def rank_seconds(self) -> float:
        """Rank seconds of the whole command."""
        return self.run.ranks * self.run.seconds


def rows_of(smaller: Piece, larger: Piece, whole: Sequence[Zone], voxels: int) -> list[Row]:
    """Return the record's rows.

    Args:
        smaller: smaller piece.
        larger: larger piece.
        whole: zones of the whole brain.
        voxels: number of voxels of the whole brain.
    """
    ranks = larger.run.ranks
    hours = larger.rank_seconds / larger.work * work_of(whole) / ranks / 3600.0
    predicted = smaller.rank_seconds / smaller.work * larger.work / larger.rank_seconds
    brain = f"whole brain, {voxels} voxels ({len(whole)} zones)"
    rows = [
        Row(f"wall time on {ranks} ranks, extrapolated, {brain}", "h", hours, None),
        Row("time of the larger piece as the smaller predicts it, over measured", "", predicted, None, goal=GOAL),
    ]
    for run in (larger.run, smaller.run):
        size = f"{run.voxels} voxels ({run.zones} zones)"
        rows += [
            Row(f"rank seconds of a zone, all in, {size}", "s", run.ranks * run.seconds / run.zones, None),
            Row(f"wall time on {run.ranks} ranks, {size}", "min", run.seconds / 60.0, None),
            Row(f"memory of a rank at most, {size}", "GB", run.memory_gb, None),
            Row(f"median error of G' in tissue, {size}", "%", run.error_percent, None),
            Row(f"95 % intervals of G' that hold, {size}", "%", run.coverage_percent, None),
        ]
    return rows


def work_of(zones: Sequence[Zone]) -> float:
    """Return the work of all zones."""
    return sum(zone.work for zone in zones)


def main() -> None:
    """Invert both pieces, count the whole brain's zones and record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    settings, sizes = (SHORT, SHORT_VOXELS) if chosen.short else (FINE, VOXELS)
    chosen.out.mkdir(parents=True, exist_ok=True)
    head, atlas = patient(settings)
    field = waves(settings, head, atlas, chosen.out / "waves.npy")
    pieces = []
    for voxels in sizes:
        part = crop(field, voxels)
        run = measure(part, head, chosen.out / f"voxels-{voxels}", chosen.ranks)
        pieces.append(Piece(run, work_of(zones_of(part.mask, part.voxel_size_mm, MeshSettings()))))
    whole = zones_of(field.mask, field.voxel_size_mm, MeshSettings())
    steps = ", ".join(str(piece.run.steps) for piece in pieces)
    write_record(
        "whole_brain_fine",
        rows_of(*pieces, whole, int(field.mask.sum())),
        published="none: open tools do not invert a whole brain with uncertainty",
        notes=[f"{SAMPLES} joint draws, {NOISE_PERCENT:g} % noise, steps: {steps}"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
