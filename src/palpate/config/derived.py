"""Settings of the maps of quantities that are derived from storage and loss modulus."""

from __future__ import annotations

from typing import Literal

from palpate.config.section import Section

type Quantity = Literal[
    "magnitude", "loss_tangent", "wave_speed", "phase_angle", "attenuation", "damping_ratio", "shear_stiffness"
]


class DerivedSettings(Section):
    """Settings of the maps of quantities that are derived from storage and loss modulus."""

    quantities: tuple[Quantity, ...] = ("magnitude", "loss_tangent", "wave_speed")
    """Quantities to write, each computed from every joint draw: magnitude (|G*|, kPa), loss_tangent (G''/G'),
    wave_speed (phase speed c of shear waves, m/s), phase_angle (delta, rad), attenuation (alpha, Np/m), damping_ratio
    (G''/(2 G')) and shear_stiffness (mu = 2|G*|^2/(G' + |G*|) in kPa, the mu of nonlinear inversion). With an empty
    list the workflow writes none."""
