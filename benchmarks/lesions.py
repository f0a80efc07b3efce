"""Spheres of 6 to 20 mm: visibility by size and contrast, sharpness of the edge, and coverage of the intervals.

Each sphere lies in a block of homogeneous viscoelastic tissue (G* = 2.6 + 1.1i kPa at 50 Hz; voxels of 2 mm, 13^3
around spheres up to 10 mm, 19^3 around larger ones) and is 1.5, 2 or 3 times as stiff or half as stiff. Shear waves of
random direction, polarisation and phase come from all sides, others for every sphere, made with P2-P1 tetrahedra of
2.3 mm (from a mesh of 1.3 mm they differ by 0.1 % of mean |U|, root mean square, and 2 % in the worst voxel at the
edge; 9^3 voxels, 6 mm, three times as stiff). Complex Gaussian noise of 2 % of mean |U| is added, 5 % as well to
spheres up to 10 mm of contrast 0.5 and 2, and `palpate invert` run as a user would.

- Contrast-to-noise ratio (CNR): |mean of G' in the sphere - mean in the background| over the standard deviation of the
  background's voxels. Rose (1948) puts the limit of seeing at 5.
- Recovered contrast: mean in the sphere over mean in the background, with its 95 % interval from the joint draws.
- Edge: where a blurred step, fitted to G' against the distance from the centre, falls from 90 % to 10 %. Size: its full
  width at half maximum. Neither is read where CNR is below 5.
- The interval of the sphere's mean is compared with the sphere's modulus and, as voxels at its border lie partly
  outside, with the true mean of its voxels.

Solamen 2018 (Phys Med Biol 63:065010, PMC6095192) finds an edge response of 11 mm with nonlinear inversion, and sees
8 mm inclusions at a contrast of 14 %. Those are gels at another wavelength, and a flat edge: a loose comparison, made
with the largest sphere.

    python benchmarks/lesions.py --out folder [--ranks 2] [--short]

Here --ranks is the number of spheres that are inverted at a time, each by one process.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Final

from harness.command_line import invert, options
from harness.record import Row, write_record
from pictures.lesion_picture import draw
from scipy import stats
from scores.lesion_score import LesionCase, Seen, score
from worlds.lesion_block import Lesion, waves_through
from worlds.noise import write_noisy

from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.provenance import atomic_file

LESIONS: Final = tuple(
    Lesion(diameter_mm, contrast, voxels)
    for contrast in (0.5, 1.5, 2.0, 3.0)
    for diameter_mm, voxels in ((6.0, 13), (10.0, 13), (14.0, 19), (20.0, 19))
)
NOISE_PERCENT: Final = 2.0
MORE_NOISE_PERCENT: Final = 5.0
SHORT: Final = Lesion(6.0, 3.0, voxels=11)

PUBLISHED: Final = "Solamen 2018, Phys Med Biol 63:065010 (edge response); Rose 1948, J Opt Soc Am 38:196 (CNR of 5)"
PUBLISHED_EDGE_MM: Final = 11.0
CNR_GOAL: Final = ">= 5"
EDGE_GOAL: Final = "< 11"
BASELINE: Final = "direct inversion"
PICTURE: Final = Path(__file__).parents[1] / "docs" / "pictures" / "lesions.svg"
CAPTION: Final = "CNR, recovered contrast with 95 % intervals, edge width and apparent size against true diameter"


def run(lesion: Lesion, levels_percent: Sequence[float], out: Path) -> list[LesionCase]:
    """Make the waves of one block, and invert and score them at each noise level."""
    field = waves_through(lesion)
    cases = []
    for level in levels_percent:
        folder = out / f"{lesion.name}-noise{level:g}"
        write_noisy(field, folder / "wavefield", level, seed=lesion.seed + round(level))
        invert(folder / "wavefield", folder / "mre", 1)
        (maps,) = read_stiffness(folder / "mre")
        cases.append(score(lesion, level, maps))
    return cases


def levels_of(lesion: Lesion) -> tuple[float, ...]:
    """Return the noise levels of a sphere, percent: more of them where noise matters and the block is small."""
    more = lesion.diameter_mm <= 10.0 and lesion.contrast in (0.5, 2.0)
    return (NOISE_PERCENT, MORE_NOISE_PERCENT) if more else (NOISE_PERCENT,)


def rows_of(cases: Sequence[LesionCase]) -> list[Row]:
    """Return rows of edges from the largest sphere on, of intervals, of other medians by diameter, and of each CNR."""
    quiet = [case for case in cases if case.noise_percent == NOISE_PERCENT]
    diameters = sorted({case.diameter_mm for case in quiet})
    rows = [
        _median_row(f"edge, {d:g} mm sphere", "mm", _of(quiet, d), lambda _, seen: seen.edge_mm) for d in diameters
    ][::-1]
    rows[0] = replace(rows[0], published=PUBLISHED_EDGE_MM, goal=EDGE_GOAL)
    rows += [
        _held_row("95 % intervals of the contrast that hold it", [case.contrast_held for case in cases]),
        _held_row("95 % intervals of the sphere's mean that hold its modulus", [case.sphere_held for case in cases]),
        _held_row(
            "95 % intervals of the sphere's mean that hold that of its voxels", [case.voxels_held for case in cases]
        ),
    ]
    for d in diameters:
        rows.append(_median_row(f"error of size, {d:g} mm sphere", "mm", _of(quiet, d), _size_error))
        rows.append(_median_row(f"share of contrast recovered, {d:g} mm sphere", "%", _of(quiet, d), _recovered))
    return rows + [_cnr_row(case) for case in cases]


def _of(cases: Iterable[LesionCase], diameter_mm: float) -> list[LesionCase]:
    return [case for case in cases if case.diameter_mm == diameter_mm]


def _size_error(case: LesionCase, seen: Seen) -> float | None:
    return None if seen.size_mm is None else abs(seen.size_mm - case.diameter_mm)


def _recovered(case: LesionCase, seen: Seen) -> float:
    """100 % where the contrast is the true one, 0 where nothing is seen."""
    return 100.0 * (seen.contrast - 1.0) / (case.contrast - 1.0)


def _median_row(
    quantity: str, unit: str, cases: Sequence[LesionCase], measure: Callable[[LesionCase, Seen], float | None]
) -> Row:
    """Return the median over contrasts at the lower noise."""
    ours = _median([measure(case, case.posterior) for case in cases])
    direct = _median([measure(case, case.direct) for case in cases])
    return Row(f"{quantity}, median", unit, ours, None, {} if direct is None else {BASELINE: direct})


def _median(values: Sequence[float | None]) -> float | None:
    """Return the median, a sphere that is not seen counting as worse than any that is."""
    middle = median([math.inf if value is None else value for value in values])
    return None if math.isinf(middle) else middle


def _held_row(quantity: str, held: Sequence[bool]) -> Row:
    """Return a goal: where the share lies in 95 % of benchmarks with so many independent cases and right intervals."""
    low, high = (float(end) / len(held) for end in stats.binom.interval(0.95, len(held), 0.95))
    goal = f"{100 * low:.1f}..{100 * high:.1f}" if low > 0.0 else ""  # a single case cannot tell
    return Row(quantity, "%", 100.0 * sum(held) / len(held), "none reported", goal=goal)


def _cnr_row(case: LesionCase) -> Row:
    quantity = f"CNR, {case.diameter_mm:g} mm, contrast {case.contrast:g}, {case.noise_percent:g} % noise"
    return Row(quantity, "", case.posterior.cnr, None, {BASELINE: case.direct.cnr}, CNR_GOAL)


def main() -> None:
    """Run all spheres, draw the picture and write the record."""
    began = time.perf_counter()
    chosen = options(__doc__)
    lesions = (SHORT,) if chosen.short else LESIONS
    # Each process starts anew: MPI does not survive a fork.
    with ProcessPoolExecutor(chosen.ranks, mp_context=get_context("spawn")) as pool:
        found = pool.map(partial(run, out=chosen.out), lesions, map(levels_of, lesions))
        cases = [case for part in found for case in part]
    with atomic_file(chosen.out / "cases.json") as partial_file:
        partial_file.write_text(json.dumps([asdict(case) for case in cases], indent=2) + "\n", encoding="utf-8")
    picture = chosen.out / PICTURE.name if chosen.short else PICTURE
    draw(cases, picture)
    write_record(
        "lesions",
        rows_of(cases),
        published=PUBLISHED,
        notes=[f"docs/pictures/{PICTURE.name}: {CAPTION}"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
