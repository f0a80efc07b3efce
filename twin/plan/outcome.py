"""Time without progression under each schedule, of the patient's draws and of a population, with the same chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.config.limits import LimitsSettings
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.events.follow import ENHANCING, VISIBLE, FollowUp, SmallModel
from palpate.twin.events.rules import ENHANCING_RISE, LEAST_ML, VISIBLE_RISE, EventRule, RiseAboveNadir, RiseAboveStart
from palpate.twin.events.times import first_events
from palpate.twin.plan.candidates import Candidate
from palpate.twin.rungs.build import small_rungs
from palpate.twin.rungs.from_history import regimen
from palpate.twin.rungs.regimen import DatedFraction, Regimen
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial.cohort import FromPriors, PatientSource, noise
from palpate.twin.trial.from_twins import FromTwins, twin_draws

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Times without progression until the last day that counts.

    Attributes:
        patient: times of the patient's draws under each schedule, days, shape (schedules, draws).
        population: times of the population's patients, days, shape (schedules, patients).
    """

    patient: Values
    population: Values


def waiting(
    calibration: Calibration, limits: LimitsSettings, schedules: Sequence[Candidate], tumour: DatedFraction
) -> Waiting:
    """Return the time without progression under each schedule.

    Drugs and operations that the history plans stay; its planned fractions are replaced. Days count from the last scan.

    Args:
        calibration: calibration of the tumour.
        limits: limits of the plan, with the rung, the event and the number of draws.
        schedules: schedules to compare.
        tumour: fraction of the prescription as the tumour gets it.
    """
    history = calibration.history
    model = _model(calibration, limits)
    others = _from_last_scan(history)
    chances = Chances(limits.seed, tuple(range(limits.patients)))
    treatments = [one.regimen(tumour, others) for one in schedules]
    patient = _times(model, FromTwins([twin_draws(calibration)]), chances, treatments, limits)
    return Waiting(patient, _times(model, FromPriors(), chances, treatments, limits))


def _model(calibration: Calibration, limits: LimitsSettings) -> SmallModel:
    """Return the rung, sized as the last scan shows the tumour."""
    history = calibration.history
    now = replace(history, scans=(replace(history.scans[-1], day=0.0),), irradiations=(), drug_doses=(), surgeries=())
    logistic, radial = small_rungs(now, calibration.settings)
    return radial if limits.model == "radial" else logistic


def _from_last_scan(history: TumourHistory) -> Regimen:
    """Return the planned treatment but for its fractions, in days from the last scan on."""
    last = history.scans[-1].day
    whole = regimen(replace(history, irradiations=()))
    doses = tuple(replace(one, day=one.day - last) for one in whole.drug_doses if one.day >= last)
    operations = tuple(replace(one, day=one.day - last) for one in whole.operations if one.day >= last)
    return Regimen((), doses, operations)


def _times(
    model: SmallModel, source: PatientSource, chances: Chances, treatments: Sequence[Regimen], limits: LimitsSettings
) -> Values:
    """Return the time without progression of every patient under each treatment, days, shape (treatments, patients)."""
    own = FollowUp(model, source.theta(model, chances), noise(chances, limits.until_day))
    quantity = ENHANCING if limits.event == "enhancing" else VISIBLE
    found = []
    for given in treatments:
        rule = _rule(own, limits)
        own.run(given, quantity, (rule,))
        found.append(first_events(rule.days, float(limits.until_day)).days)
    return np.stack(found)


def _rule(own: FollowUp, limits: LimitsSettings) -> EventRule:
    """Return the rule that dates the event, before any treatment is met."""
    if limits.event == "regrowth":
        return RiseAboveStart(own.first(VISIBLE) + np.log(VISIBLE_RISE))
    rise = VISIBLE_RISE if limits.event == "visible" else ENHANCING_RISE
    return RiseAboveNadir(len(own.theta), rise, least_ml=LEAST_ML)
