"""Calibration of a tumour with ln k as a field of a hundred shapes: minutes and memory on MPI ranks.

mpiexec -n N python benchmarks/growth_modes.py history.h5 record.json [--short]
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any, Final

from growth_cohort import images
from mpi4py import MPI

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.twin import TwinSettings
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.twin.calibration.calibrate import calibrate

PATIENT: Final = {"half_edge_mm": 60.0, "stress_slowing": 20.0, "beyond_days": ()}
"""Settings with brain to more than 35 mm around everything visible, so that the twin's lattice is as large as a
patient's."""
SHORT_PATIENT: Final = PATIENT | {"half_edge_mm": 24.0, "truth_voxel_mm": 3.0, "truth_step_days": 2.0}
TWIN: Final = {"growth_field_log_std": 0.2, "growth_field_modes": 100}
SHORT_TWIN: Final = {
    "growth_field_log_std": 0.2,
    "growth_field_modes": 5,
    "outline_modes": 3,
    "voxel_mm": 6.0,
    "displacement_box_mm": 6.0,
    "draws": 20,
    "max_iterations": 4,
}


def history(folder: Path, *, short: bool) -> Path:
    """Write the history of a tumour on three dates under radiotherapy and temozolomide, with its elastogram.

    Returns:
        The file, as `palpate tumour` writes it.
    """
    settings = LongitudinalSettings.model_validate(SHORT_PATIENT if short else PATIENT)
    found = images(settings, folder / "modes", load_atlas())
    made = folder / "history.h5"
    write_history(made, found.history)
    return made


def measured(path: Path, comm: MPI.Comm, *, short: bool) -> dict[str, Any]:
    """Measure the minutes and the memory of a calibration from its history to its draws."""
    settings = TwinSettings.model_validate(SHORT_TWIN if short else TWIN)
    seen = read_history(path)
    comm.Barrier()
    began = time.perf_counter()
    found = calibrate(seen, settings, comm)
    comm.Barrier()
    minutes = (time.perf_counter() - began) / 60.0
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {
        "minutes": minutes,
        "modes": found.unknowns.fields,
        "unknowns": found.unknowns.size,
        "voxels": found.draws.density.shape[1],
        "draws": len(found.draws.xi),
        "memory_mb": comm.allreduce(peak_mb),
        "converged": found.statistics.converged,
        "iterations": found.statistics.iterations,
        "powers": found.draws.powers,
        "acceptance": found.draws.acceptance,
    }


def main() -> None:
    """Measure on all ranks and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("history", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("--short", action="store_true")
    chosen = parser.parse_args()
    found = measured(chosen.history, MPI.COMM_WORLD, short=chosen.short)
    if MPI.COMM_WORLD.rank == 0:
        chosen.record.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
