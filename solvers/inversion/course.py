"""Where the Gauss-Newton iterations stand between two steps: with the zones there, all that decides the next step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.acceleration import Acceleration, Pair
from palpate.solvers.inversion.prior import Hypotheses, PriorScale


@dataclass(frozen=True, slots=True)
class Iteration:
    """One Gauss-Newton step.

    Attributes:
        objective: negative log posterior after the step, noise factors included, up to a constant.
        misfit: twice the negative log-likelihood at the stated noise, all zones, after the step.
        step: length of the step taken, 1 = full.
        change: root mean square change of m in the step.
    """

    objective: float
    misfit: float
    step: float
    change: float


@dataclass(frozen=True, slots=True)
class Course:
    """The state of the iterations between two steps.

    Attributes:
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, shape (2 N,).
        hypotheses: hyper-parameters of the prior.
        refits: how many refits of the prior are left.
        acceleration: remembers points and steps under the present prior.
        history: steps so far.
        waited: steps since the last refit.
        spread: posterior standard deviation, root mean square over all parameters; None before it is needed.
        comparable: whether w belongs to x under the present prior, so that objectives can be compared.
        loosening: of the prior, shape (N,).
        loosenings: how often it may be loosened yet.
    """

    x: NDArray[np.float64]
    w: NDArray[np.float64]
    hypotheses: Hypotheses
    refits: int
    acceleration: Acceleration
    history: tuple[Iteration, ...]
    loosening: NDArray[np.float64]
    loosenings: int
    waited: int = 0
    spread: float | None = None
    comparable: bool = True

    @property
    def may_loosen(self) -> bool:
        """Whether the prior is settled or nearly, w is its own, and it may be loosened once more."""
        return self.refits <= 1 and self.loosenings > 0 and self.comparable

    def refitted(self, hypotheses: Hypotheses) -> Course:
        """The same point under another prior, under which earlier points and steps mean nothing."""
        self.acceleration.forget()
        return replace(
            self,
            hypotheses=hypotheses,
            refits=self.refits - 1,
            waited=0,
            comparable=False,
        )

    def loosened(self, loosening: NDArray[np.float64], *, notable: float) -> Course:
        """The same point under a prior that is looser here and there; the same prior where it is not notably so."""
        if float(loosening.max()) < notable:
            return replace(self, loosenings=0)
        self.acceleration.forget()
        return replace(self, loosening=loosening, loosenings=self.loosenings - 1, comparable=False)

    def moved(self, point: Pair, iteration: Iteration) -> Course:
        """A step further, at (x, w)."""
        return replace(
            self,
            x=point[0],
            w=point[1],
            history=(*self.history, iteration),
            waited=self.waited + 1,
            comparable=self.comparable or iteration.step == 1.0,
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The same as arrays for a file, exact to the last bit."""
        numbers = {
            "scales": [asdict(scale) for scale in self.hypotheses.scales],
            "probabilities": self.hypotheses.probabilities,
            "factors": self.hypotheses.factors,
            "history": [asdict(iteration) for iteration in self.history],
            "refits": self.refits,
            "waited": self.waited,
            "spread": self.spread,
            "comparable": self.comparable,
            "loosenings": self.loosenings,
        }
        return {
            "loosening": self.loosening,
            "x": self.x,
            "w": self.w,
            "acceleration": self.acceleration.to_array(len(self.x)),
            "numbers": np.array(json.dumps(numbers)),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Course:
        """What to_arrays was made from."""
        numbers = json.loads(str(arrays["numbers"]))
        return cls(
            x=np.asarray(arrays["x"], dtype=np.float64),
            w=np.asarray(arrays["w"], dtype=np.float64),
            hypotheses=Hypotheses(
                tuple(PriorScale(**scale) for scale in numbers["scales"]),
                tuple(numbers["probabilities"]),
                tuple(map(tuple, numbers["factors"])),
            ),
            refits=numbers["refits"],
            acceleration=Acceleration.from_array(np.asarray(arrays["acceleration"], dtype=np.float64)),
            history=tuple(Iteration(**iteration) for iteration in numbers["history"]),
            waited=numbers["waited"],
            spread=numbers["spread"],
            comparable=numbers["comparable"],
            loosening=np.asarray(arrays["loosening"], dtype=np.float64),
            loosenings=numbers["loosenings"],
        )
