"""Settings of a tumour's forecast."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from palpate.config.section import Section

type Day = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)]


class ForecastSettings(Section):
    """Settings of the forecast by a calibrated twin."""

    days_after_last_scan: Annotated[tuple[Day, ...], Field(min_length=1, max_length=20)] = (30.0, 60.0)
    """Days of the forecast, counted from the last scan. Treatments of the table up to then are taken as planned."""

    on_mesh: bool = False
    """Whether the workflow meshes the labels of the first scan (mesh.tetrahedra) and writes the forecast on it too."""

    variance_shares: bool = False
    """Whether the shares of the variance by source are written too (docs/doubt.md). They take several times as long."""
