"""Cost of the inversion over its lower limit: wall time over bare factorisations and triangular solves.

Both are measured in one run, on the same matrices with the same solver: the time that MUMPS itself needs is a limit
that changes to the rest of the code cannot lower. The goal is 1.5; field.md's systems publish no such figure. A second
run on one rank gives the speed-up by further ranks, of the whole command with its start and files.

    python benchmarks/limit.py path/to/wavefield --out folder [--ranks 2] [--short]

--short keeps the record in the folder: for a wave field that is too small to say anything.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from harness.command_line import invert, options
from harness.record import Row, write_record

BARE: Final = ("factorisations", "triangular solves")
WITHIN: Final = "zones, with factorisations and solves"
GOAL: Final = "<= 1.5"
SPEED_UP_GOAL: Final = ">= 1.8"
"""Goal for the speed-up of two ranks over one."""


def phases(folder: Path) -> dict[str, float]:
    """Return the rank seconds of every phase of all inversions in a folder, none counted twice."""
    total: defaultdict[str, float] = defaultdict(float)
    for path in sorted(folder.glob("*_inversion.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for record in content.get("per_frequency", [content]):
            for phase, value in record["seconds"].items():
                total[phase] += value
    total["assembly and algebra of zones"] = total.pop(WITHIN) - sum(total[phase] for phase in BARE)
    return total


def timed(wavefield: Path, maps: Path, ranks: int) -> float:
    """Invert a wave field on a number of MPI ranks; return the wall time, seconds."""
    began = time.perf_counter()
    invert(wavefield, maps, ranks)
    return time.perf_counter() - began


def main() -> None:
    """Invert a wave field; record the ratio, the rest of the time by phase, and the speed-up by further ranks."""
    chosen = options(__doc__, "wavefield")
    maps = chosen.out / "mre"
    seconds = timed(chosen.source, maps, chosen.ranks)
    spent = phases(maps)
    wall_s = chosen.ranks * seconds
    bare_s = sum(spent.pop(phase) for phase in BARE)
    spent["waiting, reading, writing"] = wall_s - bare_s - sum(spent.values())
    notes = [f"Rank seconds: {wall_s:.1f} on {chosen.ranks} ranks, of which bare solver {bare_s:.1f}."]
    for phase, value in sorted(spent.items(), key=lambda item: -item[1]):
        notes.append(f"{phase}: {value:.1f} s, {value / wall_s:.0%}")
    print("\n".join(notes))
    rows = [Row("rank seconds over bare solver seconds", "", wall_s / bare_s, None, goal=GOAL)]
    if chosen.ranks > 1:
        alone_s = timed(chosen.source, chosen.out / "mre-alone", 1)
        goal = SPEED_UP_GOAL if chosen.ranks == 2 else ""
        rows.append(Row(f"speed-up of {chosen.ranks} ranks over one", "", alone_s / seconds, None, goal=goal))
        seconds += alone_s
    write_record("limit", rows, published="none", notes=notes, seconds=seconds, out=chosen.record)


if __name__ == "__main__":
    main()
