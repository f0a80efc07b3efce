"""A tumour in the ICBM152 brain at 2 mm under standard care, and the cost of its forecast on MPI ranks.

mpiexec -n N python benchmarks/growth_case.py record.json [--short]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.anatomy.atlas import load_atlas
from palpate.solvers.growth.model import COLUMNS, GrowthModel
from palpate.solvers.growth.parameters import Parameters, block
from palpate.solvers.growth.space.voxels import Voxels, voxels
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse, one_compartment
from palpate.solvers.growth.treatment.treatment import Fraction, Resection, Treatment
from palpate.units import days_to_s, mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]

EDGE_MM: Final = 2.0
WHITE_MM2_DAY, GREY_MM2_DAY = 0.3, 0.06
PROLIFERATION_1_DAY: Final = 0.03
REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class Brain:
    """Anatomy and distance from the tumour on a grid.

    Attributes:
        tissue: mask of grey and white matter, shape (i, j, k).
        white: share of white matter, 0..1, shape (i, j, k).
        distance_mm: distance from the tumour's middle, millimetres, shape (i, j, k).
        edge_mm: edge of a voxel, millimetres.
        days: length of the forecast, days.
    """

    tissue: NDArray[np.bool_]
    white: Values
    distance_mm: Values
    edge_mm: float
    days: float


def brain(*, short: bool) -> Brain:
    """Return the ICBM152 brain in voxels of 2 mm; the short version is a block around the tumour, for 90 days."""
    atlas = load_atlas()
    grey, white = _halved(atlas.grey), _halved(atlas.white)
    middle = np.argwhere(white > 0.9).mean(axis=0).astype(int) + np.array([7, 3, 4])
    at = np.moveaxis(np.indices(grey.shape), 0, -1) - middle
    whole = Brain(
        grey + white > 0.5,
        np.clip(white / np.maximum(grey + white, 1e-6), 0.0, 1.0),
        np.sqrt((at**2).sum(axis=-1)) * EDGE_MM,
        EDGE_MM,
        300.0,
    )
    if not short:
        return whole
    block = tuple(slice(one - 8, one + 8) for one in middle)
    return Brain(whole.tissue[block], whole.white[block], whole.distance_mm[block], EDGE_MM, 90.0)


def refined(coarse: Brain) -> Brain:
    """Return the anatomy in voxels of half the edge, with the distance from the tumour computed anew."""
    middle = np.array(np.unravel_index(coarse.distance_mm.argmin(), coarse.tissue.shape))
    at = np.moveaxis(np.indices([2 * n for n in coarse.tissue.shape]), 0, -1) / 2.0 - 0.25 - middle
    return Brain(
        _doubled(coarse.tissue),
        _doubled(coarse.white),
        np.sqrt((at**2).sum(axis=-1)) * coarse.edge_mm,
        coarse.edge_mm / 2.0,
        coarse.days,
    )


def case(where: Brain, comm: MPI.Comm) -> tuple[Voxels, GrowthModel, Parameters, Values]:
    """Return a case of resection on day 10, 30 x 2 Gy and daily temozolomide from day 30, six cycles from day 100."""
    place = voxels(where.tissue, np.full(3, where.edge_mm * 1e-3), comm)
    cycles = [100.0 + 28 * cycle + np.arange(5) for cycle in range(6)]
    days = np.concatenate([30.0 + np.arange(42), *cycles])
    amounts = np.where(days < 90.0, 1.4e-4, 3e-4)[days < where.days]
    days = days[days < where.days]
    kinetics = one_compartment(0.03, per_day_to_per_s(9.24), per_day_to_per_s(40.0))
    drug = DrugCourse("temozolomide", tuple(days_to_s(days).tolist()), tuple(amounts.tolist()), kinetics)
    dose = place.from_volume(np.clip(2.0 - 0.1 * np.maximum(where.distance_mm - 25.0, 0.0), 0.0, 2.0))
    weekdays = [30.0 + 7 * (i // 5) + i % 5 for i in range(30)]
    treatment = Treatment(
        tuple(Fraction(days_to_s(day), dose) for day in weekdays),
        (drug,),
        (Resection(days_to_s(10.0), place.from_volume(where.distance_mm < 8.0)),),
    )
    observed = tuple(days_to_s(day) for day in (20.0, 72.0, 150.0, where.days) if day <= where.days)
    white = place.from_volume(where.white)
    log_d = white * np.log(WHITE_MM2_DAY) + (1.0 - white) * np.log(GREY_MM2_DAY) + np.log(mm2_day_to_m2_s(1.0))
    log_k = np.full(place.space.size, np.log(per_day_to_per_s(PROLIFERATION_1_DAY)))
    parameters = Parameters(log_d, log_k, float(np.log(0.05)), np.log([per_day_to_per_s(20.0)]))
    start = place.from_volume(0.8 * np.exp(-(where.distance_mm**2) / 72.0))
    return place, GrowthModel(place.space, observed, treatment), parameters, start


def fastest[T](comm: MPI.Comm, work: Callable[[], T], repeats: int = REPEATS) -> tuple[float, T]:
    """Return the least wall time of some tries, since other jobs share the machine, and the last result."""
    times = []
    for _ in range(repeats):
        comm.Barrier()
        began = time.perf_counter()
        result = work()
        comm.Barrier()
        times.append(time.perf_counter() - began)
    return min(times), result


def measured(where: Brain, comm: MPI.Comm, step_days: float) -> dict[str, Any]:
    """Measure seconds of a forecast, its gradient alone, a tangent alone and one in a block; return burdens in mL."""
    place, model, parameters, start = case(where, comm)
    model = replace(model, step_s=days_to_s(step_days))
    forecast_s, run = fastest(comm, lambda: model.forecast(parameters, start))
    kept = model.forecast(parameters, start, keep=True)
    gradient_s, gradient = fastest(comm, lambda: model.gradient(kept, list(kept.states)))
    one, many = block([gradient]), block([gradient] * COLUMNS)
    tangent_s, _ = fastest(comm, lambda: model.tangents(parameters, start, [one]), repeats=1)
    together_s, _ = fastest(comm, lambda: model.tangents(parameters, start, [many]), repeats=1)
    return {
        "voxels": int(where.tissue.sum()),
        "forecast_s": forecast_s,
        "gradient_s": gradient_s,
        "tangent_s": tangent_s,
        "tangent_in_block_s": together_s / COLUMNS,
        "products": run.products,
        "burden_ml": [1e6 * place.space.integral_m3(state) for state in run.states],
    }


def _halved(values: Values) -> Values:
    a, b, c = (n // 2 for n in values.shape)
    return np.asarray(values[: 2 * a, : 2 * b, : 2 * c].reshape(a, 2, b, 2, c, 2).mean(axis=(1, 3, 5)))


def _doubled[T: np.generic](values: NDArray[T]) -> NDArray[T]:
    return values.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)


def main() -> None:
    """Measure on all ranks and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--short", action="store_true")
    chosen = parser.parse_args()
    found = measured(brain(short=chosen.short), MPI.COMM_WORLD, step_days=4.0)
    if MPI.COMM_WORLD.rank == 0:
        chosen.record.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
