"""How far the inversion is from the least it could cost: wall time over bare factorisations and triangular solves.

Both are taken in one run, on the same matrices with the same solver: the time that MUMPS itself spends is what no
rearrangement of the rest can save. The goal is 1.5; field.md's systems publish no such figure.

    python benchmarks/limit.py path/to/wavefield --out folder [--ranks 2]
"""

from __future__ import annotations

import json
import time

from command_line import invert, options

BARE = ("factorisations", "triangular solves")
GOAL = 1.5


def main() -> None:
    """Invert a wave field, print where the time went and the ratio."""
    chosen = options(__doc__, "wavefield")
    began = time.perf_counter()
    invert(chosen.wavefield, chosen.out, chosen.ranks)
    wall_s = chosen.ranks * (time.perf_counter() - began)
    bare_s = rest_s = 0.0
    for path in sorted(chosen.out.glob("*_inversion.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        fits = [one for one in content.get("per_frequency", []) if "seconds" in one] or [content]
        for record in fits:
            seconds = dict(record["seconds"])
            own = sum(seconds.pop(phase) for phase in BARE)
            zones = seconds.pop("zones, with factorisations and solves")
            phases = seconds | {"assembly and algebra of zones": zones - own}
            bare_s, rest_s = bare_s + own, rest_s + sum(phases.values())
            for phase, value in sorted(phases.items(), key=lambda item: -item[1]):
                print(f"  {phase:<36}{value:8.1f} s")
    print(f"  {'factorisations and triangular solves':<36}{bare_s:8.1f} s")
    print(f"  {'waiting, reading, writing':<36}{wall_s - bare_s - rest_s:8.1f} s")
    print(f"rank seconds over bare solver seconds: {wall_s / bare_s:.2f} (goal {GOAL})")


if __name__ == "__main__":
    main()
