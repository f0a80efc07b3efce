"""Settings of the page that shows a session."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from palpate.config.section import Section


class ReportSettings(Section):
    """Settings of the appearance of a session's page. None of them changes a number."""

    viewer: bool = True
    """Whether the page carries the interactive viewer, about 2.3 MB; without it the page has still pictures only."""

    anatomy_mm: Annotated[float, Field(gt=0.0)] = 1.2
    """Voxel size below which the anatomical image is averaged down for the viewer, mm; it bounds the page's size."""

    storage_top_kpa: Annotated[float, Field(gt=0.0)] | None = None
    """Upper end of the colour scale of G', kPa; by default it follows from the maps. Set it to compare patients."""

    loss_top_kpa: Annotated[float, Field(gt=0.0)] | None = None
    """Upper end of the colour scale of G'', kPa; by default it follows from the maps."""
