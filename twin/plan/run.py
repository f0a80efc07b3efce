"""A plan from its inputs: dose in space, schedules, times without progression, answer."""

from __future__ import annotations

from pathlib import Path

from palpate.config.limits import LimitsSettings
from palpate.progress import say
from palpate.twin.alerts.out_of_step import out_of_step
from palpate.twin.calibration_file import load_calibration
from palpate.twin.plan.candidates import candidates
from palpate.twin.plan.choice import alpha_identified, choose
from palpate.twin.plan.dose_in_space import dose_in_space
from palpate.twin.plan.outcome import waiting
from palpate.twin.products.plan_folder import PlanResult


def planned(folder: Path, limits: LimitsSettings, beside: Path) -> PlanResult:
    """Compare the schedules of a plan for one patient.

    Args:
        folder: folder of palpate calibrate.
        limits: limits of the plan.
        beside: folder to which the files of the limits are relative.

    Raises:
        InputError: an input cannot be used, or no schedule keeps the limits.
    """
    calibration, reasons = (
        load_calibration(folder / "calibration.h5"),
        tuple(one.sentence for one in out_of_step(folder)),
    )
    dose = dose_in_space(calibration.history, limits, beside)
    organs = tuple(dose.organ(one, beside) for one in limits.organs)
    schedules = candidates(limits, organs)
    say(f"{len(schedules)} schedules on the {limits.model} rung, {limits.patients} draws")
    times = waiting(calibration, limits, schedules, dose.tumour)
    identified = alpha_identified(calibration)
    choice = choose(schedules, times, limits.chance, identified=identified, in_step=not reasons)
    return PlanResult(calibration.history.subject, limits, organs, schedules, times, choice, reasons)
