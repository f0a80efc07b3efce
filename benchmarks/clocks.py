"""Dates that are wrong: treatments two weeks off, or one scan's date, in simulated patients.

Each patient is calibrated three times: with every date right, with all treatments dated 14 days late or early, and with
one scan dated 14 days late or early. A shift must be flagged by stream and sign where the images could tell it to one
who knows the tumour: an oracle that is given the true parameters and compares right with recorded dates, with a
logarithm of the Bayes factor of 3 or more. Where nothing is flagged, intervals must hold in spite of the wrong dates.

The rung `radial` is a ball with five to seven scans (benchmarks/worlds/radial_patients.py): its parameters are drawn
from the twin's priors. The rung `lattice` is the twin itself on a small block with five scans, whose data it draws.
On both, the model behind the data is the one that is calibrated.

    python benchmarks/clocks.py --out folder [--rung radial|lattice] [--finished] [--ranks 2] [--short]

Finished patients in the folder are taken over; with --finished no others are calibrated. Without --rung both are run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from scipy.stats import binomtest
from worlds.clock_cases import judged, radial_case
from worlds.lattice_patients import lattice_case

from palpate.provenance import atomic_file

SEED: Final = 1
PATIENTS: Final = {"radial": 200, "lattice": 40}
SHORT_PATIENTS: Final = 1
TELLING: Final = 3.0
"""Logarithm of the oracle's Bayes factor from which a shift must be flagged."""
LEVEL: Final = 0.9
WRONG: Final = ("treatments", "scan")
QUANTITIES: Final = (
    "alpha",
    "visible volume, 30 days",
    "burden, 30 days",
    "visible volume, 60 days",
    "burden, 60 days",
)


def case(rung: str, number: int, folder: Path) -> dict[str, Any]:
    """Return what the calibrations of a patient say; a finished patient is taken over.

    Args:
        rung: "radial" or "lattice".
        number: number of the patient.
        folder: folder of the finished patients.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    kept = folder / f"{rung}-{number:04d}.json"
    if not kept.exists():
        told = {"radial": radial_case, "lattice": lattice_case}[rung](SEED, number)
        with atomic_file(kept) as partial:
            partial.write_text(json.dumps(told), encoding="utf-8")
    return {name: judged(one) for name, one in json.loads(kept.read_text(encoding="utf-8")).items()}


def rows(rung: str, told: list[dict[str, Any]]) -> Iterator[Row]:
    """Yield the figures of a cohort, each with the rung's name.

    Args:
        rung: name of the rung.
        told: results of each patient's calibrations, by case.
    """
    for kinds in (WRONG, *((one,) for one in WRONG)):
        clear = [one[kind] for one in told for kind in kinds if one[kind]["oracle"] >= TELLING]
        words = " or ".join(kinds)
        goal = ">= 90" if kinds == WRONG else ""
        yield _share(f"{rung}: {words} 14 days off, flagged by stream and sign", [one["named"] for one in clear], goal)
    alarms = [one["right"]["flagged"] for one in told]
    yield _share(f"{rung}: right dates, flagged", alarms, "<= 7")
    missed = [one[kind] for one in told for kind in WRONG if not one[kind]["flagged"]]
    for name, cohort in (("wrong dates that are not flagged", missed), ("right dates", [one["right"] for one in told])):
        for at in range(len(cohort[0]["below"]) if cohort else 0):
            inside = [0.5 - LEVEL / 2 <= one["below"][at] <= 0.5 + LEVEL / 2 for one in cohort]
            yield _share(f"{rung}: {name}, 90 % intervals of {QUANTITIES[at]} that hold", inside, "85..95")


def _share(quantity: str, yes: list[bool], goal: str) -> Row:
    """Return a share in percent, beside it the number of cases and the share's 95 % interval (Wilson)."""
    if not yes:
        return Row(quantity, "%", None, None, {"cases": 0.0})
    low, high = binomtest(int(np.sum(yes)), len(yes)).proportion_ci(0.95, method="wilson")
    beside = {"cases": float(len(yes)), "at least": 100.0 * float(low), "at most": 100.0 * float(high)}
    return Row(quantity, "%", 100.0 * float(np.mean(yes)), None, beside, goal=goal)


def cohort(rung: str, folder: Path, ranks: int, *, short: bool, finished: bool) -> list[dict[str, Any]]:
    """Return what the calibrations of all patients of a rung say.

    Args:
        rung: "radial" or "lattice".
        folder: folder of the finished patients.
        ranks: number of patients that are calibrated at a time.
        short: whether to calibrate SHORT_PATIENTS only.
        finished: whether to take finished patients only.
    """
    numbers: Sequence[int] = range(SHORT_PATIENTS if short else PATIENTS[rung])
    if finished:
        numbers = [one for one in numbers if (folder / f"{rung}-{one:04d}.json").exists()]
    if ranks == 1 or finished:
        return [case(rung, number, folder) for number in numbers]
    with ProcessPoolExecutor(ranks, mp_context=get_context("spawn")) as pool:
        return list(pool.map(case, [rung] * len(numbers), numbers, [folder] * len(numbers)))


def main() -> None:
    """Calibrate the cohort and record the figures."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--rung", choices=tuple(PATIENTS), default=None)
    own.add_argument("--finished", action="store_true")
    asked, rest = own.parse_known_args()
    sys.argv[1:] = rest
    chosen = options(__doc__)
    began = time.perf_counter()
    chosen.out.mkdir(parents=True, exist_ok=True)
    found, notes = [], []
    for rung in PATIENTS if asked.rung is None else (asked.rung,):
        told = cohort(rung, chosen.out, chosen.ranks, short=chosen.short, finished=asked.finished)
        if told:
            found += rows(rung, told)
            medians = ", ".join(f"{kind} {_median(told, kind)}" for kind in WRONG)
            notes.append(f"{rung}: {len(told)} patients; median logarithm of the oracle's Bayes factor: {medians}")
    write_record(
        "clocks",
        found,
        published="none: no twin of a tumour is known to examine its dates",
        notes=[
            *notes,
            "The oracle knows every parameter and the drift of growth; a calibration knows neither.",
            "Radiotherapy counts as the right name of all treatments.",
        ],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


def _median(told: list[dict[str, Any]], kind: str) -> str:
    return f"{float(np.median([one[kind]['oracle'] for one in told])):.0f}"


if __name__ == "__main__":
    main()
