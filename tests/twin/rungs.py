"""The three rungs of one small tumour, and what laws ask of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.twin.dynamics import Events
from palpate.twin.rungs.build import events, lattice_rung, small_rungs
from palpate.twin.rungs.from_history import regimen
from palpate.twin.rungs.lattice_observations import lattice_observations
from palpate.twin.rungs.observed import BURDEN
from palpate.twin.rungs.regimen import Regimen, shifted_events
from palpate.twin.state_space.model import Observation
from tests.twin.small import SETTINGS, history

type Values = NDArray[np.float64]

RUNGS = ("logistic", "radial", "lattice")


@dataclass(frozen=True)
class Rung:
    """A rung with the treatment of the small history, and with none."""

    model: Any
    treated: Any
    untreated: Any
    observations: tuple[Observation, ...]

    def theta(self, draws: int = 3, seed: int = 0) -> Values:
        """Parameters from their prior."""
        return np.random.default_rng(seed).standard_normal((draws, len(self.model.parameters)))

    def at(self, name: str) -> int:
        """Place of a parameter in theta."""
        return [one.name for one in self.model.parameters].index(name)

    def grown(self, x: Values, theta: Values, u: Events | Regimen, t0: float, t1: float) -> Values:
        """A step without noise."""
        return self.model.step(x, theta, u, t0, t1, np.zeros((len(x), len(self.model.noises))))

    def burden_ml(self, x: Values, theta: Values) -> Values:
        """Burden of each draw."""
        (one,) = (one for one in self.observations if one.stream == BURDEN)
        return np.exp(one.h(x, theta)[:, 0])

    def shifted(self, days: dict[str, float]) -> Events | Regimen:
        """The treatment on other days."""
        if isinstance(self.treated, Events):
            return shifted_events(self.treated, days)
        return self.treated.shifted(days)


@lru_cache
def rung(name: str) -> Rung:
    """A rung by its name; the lattice with its mechanics."""
    whole = history()
    if name == "lattice":
        model = lattice_rung(whole, SETTINGS, until=100.0)
        return Rung(model, events(whole), Events((), (), ()), lattice_observations(model))
    logistic, radial = small_rungs(whole, SETTINGS)
    model = {"logistic": logistic, "radial": radial}[name]
    return Rung(model, regimen(whole), Regimen(), model.observations)
