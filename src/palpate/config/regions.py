"""Settings of the tables of regions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.derived import Quantity
from palpate.config.section import Section

type RegionQuantityKey = Literal["storage_modulus", "loss_modulus"] | Quantity


class RegionsSettings(Section):
    """Settings of the tables of regions."""

    quantities: Annotated[tuple[RegionQuantityKey, ...], Field(min_length=1)] = (
        "storage_modulus",
        "loss_modulus",
        "magnitude",
        "loss_tangent",
    )
    """Quantities of each region, averaged over it in every joint draw: storage_modulus (G', kPa), loss_modulus (G'',
    kPa), magnitude (|G*|, kPa), loss_tangent (G''/G'), wave_speed (c, m/s), attenuation (alpha, Np/m), damping_ratio
    (G''/(2 G')), phase_angle (delta, rad) and shear_stiffness (mu of nonlinear inversion, kPa)."""
