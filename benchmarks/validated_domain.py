"""Ranges over which the twin was tried: the patients of growth_cohort, measured as a hospital's own would be.

The images of the twenty patients are made anew, without any calibration, and each fact is read from what the twin gets:
edges of the voxels, number of scans, visible volume at the last scan, days to the held-out scan, drugs and the dose of
a fraction. The largest distance of a forecast whose front alone was compared with a finer solution is front_speed's.

The ranges go to twin/trust/validated.json, which every calibration and forecast is compared with
(palpate.twin.trust.tried). Run this again when the cohort changes.

    python benchmarks/validated_domain.py --out folder [--ranks 2] [--patients 20] [--short]

Finished patients in the folder are taken over.
"""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from growth_cohort import PATIENTS, SHORT_PATIENTS, study
from harness.command_line import options
from harness.record import Row, write_record

from palpate.imaging.tumour.history import TumourHistory
from palpate.provenance import atomic_file

SHIPPED: Final = Path(__file__).parents[1] / "twin" / "trust" / "validated.json"
"""File that the package carries."""
FRONT_DAYS: Final = 90.0
"""Furthest day on which front_speed compares the front with a finer solution."""
QUANTITIES: Final = {
    "scans": ("number of scans", ""),
    "voxel_mm": ("largest edge of the images' voxels", "mm"),
    "visible_ml": ("visible volume at the last scan", "mL"),
    "horizon_days": ("days from the last scan to the forecast", "days"),
    "fraction_gy": ("largest dose of a fraction", "Gy"),
}
"""Facts that are numbers, with their words and units."""


def facts_of(history: TumourHistory) -> dict[str, Any]:
    """Return the facts of one patient, of whom the last scan is held out.

    Args:
        history: history of the tumour on the images' grid, with the scan that is held out.
    """
    from palpate.twin.products.figures import observed

    *known, hidden = history.scans
    seen = observed(known, float(np.prod(history.edges_mm)) / 1e3)[-1]
    given = [one for one in history.irradiations if one.day < hidden.day]
    return {
        "scans": len(known),
        "voxel_mm": float(history.edges_mm.max()),
        "visible_ml": seen["visible_ml"],
        "horizon_days": hidden.day - known[-1].day,
        "fraction_gy": max((float(one.dose_gy[history.tissue].max()) for one in given), default=None),
        "treatments": sorted(
            {f"drug {one.drug}" for one in history.drug_doses}
            | ({"radiotherapy"} if history.irradiations else set())
            | ({"surgery"} if history.surgeries else set())
        ),
    }


def patient(number: int, folder: Path) -> dict[str, Any]:
    """Return the facts of one patient of the cohort; a finished one is taken over.

    Args:
        number: place of the patient in the cohort.
        folder: folder of the patient's images.
    """
    kept = folder / "facts.json"
    if not kept.exists():
        found = facts_of(study(number, folder / "study").history)
        shutil.rmtree(folder / "study")
        with atomic_file(kept) as partial:
            partial.write_text(json.dumps(found), encoding="utf-8")
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def ranges(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of the shipped file.

    Args:
        told: facts of the patients.
    """
    numbers = {}
    for name, (words, unit) in QUANTITIES.items():
        values = [one[name] for one in told if one[name] is not None]
        low, high = (float(f"{end:.6g}") for end in (min(values), max(values)))  # images are stored in single precision
        source = {"record": "growth_cohort", "patients": len(values), "low": low, "high": high}
        numbers[name] = {"words": words, "unit": unit, "tried": [source]}
    front = {"record": "front_speed", "patients": 0, "low": 0.0, "high": FRONT_DAYS, "of": "the front alone"}
    numbers["horizon_days"]["tried"].append(front)
    treatments = sorted({treatment for one in told for treatment in one["treatments"]})
    return {"numbers": numbers, "treatments": treatments, "not_recorded": ["age", "sex", "field strength"]}


def main() -> None:
    """Make all patients, then write the ranges and the record."""
    chosen = options(__doc__, patients=PATIENTS)
    began = time.perf_counter()
    numbers = range(1, (SHORT_PATIENTS if chosen.short else chosen.patients or PATIENTS) + 1)
    folders = [chosen.out / f"patient-{n:02d}" for n in numbers]
    with ProcessPoolExecutor(chosen.ranks, mp_context=get_context("spawn")) as pool:
        told = list(pool.map(patient, numbers, folders))
    found = ranges(told)
    with atomic_file(chosen.out / SHIPPED.name if chosen.short else SHIPPED) as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    rows = [
        Row(f"{one['words']}: {end} of the cohort", one["unit"], float(one["tried"][0][key]), None)
        for one in found["numbers"].values()
        for end, key in (("least", "low"), ("largest", "high"))
    ]
    notes = [f"{len(told)} patients of growth_cohort", f"Treatments: {', '.join(found['treatments'])}."]
    seconds = time.perf_counter() - began
    write_record(
        "validated_domain", rows, published="none: what was tried", notes=notes, seconds=seconds, out=chosen.record
    )


if __name__ == "__main__":
    main()
