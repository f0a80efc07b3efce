"""Limits of a plan: what organs may receive, and which schedules of radiotherapy are compared."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from palpate.config.schedule import SCHEDULE_NAME
from palpate.config.section import Section
from palpate.config.trial import VALIDATED_DAYS
from palpate.config.twin import LogNormal, Positive

MOST_FRACTION_GY: Final = 25.0
"""Largest dose of a fraction, Gy; a larger one is a mistyped total."""
MOST_CANDIDATES: Final = 600
"""Largest number of schedules that are compared."""
type FractionCount = Annotated[int, Field(ge=1, le=60)]
type FractionDose = Annotated[float, Field(gt=0, le=MOST_FRACTION_GY, allow_inf_nan=False)]


class OrganLimit(Section):
    """Limit of one organ."""

    name: str
    """Name of the organ."""

    mask: str | None = None
    """NIfTI mask, in the world of the first scan; relative to the file of the limits."""

    contour: str | None = None
    """DICOM Segmentation or RT Structure Set and the region in it: file#name; relative to the file of the limits."""

    alpha_beta_gy: Positive | LogNormal
    """Ratio alpha / beta of the organ, Gy; a distribution (median, log_std) where it is uncertain."""

    bed_gy: Positive | None = None
    """Largest biologically effective dose n d (1 + d / (alpha / beta)), Gy."""

    eqd2_gy: Positive | None = None
    """Largest dose in fractions of 2 Gy with the same effect, Gy; in place of bed_gy."""

    volume_ml: Annotated[float, Field(ge=0, le=1000)] = 0.03
    """Volume of the organ that may receive more: the hottest part that is not counted, mL."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.mask is None) == (self.contour is None):
            raise ValueError("either mask or contour")
        if (self.bed_gy is None) == (self.eqd2_gy is None):
            raise ValueError("either bed_gy or eqd2_gy")
        return self


class PlanDose(Section):
    """Dose in space, of which every fraction is a multiple."""

    file: str
    """RTDOSE or NIfTI file in Gy, in the world of the first scan; relative to the file of the limits."""

    prescribed_gy: Positive
    """Dose of that file which counts as the prescription, Gy: dose_gy of a fraction is given where it lies."""


class StandardCare(Section):
    """Schedule with which the others are compared."""

    fractions: FractionCount = 30
    """Number of fractions."""

    dose_gy: FractionDose = 2.0
    """Dose of a fraction, Gy."""

    first_day: Annotated[int, Field(ge=0, le=120)] = 0
    """Day of the first fraction, counted from the last scan."""


class LimitsSettings(Section):
    """Limits of organs, and the schedules that are compared under them."""

    name: str = "plan"
    """Name of the plan: letters, digits, - and _."""

    organs: Annotated[tuple[OrganLimit, ...], Field(min_length=1, max_length=40)]
    """Limits of organs. Without one there is nothing against which a dose could be weighed."""

    dose: PlanDose | None = None
    """Dose in space; without it, that of the fractions which the patient's history plans."""

    fractions: Annotated[tuple[FractionCount, ...], Field(min_length=1)] = (5, 10, 15, 20, 25, 30, 35)
    """Numbers of fractions."""

    dose_gy: Annotated[tuple[FractionDose, ...], Field(min_length=1)] = (1.5, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0)
    """Doses of a fraction, Gy."""

    days: Annotated[tuple[Annotated[int, Field(ge=0, le=120)], ...], Field(min_length=1)] = (0,)
    """Days of the first fraction, counted from the last scan."""

    days_a_week: Annotated[int, Field(ge=1, le=7)] = 5
    """Fractions a week, on days that follow each other."""

    chance: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Probability with which each limit must hold, where alpha / beta is uncertain."""

    standard: StandardCare = StandardCare()
    """Schedule with which the others are compared."""

    event: Literal["regrowth", "visible", "enhancing"] = "regrowth"
    """Event that ends the time: visible volume 40 % above that of the last scan (regrowth), or the visible volume 40 %
    or the enhancing volume 25 % above its nadir, which a deeper response can bring forward."""

    until_day: Annotated[int, Field(ge=30, le=VALIDATED_DAYS)] = 365
    """Last day that counts, from the last scan on."""

    model: Literal["radial", "logistic"] = "radial"
    """Rung on which schedules are compared."""

    patients: Annotated[int, Field(ge=20, le=5000)] = 200
    """Number of draws of the patient, and of patients of the population."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of all random numbers."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not SCHEDULE_NAME.fullmatch(self.name):
            raise ValueError("a name of letters, digits, - and _")
        names = [one.name.casefold() for one in self.organs]
        twice = next((one.name for one in self.organs if names.count(one.name.casefold()) > 1), None)
        if twice is not None:
            raise ValueError(f"each organ once; {twice} is there twice")
        count = len(self.fractions) * len(self.dose_gy) * len(self.days)
        if count > MOST_CANDIDATES:
            raise ValueError(f"at most {MOST_CANDIDATES} schedules; fractions, dose_gy and days make {count}")
        return self
