"""What is unknown about a tumour, all of it in logarithms, and derivatives by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.space.space import Space

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """A tumour's parameters on this rank's n control volumes.

    Attributes:
        log_diffusivity: ln D, D in m2/s, shape (n,).
        log_proliferation: ln k, k in 1/s, shape (n,), or () where it is one number.
        log_alpha: ln alpha, alpha in 1/Gy.
        log_sensitivities: ln s_d of each course of the treatment, shape (d,).
    """

    log_diffusivity: Values
    log_proliferation: Values
    log_alpha: float = 0.0
    log_sensitivities: Values = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Refuse what is not finite."""
        for name in ("log_diffusivity", "log_proliferation", "log_alpha", "log_sensitivities"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} is not finite")


@dataclass(frozen=True, slots=True)
class Derivative:
    """A direction in the space of unknowns, or a gradient there: one entry for each number of Parameters and state.

    A gradient holds plain partial derivatives, by each control volume's value; those by single numbers are the same
    on every rank.

    Attributes:
        density: by the initial density, shape (n,).
        log_diffusivity: by ln D, shape (n,).
        log_proliferation: by ln k, shape (n,) or ().
        log_alpha: by ln alpha.
        log_sensitivities: by ln s_d, shape (d,).
        necrosis: by the initial necrosis, shape (n,); None of a model without (see oxygen_limited).
    """

    density: Values
    log_diffusivity: Values
    log_proliferation: Values
    log_alpha: float
    log_sensitivities: Values
    necrosis: Values | None = None

    def dot(self, other: Derivative, space: Space) -> float:
        """Sum of products over everything, once over all ranks. Collective."""
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
    """A block of p directions that go through the model together; None is what none of them changes.

    Attributes:
        density: of the initial density, shape (n, p).
        log_diffusivity: of ln D, shape (n, p).
        log_proliferation: of ln k, shape (n, p), or (p,) where each is one number.
        log_alpha: of ln alpha, shape (p,).
        log_sensitivities: of ln s_d, shape (d, p).
        necrosis: of the initial necrosis, shape (n, p).
        log_volumes: of ln M, shape (n, p), only together with ln D; M is no unknown, but necrosis moves it.
    """

    density: Values
    log_diffusivity: Values | None = None
    log_proliferation: Values | None = None
    log_alpha: Values | None = None
    log_sensitivities: Values | None = None
    necrosis: Values | None = None
    log_volumes: Values | None = None

    def parts(self, columns: int) -> tuple[Directions, ...]:
        """The same in blocks of at most so many directions, each with its rows together in memory."""
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
    """Single directions as a block.

    Args:
        directions: p of them, at least one; either all of them move the initial necrosis or none does.
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
    """Some of the last axis."""
    return None if values is None else np.ascontiguousarray(values[..., first : first + columns])


def spread(values: Values, labels: NDArray[np.integer]) -> Values:
    """A number for each tissue as a field, shape (n,).

    Args:
        values: of each tissue, shape (t,).
        labels: tissue of each control volume, 0..t-1, shape (n,).
    """
    return np.asarray(values[labels])


def collect(gradient: Values, labels: NDArray[np.integer], tissues: int, space: Space) -> Values:
    """The transpose of spread: derivative by each tissue's number, shape (t,), on every rank. Collective.

    Args:
        gradient: by the field, shape (n,).
        labels: as for spread.
        tissues: t.
        space: whose control volumes these are.
    """
    sums = np.bincount(labels, weights=gradient, minlength=tissues)
    return np.asarray(space.halo.comm.allreduce(sums))
