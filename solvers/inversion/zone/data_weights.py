"""Weights of data whose errors are not Gaussian: a Gaussian likelihood in which every datum has its own precision.

By default nearly all voxels measure the wave with Gaussian noise, and a few measure something else: a contaminated
normal distribution, whose weights are the voxels' probabilities of being sound (sound_voxels.py).

Errors with long tails, such as those of wrong phases, are Gaussian with an unknown factor w on the precision of each
datum, its weight (Andrews and Mallows 1974). With the weights fixed, misfit, gradient, curvature, evidence of the prior
and draws are those of Gaussian noise of standard deviation sigma / sqrt(w). Weights and moduli are found in turn
(reweighting.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from palpate.errors import InputError

PARTS = 2
"""Number of real numbers in a datum, a complex displacement along one axis: the mean of its square for noise alone."""


class Likelihood(Protocol):
    """Weight of each datum by its error: the seam for another likelihood.

    A function of this signature, given to `palpate.invert(field, likelihood=...)`, takes the place of `contaminated`.
    For the negative log-likelihood sum_i rho(q_i), q_i the square of an error in units of the noise, it returns
    w_i = 2 drho/dq_i. Its weights must

    - lie in (0, 1], so that no datum counts for more than the noise of the wave field allows;
    - not increase with a datum's own square, since only then each round lowers the negative log-likelihood.

    It sees all voxels, so that it may join a voxel's three data, or those of neighbours. `StudentT` is one;
    examples/another_likelihood.py uses it and one of its own.
    """

    def __call__(self, squares: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the weights of data, in the shape of their squares.

        Args:
            squares: expected squares q of the errors over sigma^2, given the data; real and imaginary part together, 2
                on average for noise alone, shape (N, 3), axes of the voxel grid.
        """


def gaussian(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return equal weights, 1: Gaussian errors.

    Args:
        squares: expected squares q of the errors, shape (N, 3).
    """
    return np.ones_like(squares)


@dataclass(frozen=True, slots=True)
class Contaminated:
    """Likelihood of Gaussian noise in sound voxels, and of an error of any size in a few others: the default.

    A voxel whose C data have the squares q_c is sound with the probability (odds of sound to wrong, by Bayes' rule)

        w = 1 / (1 + exp((sum_c q_c - kappa) / 2)),    kappa = 2 ln((1 - f) / f) + 4 C ln s,

    the weight of its data. A voxel of three data has w = 1 to 1e-4 up to three times the square that noise has on
    average, and 1/2 at six times, kappa = 37; noise alone loses 1e-5 of its weight. The influence of a voxel vanishes
    as its error grows.

    Attributes:
        fraction: fraction f of voxels that are expected not to measure the wave.
        size: standard deviation s of their errors over that of the noise; kappa hardly depends on it.
    """

    fraction: float = 0.01
    size: float = 10.0

    def __post_init__(self) -> None:
        """Refuse numbers under which no voxel, or every voxel, would be sound.

        Raises:
            InputError: fraction is not between 0 and 1/2, or size not above 1.
        """
        if not (0.0 < self.fraction < 0.5 and self.size > 1.0):
            raise InputError(
                "Contaminated",
                found=f"fraction {self.fraction:g}, size {self.size:g}",
                expected="a fraction between 0 and 0.5 and a size above 1",
                advice="Leave both out, or take `gaussian` where every voxel measures the wave.",
            )

    def __call__(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability that a voxel is sound, for each of its data.

        Args:
            squares: expected squares q of the errors, components along the last axis.
        """
        return np.broadcast_to(self.soundness(squares)[..., None], squares.shape)

    def soundness(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability that each voxel is sound.

        Args:
            squares: expected squares q of the errors, components along the last axis, which the result lacks.
        """
        return np.asarray(expit(0.5 * (self.limit(squares.shape[-1]) - squares.sum(axis=-1))))

    def limit(self, components: int) -> float:
        """Return the sum kappa of a voxel's squares at which it is as likely wrong as sound.

        Args:
            components: number C of a voxel's data.
        """
        return float(2.0 * np.log((1.0 - self.fraction) / self.fraction) + 4.0 * components * np.log(self.size))


contaminated: Final = Contaminated()
"""Likelihood of the errors unless another is asked for."""


@dataclass(frozen=True, slots=True)
class StudentT:
    """Likelihood of errors with the long tails of Student's t distribution: w = min(1, (nu + 2) / (nu + q)).

    Errors that are no larger than noise is on average, q <= 2, are Gaussian, and larger ones have the t distribution of
    a complex number. Student's own weight would be up to (nu + 2) / nu for small errors, more than the stated noise
    allows.

    Attributes:
        freedom: degrees of freedom nu; tails are the longer the fewer, and Gaussian errors have infinitely many.
    """

    freedom: float = 4.0

    def __post_init__(self) -> None:
        """Refuse degrees of freedom that no distribution has.

        Raises:
            InputError: freedom is not positive.
        """
        if not self.freedom > 0.0:
            raise InputError(
                "StudentT",
                found=f"freedom {self.freedom:g}",
                expected="a positive number of degrees of freedom",
                advice="Take 4 where a few data may be wrong, and `gaussian` where none are.",
            )

    def __call__(self, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weights of data, in the shape of their squares.

        Args:
            squares: expected squares q of the errors, any shape.
        """
        return np.asarray(np.minimum(1.0, (self.freedom + PARTS) / (self.freedom + squares)))


def likelihood_name(law: Likelihood) -> str:
    """Return the name of a likelihood as records have it.

    Args:
        law: likelihood of the errors.
    """
    return str(getattr(law, "__name__", law if isinstance(law, (StudentT, Contaminated)) else type(law).__name__))


def checked_weights(law: Likelihood, squares: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Return the weights that a likelihood gives, none of them below the least one.

    Args:
        law: likelihood of the errors.
        squares: expected squares q of the errors, shape (N, 3).
        least: least weight that leaves the equations solvable.

    Raises:
        InputError: the weights are not one number in (0, 1] for each datum.
    """
    weights = np.asarray(law(squares), dtype=np.float64)
    if weights.shape != squares.shape:
        found = f"weights of shape {weights.shape}"
    elif not np.all((weights > 0.0) & (weights <= 1.0)):
        found = f"weights between {weights.min():.3g} and {weights.max():.3g}"
    else:
        return np.maximum(weights, least)
    raise InputError(
        f"the likelihood {likelihood_name(law)}",
        found=found,
        expected=f"one weight above 0, at most 1, for each datum, shape {squares.shape}",
        advice="See palpate.solvers.inversion.zone.data_weights.Likelihood.",
    )
