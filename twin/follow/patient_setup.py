"""Setup of one patient's assimilation: rung, treatment and streams from its history, priors from where it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.follow.rates_of_calibration import calibrated_parameters
from palpate.twin.lattice import visible
from palpate.twin.rungs.build import small_rungs
from palpate.twin.rungs.from_history import regimen
from palpate.twin.rungs.logistic import LogisticModel
from palpate.twin.rungs.radial import RadialModel
from palpate.twin.rungs.regimen import Regimen

RUNGS: Final = ("radial", "logistic")
"""Rungs on which a patient is followed; the first is the default."""
PARTICLES: Final = 600
"""Number of particles."""


def demand_rung(rung: str) -> None:
    """Refuse a rung on which no filter can be used.

    Raises:
        InputError: it is the lattice, or no rung.
    """
    if rung in RUNGS:
        return
    found, advice = f"'{rung}'", "Name one of them."
    if rung == "lattice":
        found = "lattice, whose thousands of voxels no filter of palpate follows in seconds"
        advice = "Follow the patient on the radial rung, and calibrate the lattice with palpate calibrate."
    raise InputError("--rung", found=found, expected=" or ".join(RUNGS), advice=advice)


def patient_setup(
    history: TumourHistory, settings: TwinSettings, rung: str = RUNGS[0], calibration: Calibration | None = None
) -> AssimilationSetup[Regimen]:
    """Return the setup of a patient.

    Args:
        history: history of the tumour on the images' grid.
        settings: settings of the twin, with the priors.
        rung: name of the rung, one of RUNGS.
        calibration: calibration from whose last scan the model begins; None to begin from the priors on day 0.

    Raises:
        InputError: the rung is none of these, the first scan shows no tumour, a drug is not in the settings, or the
            calibration is of another tumour.
    """
    demand_rung(rung)
    _demand_tumour(history)
    models: tuple[LogisticModel | RadialModel, ...] = small_rungs(history, settings)
    (model,) = (one for one in models if one.rung == rung)
    begins = 0.0
    if calibration is not None:
        begins = _last_calibrated(history, calibration)
        model = replace(model, parameters=calibrated_parameters(model.parameters, calibration, history))
    treatment = regimen(history)
    chosen = FilterSettings("refitted", PARTICLES, seed=settings.seed)
    return AssimilationSetup(model, model.observations, treatment, treatment_lines(treatment), chosen, begins=begins)


def treatment_lines(treatment: Regimen) -> tuple[tuple[float, str], ...]:
    """Return day and text of each treatment; where a text changes, all later visits are assimilated again.

    Args:
        treatment: treatment of the small rungs.
    """
    kinds = (treatment.fractions, treatment.drug_doses, treatment.operations)
    return tuple((one.day, repr(one)) for kind in kinds for one in kind)


def _last_calibrated(history: TumourHistory, calibration: Calibration) -> float:
    """Return the day of the last scan that a calibration used, which the history must have."""
    if calibration.given is not None:
        _refuse("one run with given rates", "the posterior of a calibration")
    own, day = calibration.history, calibration.history.scans[-1].day
    if own.subject != history.subject:
        _refuse(f"a calibration of sub-{own.subject}", f"one of sub-{history.subject}, as the history is")
    if day not in [scan.day for scan in history.scans]:
        _refuse(f"a calibration whose last scan is of day {day:g}", "a last scan that the history has")
    return day


def _refuse(found: str, expected: str) -> None:
    advice = "Name the calibration of this patient's earlier scans, or leave --calibration out."
    raise InputError("--calibration", found=found, expected=expected, advice=advice)


def _demand_tumour(history: TumourHistory) -> None:
    if not (visible(history.scans[0], history.edges_mm) & history.tissue).any():
        raise InputError(
            f"history of sub-{history.subject}",
            found="no tumour in the first scan",
            expected="a first scan that shows the tumour, from which the small rungs start",
            advice="Leave the scans before the tumour out of the table of sessions.",
        )
