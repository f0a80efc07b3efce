"""File of a trial, with the schedules, priors and calibrations that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from palpate.config.section import parse_settings
from palpate.config.trial import TrialSettings
from palpate.errors import InputError
from palpate.twin.calibration_file import load_calibration
from palpate.twin.trial.arms import arm_of
from palpate.twin.trial.block import TrialPlan
from palpate.twin.trial.cohort import FromPopulation, FromPriors, PatientSource, trial_model
from palpate.twin.trial.covariates import covariate_names
from palpate.twin.trial.from_twins import FromTwins, twin_draws
from palpate.twin.trust.shared_prior import read_population
from palpate.twin.trust.studies import calibration_files

PRIORS: Final = "priors"
"""Word for patients from the priors of the settings."""


def read_settings(path: Path) -> TrialSettings:
    """Return the settings in the file of a trial.

    Args:
        path: YAML or JSON file.

    Raises:
        InputError: the file cannot be read, or a key or value in it is none of a trial.
    """
    if not path.is_file():
        advice = "Name the YAML file of a trial (docs/trial.md)."
        raise InputError(path, found="no such file", expected="a trial", advice=advice)
    return parse_settings(TrialSettings, str(path))


def source_paths(settings: TrialSettings, trial: Path) -> tuple[Path, ...]:
    """Return the files and folders that patients come from; none where they come from priors.

    Args:
        settings: the trial.
        trial: file of the trial; paths are relative to its folder.
    """
    named = settings.cohort.source
    listed = (named,) if isinstance(named, str) else named
    return () if listed == (PRIORS,) else tuple(trial.parent / one for one in listed)


def schedule_paths(settings: TrialSettings, trial: Path) -> tuple[Path, ...]:
    """Return the files of schedules that arms name.

    Args:
        settings: the trial.
        trial: file of the trial; paths are relative to its folder.
    """
    return tuple(trial.parent / one.schedule for one in settings.arms if isinstance(one.schedule, str))


def read_plan(path: Path) -> TrialPlan:
    """Return everything on which a trial's patients depend, checked before any of them is simulated.

    Args:
        path: YAML or JSON file.

    Raises:
        InputError: the file, or one that it names, cannot be used.
    """
    settings = read_settings(path)
    try:
        model = trial_model(settings)
    except InputError as error:
        where = f"{path}, {error.where}"
        raise InputError(where, found=error.found, expected=error.expected, advice=error.advice) from error
    arms = tuple(arm_of(one, path, settings.twin) for one in settings.arms)
    covariates = covariate_names(settings, model, str(path))
    return TrialPlan(settings, model, arms, _source(settings, path), covariates)


def _source(settings: TrialSettings, trial: Path) -> PatientSource:
    paths = source_paths(settings, trial)
    if not paths:
        return FromPriors()
    if len(paths) == 1 and paths[0].is_file():
        return FromPopulation(read_population(paths[0]), settings.cohort.white_share)
    if not settings.cohort.consented:
        raise InputError(
            f"{trial}, cohort.source",
            found="calibrations of patients, without consented: true",
            expected="patients who consented to this use of their twins",
            advice="State cohort.consented: true where they did; else take priors or the file of palpate prior.",
        )
    return FromTwins([twin_draws(load_calibration(one)) for one in calibration_files(paths)])
