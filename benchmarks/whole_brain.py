"""A whole brain on two cores: minutes and memory, and how they grow with the number of voxels.

The ICBM152 brain, scaled to 93 % (it is an average of registered heads, larger than most), 2 mm, 50 Hz, 2 % noise,
with its T1; waves on P2-P1 tetrahedra of 5.5 mm, driven at the skull. The middle of it, some 20,000 and 60,000
voxels, and the whole. `palpate invert` with 100 joint draws, as a user runs it.

- time: wall seconds of the command, start to finish
- memory: largest resident size of any rank
- exponent: of time against voxels, by least squares through the logarithms

The exponent is measured between the sizes that were run; a run that has not been made is not in the record.

    python benchmarks/whole_brain.py --out folder [--voxels 20000 60000 0] [--ranks 2] [--short]

0 voxels are the whole brain. Waves and finished sizes are kept in the folder and taken over.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from harness.command_line import invert
from harness.record import Row, write_record
from mpi4py import MPI
from pictures.whole_brain_picture import draw
from worlds.noise import write_noisy

from palpate.config.mesh import MeshSettings
from palpate.config.phantom import PhantomSettings
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.nifti import read_nifti, write_nifti
from palpate.imaging.phantom.grid import ScanGrid, scan_grid
from palpate.imaging.phantom.tissue import Head, build_head
from palpate.imaging.wavefield import WaveField
from palpate.meshing.zone_mesh import zones_of
from palpate.provenance import atomic_file
from palpate.solvers.virtual_patient import vibrate

SCALE: Final = 0.93
SETTINGS: Final = PhantomSettings(extent="whole-brain", element_mm=5.5, seed=12)
SHORT: Final = PhantomSettings(shape=(13, 13, 9), seed=12)
NOISE_PERCENT: Final = 2.0
SAMPLES: Final = 100
VOXELS: Final = (20_000, 60_000, 0)
SHORT_VOXELS: Final = (700, 0)
MINUTES_GOAL, GIGABYTES_GOAL, EXPONENT_GOAL = "<= 60", "<= 12", "<= 1.1"
CAPTION: Final = "Wall time against voxels, of the whole command and of its zones, beside the slope that was aimed at."
PICTURE: Final = Path(__file__).parents[1] / "docs" / "pictures" / "whole_brain.svg"


@dataclass(frozen=True, slots=True)
class BrainRun:
    """Cost and accuracy of the inversion of one size.

    Attributes:
        voxels: number of voxels of the mask.
        tissue: number of these voxels that are solid tissue.
        zones: number of zones.
        steps: number of Gauss-Newton steps.
        seconds: wall time of the command, seconds.
        zone_seconds: part of the wall time that ranks work on zones, mean over ranks, seconds.
        memory_gb: largest resident size of a rank, gigabytes.
        ranks: number of MPI ranks.
        error_percent: median relative error of G' in solid tissue, percent.
        coverage_percent: share of the voxels of solid tissue whose 95 % interval of G' holds the truth, percent.
    """

    voxels: int
    tissue: int
    zones: int
    steps: int
    seconds: float
    zone_seconds: float
    memory_gb: float
    ranks: int
    error_percent: float
    coverage_percent: float


def patient(settings: PhantomSettings) -> tuple[Head, Atlas]:
    """Return the head of the patient, and the scaled atlas that it was made from."""
    atlas = load_atlas()
    atlas = replace(atlas, affine_mm=np.diag([SCALE, SCALE, SCALE, 1.0]) @ atlas.affine_mm)
    return build_head(settings, atlas), atlas


def waves(settings: PhantomSettings, head: Head, atlas: Atlas, kept: Path) -> WaveField:
    """Return the noise-free wave field; compute it once and keep it in a file."""
    grid = scan_grid(settings, atlas)
    if not kept.exists():
        displacement_m, _ = vibrate(MPI.COMM_SELF, settings, head, grid)
        with atomic_file(kept) as partial, partial.open("wb") as file:
            np.save(file, displacement_m)
    return WaveField(
        displacement_m=np.load(kept),
        mask=head.in_brain(grid.points_mm),
        affine_mm=grid.affine_mm,
        frequency_hz=settings.frequency_hz,
        noise_std_m=None,
        density_kg_m3=settings.density_kg_m3,
        label="sub-brain",
    )


def crop(field: WaveField, voxels: int) -> WaveField:
    """Cut out the middle of the brain, in the shape of the box around it, with about `voxels` voxels; all for 0."""
    if voxels == 0:
        return field
    ijk = np.argwhere(field.mask)
    low, high = ijk.min(axis=0), ijk.max(axis=0)
    away = np.abs((ijk - (low + high) / 2) / ((high - low) / 2)).max(axis=1)
    inside = away <= np.sort(away)[min(voxels, len(away)) - 1]
    mask = np.zeros_like(field.mask)
    mask[tuple(ijk[inside].T)] = True
    return replace(field, mask=mask)


def measure(field: WaveField, head: Head, folder: Path, ranks: int) -> BrainRun:
    """Invert one size; return its cost and its accuracy."""
    kept = folder / "run.json"
    if kept.exists():
        return BrainRun(**json.loads(kept.read_text(encoding="utf-8")))
    write_noisy(field, folder / "wavefield", NOISE_PERCENT, [SETTINGS.seed, 3])
    write_nifti(folder / "wavefield" / "sub-brain_T1w.nii.gz", head.t1.astype(np.float32), head.affine_mm)
    began = time.perf_counter()
    invert(folder / "wavefield", folder / "mre", ranks, "--settings", json.dumps({"samples": SAMPLES}))
    found = _judge(field, head, folder / "mre", time.perf_counter() - began)
    with atomic_file(kept) as partial:
        partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def _judge(field: WaveField, head: Head, results: Path, seconds: float) -> BrainRun:
    (path,) = results.glob("*_inversion.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    affine_mm = read_nifti(next(results.glob("*_stat-mean_storagemodulus.nii.gz"))).affine_mm
    i, j, k = field.mask.shape
    grid = ScanGrid(affine_mm, (i, j, k))
    truth = head.modulus_kpa_in(grid).real[field.mask]
    solid = head.tissue_at(grid.points_mm[field.mask]) != 3
    mean, lower, upper = (
        read_map(next(results.glob(f"*_stat-{name}_storagemodulus.nii.gz")), units="kPa").values[field.mask]
        for name in ("mean", "lower", "upper")
    )
    busy = record["load_balance"]["busy_s_per_rank"]
    return BrainRun(
        voxels=len(truth),
        tissue=int(solid.sum()),
        zones=len(zones_of(field.mask, field.voxel_size_mm, MeshSettings())),
        steps=len(record["iterations"]),
        seconds=seconds,
        zone_seconds=float(np.mean(busy)),
        memory_gb=record["peak_memory_mb"] / 1024.0,
        ranks=record["ranks"],
        error_percent=100.0 * float(np.median(np.abs(mean[solid] / truth[solid] - 1.0))),
        coverage_percent=100.0 * float(np.mean((lower[solid] <= truth[solid]) & (truth[solid] <= upper[solid]))),
    )


def exponent(runs: Sequence[BrainRun]) -> float:
    """Return the exponent of wall time against voxels."""
    return float(np.polyfit(np.log([run.voxels for run in runs]), np.log([run.seconds for run in runs]), 1)[0])


def rows_of(runs: Sequence[BrainRun], *, whole: bool) -> list[Row]:
    """Return the record's rows; goals are for the whole brain."""
    rows = []
    for run in reversed(runs):  # the largest is what is asked for
        goals = (MINUTES_GOAL, GIGABYTES_GOAL) if whole and run is runs[-1] else ("", "")
        size = f"{run.voxels} voxels ({run.tissue} of tissue, {run.zones} zones)"
        rows += [
            Row(f"wall time on {run.ranks} ranks, {size}", "min", run.seconds / 60.0, None, goal=goals[0]),
            Row(
                f"memory of all ranks at most, {run.voxels} voxels",
                "GB",
                run.ranks * run.memory_gb,
                None,
                goal=goals[1],
            ),
            Row(f"of the time on zones, {run.voxels} voxels", "%", 100.0 * run.zone_seconds / run.seconds, None),
            Row(f"median error of G' in tissue, {run.voxels} voxels", "%", run.error_percent, None),
            Row(f"95 % intervals of G' that hold, {run.voxels} voxels", "%", run.coverage_percent, None),
        ]
    if len(runs) > 1:
        rows.append(Row("exponent of time against voxels", "", exponent(runs), None, goal=EXPONENT_GOAL))
    return rows


