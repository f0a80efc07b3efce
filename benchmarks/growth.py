"""Seconds for a forecast and its gradient, beside explicit finite differences on the same voxels, in one run.

    python benchmarks/growth.py --out folder [--ranks 2] [--short]

The tumour grows in the ICBM152 brain at 2 mm for 300 days through resection, 30 x 2 Gy and temozolomide. The baselines
are written for this benchmark, vectorised NumPy on the brain's box: explicit Euler, and classical Runge-Kutta of order
four, each with the largest of the steps tried whose burden at the end is within 1 % of a fine step's. They use the same
fluxes, cells, jumps and exposures, so that only time stepping differs; the error in space, common to all, is against
voxels of half the edge.

The calibration is of an in-silico patient's images on three dates: stiffness, outline and a hundred shapes of ln k.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from growth_case import Brain, Values, brain, case, refined
from growth_modes import history
from harness.command_line import options, run
from harness.record import Row, write_record
from mpi4py import MPI

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.treatment.treatment import log_survival
from palpate.units import days_to_s, m2_s_to_mm2_day, s_to_days

ACCURACY: Final = 0.01
EULER_DAYS: Final = (0.25, 0.125, 0.0625)
RUNGE_KUTTA_DAYS: Final = (2.0, 1.0, 0.5, 0.25)
PEER_CALIBRATION: Final = "360 (dt4co, extrapolated)"


class Explicit:
    """Explicit finite differences on a box: fluxes through faces, zero at the tissue's surface."""

    def __init__(self, where: Brain, model: GrowthModel, parameters: Parameters) -> None:
        self._model, self._parameters, self._tissue = model, parameters, where.tissue
        box = tuple(slice(one.min(), one.max() + 1) for one in np.nonzero(where.tissue))
        self._tissue = where.tissue[box]
        roots = self._volume(np.exp(0.5 * parameters.log_diffusivity)) * np.sqrt(m2_s_to_mm2_day(1.0)) / where.edge_mm
        self._k = float(np.exp(parameters.log_proliferation[0])) * days_to_s(1.0)
        self._s = float(np.exp(parameters.log_sensitivities[0])) * days_to_s(1.0)
        self._set(roots)
        self._roots = roots

    def burden(self, start: Values, step_days: float, *, order: int) -> float:
        """Return the number of cells at the end, in units of a full voxel."""
        model, u = self._model, self._volume(start)
        stops = sorted({0.0, *model.treatment.event_times_s, model.observations_s[-1]})
        self._set(self._roots)
        for here, following in zip(stops, [*stops[1:], stops[-1]], strict=True):
            for resection in model.treatment.resections:
                if resection.time_s == here:
                    kept = 1.0 - self._volume(resection.removed.astype(float))
                    u = u * kept
                    self._set(self._roots * kept)
            for fraction in model.treatment.fractions:
                if fraction.time_s == here:
                    alpha = float(np.exp(self._parameters.log_alpha))
                    u = u * np.exp(self._volume(log_survival(fraction.dose_gy, alpha, model.alpha_beta_gy)))
            steps = int(np.ceil(s_to_days(following - here) / step_days - 1e-9))
            for step in range(steps):
                h = s_to_days(following - here) / steps
                u = self._stepped(u, s_to_days(here) + step * h, h, order)
        return float(u.sum())

    def _stepped(self, u: Values, t: float, h: float, order: int) -> Values:
        (drug,) = self._model.treatment.courses
        kill = self._s * float(drug.exposure(days_to_s(t), np.array(days_to_s(t + h)))) / days_to_s(h)
        first = self._rate(u, kill)
        if order == 1:
            return u + h * first
        second = self._rate(u + 0.5 * h * first, kill)
        third = self._rate(u + 0.5 * h * second, kill)
        fourth = self._rate(u + h * third, kill)
        return np.asarray(u + h / 6.0 * (first + 2.0 * (second + third) + fourth))

    def _rate(self, u: Values, kill: float) -> Values:
        rate = (self._k - kill) * u - self._k * u * u
        for axis, conductance in enumerate(self._conductances):
            flux = conductance * np.diff(u, axis=axis)
            lower = [slice(None)] * 3
            upper = [slice(None)] * 3
            lower[axis], upper[axis] = slice(0, -1), slice(1, None)
            rate[tuple(lower)] += flux
            rate[tuple(upper)] -= flux
        return np.asarray(rate)

    def _set(self, roots: Values) -> None:
        self._conductances = [
            np.delete(roots, 0, axis) * np.delete(roots, roots.shape[axis] - 1, axis) for axis in range(3)
        ]

    def _volume(self, values: Values) -> Values:
        volume = np.zeros(self._tissue.shape)
        volume[self._tissue] = values
        return volume


