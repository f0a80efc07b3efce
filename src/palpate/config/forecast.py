"""Settings of a tumour's forecast."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from palpate.config.section import Section

type Day = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)]


class AlertSettings(Section):
    """Bound above which a forecast raises an alert: the probability of progression by a date."""

    by_days: Day
    """Date, in days after the last scan; at most the last day of the forecast."""

    above: Annotated[float, Field(gt=0, lt=1)]
    """Probability above which the alert is raised. Draws that cannot tell leave it undecided, and that is said."""

    event: Literal["visible", "enhancing", "regrowth"] = "visible"
    """Progression: the visible volume 40 % or the enhancing volume 25 % above its nadir, or the visible volume 40 %
    above that of the last scan (regrowth)."""


class ForecastSettings(Section):
    """Settings of the forecast by a calibrated twin."""

    days_after_last_scan: Annotated[tuple[Day, ...], Field(min_length=1, max_length=20)] = (30.0, 60.0)
    """Days of the forecast, counted from the last scan. Treatments of the table up to then are taken as planned."""

    on_mesh: bool = False
    """Whether the workflow meshes the labels of the first scan (mesh.tetrahedra) and writes the forecast on it too."""

    variance_shares: bool = False
    """Whether the shares of the variance by source are written too (docs/doubt.md). They take several times as long."""

    alert: AlertSettings | None = None
    """Bound of the probability of progression above which an alert is raised (docs/alerts.md); none for no bound."""

    @model_validator(mode="after")
    def _alert_is_forecast(self) -> Self:
        last = max(self.days_after_last_scan)
        if self.alert is not None and self.alert.by_days > last:
            raise ValueError(
                f"alert.by_days of at most {last:g}, the last of days_after_last_scan; add {self.alert.by_days:g} there"
            )
        return self
