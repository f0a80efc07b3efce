"""Speed of the three rungs of the state-space twin: processor seconds of 1000 runs of 300 days through treatment.

python benchmarks/rung_speed.py record.json [--short]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import ENHANCING, NON_ENHANCING, DrugDose, Irradiation, TumourHistory, TumourScan
from palpate.twin.rungs.build import events, lattice_rung, small_rungs
from palpate.twin.rungs.from_history import regimen

EDGE_MM: Final = 3.0
DAYS: Final = 300.0
RUNS: Final = 1000


def history(voxels: int) -> TumourHistory:
    """Return a ball of tumour in a cube of tissue, with six weeks of radiotherapy and daily temozolomide.

    Args:
        voxels: number of voxels along an edge of the cube.
    """
    shape = (voxels,) * 3
    at = (np.indices(shape) + 0.5 - 0.5 * voxels) * EDGE_MM
    distance = np.linalg.norm(at, axis=0)
    roi = np.where(distance < 12.0, ENHANCING, np.where(distance < 17.0, NON_ENHANCING, 0)).astype(np.uint8)
    cells = np.where(roi > 0, 0.9 / (1.0 + np.exp((distance - 14.0) / 2.0)), np.nan)
    scan = TumourScan(0.0, cells, np.where(roi > 0, 0.12, np.nan), roi)
    fractions = tuple(Irradiation(float(30 + day), np.full(shape, 2.0)) for day in range(42) if day % 7 < 5)
    doses = tuple(DrugDose(float(30 + day), "temozolomide", 140.0) for day in range(42))
    affine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    return TumourHistory("ball", affine, roi >= 0, np.full(shape, 0.5), (scan,), fractions, doses)


def seconds(step: Callable[[], object]) -> float:
    """Return the processor seconds of the faster of two calls, so that the first one's preparations do not count."""
    found = []
    for _ in range(2):
        began = time.process_time()
        step()
        found.append(time.process_time() - began)
    return min(found)


def measured(*, short: bool) -> dict[str, Any]:
    """Measure each rung; what the lattice takes for a few draws is scaled up to all.

    Args:
        short: whether to take few draws and a small lattice, to test this script.
    """
    whole, settings = history(8 if short else 24), TwinSettings(mechanics=False, outline_modes=3 if short else 24)
    logistic, radial = small_rungs(whole, settings)
    lattice = lattice_rung(whole, settings)
    counts = {"logistic": RUNS, "radial": RUNS, "lattice": 4}
    found: dict[str, Any] = {"days": DAYS, "runs": RUNS, "voxels": lattice.voxels, "shells": radial.shells.count}
    for model, u in ((logistic, regimen(whole)), (radial, regimen(whole)), (lattice, events(whole))):
        count = 2 if short else counts[model.rung]
        theta = np.random.default_rng(0).standard_normal((count, len(model.parameters)))
        x, still = model.start(theta), np.zeros((count, len(model.noises)))
        step: Any = model.step
        found[model.rung] = seconds(lambda: step(x, theta, u, 0.0, DAYS, still)) * RUNS / count  # noqa: B023
    return found


def main() -> None:
    """Measure and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--short", action="store_true")
    chosen = parser.parse_args()
    found = measured(short=chosen.short)
    chosen.record.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