def main() -> None:
    """Run all sizes, one after the other, draw the picture and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--voxels", type=int, nargs="+", default=list(VOXELS), help="sizes; 0 is the whole brain")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="a block instead of a brain; its record stays in --out")
    chosen = parser.parse_args()
    began = time.perf_counter()
    settings, sizes = (SHORT, SHORT_VOXELS) if chosen.short else (SETTINGS, chosen.voxels)
    chosen.out.mkdir(parents=True, exist_ok=True)
    head, atlas = patient(settings)
    field = waves(settings, head, atlas, chosen.out / "waves.npy")
    runs = [measure(crop(field, voxels), head, chosen.out / f"voxels-{voxels}", chosen.ranks) for voxels in sizes]
    draw(
        [run.voxels for run in runs],
        {"all": [run.seconds for run in runs], "zones": [run.zone_seconds for run in runs]},
        chosen.out / "whole_brain.svg" if chosen.short else PICTURE,
    )
    write_record(
        "whole_brain",
        rows_of(runs, whole=0 in sizes and not chosen.short),
        published="none: open tools do not invert a whole brain with uncertainty",
        notes=[
            f"{SAMPLES} joint draws, {NOISE_PERCENT:g} % noise, steps: {', '.join(str(run.steps) for run in runs)}",
            f"docs/pictures/{PICTURE.name}: {CAPTION}",
        ],
        seconds=time.perf_counter() - began,
        out=chosen.out / "record.json" if chosen.short else None,
    )


if __name__ == "__main__":
    main()
