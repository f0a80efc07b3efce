"""Unknown parameters of a tumour, as logarithms, and derivatives by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.space.space import GrowthSpace

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a tumour on this rank's n control volumes.

    Attributes:
        log_diffusivity: logarithm ln D of the diffusivity, D in m2/s, shape (n,).
        log_proliferation: logarithm ln k of the proliferation rate, k in 1/s, shape (n,), or () where it is one number.
        log_alpha: logarithm ln alpha of the radiosensitivity, alpha in 1/Gy.
        log_sensitivities: logarithms ln s_d of the sensitivity to each drug course of the treatment, shape (d,).
    """

    log_diffusivity: Values
    log_proliferation: Values
    log_alpha: float = 0.0
    log_sensitivities: Values = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Refuse values that are not finite."""
        for name in ("log_diffusivity", "log_proliferation", "log_alpha", "log_sensitivities"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} is not finite")


@dataclass(frozen=True, slots=True)
class Derivative:
    """Direction in the space of unknowns, or a gradient there: one entry for each number of Parameters and state.

    A gradient holds partial derivatives by each control volume's value, not divided by volumes; those by single numbers
    are equal on every rank. The attributes are described for a gradient.

    Attributes:
        density: derivative by the initial density, shape (n,).
        log_diffusivity: derivative by ln D, shape (n,).
        log_proliferation: derivative by ln k, shape (n,) or ().
        log_alpha: derivative by ln alpha.
        log_sensitivities: derivatives by ln s_d, shape (d,).
        necrosis: derivative by the initial necrosis, shape (n,); None for a model without necrosis (see
            oxygen_limited).
    """

    density: Values
    log_diffusivity: Values
    log_proliferation: Values
    log_alpha: float
    log_sensitivities: Values
    necrosis: Values | None = None

    def dot(self, other: Derivative, space: GrowthSpace) -> float:
        """Return the inner product with another one, each number counted once over all ranks. Collective."""
        local = float(self.density @ other.density + self.log_diffusivity @ other.log_diffusivity)
        if self.necrosis is not None and other.necrosis is not None:
            local += float(self.necrosis @ other.necrosis)
        single = self.log_alpha * other.log_alpha + float(self.log_sensitivities @ other.log_sensitivities)
        rates = float(np.sum(self.log_proliferation * other.log_proliferation))
        if self.log_proliferation.ndim:
            local += rates
        else:
            single += rates
        return space.halo.summed(local) + single


@dataclass(frozen=True, slots=True)
class Directions:
    """Block of p directions that go through the model together; None stands for an unknown that none of them changes.

    Attributes:
        density: changes of the initial density, shape (n, p).
        log_diffusivity: changes of ln D, shape (n, p).
        log_proliferation: changes of ln k, shape (n, p), or (p,) where each is one number.
        log_alpha: changes of ln alpha, shape (p,).
        log_sensitivities: changes of ln s_d, shape (d, p).
        necrosis: changes of the initial necrosis, shape (n, p).
        log_volumes: changes of ln M, shape (n, p), only together with ln D; M is no unknown, but necrosis changes it.
    """

    density: Values
    log_diffusivity: Values | None = None
    log_proliferation: Values | None = None
    log_alpha: Values | None = None
    log_sensitivities: Values | None = None
    necrosis: Values | None = None
    log_volumes: Values | None = None

    def parts(self, columns: int) -> tuple[Directions, ...]:
        """Return these directions in blocks, each with its rows contiguous in memory.

        Args:
            columns: largest number of directions in a block.
        """
        return tuple(
            Directions(
                np.ascontiguousarray(self.density[:, first : first + columns]),
                _some(self.log_diffusivity, first, columns),
                _some(self.log_proliferation, first, columns),
                _some(self.log_alpha, first, columns),
                _some(self.log_sensitivities, first, columns),
                _some(self.necrosis, first, columns),
                _some(self.log_volumes, first, columns),
            )
            for first in range(0, self.density.shape[1], columns)
        )


def block(directions: Sequence[Derivative]) -> Directions:
    """Join single directions to a block.

    Args:
        directions: the p directions, at least one; either all of them change the initial necrosis or none does.
    """
    necrosis = [one.necrosis for one in directions if one.necrosis is not None]
    return Directions(
        np.stack([one.density for one in directions], axis=-1),
        np.stack([one.log_diffusivity for one in directions], axis=-1),
        np.stack([one.log_proliferation for one in directions], axis=-1),
        np.array([one.log_alpha for one in directions]),
        np.stack([one.log_sensitivities for one in directions], axis=-1),
        np.stack(necrosis, axis=-1) if necrosis else None,
    )


def _some(values: Values | None, first: int, columns: int) -> Values | None:
    """Return some of the last axis."""
    return None if values is None else np.ascontiguousarray(values[..., first : first + columns])


def spread(values: Values, labels: NDArray[np.integer]) -> Values:
    """Return a number for each tissue as a field, shape (n,).

    Args:
        values: value of each tissue, shape (t,).
        labels: tissue of each control volume, 0..t-1, shape (n,).
    """
    return np.asarray(values[labels])


def collect(gradient: Values, labels: NDArray[np.integer], tissues: int, space: GrowthSpace) -> Values:
    """Return the derivative by each tissue's number, the transpose of `spread`, shape (t,). Collective.

    It is equal on every rank.

    Args:
        gradient: derivative by the field, shape (n,).
        labels: tissue of each control volume, 0..t-1, shape (n,).
        tissues: number t of tissues.
        space: space of the control volumes.
    """
    sums = np.bincount(labels, weights=gradient, minlength=tissues)
    return np.asarray(space.halo.comm.allreduce(sums))
