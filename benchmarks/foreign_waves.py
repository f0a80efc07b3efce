"""Waves of another maker: tissues, physics and scanners that share nothing with the inversion or its simulated brains.

The fields (`foreign/`) are solved by Fourier series on fine grids, without finite elements, atlas or segmentation, in
an incompressible medium under random forces around the field of view, and averaged to voxels. They are uniform, smooth
or sharp (spheres, layers, cells of Voronoi, folded sheets like a brain's), at 20 to 100 Hz and 1 to 15 kPa, also in
thick slices with gaps, anisotropic voxels, with noise that varies, zero filling, a void, holes and bulk motion, and
with physics that the inversion does not model: fibres and slip. `palpate invert` runs as a user would, with its
defaults and without anatomy. As in every scan, the tissue's density is not stated; it is 1000 to 1060 kg/m3. Voxels at
least two voxels from the edge are scored.

Constants were tuned on simulated brains; nothing was tuned here. The worse of both figures is the one to quote.

    python benchmarks/foreign_waves.py --out folder [--ranks 2] [--short]

Here --ranks is the number of fields that are inverted at a time, each by one process. A stopped run goes on in its
folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from foreign.scenes import SCENES
from foreign.score import ForeignScore, run
from harness.command_line import options
from harness.pool import in_processes, scored_once
from harness.record import Row, write_record

BASELINE: Final = "algebraic"
SHORT: Final = ("uniform-3-60hz", "liver-4-slices")


def rows_of(scores: Sequence[ForeignScore]) -> list[Row]:
    """Return the figures of each class: medians of bias and error, and coverage over its fields.

    Args:
        scores: scores of all fields.
    """
    rows = []
    for group in dict.fromkeys(one.group for one in scores):
        own = [one for one in scores if one.group == group and not one.refused]
        refused = sum(one.group == group for one in scores) - len(own)
        if refused:
            rows.append(Row(f"{group}: fields refused", "", float(refused), None, goal="<= 0"))
        if not own:
            continue
        worst = max((one.bias_percent for one in own if one.bias_percent is not None), key=abs)
        error = float(np.median([one.error_percent for one in own]))
        direct = float(np.median([one.direct_percent for one in own]))
        half, most = np.mean([one.held for one in own], axis=0)
        rows += [
            Row(f"{group}: largest bias of G' in a field", "%", worst, None),
            Row(f"{group}: median error of G', median of {len(own)} fields", "%", error, None, {BASELINE: direct}),
            Row(f"{group}: voxels whose 50 % interval contains G'", "%", 100.0 * float(half), None, goal="42..60"),
            Row(f"{group}: voxels whose 95 % interval contains G'", "%", 100.0 * float(most), None, goal="93..98"),
        ]
    return rows


def note_of(score: ForeignScore) -> str:
    """Return one field's figures in a line."""
    if score.refused:
        return f"{score.name}: refused, {score.refused}"
    held = ", ".join(f"{100.0 * one:.0f} %" for one in score.held)
    said = f"; {', '.join(score.warnings)}" if score.warnings else ""
    return (
        f"{score.name}: bias {score.bias_percent:+.1f} %, error {score.error_percent:.1f} % (algebraic "
        f"{score.direct_percent:.1f} %), 50 and 95 % intervals contain {held}, informed "
        f"{100.0 * (score.informed or 0.0):.0f} %, misfit {score.misfit:.2f}{said}"
    )


def main() -> None:
    """Make, invert and score all fields, and write the record."""
    began = time.perf_counter()
    chosen = options(__doc__)
    names = [one.name for one in SCENES if not chosen.short or one.name in SHORT]
    score = partial(scored_once, run=run, kind=ForeignScore, out=chosen.out)
    scores = in_processes(score, names, chosen.ranks)
    write_record(
        "foreign_waves",
        rows_of(scores),
        published="none",
        notes=[note_of(one) for one in scores],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
