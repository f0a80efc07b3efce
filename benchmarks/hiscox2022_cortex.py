"""Regions of the cortex after Hiscox 2022 (Phys Med Biol 67:095002), re-simulated.

Their protocol: a simulated brain whose regions are uniform in shear modulus mu and damping ratio xi, 50 Hz, noise of
2 % of mean |u|, recovered by nonlinear inversion (NLI) at 2 mm and 1.25 mm, and with regions known to the inversion.

Here: a block of the ICBM152 brain with convolutions and fluid; grey and white matter are cut into parcels, each with mu
and xi drawn from the ranges that healthy tissue shows at 50 Hz; fluid is 300 Pa. Waves on P2-P1 tetrahedra whose edge
is no multiple of a voxel; complex Gaussian noise of 2 % of mean |u| in every real and imaginary part. Inverted by
`palpate invert` as a user runs it: without labels, with the parcels as labels, and (at 2 mm) with labels that are 2 mm
off; beside it the other methods (palpate.solvers.comparators), which take no labels.

    mu = 2 |G*|^2 / (G' + |G*|),    xi = G'' / (2 G').

A voxel's truth is the mean of ln G* over it. The error of a region is the mean over its voxels of
|estimate - truth| / truth; a voxel counts to a region that fills more than half of it; figures are means over regions
of at least 64 mm3 (the edge of the block leaves slivers of some parcels, whose figures are beside).
The error of a region's mean is given beside.

    python benchmarks/hiscox2022_cortex.py --out folder [--voxel-mm 2 1.25] [--variants plain] [--ranks 2] [--short]

Variants that are finished in the folder are taken over.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from harness.command_line import invert
from harness.record import Row, write_record
from pictures.cortex_picture import Curve, draw
from scores.cortex_score import LEAST_MM3, CortexScore, comparators, score_folder
from worlds.cortex_block import simulate

PUBLISHED = {2.0: (9.4, 28.7), 1.25: (7.0, 22.9)}
"""Errors of NLI in mu and xi, percent, by voxel size in mm."""
PUBLISHED_WITH_REGIONS = (3.1, 11.2)
"""Errors of NLI with an anatomical prior in mu and xi, percent, at 1.25 mm."""

EDGES_MM = (44.0, 44.0, 28.0)
SHORT_EDGES_MM = (26.0, 26.0, 18.0)
SYMBOLS = ("mu", "xi")
WORDS = {"plain": "no labels", "labels": "regions known", "labels-2mm-off": "regions 2 mm off"}
"""Words for the labels that a variant of the inversion gets, by the variant's folder."""
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "hiscox2022_cortex.svg"
CAPTION = (
    "Error of each region, sorted, by what the inversion is told and by voxel size; the mean that nonlinear inversion "
    "published for it is dashed."
)


def run(
    out: Path, voxel_mm: float, variants: Sequence[str], *, short: bool, ranks: int
) -> tuple[dict[str, CortexScore], list[str]]:
    """Simulate one voxel size and invert each variant that is not there yet; return scores by variant, and notes."""
    case = simulate(out, voxel_mm, SHORT_EDGES_MM if short else EDGES_MM)
    labels = {"plain": None, "labels": case.labels, "labels-2mm-off": case.displaced}
    scores: dict[str, CortexScore] = {}
    notes: list[str] = []
    for name in variants:
        mre, given = out / name, labels[name]
        if not mre.exists():
            invert(case.wavefield, mre, ranks, *(() if given is None else ("--labels", given)))
        scores[name] = score_folder(case, mre)
        record = json.loads(next(mre.glob("*_inversion.json")).read_text(encoding="utf-8"))
        shown = ("storage_std", "loss_std", "length_mm", "roughness", "cross_correlation", "region_std")
        prior = ", ".join(f"{key} {record['prior'][key]:.3g}" for key in shown)
        seconds = sum(record["load_balance"]["busy_s_per_rank"])
        notes.append(
            f"{name}, {voxel_mm:g} mm: prior {prior}; zones took {seconds:.0f} s of all {record['ranks']} ranks"
        )
    others = comparators(case)
    regions = len(others["algebraic"].regions.voxels)
    size = f"{regions} parcels of grey and white matter, {len(case.mu_kpa)} voxels of {voxel_mm:g} mm"
    return scores | others, [size, *notes]


