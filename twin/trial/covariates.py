"""Covariates of virtual patients that are known on day 0, before any treatment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.trial import TrialSettings
from palpate.errors import InputError
from palpate.twin.events.follow import QUANTITIES, FollowUp, SmallModel
from palpate.twin.priors import ALPHA, DIFFUSIVITY, KILL, PROLIFERATION
from palpate.twin.rungs.cells import natural
from palpate.units import m2_s_to_mm2_day, per_s_to_per_day

type Values = NDArray[np.float64]

_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "k_1_day": (PROLIFERATION, per_s_to_per_day(1.0)),
    "d_mm2_day": (DIFFUSIVITY, m2_s_to_mm2_day(1.0)),
    "alpha_1_gy": (ALPHA, 1.0),
}
_KILL: Final = "kill_1_g_"
_LATER: Final = re.compile(r"nadir|progress|event|respon|follow|after|later|day_?\d|time_to", re.IGNORECASE)
"""Pattern of names that tell of what treatment may have changed."""


def covariate_names(settings: TrialSettings, model: SmallModel, trial: str) -> tuple[str, ...]:
    """Return the names of a trial's covariates, each once.

    Args:
        settings: the trial.
        model: rung.
        trial: file of the trial, for errors.

    Raises:
        InputError: a covariate is of a day after 0, or nobody knows it.
    """
    named = [(one, 0.0) if isinstance(one, str) else (one.name, one.day) for one in settings.covariates]
    known = _known(settings, model)
    for name, day in named:
        if day > 0.0 or (name not in known and _LATER.search(name)):
            when = f" of day {day:g}" if day > 0.0 else ""
            raise InputError(
                f"{trial}, covariates",
                found=f"{name[:40]}{when}, after day 0",
                expected="what is known before treatment: treatment may have changed it, so that patients with one "
                "value of it are not alike between arms",
                advice=f"Leave it out, or take one of {', '.join(known)}.",
            )
        if name not in known:
            raise InputError(
                f"{trial}, covariates",
                found=f"{name[:40]!r}",
                expected=f"one of {', '.join(known)}",
                advice="Correct the name, or describe the covariate under cohort.drawn.",
            )
    for name in settings.outcome.effects:
        if name not in known:
            raise InputError(
                f"{trial}, outcome.effects",
                found=f"{name[:40]!r}",
                expected=f"covariates of day 0: {', '.join(known)}",
                advice="Correct the name, or describe the covariate under cohort.drawn.",
            )
    return tuple(dict.fromkeys(name for name, _ in named))


def covariate_values(names: Sequence[str], own: FollowUp, drawn: Mapping[str, Values]) -> Values:
    """Return the covariates of patients, in their own units, shape (patients, covariates).

    Args:
        names: names of the covariates.
        own: the patients on their rung.
        drawn: covariates that the model does not have, by name.
    """
    found = np.zeros((len(own.theta), len(names)))
    for at, name in enumerate(names):
        found[:, at] = drawn[name] if name in drawn else _of_model(name, own)
    return found


def _known(settings: TrialSettings, model: SmallModel) -> tuple[str, ...]:
    has = [one.name for one in model.parameters]
    rates = [name for name, (parameter, _) in _UNITS.items() if parameter in has]
    kills = [f"{_KILL}{name.removeprefix(KILL)}" for name in has if name.startswith(KILL)]
    return (*QUANTITIES, *rates, *kills, *(one.name for one in settings.cohort.drawn))


def _of_model(name: str, own: FollowUp) -> Values:
    if name in QUANTITIES:
        return np.exp(own.first(name))
    if name.startswith(_KILL):
        return natural(own.model.parameters, own.theta, KILL + name.removeprefix(_KILL))
    parameter, unit = _UNITS[name]
    return natural(own.model.parameters, own.theta, parameter) * unit
