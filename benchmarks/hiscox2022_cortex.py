"""Regions of the cortex after Hiscox 2022 (Phys Med Biol 67:095002), re-simulated.

Their protocol: a simulated brain whose regions are uniform in shear modulus mu and damping ratio xi, 50 Hz, noise of
2 % of mean |u|, recovered by nonlinear inversion (NLI) at 2 mm and 1.25 mm, and with regions known to the inversion.

Here: a block of the ICBM152 brain with convolutions and fluid; grey and white matter are cut into parcels, each with mu
and xi drawn from the ranges that healthy tissue shows at 50 Hz; fluid is 300 Pa. Waves on P2-P1 tetrahedra whose edge
is no multiple of a voxel; complex Gaussian noise of 2 % of mean |u| in every real and imaginary part. Inverted by
`palpate invert` as a user runs it: without labels, with the parcels as labels, and with labels that are 2 mm off.

    mu = 2 |G*|^2 / (G' + |G*|),    xi = G'' / (2 G').

A voxel's truth is the mean of ln G* over it. The error of a region is the mean over its voxels of
|estimate - truth| / truth; a voxel counts to a region that fills more than half of it; figures are means over regions.
The error of a region's mean is given beside.

    python benchmarks/hiscox2022_cortex.py --out folder [--voxel-mm 2 1.25] [--variants plain] [--ranks 2] [--short]

Variants that are finished in the folder are taken over.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from command_line import invert
from cortex_picture import Curve, draw
from noise import write_noisy
from numpy.typing import NDArray
from record import Row, write_record

import palpate.solvers  # noqa: F401  # isort: skip  (loads MPI before dolfinx)
from mpi4py import MPI

from palpate.config.phantom import PhantomSettings
from palpate.imaging.labels import Regions, read_regions
from palpate.imaging.nifti import read_nifti, write_nifti
from palpate.imaging.phantom.atlas import Atlas, load_atlas
from palpate.imaging.phantom.grid import scan_grid
from palpate.imaging.phantom.tissue import Head
from palpate.imaging.wavefield import WaveField
from palpate.solvers.virtual_patient import vibrate

PUBLISHED = {2.0: (9.4, 28.7), 1.25: (7.0, 22.9)}
"""Errors of NLI in mu and xi, percent, by voxel size in mm."""
PUBLISHED_WITH_REGIONS = (3.1, 11.2)
"""With an anatomical prior, at 1.25 mm."""

NOISE_PERCENT = 2.0
FREQUENCY_HZ = 50.0
FLUID = 1
CENTRE_MM = (-42.0, -20.0, 44.0)
"""Left post-central cortex: sulci, gyri and white matter."""
EDGES_MM = (44.0, 44.0, 28.0)
SHORT_EDGES_MM = (26.0, 26.0, 18.0)
PARCEL_MM = 16.0
"""Least distance between the centres of two parcels of one tissue."""
MU_KPA = {"grey": (2.0, 3.3), "white": (2.6, 3.9)}
XI = (0.13, 0.25)
LABELS_OFF_MM = (2.0, 0.0, 0.0)
SEED = 2022
SYMBOLS = ("mu", "xi")
WORDS = {"plain": "no labels", "labels": "regions known", "labels-2mm-off": "regions 2 mm off"}
"""What a variant is told, by its folder."""
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "hiscox2022_cortex.svg"
CAPTION = (
    "Error of each region, sorted, by what the inversion is told and by voxel size; the mean that nonlinear inversion "
    "published for it is dashed."
)


@dataclass(frozen=True, slots=True)
class Case:
    """A simulated scan on disk and its truth.

    Attributes:
        wavefield: folder.
        labels: NIfTI of the parcels.
        displaced: the same, LABELS_OFF_MM away.
        regions: parcels in the mask's voxels.
        mu_kpa, xi: truth in the mask's voxels, shape (N,).
    """

    wavefield: Path
    labels: Path
    displaced: Path
    regions: Regions
    mu_kpa: NDArray[np.float64]
    xi: NDArray[np.float64]


def parcels(atlas: Atlas, near_mm: NDArray[np.float64], reach_mm: float) -> NDArray[np.uint8]:
    """Numbers of parcels on the atlas: 1 fluid, then grey, then white matter; cells around random centres."""
    generator = np.random.default_rng([SEED, 1])
    fluid = 1.0 - atlas.grey - atlas.white
    tissue = np.argmax([fluid, atlas.grey, atlas.white], axis=0)
    number = np.full(tissue.shape, FLUID, dtype=np.uint8)
    close = np.linalg.norm(atlas.points_mm - near_mm, axis=-1) < reach_mm
    following = FLUID + 1
    for kind in (1, 2):
        inside = (tissue == kind) & atlas.brain
        centres = _spread_out(atlas.points_mm[inside & close], generator)
        points = atlas.points_mm[inside]
        nearest = np.argmin([np.sum((points - centre) ** 2, axis=1) for centre in centres], axis=0)
        number[inside] = following + nearest
        following += len(centres)
    return number


def _spread_out(points_mm: NDArray[np.float64], generator: np.random.Generator) -> list[NDArray[np.float64]]:
    """Random points no two of which are closer than PARCEL_MM."""
    chosen: list[NDArray[np.float64]] = []
    for point in points_mm[generator.permutation(len(points_mm))]:
        if all(np.linalg.norm(point - other) >= PARCEL_MM for other in chosen):
            chosen.append(point)
    return chosen


def piecewise_head(atlas: Atlas, number: NDArray[np.uint8]) -> Head:
    """The brain with one modulus a parcel."""
    generator = np.random.default_rng([SEED, 2])
    storage_kpa, loss_kpa = np.full(number.max() + 1, 0.3), np.full(number.max() + 1, 0.3)
    for parcel in range(FLUID + 1, number.max() + 1):
        kind = "grey" if (atlas.grey > atlas.white)[number == parcel].mean() > 0.5 else "white"
        mu_kpa, xi = generator.uniform(*MU_KPA[kind]), generator.uniform(*XI)
        ratio = np.sqrt(1.0 + 4.0 * xi**2)
        storage_kpa[parcel] = mu_kpa * (1.0 + ratio) / (2.0 * ratio**2)
        loss_kpa[parcel] = 2.0 * xi * storage_kpa[parcel]
    return Head(
        modulus_kpa=storage_kpa[number] + 1j * loss_kpa[number],
        magnitude=atlas.brain.astype(np.float64),
        t1=atlas.t1,
        brain=atlas.brain,
        tissue=number,
        affine_mm=atlas.affine_mm,
    )


def engineering(modulus: NDArray[np.complex128]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pair mu, in the unit of G*, and xi."""
    size = np.abs(modulus)
    return 2.0 * size**2 / (modulus.real + size), modulus.imag / (2.0 * modulus.real)


