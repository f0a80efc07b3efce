"""Settings of a trial on virtual patients: who takes part, what each arm gets, and what is asked of it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from palpate.config.schedule import SCHEDULE_NAME
from palpate.config.section import Section
from palpate.config.twin import LogNormal, Positive, TwinSettings

VALIDATED_DAYS: Final = 730
"""Longest follow-up, days. Beyond two years one rate of growth and one sensitivity a patient were compared with
nothing."""
type WholeDay = Annotated[int, Field(ge=0, le=VALIDATED_DAYS)]


class DrawnCovariate(Section):
    """Covariate of a virtual patient that the model does not have, such as an age: a normal number."""

    name: str
    """Name of the covariate."""

    mean: Annotated[float, Field(allow_inf_nan=False)]
    """Mean over patients, in the covariate's own unit."""

    std: Positive
    """Standard deviation over patients."""


class CohortSettings(Section):
    """Virtual patients."""

    source: str | tuple[str, ...] = "priors"
    """Source of the patients: priors (of the section twin), the file of palpate prior, or results folders or folders
    of palpate calibrate of patients who consented. Paths are relative to the file of the trial."""

    consented: bool = False
    """Whether the patients of the calibrations consented to this use; without it calibrations are refused."""

    size: Annotated[int, Field(ge=10, le=1_000_000)] = 1000
    """Number of patients."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of all random numbers: the same seed gives the same patients, also in other arms and other trials."""

    visible_ml: LogNormal = LogNormal(median=30.0, log_std=0.5)
    """Volume that is visible on day 0, ml; not used for patients from calibrations."""

    white_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of white matter around the tumour (radial); not used for patients from calibrations."""

    drawn: tuple[DrawnCovariate, ...] = ()
    """Further covariates, drawn independently of all else."""


class ArmOperation(Section):
    """Operation that removes a share of the tumour's cells everywhere: a virtual patient has no images."""

    day: WholeDay
    """Day of the operation."""

    share: Annotated[float, Field(gt=0, lt=1)]
    """Share of the cells that is removed."""


class ArmSettings(Section):
    """One arm of a trial."""

    name: str
    """Name of the arm: letters, digits, - and _."""

    schedule: str | dict[str, Any]
    """Treatments: the file of a schedule, or its keys, as palpate forecast --do takes it. Days count from day 0."""

    operations: tuple[ArmOperation, ...] = ()
    """Operations."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not SCHEDULE_NAME.fullmatch(self.name):
            raise ValueError("name the arm with letters, digits, - and _")
        return self


class OutcomeSettings(Section):
    """Event, follow-up and volume that are looked at in every patient."""

    event: Literal["visible", "enhancing", "hazard"]
    """Event that ends the time: visible volume 40 % or enhancing volume 25 % above its nadir, or a hazard."""

    until_day: Annotated[int, Field(ge=1, le=VALIDATED_DAYS)] = 365
    """Last day of the follow-up; restricted means and probabilities are those until it."""

    from_day: WholeDay = 0
    """First day on which an event is looked for; the nadir is the lowest volume from then on."""

    above_nadir: Annotated[float, Field(gt=1, le=10)] | None = None
    """Volume over its nadir that is an event, where not 1.4 (visible) or 1.25 (enhancing)."""

    volume_day: WholeDay | None = None
    """Day on which the visible volume (enhancing, where that is the event) is compared too; none: until_day."""

    baseline_1_day: Positive | None = None
    """Hazard at 1 ml of tumour cells and mean covariates, 1/day; event hazard alone."""

    per_ln_ml: Annotated[float, Field(ge=-5, le=5)] = 0.0
    """Coefficient of the logarithm of the burden in ml in the logarithm of the hazard."""

    effects: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    """Coefficients of covariates, each less its mean over the drawn ones, in the logarithm of the hazard."""

    operations_compete: bool = False
    """Whether an operation before progression ends the time as an event of its own."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.event == "hazard" and self.baseline_1_day is None:
            raise ValueError("state baseline_1_day, the hazard at 1 ml, beside event hazard")
        if self.event != "hazard" and (self.baseline_1_day is not None or self.effects or self.per_ln_ml):
            raise ValueError("state baseline_1_day, per_ln_ml and effects beside event hazard alone")
        if self.from_day >= self.until_day or (self.volume_day or 0) > self.until_day:
            raise ValueError("let from_day lie before until_day, and volume_day not after it")
        return self


class CovariateSettings(Section):
    """Covariate with the day on which it is known."""

    name: str
    """Name of the covariate."""

    day: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """Day on which it is known; after day 0 treatment may have changed it, and it is refused."""


class TrialSettings(Section):
    """A trial on virtual patients: every patient is in every arm, and meets the same chances in each."""

    cohort: CohortSettings = CohortSettings()
    """Virtual patients."""

    arms: Annotated[tuple[ArmSettings, ...], Field(min_length=2, max_length=12)]
    """Arms; the first is the one with which the others are compared by covariates."""

    outcome: OutcomeSettings
    """Event, follow-up and volume that are looked at in every patient."""

    covariates: tuple[str | CovariateSettings, ...] = ("visible_ml", "k_1_day", "alpha_1_gy")
    """Covariates known on day 0 by which effects may differ: visible_ml, enhancing_ml, burden_ml, k_1_day, d_mm2_day
    (radial), alpha_1_gy, kill_1_g_<drug>, and drawn ones."""

    model: Literal["logistic", "radial", "lattice"] = "logistic"
    """Rung of the model. The lattice is refused: palpate forecast --do compares schedules on it."""

    twin: TwinSettings = TwinSettings()
    """Settings of the twin, with priors and drugs."""

    @field_validator("arms")
    @classmethod
    def _once(cls, arms: tuple[ArmSettings, ...]) -> tuple[ArmSettings, ...]:
        names = [one.name.casefold() for one in arms]
        twice = next((one.name for one in arms if names.count(one.name.casefold()) > 1), None)
        if twice is not None:
            raise ValueError(f"give each arm a name of its own; {twice} is there twice")
        return arms
