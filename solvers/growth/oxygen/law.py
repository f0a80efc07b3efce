"""Constants of oxygen in a tumour, and the effect of its lack on cells.

The level o is relative to well-perfused tissue, where o = 1. Proliferation is k g(o), and hypoxic cells die at the rate
nu h(o):

    g = (1 + K) o / (o + K),      h = 1 / (1 + (o / o_h)^4).

g saturates as a Michaelis-Menten law and is one at o = 1; h falls from one without oxygen to o_h^4 = 1e-4 in healthy
tissue, over the range in which death by hypoxia sets in. Both are positive and smooth, which renewals rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.units import days_to_s, per_day_to_per_s

type Values = NDArray[np.float64]

STEEPNESS: Final = 4
"""Exponent of h: the death rate falls from 80 % to 20 % of its largest value while the level doubles."""


@dataclass(frozen=True, slots=True)
class Oxygen:
    """Supply of oxygen to tissue and the effect of its lack; o = 1 is about 38 mmHg.

    Attributes:
        length_m: length L = sqrt(D_o / r), metres, from diffusivity and rate of supply, over which differences of
            oxygen in well-perfused tissue decay. At capacity it is L sqrt(o_full), by default 0.16 mm, about the
            distance from vessels within which cells live (Thomlinson and Gray 1955).
        at_capacity: level o_full of tissue that is full of living cells, far from any other tissue.
        half_proliferation: constant K, about the level at which proliferation is half of k.
        half_death: level o_h at which the death rate is half of nu; 3.8 mmHg by default, the middle of the 2.5 to 5
            mmHg between which necrosis sets in according to Ghaffarizadeh et al. (2018).
        death_1_s: death rate nu without oxygen, 1/s; 0.05 a day by default, which is assumed, not measured.
        every_s: time between renewals of the level, seconds.
    """

    length_m: float = 0.5e-3
    at_capacity: float = 0.1
    half_proliferation: float = 0.1
    half_death: float = 0.1
    death_1_s: float = per_day_to_per_s(0.05)
    every_s: float = days_to_s(4.0)

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning.

        Raises:
            InputError: one is not finite or out of its range.
        """
        positive, share = "a finite positive number", "a number above 0 and below 1"
        for name, good, expected in (
            ("length_m", 0.0 <= self.length_m < np.inf, "a finite length, not negative"),
            ("at_capacity", 0.0 < self.at_capacity <= 1.0, "a number above 0, at most 1"),
            ("half_proliferation", 0.0 < self.half_proliferation < np.inf, positive),
            ("half_death", 0.0 < self.half_death < 1.0, share),
            ("death_1_s", 0.0 <= self.death_1_s < np.inf, "a finite rate, not negative"),
            ("every_s", 0.0 < self.every_s < np.inf, "a positive time"),
        ):
            if not good:
                raise InputError(
                    f"oxygen, {name}",
                    found=f"{getattr(self, name):g}",
                    expected=expected,
                    advice="Correct the setting; levels are relative to well-perfused tissue, where they are 1.",
                )

    @property
    def demand(self) -> float:
        """Ratio beta of consumption at capacity to supply: o_full = 1 / (1 + beta)."""
        return 1.0 / self.at_capacity - 1.0


@dataclass(frozen=True, slots=True)
class Response:
    """Effect of a level of oxygen on cells.

    Attributes:
        log_rates: logarithms ln g and ln h, shape (2, n).
        slopes: derivatives of ln g and ln h by o, shape (2, n).
    """

    log_rates: Values
    slopes: Values


def response(oxygen: Oxygen, level: Values) -> Response:
    """Return the logarithms of g and h at a level of oxygen.

    Args:
        oxygen: constants K and o_h.
        level: level o, shape (n,).
    """
    half, power = oxygen.half_proliferation, (level / oxygen.half_death) ** STEEPNESS
    slowed = np.log1p(half) + np.log(level / (level + half))
    slopes = half / (level * (level + half)), -STEEPNESS * power / (level * (1.0 + power))
    return Response(np.stack([slowed, -np.log1p(power)]), np.stack(slopes))
