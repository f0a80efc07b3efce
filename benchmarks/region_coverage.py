"""Coverage of the intervals of regions, as palpate regions states them, over a finished cohort of simulated patients.

The study is the folder of calibration_cohort.py (--out), which holds study/sessions.tsv and results. In each patient
spheres of 6, 10 and 16 mm lie on a lattice, with partial voxels at their edges; the tissues of the truth are labels.
The truth of a region is the mean of the true map with the region's own weights, and its rank among the draws is that
of palpate verify calibration. A region counts where the map covers 90 % of it and the scan informs half of that.

No other tool publishes such a figure. Nothing is inverted anew: 160 patients take minutes.

    python benchmarks/region_coverage.py STUDY --out folder [--short]
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray

from palpate.config.study import Session, read_study
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.files.draws import DrawsFile, open_draws
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_stored
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.region_values.label_map import read_label_map
from palpate.imaging.region_values.label_weights import weighted_labels
from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.values import region_values
from palpate.imaging.region_values.weights import WeightedRegion, weighted
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.sphere import SphereShape
from palpate.service.calibration import Ranks
from palpate.service.score import read_truth

DIAMETERS_MM = (6.0, 10.0, 16.0)
GOAL = "93..97"
COVERED, INFORMED = 0.9, 0.5
"""Least share of a region that the map covers, and of that part which the scan informs."""
QUANTITIES = [REGION_QUANTITIES[key] for key in ("storage_modulus", "loss_modulus", "magnitude")]
NO_GOAL = ("fluid", "csf", "background")
"""Words of tissues whose coverage is stated without a goal: a fluid has no shear modulus for waves to find."""

type Found = dict[str, dict[str, list[NDArray[np.float64]]]]


def spheres(run: StiffnessMaps, draws: DrawsFile, diameter_mm: float) -> Iterator[WeightedRegion]:
    """Yield spheres that touch each other on a lattice within the map."""
    places = draws.voxels @ run.affine_mm[:3, :3].T + run.affine_mm[:3, 3]
    low, high = places.min(axis=0), places.max(axis=0)
    count = np.maximum(1, np.floor((high - low) / diameter_mm).astype(int))
    first = (low + high - (count - 1) * diameter_mm) / 2.0
    for index in np.ndindex(*count):
        shape = SphereShape(first + np.array(index) * diameter_mm, diameter_mm / 2.0)
        yield weighted(DrawnRegion("sphere", "sphere", shape, name=f"spheres of {diameter_mm:g} mm"), run, draws)


def labels(run: StiffnessMaps, draws: DrawsFile, truth: Path) -> Iterator[WeightedRegion]:
    """Yield the tissues of the truth."""
    path = truth / "truth_tissue.nii.gz"
    if not path.exists() or not np.any(np.asarray(read_stored(path).values)):
        return
    named = {int(number): name for number, name in read_json(truth / "truth.json").get("tissues", {}).items()}
    for one in weighted_labels(read_label_map(path), run, draws):
        yield replace(one, name=f"all {named.get(one.number or 0, one.name)}")


def counts(region: WeightedRegion, informed: NDArray[np.bool_]) -> bool:
    """Return whether a region counts."""
    total = region.shares.sum()
    return bool(region.covered_share >= COVERED and total > 0.0 and region.shares @ informed >= INFORMED * total)


def patient(run: StiffnessMaps, truth: Path, generator: np.random.Generator) -> Mapping[str, Mapping[str, list[float]]]:
    """Return the ranks of the truths of one run, by kind of region and quantity."""
    assert run.samples_path is not None, f"{run.stem}: no joint draws"
    draws = open_draws(run.samples_path, run.informed.shape)
    at = tuple(draws.voxels.T)
    true_kpa = [one.values[at].astype(np.float64) for one in read_truth(truth, run).values()]
    known = np.isfinite(true_kpa[0]) & np.isfinite(true_kpa[1])
    every = [one for diameter in DIAMETERS_MM for one in spheres(run, draws, diameter)]
    every += labels(run, draws, truth)
    regions = [one for one in every if counts(one, run.informed[at]) and not np.any(one.shares[~known])]
    medium = Medium(run.frequency_hz, 1000.0)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for value in region_values(run, draws, regions, QUANTITIES, medium):
        shares = np.where(known, value.region.shares, 0.0)
        true = value.quantity.of(np.nan_to_num(true_kpa[0]), np.nan_to_num(true_kpa[1]), medium)
        below = int(np.count_nonzero(value.draws < float(shares @ true / shares.sum())))
        found[value.region.name][value.quantity.key].append((below + generator.uniform()) / (draws.count + 1))
    return found


def cohort(results: Path, sessions: tuple[Session, ...]) -> Found:
    """Return the ranks of all patients, by kind of region and quantity, an array for each patient."""
    found: Found = defaultdict(lambda: defaultdict(list))
    for number, one in enumerate(sessions):
        if one.truth is None or not (results / one.folder / "mre").is_dir():
            continue
        for run in read_stiffness(results / one.folder):
            for kind, by in patient(run, one.truth, np.random.default_rng([41, number])).items():
                for key, ranks in by.items():
                    found[kind][key].append(np.array(ranks))
    return found


def rows(found: Found) -> Iterator[Row]:
    """Yield the coverage of 95 % intervals, spheres first; widths of the error bars stand in the notes."""
    kinds = sorted(found, key=lambda kind: (kind.startswith("all"), len(kind), kind))
    for kind in kinds:
        goal = "" if any(word in kind.lower() for word in NO_GOAL) else GOAL
        for one in QUANTITIES:
            share = Ranks(tuple(found[kind][one.key])).coverage(0.95)[0]
            yield Row(f"95 % intervals of {one.words} that hold the truth, {kind}", "%", 100.0 * share, None, goal=goal)


def notes(found: Found) -> Iterator[str]:
    """Yield the number of regions of each kind, and how well the share of G' is known."""
    for kind, by in found.items():
        ranks = Ranks(tuple(by["storage_modulus"]))
        error = 100.0 * ranks.coverage(0.95)[1]
        yield f"{kind}: {ranks.pooled.size} regions of {len(ranks.patients)} patients, standard error {error:.1f} %"


def table_of(study: Path) -> Path:
    """Return the table of sessions of a study."""
    places: tuple[Any, ...] = tuple(study / name / "sessions.tsv" for name in ("study", "patient", "."))
    return next((one for one in places if one.exists()), places[0])


def main() -> None:
    """Rank the truths of a finished cohort's regions and record the coverage."""
    chosen = options(__doc__, "study")
    began = time.perf_counter()
    sessions = read_study(table_of(chosen.source))
    found = cohort(chosen.source / "results", sessions)
    write_record(
        "region_coverage",
        list(rows(found)),
        published="none: no tool, open or closed, publishes measured coverage of stiffness intervals of regions",
        notes=list(notes(found)),
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
