"""Table of the derived quantities: names in settings, files and Python, words, units, formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.derived import Quantity
from palpate.imaging.derived import formulas
from palpate.units import kpa_to_pa, pa_to_kpa

type Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Medium:
    """Facts beside the moduli on which a derived quantity may depend.

    Attributes:
        frequency_hz: frequency of the vibration, hertz.
        density_kg_m3: density, kilogram per cubic metre: one number, or one for each draw, shape (draws, 1).
    """

    frequency_hz: float
    density_kg_m3: float | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DerivedQuantity:
    """Quantity that follows from storage and loss modulus.

    Attributes:
        key: name in settings, such as "wave_speed".
        words: name of the quantity, with its symbol.
        unit: unit of its values; "1" for a ratio.
        formula: formula in words, with the symbols of docs/theory.
        undefined: condition under which it has no value.
        needs_density: whether it depends on the density.
        of: values in its unit, from G' and G'' in kilopascal and the medium.
    """

    key: Quantity
    words: str
    unit: str
    formula: str
    undefined: str
    needs_density: bool
    of: Callable[[Values, Values, Medium], Values] = field(repr=False)

    @property
    def in_files(self) -> str:
        """The name in file names, such as "wavespeed"."""
        return self.key.replace("_", "")


_NO_WAVE: Final = "G' + |G*| = 0: no wave travels"

DERIVED: Final[Mapping[Quantity, DerivedQuantity]] = {
    one.key: one
    for one in (
        DerivedQuantity(
            key="magnitude",
            words="magnitude |G*| of the complex shear modulus",
            unit="kPa",
            formula="|G*| = sqrt(G'^2 + G''^2)",
            undefined="never",
            needs_density=False,
            of=lambda storage, loss, _: formulas.magnitude_pa(storage, loss),
        ),
        DerivedQuantity(
            key="loss_tangent",
            words="loss tangent tan delta",
            unit="1",
            formula="tan delta = G'' / G'",
            undefined="G' = 0",
            needs_density=False,
            of=lambda storage, loss, _: formulas.loss_tangent(storage, loss),
        ),
        DerivedQuantity(
            key="wave_speed",
            words="phase speed c of shear waves",
            unit="m/s",
            formula="c = sqrt(2 |G*|^2 / (rho (G' + |G*|)))",
            undefined=_NO_WAVE,
            needs_density=True,
            of=lambda storage, loss, medium: formulas.wave_speed_m_per_s(
                kpa_to_pa(storage), kpa_to_pa(loss), medium.density_kg_m3
            ),
        ),
        DerivedQuantity(
            key="phase_angle",
            words="phase angle delta of the complex shear modulus",
            unit="rad",
            formula="delta = atan2(G'', G')",
            undefined="G* = 0",
            needs_density=False,
            of=lambda storage, loss, _: formulas.phase_angle_rad(storage, loss),
        ),
        DerivedQuantity(
            key="attenuation",
            words="attenuation alpha of shear waves",
            unit="Np/m",
            formula="alpha = omega sqrt(rho (|G*| - G') / (2 |G*|^2))",
            undefined=_NO_WAVE,
            needs_density=True,
            of=lambda storage, loss, medium: formulas.attenuation_np_per_m(
                kpa_to_pa(storage), kpa_to_pa(loss), medium.density_kg_m3, medium.frequency_hz
            ),
        ),
        DerivedQuantity(
            key="damping_ratio",
            words="damping ratio xi",
            unit="1",
            formula="xi = G'' / (2 G')",
            undefined="G' = 0",
            needs_density=False,
            of=lambda storage, loss, _: formulas.damping_ratio(storage, loss),
        ),
        DerivedQuantity(
            key="shear_stiffness",
            words="shear stiffness mu as nonlinear inversion (NLI) reports it",
            unit="kPa",
            formula="mu = 2 |G*|^2 / (G' + |G*|) = rho c^2",
            undefined=_NO_WAVE,
            needs_density=False,
            of=lambda storage, loss, _: pa_to_kpa(formulas.shear_stiffness_pa(kpa_to_pa(storage), kpa_to_pa(loss))),
        ),
    )
}
"""The derived quantities by their names in settings."""
