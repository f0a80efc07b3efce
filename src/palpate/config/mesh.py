"""Settings of the inversion's zones in the wave field's mask, and of tetrahedra that conform to labels."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TetrahedraSettings(Section):
    """Settings of the meshing of labels by tetrahedra that conform to them."""

    edge_mm: Positive = 3.0
    """Edge of the elements at interfaces between labels, mm."""

    gradation: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Growth of the largest edge with distance from the nearest interface, millimetre per millimetre."""

    largest_mm: Positive = Field(default=8.0, validate_default=True)
    """Longest edge anywhere, mm."""

    frequency_hz: Positive | None = None
    """Frequency of the waves that the mesh should represent, Hz; without one, wavelengths do not limit the edges."""

    elements_per_wavelength: Positive = 8.0
    """Least number of edges in one shear wavelength sqrt(|G*| / density) / frequency."""

    modulus_kpa: dict[str, Positive] = Field(default_factory=dict)
    """Modulus |G*| of labels by name, kPa, for their wavelengths; labels that are not named get no limit."""

    density_kg_m3: Positive = 1000.0
    """Density of tissue for wavelengths, kg/m3."""

    largest_memory_mb: Positive = 8000.0
    """Largest memory that a mesh may need, MB; a mesh that is expected to need more is refused before the work
    begins."""

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
    """Settings of the elements in the wave field's mask or in labels."""

    zone_width_mm: Positive = 24.0
    """Edge of a zone, mm, rounded to whole cells of two voxels along each axis, at least two cells."""

    zone_stride_mm: Positive = Field(default=18.0, validate_default=True)
    """Largest distance between neighbouring zones, mm; less than the width, so that zones overlap and share their
    data."""

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
