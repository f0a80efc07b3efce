"""The choices between the wave field's mask and the zones of the inversion, and between labels and tetrahedra."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TetrahedraSettings(Section):
    """From labels to tetrahedra that conform to them."""

    edge_mm: Positive = 3.0
    """Edge of the elements at interfaces between labels."""

    growth: Annotated[float, Field(ge=0, le=1)] = 0.3
    """By how many millimetres edges may be longer for each millimetre away from the nearest interface."""

    largest_mm: Positive = Field(default=8.0, validate_default=True)
    """Longest edge anywhere."""

    frequency_hz: Positive | None = None
    """Frequency of the waves that the mesh should carry; none leaves wavelengths aside."""

    elements_per_wavelength: Positive = 8.0
    """Edges in one shear wavelength sqrt(|G*| / density) / frequency, at least."""

    modulus_kpa: dict[str, Positive] = Field(default_factory=dict)
    """|G*| of labels by name, for their wavelengths; labels that are not named get no limit."""

    density_kg_m3: Positive = 1000.0
    """Density of tissue, for wavelengths."""

    largest_memory_mb: Positive = 8000.0
    """Meshes that are expected to need more are refused before the work begins."""

    @model_validator(mode="after")
    def _waves_have_a_speed(self) -> Self:
        if (self.frequency_hz is None) != (not self.modulus_kpa):
            raise PydanticCustomError("waves", "frequency_hz and modulus_kpa together, or neither")
        return self

    @field_validator("largest_mm")
    @classmethod
    def _no_shorter_than_edges(cls, largest_mm: float, other: ValidationInfo) -> float:
        edge_mm = other.data.get("edge_mm")
        if edge_mm is not None and largest_mm < edge_mm:
            raise PydanticCustomError("edges", "at least edge_mm = {edge_mm}", {"edge_mm": edge_mm})
        return largest_mm


class MeshSettings(Section):
    """From the wave field's mask, or from labels, to elements."""

    zone_width_mm: Positive = 24.0
    """Edge of a zone, rounded to whole cells of two voxels along each axis, at least two cells."""

    zone_stride_mm: Positive = Field(default=18.0, validate_default=True)
    """Largest distance between neighbouring zones; less than the width, so that zones overlap and share their data."""

    tetrahedra: TetrahedraSettings = TetrahedraSettings()
    """Elements of a mesh of labels; the inversion's zones do not use them."""

    @field_validator("zone_stride_mm")
    @classmethod
    def _zones_overlap(cls, stride_mm: float, other: ValidationInfo) -> float:
        width_mm = other.data.get("zone_width_mm")
        if width_mm is not None and stride_mm >= width_mm:
            raise PydanticCustomError(
                "zones_apart", "less than zone_width_mm = {width_mm}, so that zones overlap", {"width_mm": width_mm}
            )
        return stride_mm
