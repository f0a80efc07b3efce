"""A schedule of treatments that replaces the planned one: what is added, dropped, moved or scaled."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from palpate.config.section import Section

type When = datetime.date | Annotated[float, Field(ge=0, le=7305, allow_inf_nan=False)]
"""Date, or days since the first scan of the tumour."""
type Cell = str | float | datetime.date | bool

ALL_PLANNED: Final = "all_planned"
"""Word that drops every planned treatment."""
SCHEDULE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""Pattern of the name of a schedule or an arm."""


class MovedTreatments(Section):
    """Treatments of one day that take place on another."""

    from_: When = Field(alias="from")
    """Date, or day since the first scan, of the planned treatments."""

    to: When
    """Date, or day since the first scan, on which they take place."""


class ScaledTreatments(Section):
    """Treatments of one day whose doses are multiplied."""

    date: When
    """Date, or day since the first scan, of the planned treatments."""

    factor: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
    """Factor on their doses, ratio."""


class ScheduleSettings(Section):
    """A schedule. It acts after the last scan; what was given before stays as it was."""

    name: str
    """Name of the schedule, which its folder and its lines in tables have: letters, digits, - and _."""

    add: tuple[dict[str, Cell], ...] = ()
    """Treatments to add, each with the columns of treatments.tsv, and times and every_days where it is repeated."""

    drop: Literal["all_planned"] | tuple[When, ...] = ()
    """Days whose planned treatments are left out, or all_planned."""

    move: tuple[MovedTreatments, ...] = ()
    """Days whose planned treatments take place on another."""

    scale: tuple[ScaledTreatments, ...] = ()
    """Days whose planned doses are multiplied."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not SCHEDULE_NAME.fullmatch(self.name):
            raise ValueError("a name of letters, digits, - and _")
        return self
