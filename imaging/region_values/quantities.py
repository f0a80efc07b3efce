"""Quantities of a region: both moduli, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from palpate.config.regions import RegionQuantityKey, RegionsSettings
from palpate.imaging.derived.quantities import DERIVED, Medium, Values


class RegionQuantity(Protocol):
    """Quantity that follows from storage and loss modulus, or one of them; a DerivedQuantity is one."""

    @property
    def key(self) -> str:
        """Name in tables, such as "wave_speed"."""
        ...

    @property
    def words(self) -> str:
        """Name of the quantity, with its symbol."""
        ...

    @property
    def unit(self) -> str:
        """Unit of its values; "1" for a ratio."""
        ...

    @property
    def undefined(self) -> str:
        """Condition under which it has no value."""
        ...

    @property
    def needs_density(self) -> bool:
        """Whether it depends on the density."""
        ...

    @property
    def of(self) -> Callable[[Values, Values, Medium], Values]:
        """Values in its unit, from G' and G'' in kilopascal and the medium."""
        ...


@dataclass(frozen=True, slots=True)
class ModulusQuantity:
    """One of both moduli as a quantity.

    Attributes:
        key: name in tables.
        words: name of the modulus, with its symbol.
        of: values in kilopascal, from G' and G'' in kilopascal and the medium.
        unit: unit of its values.
        undefined: condition under which it has no value.
        needs_density: whether it depends on the density.
    """

    key: Literal["storage_modulus", "loss_modulus"]
    words: str
    of: Callable[[Values, Values, Medium], Values] = field(repr=False)
    unit: str = "kPa"
    undefined: str = "never"
    needs_density: bool = False


STORAGE: Final = ModulusQuantity("storage_modulus", "storage modulus G'", lambda *given: given[0])
LOSS: Final = ModulusQuantity("loss_modulus", "loss modulus G''", lambda *given: given[1])
_EVERY: Final[tuple[RegionQuantity, ...]] = (STORAGE, LOSS, *DERIVED.values())
REGION_QUANTITIES: Final[Mapping[str, RegionQuantity]] = {one.key: one for one in _EVERY}
"""Quantities by their names in tables."""
USUAL: Final[tuple[RegionQuantityKey, ...]] = RegionsSettings().quantities
"""Names of the quantities of a table where nobody asks for others."""