def coarsest(
    explicit: Explicit, start: Values, tried: tuple[float, ...], order: int, exact: float
) -> tuple[str, float]:
    """Return words for the largest step within ACCURACY, else the smallest tried, with its error; and its seconds."""
    for step in tried:
        began = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # a step too large explodes, which the comparison sees
            found = explicit.burden(start, step, order=order)
        seconds = time.perf_counter() - began
        print(f"order {order}, {step} d: {found / exact - 1.0:+.2%}, {seconds:.1f} s", flush=True)
        if abs(found / exact - 1.0) <= ACCURACY:
            break
    return f"order {order} at {step} d, {found / exact - 1.0:+.2%}", seconds


def on_ranks(ranks: int, program: str, *files: Path, short: bool) -> dict[str, float]:
    """Run a program of this folder on MPI ranks and return its measurements; the last of its files is its record."""
    script = Path(__file__).with_name(program)
    run("mpiexec", "-n", ranks, sys.executable, script, *files, *(["--short"] if short else []))
    found: dict[str, float] = json.loads(files[-1].read_text(encoding="utf-8"))
    return found


def calibration(out: Path, ranks: int, *, short: bool) -> tuple[list[Row], str]:
    """Run growth_modes on MPI ranks; return the rows of the record and a note on the case."""
    found = on_ranks(ranks, "growth_modes.py", history(out, short=short), out / "modes.json", short=short)
    name = f"calibration with {found['modes']} modes of ln k"
    rows = [
        Row(name, "min", found["minutes"], PEER_CALIBRATION, goal="<= 15"),
        Row(f"{name}: unknowns", "", found["unknowns"], None),
        Row(f"{name}: memory of all ranks", "MB", found["memory_mb"], None),
    ]
    note = (
        f"Calibration on {ranks} ranks: {found['voxels']} voxels, {found['iterations']} Gauss-Newton steps, "
        f"{'converged' if found['converged'] else 'not converged'}; {found['draws']} draws taken from Laplace's to the "
        f"posterior's in {found['powers']} powers, {found['acceptance']:.0%} of the last proposals accepted."
    )
    return rows, note


def main() -> None:
    """Time palpate on one rank and on several, then the baselines; compute the errors and record them."""
    chosen = options(__doc__)
    chosen.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    where = brain(short=chosen.short)
    alone, several = (
        on_ranks(ranks, "growth_case.py", chosen.out / f"ranks-{ranks}.json", short=chosen.short)
        for ranks in (1, chosen.ranks)
    )
    calibrated, note = calibration(chosen.out, chosen.ranks, short=chosen.short)
    place, model, parameters, start = case(where, MPI.COMM_SELF)
    fine = replace(model, step_s=days_to_s(0.5), tolerance=1e-6).forecast(parameters, start)
    exact = place.space.integral_m3(fine.states[-1]) / place.space.volumes_m3[0]
    ours = alone["burden_ml"][-1] / (1e6 * place.space.integral_m3(fine.states[-1])) - 1.0  # type: ignore[index]
    half, fine_model, fine_parameters, fine_start = case(refined(where), MPI.COMM_SELF)
    (state,) = (
        replace(fine_model, observations_s=fine_model.observations_s[-1:]).forecast(fine_parameters, fine_start).states
    )
    space = place.space.integral_m3(fine.states[-1]) / half.space.integral_m3(state) - 1.0
    explicit = Explicit(where, model, parameters)
    euler, euler_s = coarsest(explicit, start, EULER_DAYS, 1, exact)
    kutta, kutta_s = coarsest(explicit, start, RUNGE_KUTTA_DAYS, 4, exact)
    baselines = {"explicit Euler, 1 process": euler_s, "Runge-Kutta 4, 1 process": kutta_s}
    rows = [
        Row(f"forecast of {where.days:.0f} days", "s", several["forecast_s"], None, baselines, "<= 20"),
        Row("forecast, 1 rank", "s", alone["forecast_s"], None, baselines),
        Row("gradient over forecast, 1 rank", "", alone["gradient_s"] / alone["forecast_s"], 3.0, goal="<= 3"),
        Row("tangent over forecast, 1 rank", "", alone["tangent_s"] / alone["forecast_s"], None),
        Row("tangent in a block over forecast, 1 rank", "", alone["tangent_in_block_s"] / alone["forecast_s"], None),
        Row(f"1 rank over {chosen.ranks}", "", alone["forecast_s"] / several["forecast_s"], None, goal=">= 1.7"),
        Row("error of the burden, time", "%", 100 * abs(ours), None, goal="<= 1"),
        Row("error of the burden, space", "%", 100 * abs(space), None, goal="<= 1"),
        *calibrated,
    ]
    notes = [
        f"{alone['voxels']} voxels of 2 mm, steps of at most 4 days, {alone['products']} products with a matrix.",
        f"Baselines, steps and errors: {euler}; {kutta}. They get the drug's exact mean over each step.",
        "Gradient: by fields of ln D and ln k, alpha, sensitivity, initial density; the forecast itself not counted.",
        note,
        "Least wall time of three tries (the calibration: of one), on a machine that other jobs shared.",
    ]
    write_record(
        "growth",
        rows,
        published="TumorTwin's adjoint costs 3.0 forecasts (measured for this project)",
        notes=notes,
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