def simulate(folder: Path, voxel_mm: float, edges_mm: tuple[float, float, float]) -> Case:
    """Make the scan and write it as a wave-field folder, with labels beside."""
    atlas = load_atlas()
    shape = (round(edges_mm[0] / voxel_mm), round(edges_mm[1] / voxel_mm), round(edges_mm[2] / voxel_mm))
    settings = PhantomSettings(
        centre_mm=CENTRE_MM, shape=shape, voxel_mm=voxel_mm, frequency_hz=FREQUENCY_HZ, lesion=None, seed=SEED
    )
    grid = scan_grid(settings, atlas)
    number = parcels(atlas, np.array(CENTRE_MM), 0.6 * float(np.linalg.norm(edges_mm)))
    head = piecewise_head(atlas, number)
    displacement_m, _ = vibrate(MPI.COMM_SELF, settings, head, grid)
    mask = head.in_brain(grid.points_mm)
    field = WaveField(
        displacement_m=displacement_m,
        mask=mask,
        affine_mm=grid.affine_mm,
        frequency_hz=FREQUENCY_HZ,
        noise_std_m=None,
        density_kg_m3=settings.density_kg_m3,
        label="sub-cortex",
    )
    write_noisy(field, folder / "wavefield", NOISE_PERCENT, [SEED, 3])
    moved = atlas.affine_mm.copy()
    moved[:3, 3] += LABELS_OFF_MM
    write_nifti(folder / "labels.nii.gz", number, atlas.affine_mm)
    write_nifti(folder / "displaced.nii.gz", number, moved)
    mu_kpa, xi = engineering(head.modulus_kpa_in(grid)[mask])
    regions = read_regions(folder / "labels.nii.gz", mask, grid.affine_mm)
    return Case(folder / "wavefield", folder / "labels.nii.gz", folder / "displaced.nii.gz", regions, mu_kpa, xi)


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of the parcels of tissue, percent, shape (parcels, 2) for mu and xi.

    Attributes:
        voxels: mean error of each parcel's voxels.
        means: error of each parcel's mean.
        held: 100 where the true mean lies in the 95 % interval, else 0; NaN for a baseline.
    """

    voxels: NDArray[np.float64]
    means: NDArray[np.float64]
    held: NDArray[np.float64]


def _parcels_of(case: Case) -> Iterator[NDArray[np.bool_]]:
    for parcel, share in zip(case.regions.numbers, case.regions.shares.toarray().T, strict=True):
        if parcel != FLUID and np.count_nonzero(share > 0.5) >= 8:  # a parcel clipped to less is no region
            yield share > 0.5


def score(case: Case, modulus_kpa: NDArray[np.complex128], draws_kpa: NDArray[np.complex128] | None = None) -> Score:
    """Judge an estimate of G*, shape (N,), and its joint draws, shape (draws, N)."""
    found = engineering(modulus_kpa)
    drawn = None if draws_kpa is None else engineering(draws_kpa)
    rows = []
    for inside in _parcels_of(case):
        row = []
        for which, truth in enumerate((case.mu_kpa, case.xi)):
            estimate, true = found[which][inside], truth[inside]
            usable = np.isfinite(estimate)
            voxels = float(np.mean(np.abs(estimate - true)[usable] / true[usable]))
            mean = abs(float(estimate[usable].mean() / true[usable].mean()) - 1.0)
            held = float("nan")
            if drawn is not None:
                low, high = np.quantile(drawn[which][:, inside].mean(axis=1), [0.025, 0.975])
                held = float(low <= true.mean() <= high)
            row.append((voxels, mean, held))
        rows.append(row)
    voxels_percent, means_percent, held_percent = 100.0 * np.moveaxis(np.array(rows), 2, 0)
    return Score(voxels_percent, means_percent, held_percent)


def score_folder(case: Case, mre: Path) -> tuple[Score, Score]:
    """Scores of an inversion and of the direct inversion that is written beside it."""
    with h5py.File(next(mre.glob("*_samples.h5"))) as file:
        draws = file["storagemodulus_kpa"][:] + 1j * file["lossmodulus_kpa"][:]
        place = tuple(file["voxels"][:].T)

    def read(name: str) -> NDArray[np.complex128]:
        parts = [read_nifti(next(mre.glob(f"*_{name}_{m}.nii.gz"))).values for m in ("storagemodulus", "lossmodulus")]
        return np.asarray((parts[0] + 1j * parts[1])[place])

    return score(case, read("stat-mean"), draws), score(case, read("desc-direct"))


def run(
    out: Path, voxel_mm: float, variants: Sequence[str], *, short: bool, ranks: int
) -> tuple[dict[str, Score], list[str]]:
    """One voxel size: simulate, invert each variant that is not there yet; scores by variant, and notes."""
    case = simulate(out, voxel_mm, SHORT_EDGES_MM if short else EDGES_MM)
    labels = {"plain": None, "labels": case.labels, "labels-2mm-off": case.displaced}
    scores: dict[str, Score] = {}
    number = len(list(_parcels_of(case)))
    notes = [f"{number} parcels of grey and white matter, {len(case.mu_kpa)} voxels of {voxel_mm:g} mm"]
    for name in variants:
        mre, given = out / name, labels[name]
        if not mre.exists():
            invert(case.wavefield, mre, ranks, *(() if given is None else ("--labels", given)))
        scores[name], scores["algebraic"] = score_folder(case, mre)
        record = json.loads(next(mre.glob("*_inversion.json")).read_text(encoding="utf-8"))
        shown = ("storage_std", "loss_std", "length_mm", "roughness", "coupling", "region_std")
        prior = ", ".join(f"{key} {record['prior'][key]:.3g}" for key in shown)
        seconds = sum(record["load_balance"]["busy_s_per_rank"])
        notes.append(
            f"{name}, {voxel_mm:g} mm: prior {prior}; zones took {seconds:.0f} s of all {record['ranks']} ranks"
        )
    return scores, notes


def main() -> None:
    """All voxel sizes, one after the other."""
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
        variants = ("plain", "labels") if chosen.short else chosen.variants
        folder = chosen.out / f"voxels-{voxel_mm:g}mm"
        scores, told = run(folder, voxel_mm, variants, short=chosen.short, ranks=chosen.ranks)
        rows += _rows(scores, voxel_mm)
        notes += told
        curves += [
            Curve(f"{WORDS[name]}, {voxel_mm:g} mm", scores[name].voxels, published(name, voxel_mm))
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


def _rows(scores: dict[str, Score], voxel_mm: float) -> Iterator[Row]:
    for which, symbol in enumerate(SYMBOLS):
        baseline = {"algebraic": float(scores["algebraic"].voxels[:, which].mean())}
        for name, words in WORDS.items():
            if name not in scores:
                continue
            case = f"{words}, {voxel_mm:g} mm"
            bars = published(name, voxel_mm)
            bar = None if bars is None else bars[which]
            goal = "" if bar is None or name == "labels-2mm-off" else f"< {bar:g}"
            own = scores[name]
            errors = own.voxels[:, which]
            yield Row(f"error of {symbol}, {case}", "%", float(errors.mean()), bar, baseline, goal)
            yield Row(f"error of {symbol} in the worst region, {case}", "%", float(errors.max()), None)
            if bar is not None:
                share = 100.0 * float(np.mean(errors < bar))
                yield Row(f"regions whose error of {symbol} is below the published mean, {case}", "%", share, None)
            yield Row(f"error of regions' mean {symbol}, {case}", "%", float(own.means[:, which].mean()), None)
            held = float(own.held[:, which].mean())
            yield Row(f"regions whose mean {symbol} the 95 % interval holds, {case}", "%", held, None)


def published(variant: str, voxel_mm: float) -> tuple[float, float] | None:
    """Errors of NLI in mu and xi to stand beside a variant, percent; None where none was published."""
    return PUBLISHED.get(voxel_mm) if variant == "plain" else PUBLISHED_WITH_REGIONS


if __name__ == "__main__":
    main()
