"""Virtual patients: parameters by patient, from priors, from a population prior, or from twins of real patients.

Every number of patient i comes from a counter-based generator keyed by the seed, its own name and i, so that neither
the other patients, arms and ranks nor their order change it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from palpate.config.trial import CohortSettings, TrialSettings
from palpate.errors import InputError
from palpate.twin.events.follow import SmallModel
from palpate.twin.priors import DIFFUSIVITY, WHITE_TO_GREY, Unknown
from palpate.twin.rungs.cells import PROLIFERATION_NOISE
from palpate.twin.rungs.from_history import ball_radius_mm
from palpate.twin.rungs.logistic import FLAIR, logistic_model
from palpate.twin.rungs.radial import RADIUS_MM, RadialModel, radial_model
from palpate.twin.state_space.chances import Chances
from palpate.twin.trust.population import Population

type Values = NDArray[np.float64]

HAZARD: Final = "event threshold"
"""Name of the source of the exponential number with which a hazard is compared."""


class PatientSource(Protocol):
    """Source of virtual patients."""

    def theta(self, model: SmallModel, chances: Chances) -> Values:
        """Return parameters of the patients as standard normal numbers, shape (patients, parameters).

        Args:
            model: rung.
            chances: random numbers of these patients.
        """
        ...


@dataclass(frozen=True, slots=True)
class FromPriors:
    """Patients of the priors of the settings."""

    def theta(self, model: SmallModel, chances: Chances) -> Values:
        """See PatientSource."""
        return np.stack([drawn(chances, one.name) for one in model.parameters], axis=1)


@dataclass(frozen=True, slots=True)
class FromPopulation:
    """Patients of a population prior, whose correlations between parameters are kept.

    Attributes:
        population: means and covariance of the parameters' logarithms.
        white: share of white matter around the tumour.
    """

    population: Population
    white: float

    def theta(self, model: SmallModel, chances: Chances) -> Values:
        """See PatientSource; parameters that the population does not have come from the priors."""
        own = self.population
        normal = np.stack([drawn(chances, name) for name in own.names], axis=1)
        found = own.mean + normal @ np.linalg.cholesky(own.covariance).T
        known = {name: found[:, at] for at, name in enumerate(own.names)}
        if {DIFFUSIVITY, WHITE_TO_GREY} <= known.keys():
            known[DIFFUSIVITY] = known[DIFFUSIVITY] - (1.0 - self.white) * known[WHITE_TO_GREY]
        else:
            known.pop(DIFFUSIVITY, None)
        return with_known(model, FromPriors().theta(model, chances), known)


def with_known(model: SmallModel, theta: Values, known: dict[str, Values]) -> Values:
    """Return parameters with some of them replaced, shape (patients, parameters).

    Args:
        model: rung.
        theta: parameters as standard normal numbers, shape (patients, parameters).
        known: transformed parameters (logarithms, logits) by name, shape (patients,) each; those that the rung does not
            have are left out.
    """
    found = theta.copy()
    for at, one in enumerate(model.parameters):
        if one.name in known:
            found[:, at] = (known[one.name] - one.mean) / one.std
    return found


def drawn(chances: Chances, name: str) -> Values:
    """Return a standard normal number a patient, shape (patients,).

    Args:
        chances: random numbers of these patients.
        name: name of what is drawn.
    """
    return chances.normals(f"cohort {name}", 0)


def uniforms(chances: Chances, name: str) -> Values:
    """Return a number in 0..1 a patient, shape (patients,)."""
    return np.asarray(ndtr(drawn(chances, name)))


def noise(chances: Chances, days: int) -> Values:
    """Return the increments of the drift's noise on whole days, the same in every arm, shape (days, patients).

    Args:
        chances: random numbers of these patients.
        days: number of days from day 0.
    """
    return np.stack([chances.normals(PROLIFERATION_NOISE, day) for day in range(days)])


def trial_model(settings: TrialSettings) -> SmallModel:
    """Return the rung of a trial, with the cohort's prior of the visible volume on day 0.

    Args:
        settings: the trial.

    Raises:
        InputError: the rung is the lattice.
    """
    own, twin = settings.cohort, settings.twin
    if settings.model == "lattice":
        raise InputError(
            "model",
            found="lattice",
            expected="logistic or radial",
            advice="A virtual patient has no brain to lay a lattice in: compare schedules of a calibrated patient with "
            "palpate forecast --do.",
        )
    if settings.model == "radial":
        return _sized(radial_model(twin, ball_radius_mm(own.visible_ml.median), white=own.white_share), own)
    return logistic_model(twin, own.visible_ml.median / FLAIR[0], own.visible_ml.log_std)


def _sized(model: RadialModel, own: CohortSettings) -> RadialModel:
    """Return the radial rung with the cohort's spread of volumes, a third of it in the radius."""

    def spread(one: Unknown) -> Unknown:
        return replace(one, std=own.visible_ml.log_std / 3.0) if one.name == RADIUS_MM else one

    return replace(model, parameters=tuple(spread(one) for one in model.parameters))


def drawn_covariates(settings: CohortSettings, chances: Chances) -> dict[str, Values]:
    """Return the covariates that the model does not have, in their own units, shape (patients,) each.

    Args:
        settings: the cohort.
        chances: random numbers of these patients.
    """
    return {one.name: one.mean + one.std * drawn(chances, f"covariate {one.name}") for one in settings.drawn}
