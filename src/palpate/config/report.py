"""Settings of the page that shows a session."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section


class ReportSettings(Section):
    """Settings of a session's page: its appearance, and what of a region counts in the report of an exam."""

    viewer: bool = True
    """Whether the page carries the interactive viewer, about 2.3 MB; without it the page has still pictures only."""

    anatomy_mm: Annotated[float, Field(gt=0.0)] = 1.2
    """Voxel size below which the anatomical image is averaged down for the viewer, mm; it bounds the page's size."""

    dates: bool = True
    """Whether the forecast report states dates, those of the table of sessions; without them it counts days."""

    storage_top_kpa: Annotated[float, Field(gt=0.0)] | None = None
    """Upper end of the colour scale of G', kPa; by default it follows from the maps. Set it to compare patients."""

    loss_top_kpa: Annotated[float, Field(gt=0.0)] | None = None
    """Upper end of the colour scale of G'', kPa; by default it follows from the maps."""

    above_kpa: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """Threshold of G', kPa, of the map of the probability to exceed it. None takes 1.25 times the mean of the informed
    voxels."""

    edge_mm: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """Width of the edge of the region that the report of an exam leaves out, mm. None leaves out 10 mm, half a
    wavelength at 60 Hz and 1.5 kPa, of regions that nobody drew in exams of fewer than three directions. A drawn region
    counts as drawn; the mean more than 10 mm from its edge stands beside it."""

    vessels: Literal["auto", "keep", "leave_out"] = "auto"
    """Treatment of voxels whose signal is far below or above that of the tissue around them, in the report of an exam.
    auto: they stay in a drawn region, and are left out of the mean more than 10 mm from its edge."""

    least_confidence: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.95
    """Confidence of the scanner above which a pixel counts in the report of an exam, where the scanner computed one."""
