"""Settings of the search for stiff and soft regions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section


class FindingsSettings(Section):
    """Settings of the search for stiff and soft regions."""

    quantity: Literal["storage_modulus", "magnitude"] = "storage_modulus"
    """Stiffness that is compared: storage_modulus (G') or magnitude (|G*|), which reports of organs use."""

    factor: Annotated[float, Field(gt=1.0, le=10.0)] = 1.25
    """Stiffness over the reference from which a voxel is stiff; below 1 / factor it is soft."""

    reference: Literal["labels", "map"] = "labels"
    """Reference of a voxel. labels: median of the voxel's own label where labels of tissue are given and the label is
    large enough, else the median of the map. map: always the median of the map. Medians are over informed voxels, in
    each draw."""

    least_label_ml: Annotated[float, Field(ge=0.0)] = 5.0
    """Informed volume of a label, mL, below which its voxels are compared with the median of the map: a small label may
    be the lesion itself."""

    level: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """Probability with which all voxels of all stiff regions are stiff at once; the same holds for soft regions."""

    least_volume_ml: Annotated[float, Field(ge=0.0)] = 0.05
    """Volume of the smallest region that is shown, mL."""

    least_informed_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of informed voxels below which a region is not shown: its stiffness would be mostly a prior assumption."""

    gap_mm: Annotated[float, Field(ge=0.0, le=50.0)] = 4.0
    """Distance from a region at which its surroundings begin, mm: beyond the blur of its edge."""

    shell_mm: Annotated[float, Field(gt=0.0, le=50.0)] = 8.0
    """Width of the surroundings, mm."""
