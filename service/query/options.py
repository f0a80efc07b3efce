"""Options of a query, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from palpate.errors import InputError
from palpate.imaging.region_values.quantities import REGION_QUANTITIES, USUAL, RegionQuantity

_LARGEST_KPA = 1e4


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """Options of a query.

    Attributes:
        quantities: names of the quantities, in the order of the answer.
        above_kpa: threshold whose probability of being exceeded is asked for, kPa; None for none.
        run: number of a run, or its label; empty for all.
        frequency_hz: frequency of the vibration, hertz; None for all.
    """

    quantities: tuple[str, ...] = USUAL
    above_kpa: float | None = None
    run: str = ""
    frequency_hz: float | None = None

    def __post_init__(self) -> None:
        """Refuse options that ask for nothing.

        Raises:
            InputError: a quantity, threshold or frequency cannot be asked for.
        """
        unknown = [one for one in self.quantities if one not in REGION_QUANTITIES]
        if unknown or not self.quantities:
            raise InputError(
                "--quantity",
                found=repr(unknown[0][:40]) if unknown else "none",
                expected=f"one of {', '.join(REGION_QUANTITIES)}",
                advice="Name one of them; give the option again for another one.",
            )
        _demand_positive("--above", self.above_kpa, "a stiffness in kPa", _LARGEST_KPA)
        if self.above_kpa is not None and not any(one.unit == "kPa" for one in self.chosen):
            raise InputError(
                "--above",
                found=f"a threshold in kPa beside {' and '.join(self.quantities)}",
                expected="a quantity in kPa, of which a probability can be told",
                advice="Leave --above out, or ask for storage_modulus or magnitude as well.",
            )
        _demand_positive("--frequency-hz", self.frequency_hz, "a frequency in hertz", math.inf)

    @property
    def chosen(self) -> tuple[RegionQuantity, ...]:
        """Quantities, each once."""
        return tuple(REGION_QUANTITIES[one] for one in dict.fromkeys(self.quantities))


def _demand_positive(where: str, value: float | None, what: str, largest: float) -> None:
    if value is not None and not 0.0 < value < largest:
        raise InputError(where, found=f"{value:g}", expected=f"{what} above 0", advice="Write for example 3.5.")
