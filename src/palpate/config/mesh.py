"""The choices between the wave field's mask and the zones of the inversion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MeshSettings(Section):
    """From the wave field's mask to elements."""

    zone_width_mm: Positive = 24.0
    """Edge of a zone, rounded to whole cells of two voxels along each axis, at least two cells."""

    zone_stride_mm: Positive = Field(default=18.0, validate_default=True)
    """Largest distance between neighbouring zones; less than the width, so that zones overlap and share their data."""

    @field_validator("zone_stride_mm")
    @classmethod
    def _zones_overlap(cls, stride_mm: float, other: ValidationInfo) -> float:
        width_mm = other.data.get("zone_width_mm")
        if width_mm is not None and stride_mm >= width_mm:
            raise PydanticCustomError(
                "zones_apart", "less than zone_width_mm = {width_mm}, so that zones overlap", {"width_mm": width_mm}
            )
        return stride_mm