def main() -> None:
    """Run all voxel sizes, one after the other, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--voxel-mm", type=float, nargs="+", default=[2.0])
    parser.add_argument("--variants", nargs="+", choices=list(WORDS), default=list(WORDS))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="A small block, for the tests.")
    chosen = parser.parse_args()
    began = time.perf_counter()
    rows: list[Row] = []
    notes: list[str] = []
    curves: list[Curve] = []
    for voxel_mm in chosen.voxel_mm:
        variants = ("plain", "labels") if chosen.short else _variants(chosen.variants, voxel_mm)
        folder = chosen.out / f"voxels-{voxel_mm:g}mm"
        scores, told = run(folder, voxel_mm, variants, short=chosen.short, ranks=chosen.ranks)
        rows += _rows(scores, voxel_mm)
        notes += told
        curves += [
            Curve(f"{WORDS[name]}, {voxel_mm:g} mm", scores[name].regions.voxels, published(name, voxel_mm))
            for name in variants
        ]
    draw(curves, chosen.out / PICTURE.name if chosen.short else PICTURE)
    write_record(
        "hiscox2022_cortex",
        rows,
        published="Hiscox et al. 2022, Phys Med Biol 67:095002: nonlinear inversion of a simulated brain, 50 Hz, 2 %",
        notes=[*notes, f"docs/pictures/{PICTURE.name}: {CAPTION}"],
        seconds=time.perf_counter() - began,
        out=chosen.out / "record.json" if chosen.short else None,
    )


def _variants(asked: Sequence[str], voxel_mm: float) -> list[str]:
    """Wrong labels where the voxels are large only: they are as wrong where they are small, for half an hour more."""
    return [name for name in asked if name != "labels-2mm-off" or voxel_mm >= 2.0]


def _rows(scores: dict[str, CortexScore], voxel_mm: float) -> Iterator[Row]:
    for which, symbol in enumerate(SYMBOLS):
        baselines = {
            name: float(other.regions.voxels[:, which].mean()) for name, other in scores.items() if name not in WORDS
        }
        for name, words in WORDS.items():
            if name not in scores:
                continue
            case = f"{words}, {voxel_mm:g} mm"
            bars = published(name, voxel_mm)
            bar = None if bars is None else bars[which]
            goal = "" if bar is None or name == "labels-2mm-off" else f"< {bar:g}"
            own = scores[name].regions
            errors = own.voxels[:, which]
            yield Row(f"error of {symbol}, {case}", "%", float(errors.mean()), bar, baselines, goal)
            if len(own.voxels) < len(scores[name].voxels):
                every = float(scores[name].voxels[:, which].mean())
                yield Row(f"error of {symbol} with slivers of less than {LEAST_MM3:g} mm3, {case}", "%", every, bar)
            yield Row(f"error of {symbol} in the worst region, {case}", "%", float(errors.max()), None)
            if bar is not None:
                share = 100.0 * float(np.mean(errors < bar))
                yield Row(f"regions whose error of {symbol} is below the published mean, {case}", "%", share, None)
            yield Row(f"error of regions' mean {symbol}, {case}", "%", float(own.means[:, which].mean()), None)
            held = float(own.held[:, which].mean())
            yield Row(f"regions whose mean {symbol} the 95 % interval holds, {case}", "%", held, None)


def published(variant: str, voxel_mm: float) -> tuple[float, float] | None:
    """Return the errors of NLI in mu and xi that compare with a variant, percent; None where none was published."""
    return PUBLISHED.get(voxel_mm) if variant == "plain" else PUBLISHED_WITH_REGIONS


if __name__ == "__main__":
    main()
