"""Continuous dependence of a model's future on its state and parameters: bounds, and how to check them on the way.

    |x1(t) - x2(t)| <= exp(L (t - t0)) (|x1(t0) - x2(t0)| + C |theta1 - theta2|)

in maximum norms, with the same treatment and noise. L and C hold on a box |theta| <= reach, |b| <= drift, since a
logarithmic parameter has no Lipschitz constant on the whole line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.quality_warning import QualityWarning
from palpate.twin.state_space.model import Model

type Values = NDArray[np.float64]

SLACK: Final = 1e-6
"""Relative part by which rounding may exceed a bound."""


@dataclass(frozen=True, slots=True)
class ParameterBox:
    """Set on which Lipschitz constants hold.

    Attributes:
        reach: largest absolute entry of theta.
        drift: largest absolute drift of ln k in and after the step.
    """

    reach: float = 2.0
    drift: float = 0.5


@dataclass(frozen=True, slots=True)
class Dependence:
    """Lipschitz constants of a model over one time.

    Attributes:
        rate_1_day: constant L of the state, 1/day.
        by_theta: constant C of the parameters.
    """

    rate_1_day: float
    by_theta: float

    def bound(self, days: float, state: Values, theta: Values | float = 0.0) -> Values:
        """Return the largest difference of two states after some days, shape (draws,).

        Args:
            days: days since the states differed by `state`.
            state: largest difference of an entry of the states then, shape (draws,).
            theta: largest difference of an entry of the parameters, shape (draws,).
        """
        return np.asarray(np.exp(self.rate_1_day * days) * (state + self.by_theta * theta))


def difference(one: Values, other: Values) -> Values:
    """Return the maximum norm of the difference of states or parameters, shape (draws,)."""
    return np.asarray(np.abs(one - other).max(axis=1))


def dependence_warnings[U](
    model: Model[U],
    x: Values,
    theta: Values,
    u: U,
    days: tuple[float, float],
    rate_1_day: float,
    entries: slice,
    size: float = 1e-3,
    seed: int = 1,
) -> tuple[QualityWarning, ...]:
    """Perturb some entries of a state, run the model with and without, and return a warning if they move too far apart.

    For a model without a certificate, this is the check at run time. All entries are moved by the same amount, in which
    growth shows most, and then each by its own.

    Args:
        model: model of the tumour.
        x: state on the first day, shape (draws, states).
        theta: parameters as standard normal numbers, shape (draws, parameters).
        u: treatment of all days.
        days: first and last day.
        rate_1_day: rate L with which differences may grow, 1/day.
        entries: entries of the state that are perturbed and compared.
        size: largest change of an entry.
        seed: seed of the changes.
    """
    still = np.zeros((len(x), len(model.noises)))
    lower, upper = (np.array([getattr(one, end) for one in model.states])[entries] for end in ("lower", "upper"))
    plain = model.step(x, theta, u, *days, still)[:, entries]
    shape, rng = x[:, entries].shape, np.random.default_rng(seed)
    worst, apart = 0.0, (0.0, 0.0)
    for change in (np.full(shape, size), rng.uniform(-size, size, shape)):
        other = x.copy()
        other[:, entries] = np.clip(x[:, entries] + change, lower, upper)
        before = difference(x[:, entries], other[:, entries])
        after = difference(plain, model.step(other, theta, u, *days, still)[:, entries])
        allowed = Dependence(rate_1_day, 0.0).bound(days[1] - days[0], before)
        ratios = np.divide(after, allowed, where=before > 0.0, out=np.zeros_like(after))
        most = int(np.argmax(ratios))
        if ratios[most] > worst:
            worst, apart = float(ratios[most]), (float(before[most]), float(after[most]))
    if worst <= 1.0 + SLACK:
        return ()
    sentence = (
        f"Two states of the {model.rung} model that differed by {apart[0]:.2g} on day {days[0]:g} differ by "
        f"{apart[1]:.2g} on day {days[1]:g}, {worst:.3g} times what continuous dependence allows (exp(L t) with L = "
        f"{rate_1_day:.3g} a day)."
    )
    advice = "Do not use this forecast: its numbers do not follow from the state. Report this warning."
    return (QualityWarning("dependence-not-continuous", sentence, advice),)
