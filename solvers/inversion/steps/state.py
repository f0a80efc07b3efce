"""State of the Gauss-Newton iterations between two steps; with the zones' states it determines the next step."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.hyperparameters import FIELDS, HyperparameterMixture, Hyperparameters
from palpate.solvers.inversion.steps.acceleration import Acceleration, Pair

REFIT_BELOW = (0.5, 0.25)
"""Root mean square changes of m in the last step below which the prior is refitted, in turn: once the first step is
not cut short, and near the maximum, whose distance after a Gauss-Newton step is a small part of the step's length. A
third refit changes hyperparameters by less than their uncertainty."""

PATIENCE = 4
"""Number of steps after which the prior is refitted although they are still long: a prior that is too wide keeps them
long where data contain little information."""

LAST_ROUNDS = 2
"""Number of times that standard deviations and regions' scales are fitted in turn at the last refit: a third time
changes them by a twentieth."""


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
class GaussNewtonState:
    """State of the iterations between two steps.

    Attributes:
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, shape (2 N,).
        hypotheses: hyperparameters of the prior.
        refits: number of refits of the prior that are left.
        acceleration: earlier points and steps under the present prior.
        history: steps so far.
        steps_since_refit: number of steps since the prior last changed.
        spread: posterior standard deviation, root mean square over all parameters; None before it is needed.
        comparable: whether w belongs to x under the present prior, so that objectives can be compared.
        local_scale: local scale of the prior, shape (N,).
        soundness: probability that each voxel measures the wave, shape (frequencies, N); None before it was computed
            from a fit.
        judgements: number of times that it was computed and the zones took it over.
    """

    x: NDArray[np.float64]
    w: NDArray[np.float64]
    hypotheses: HyperparameterMixture
    refits: int
    acceleration: Acceleration
    history: tuple[Iteration, ...]
    local_scale: NDArray[np.float64]
    steps_since_refit: int = 0
    spread: float | None = None
    comparable: bool = True
    soundness: NDArray[np.float64] | None = None
    judgements: int = 0

    @classmethod
    def at_prior_mean(
        cls, voxels: int, hypotheses: HyperparameterMixture, *, fit_hyperparameters: bool
    ) -> GaussNewtonState:
        """Return a start at the prior's mean.

        Args:
            voxels: number N of voxels.
            hypotheses: hyperparameters before any data.
            fit_hyperparameters: whether they are refitted.
        """
        nowhere = np.zeros(FIELDS * voxels)
        refits = len(REFIT_BELOW) if fit_hyperparameters else 0
        return cls(nowhere, nowhere, hypotheses, refits, Acceleration(), (), np.ones(voxels))

    @classmethod
    def warm_start(
        cls, x: NDArray[np.float64], hypotheses: HyperparameterMixture, *, fit_hyperparameters: bool
    ) -> GaussNewtonState:
        """Return a start near the maximum, so that one refit of the prior is enough.

        Args:
            x: deviation of m from the prior's centre at the start, shape (2 N,); its w is unknown.
            hypotheses: hyperparameters before any data.
            fit_hyperparameters: whether they are refitted.
        """
        refits = int(fit_hyperparameters)
        return cls(
            x, np.zeros_like(x), hypotheses, refits, Acceleration(), (), np.ones(len(x) // FIELDS), comparable=False
        )

    def again(self, *, fit_hyperparameters: bool) -> GaussNewtonState:
        """Return a start at this point for data of other weights, with steps counted anew.

        Args:
            fit_hyperparameters: whether the prior is refitted.
        """
        return replace(
            self,
            refits=int(fit_hyperparameters),
            acceleration=Acceleration(),
            history=(),
            steps_since_refit=0,
            spread=None,
            judgements=0,
        )

    @property
    def change(self) -> float:
        """Root mean square change of m in the last step, scaled to a full step, as a short one is no convergence."""
        return self.history[-1].change / self.history[-1].step if self.history else np.inf

    @property
    def near(self) -> bool:
        """Whether the maximum is near enough for computations that are made only once."""
        return self.change < REFIT_BELOW[-1]

    @property
    def estimated_error(self) -> float:
        """Estimated distance to the maximum: the last step scaled to a full one, or an extrapolation of two full steps.

        With linear convergence of ratio q, the remaining distance is q / (1 - q) of the last step. At most the last
        step itself is taken, so that slow convergence (q > 1/2) is judged by the last step alone.
        """
        last = self.history[-1]
        if self.steps_since_refit < 2 or min(last.step, self.history[-2].step) < 1.0:
            return self.change
        return extrapolated(last.change, self.history[-2].change)

    def with_prior(self, hypotheses: HyperparameterMixture, local_scale: NDArray[np.float64]) -> GaussNewtonState:
        """Return the state at this point under another prior, for which earlier points and steps are not valid."""
        self.acceleration.forget()
        return replace(
            self,
            hypotheses=hypotheses,
            local_scale=local_scale,
            refits=self.refits - 1,
            steps_since_refit=0,
            comparable=False,
        )

    def with_soundness(self, soundness: NDArray[np.float64], *, refits: int) -> GaussNewtonState:
        """Return the state at this point for data of other shares, for which earlier points and steps are not valid.

        Args:
            soundness: probability that each voxel measures the wave, shape (frequencies, N).
            refits: number of refits of the prior that follow.
        """
        self.acceleration.forget()
        return replace(
            self,
            soundness=soundness,
            judgements=self.judgements + 1,
            refits=refits,
            steps_since_refit=0,
            spread=None,
            comparable=False,
        )

    def moved(self, point: Pair, iteration: Iteration) -> GaussNewtonState:
        """Return the state after a step to the point (x, w)."""
        return replace(
            self,
            x=point[0],
            w=point[1],
            history=(*self.history, iteration),
            steps_since_refit=self.steps_since_refit + 1,
            comparable=self.comparable or iteration.step == 1.0,
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the state as arrays for a file, exact to the last bit."""
        numbers = {
            "scales": [asdict(scale) for scale in self.hypotheses.scales],
            "probabilities": self.hypotheses.probabilities,
            "region_scales": self.hypotheses.region_scales,
            "history": [asdict(iteration) for iteration in self.history],
            "refits": self.refits,
            "steps_since_refit": self.steps_since_refit,
            "spread": self.spread,
            "comparable": self.comparable,
            "judgements": self.judgements,
        }
        known = {} if self.soundness is None else {"soundness": self.soundness}
        return known | {
            "local_scale": self.local_scale,
            "x": self.x,
            "w": self.w,
            "acceleration": self.acceleration.to_array(len(self.x)),
            "numbers": np.array(json.dumps(numbers)),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> GaussNewtonState:
        """Restore the state from the arrays that to_arrays returned."""
        numbers = json.loads(str(arrays["numbers"]))
        return cls(
            x=np.asarray(arrays["x"], dtype=np.float64),
            w=np.asarray(arrays["w"], dtype=np.float64),
            hypotheses=HyperparameterMixture(
                tuple(Hyperparameters(**scale) for scale in numbers["scales"]),
                tuple(numbers["probabilities"]),
                tuple(map(tuple, numbers["region_scales"])),
            ),
            refits=numbers["refits"],
            acceleration=Acceleration.from_array(np.asarray(arrays["acceleration"], dtype=np.float64)),
            history=tuple(Iteration(**iteration) for iteration in numbers["history"]),
            steps_since_refit=numbers["steps_since_refit"],
            spread=numbers["spread"],
            comparable=numbers["comparable"],
            local_scale=np.asarray(arrays["local_scale"], dtype=np.float64),
            soundness=np.asarray(arrays["soundness"], dtype=np.float64) if "soundness" in arrays else None,
            judgements=numbers["judgements"],
        )


def refit_rounds(refits: int) -> int:
    """Return the number of rounds of a number of refits: one each, and more of them at the last one.

    Args:
        refits: number of refits of the prior.
    """
    return refits - 1 + LAST_ROUNDS if refits else 0


def extrapolated(last: float, before: float) -> float:
    """Return the distance that full steps of linear convergence leave, at most the last step's length.

    Args:
        last: root mean square change of m in the last step.
        before: root mean square change of m in the step before.
    """
    ratio = min(last / max(before, last, np.finfo(float).tiny), 0.5)
    return last * ratio / (1.0 - ratio)
