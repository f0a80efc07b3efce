"""Scalar tumour on which filters are tested: logistic growth of the volume, killed by doses, moved by noise.

    d ln V = k (1 - V / K) dt + s dW,     ln V falls by alpha d at a dose d.

Between doses the growth has a closed form; the noise of a step is added at its end, so that ln V has a normal
transition whose mean is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.priors import Unknown
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]
type Doses = tuple[tuple[float, float], ...]

CAPACITY_ML: Final = 100.0
"""Capacity K, mL."""
PRIORS: Final = (
    Unknown("proliferation", float(np.log(0.03)), 0.4),
    Unknown("volume", float(np.log(5.0)), 0.5),
    Unknown("alpha", float(np.log(0.03)), 0.5),
)
"""Rate k in 1/day, volume on day 0 in mL, sensitivity alpha in 1/Gy."""


@dataclass(frozen=True, slots=True)
class ScalarTumour:
    """Model of the scalar tumour; treatment is a tuple of days and doses, Gy.

    Attributes:
        noise: spread s of the noise of ln V, over the root of a day.
    """

    noise: float = 0.01

    @property
    def rung(self) -> str:
        """Name of the rung."""
        return "scalar tumour"

    @property
    def states(self) -> tuple[StateBound, ...]:
        """Logarithm of the volume in mL."""
        return (StateBound("ln_volume_ml"),)

    @property
    def parameters(self) -> tuple[Unknown, ...]:
        """Rate, first volume and sensitivity."""
        return PRIORS

    @property
    def noises(self) -> tuple[str, ...]:
        """Noise of ln V."""
        return ("growth",) if self.noise else ()

    def start(self, theta: Values) -> Values:
        """Return ln V on day 0, shape (draws, 1)."""
        return PRIORS[1].mean + PRIORS[1].std * theta[:, 1:2]

    def step(self, x: Values, theta: Values, u: Doses, t0: float, t1: float, noise: Values) -> Values:
        """Return ln V on day t1, shape (draws, 1)."""
        rate, _, alpha = (PRIORS[at].natural(PRIORS[at].mean + PRIORS[at].std * theta[:, at]) for at in range(3))
        volume, at = x[:, 0], t0
        for day, dose in u:
            if t0 <= day < t1:
                volume, at = _grown(volume, rate, day - at) - alpha * dose, day
        volume = _grown(volume, rate, t1 - at)
        if self.noise:
            volume = volume + self.noise * np.sqrt(t1 - t0) * noise[:, 0]
        return volume[:, None]


@dataclass(frozen=True, slots=True)
class LogVolume:
    """Stream that shows ln V.

    Attributes:
        stream: name of the stream.
    """

    stream: str = "volume"

    @property
    def quantities(self) -> tuple[str, ...]:
        """Logarithm of the volume in mL."""
        return ("ln_volume_ml",)

    def h(self, x: Values, theta: Values) -> Values:
        """Return ln V, shape (draws, 1)."""
        del theta
        return x


@dataclass(frozen=True, slots=True)
class Marker:
    """Stream of a laboratory value that rises with the volume: ln(1 + V / 10 mL)."""

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return "marker"

    @property
    def quantities(self) -> tuple[str, ...]:
        """Logarithm of the marker."""
        return ("ln_marker",)

    def h(self, x: Values, theta: Values) -> Values:
        """Return the logarithm of the marker, shape (draws, 1)."""
        del theta
        return np.log1p(np.exp(x) / 10.0)


def _grown(ln_volume: Values, rate: Values, days: float) -> Values:
    """Return ln V after logistic growth."""
    share = np.exp(ln_volume) / CAPACITY_ML
    return np.asarray(ln_volume + rate * days - np.log1p(share * np.expm1(rate * days)))
