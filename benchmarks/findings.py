"""Stiff and soft regions found in simulated patients: do their intervals hold the truth, and how many are false?

Reads a folder of finished sessions with their truth, as `calibration_cohort.py` (`study/sessions.tsv` and `results/`)
or `lesions.py` leaves it, and searches each map by the defaults of `palpate.imaging.findings`. Compared with the truth:

- intervals of 95 % of a finding's ratio to its surroundings, of its mean and of its extent;
- false findings: the true mean is not beyond the threshold. Stiff tissue without a lesion is no false finding;
- maps whose findings of a kind lie beyond the threshold in every voxel, which the search states with 90 %;
- the error of the mean away from the reference: regions are chosen for their values, so that chance and errors of the
  model that push values away from the reference are chosen with them (winner's curse);
- lesions found: at least half of the finding lies in the lesion, or half of the lesion in the finding.

The figures are written to `imaging/findings/measured.json` as well, from which palpate prints them beside each finding.

    python benchmarks/findings.py cohort_folder --out folder [--short]
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray
from scores.finding_score import FindingScore, PatientScore, Truth, score
from scores.lesion_score import regions
from worlds.lesion_block import Lesion

from palpate.config.findings import FindingsSettings
from palpate.config.study import read_study
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.stiffness_folder import StiffnessMaps, read_stiffness
from palpate.imaging.findings.calibration import HELD, RECORD
from palpate.imaging.findings.regions import SIGNS
from palpate.provenance import atomic_file
from palpate.service.score import read_truth

SETTINGS: Final = FindingsSettings()
MEASURED: Final = Path(__file__).parents[1] / "imaging" / "findings" / RECORD
SHORT: Final = 2
"""Patients of the short version."""
DIAMETERS_MM: Final = ((0.0, 10.0), (10.0, 15.0), (15.0, 40.0))
CONTRASTS: Final = ((1.0, 1.3), (1.3, 1.6), (1.6, 9.0))
"""Ranges of contrast, or of its reciprocal where the lesion is softer."""


def patients(folder: Path) -> Iterator[tuple[str, Callable[[], PatientScore]]]:
    """Yield the patients of a folder, by name, each with the function that scores it."""
    table, results = folder / "study" / "sessions.tsv", folder / "results"
    if table.exists():
        for session in read_study(table):
            if session.truth is not None and (results / session.folder / "mre").is_dir():
                yield session.label, partial(_of_cohort, session.label, results / session.folder, session.truth)
    for mre in sorted(folder.glob("*mm-x*-noise*/mre")):
        yield mre.parent.name, partial(_of_lesions, mre)


def _of_cohort(name: str, results: Path, truth: Path) -> PatientScore:
    """Score a patient of the cohort."""
    (run,) = read_stiffness(results)
    storage_kpa, loss_kpa = (one.values.astype(np.float64) for one in read_truth(truth, run).values())
    names = read_json(truth / "truth.json").get("tissues", {})
    numbers = [int(number) for number, tissue in names.items() if tissue == "lesion"]
    lesion = np.isin(read_nifti(truth / "truth_tissue.nii.gz").values, numbers)
    return _scored(name, run, storage_kpa + 1j * loss_kpa, lesion)


def _of_lesions(mre: Path) -> PatientScore:
    """Score a sphere of the benchmark of lesions, named "10mm-x1.5-noise2"."""
    (run,) = read_stiffness(mre)
    diameter, contrast, _ = mre.parent.name.split("-")
    lesion = Lesion(float(diameter.removesuffix("mm")), float(contrast.removeprefix("x")), run.informed.shape[0])
    inside, _ = regions(lesion)
    return _scored(mre.parent.name, run, _voxel_means(lesion, run), inside)


def _voxel_means(lesion: Lesion, run: StiffnessMaps) -> NDArray[np.complex128]:
    """Return the mean of G* over the volume of each voxel, kPa, shape (i, j, k)."""
    points_mm, along = lesion.grid.points_mm, (np.arange(5) - 2.0) / 5.0
    parts = np.stack(np.meshgrid(along, along, along), axis=-1).reshape(-1, 3) @ run.affine_mm[:3, :3].T
    return np.asarray(np.mean([lesion.modulus_kpa(points_mm + part) for part in parts], axis=0))


def _scored(
    name: str, run: StiffnessMaps, modulus_kpa: NDArray[np.complex128], lesion: NDArray[np.bool_]
) -> PatientScore:
    """Score a patient with true G*, kPa, and voxels of a lesion, both of shape (i, j, k)."""
    assert run.samples_path is not None, "joint draws are needed: invert with the nonlinear method"
    stiffness_kpa = np.abs(modulus_kpa) if SETTINGS.quantity == "magnitude" else modulus_kpa.real
    draws = open_draws(run.samples_path, run.informed.shape)
    return score(name, run, draws, Truth(stiffness_kpa, lesion), SETTINGS)


def rows_of(scores: Sequence[PatientScore]) -> list[Row]:
    """Return the figures, those with a goal first."""
    found = [one for patient in scores for one in patient.findings]
    ratios = [one.ratio.held for one in found if one.ratio is not None]
    rows = [
        _share(
            f"95 % intervals of the ratio that hold the truth ({len(ratios)} findings)",
            ratios,
            HELD,
        ),
        Row("false findings a patient", "", _false(found) / len(scores), None),
        _share("95 % intervals of the mean that hold the truth", [one.mean_kpa.held for one in found]),
        _share("95 % intervals of the extent that hold the truth", [one.extent_ml.held for one in found]),
        Row("error of the mean away from the reference, median", "%", _overstated_percent(found), None),
    ]
    for kind in SIGNS:
        shown = [[one for one in patient.findings if one.kind == kind] for patient in scores]
        whole = [all(one.true_share_beyond == 1.0 for one in own) for own in shown]
        rows.append(_share(f"maps whose {kind} findings are {kind} in every voxel", whole, SETTINGS.level))
        rows.append(Row(f"{kind} findings a patient", "", sum(map(len, shown)) / len(scores), None))
    return rows + list(_lesions(scores))


def _lesions(scores: Sequence[PatientScore]) -> Iterator[Row]:
    """Yield the share of lesions found, by size and contrast."""
    lesions = [one.lesion for one in scores if one.lesion is not None]
    for least_mm, most_mm in DIAMETERS_MM:
        for low, high in CONTRASTS:
            own = [
                one.found
                for one in lesions
                if least_mm <= one.diameter_mm < most_mm and low <= max(one.contrast, 1.0 / one.contrast) < high
            ]
            if own:
                name = f"lesions of {least_mm:g} to {most_mm:g} mm, contrast {low:g} to {high:g}"
                yield _share(f"{name}, that are found ({len(own)} lesions)", own)


def _share(quantity: str, held: Sequence[bool], goal: float | None = None) -> Row:
    share = 100.0 * sum(held) / len(held) if held else None
    return Row(quantity, "%", share, None, goal="" if goal is None else f">= {100 * goal:g}")


def _false(found: Sequence[FindingScore]) -> int:
    return sum(one.false(SETTINGS.factor) for one in found)


def _overstated_percent(found: Sequence[FindingScore]) -> float:
    return 100.0 * median(one.overstated for one in found) if found else 0.0


def write_measured(scores: Sequence[PatientScore], population: str) -> None:
    """Write the figures that palpate prints beside each finding."""
    found = [one for patient in scores for one in patient.findings]
    compared = [one for one in found if one.ratio is not None]
    content = {
        "source": "benchmarks/findings.py",
        "population": population,
        "patients": len(scores),
        "findings": len(compared),
        "ratio_held": sum(one.ratio is not None and one.ratio.held for one in compared),
        "mean_held": sum(one.mean_kpa.held for one in compared),
        "false": _false(found),
        "overstated_percent": round(_overstated_percent(found), 2),
        "settings": SETTINGS.model_dump(mode="json"),
    }
    with atomic_file(MEASURED) as partial_file:
        partial_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Score all patients, and write the record and the figures that palpate ships."""
    began = time.perf_counter()
    chosen = options(__doc__, "cohort")
    every = list(patients(chosen.source))[: SHORT if chosen.short else None]
    scores = [run() for _, run in every]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(chosen.out / "scores.json") as partial_file:
        partial_file.write_text(json.dumps([one.as_record() for one in scores], indent=2) + "\n", encoding="utf-8")
    mean_ml = sum(one.tissue_ml for one in scores) / len(scores)
    population = f"simulated patients with maps of {mean_ml:.0f} mL"
    if not chosen.short:
        write_measured(scores, population)
    write_record(
        "findings",
        rows_of(scores),
        published="none: no tool publishes measured coverage of a found region's contrast",
        notes=[f"{len(scores)} {population}"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
