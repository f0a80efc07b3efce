"""Are the intervals right? Coverage over a cohort of simulated patients; no other tool publishes such a figure.

Twenty patients who differ in anatomy, stiffness, lesion, wave, frequency and noise: blocks of 21 x 13 x 9 voxels of
2 mm with their T1, made as a scanner's DICOM by another mesh and element. They go through the workflow as any study
does; then `palpate verify calibration` ranks each truth among the joint draws, in voxels that the inversion calls
informed.

    python benchmarks/calibration_cohort.py --out folder [--ranks 2] [--short]
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command_line import PROGRAMS, options
from record import Row, write_record

PATIENTS, SHAPE = 20, (21, 13, 9)
SHORT_PATIENTS, SHORT_SHAPE = 2, (9, 9, 9)
COVERAGE_GOAL = "93..97"
ERROR_GOAL = "<= 0.02"
MODULI = {"storagemodulus": "G'", "lossmodulus": "G''"}
JUDGED = ("voxels", "regions of 6 mm", "regions of 10 mm", "regions of 16 mm")
"""What has a goal; by tissue it is reported."""


def run(*command: str | Path) -> None:
    """Run a program of this environment."""
    subprocess.run([str(PROGRAMS / str(command[0])), *map(str, command[1:])], check=True)


def rows(found: dict[str, Any]) -> Iterator[Row]:
    """The figures of `palpate verify calibration`, those with a goal first."""
    for modulus, symbol in MODULI.items():
        of_modulus = found[modulus]
        for kind in JUDGED:
            if kind in of_modulus:
                share = 100.0 * of_modulus[kind]["coverage"]["0.95"]["share"]
                yield Row(
                    f"95 % intervals of {symbol} that hold the truth, {kind}", "%", share, None, goal=COVERAGE_GOAL
                )
        yield Row(
            f"expected calibration error of {symbol}, voxels",
            "",
            of_modulus["voxels"]["calibration_error"],
            None,
            goal=ERROR_GOAL,
        )
    for modulus, symbol in MODULI.items():
        of_modulus = found[modulus]
        for kind in (kind for kind in of_modulus if kind.startswith("voxels of")):
            share = 100.0 * of_modulus[kind]["coverage"]["0.95"]["share"]
            yield Row(f"95 % intervals of {symbol} that hold the truth, {kind}", "%", share, None)
        baselines = {"algebraic": of_modulus["crps_direct_kpa"], "prior alone": of_modulus["crps_prior_kpa"]}
        yield Row(f"CRPS of {symbol}", "kPa", of_modulus["crps_kpa"], None, baselines)
        yield Row(
            f"median width of the 95 % interval of {symbol} over the truth", "", of_modulus["interval_width"], None
        )


def score(results: Path, sessions: Path, page: Path) -> list[Row]:
    """Judge a cohort's results and write the page."""
    run("palpate", "verify", "calibration", results, "--sessions", sessions, "--out", page)
    return list(rows(json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))))


def main() -> None:
    """Make the cohort, run the workflow, judge, record."""
    chosen = options(__doc__)
    began = time.perf_counter()
    patients, shape = (SHORT_PATIENTS, SHORT_SHAPE) if chosen.short else (PATIENTS, SHAPE)
    study, results = chosen.out / "study", chosen.out / "results"
    if not (study / "sessions.tsv").exists():
        run(
            "palpate",
            "phantom",
            "--patients",
            str(patients),
            "--settings",
            json.dumps({"shape": shape}),
            "--out",
            study,
        )
    wanted = [results / f"sub-{number:02d}" / "ses-01" / "mre" for number in range(1, patients + 1)]
    given = (f"sessions={study / 'sessions.tsv'}", f"results={results}")
    run("snakemake", "-c", str(chosen.ranks), "--config", *given, "--", *wanted)
    found = score(results, study / "sessions.tsv", chosen.out / "calibration.html")
    write_record(
        "calibration_cohort",
        found,
        published="none: no tool, open or closed, publishes measured coverage of stiffness intervals",
        notes=[f"{patients} patients, blocks of {' x '.join(str(n) for n in shape)} voxels of 2 mm"],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
