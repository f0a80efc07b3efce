"""Diffusion step, its derivative along a direction, and the transpose of this derivative (see stages and space).

P = 1 - L / q with (L u)_i = sum_j a_i S_ij a_j (u_i - u_j) / M_i is self-adjoint in the inner product with weights M,
so that adjoint states divided by M obey the forward recurrence. With W_ij = M_i P_ij off the diagonal,
dW_ij = W_ij (d_i + d_j) / 2 for a change d of ln D; hence all that derivatives need are further products with P itself:

    dP x = -(d x - d Px + x Pd - P(d x)) / 2,
    z^T M dP x = -d^T M (z x - z Px - x Pz + P(z x)) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.growth.scheme.stages import stage_weights
from palpate.solvers.growth.space.space import GrowthSpace

type Values = NDArray[np.float64]

_RATES_AN_OCTAVE = 4
"""Number of values of q in each octave. The scale has steps so that q and the number of stages are constant where
derivatives are taken."""


_TINY = 1e-85
"""Number whose addition and subtraction rounds values below 1e-101 to zero. Tails of the density fall by orders of
magnitude from voxel to voxel, and processors take a hundred times as long for products below the smallest normal
number, 1e-308."""


def without_tails(values: Values) -> Values:
    """Replace values below 1e-101 by zero in place, and return the array."""
    values += _TINY
    values -= _TINY
    return values


@dataclass(slots=True)
class Work:
    """Counter of the work of a run.

    Attributes:
        products: number of products of a matrix and a vector or block of vectors.
    """

    products: int = 0


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Diffusion with a fixed field D.

    Attributes:
        space: control volumes.
        transition: matrix P, shape (n, n + ghosts).
        rate_1_s: rate q.
        tolerance: tolerance of stage_weights.
        work: counter of products.
    """

    space: GrowthSpace
    transition: sparse.csr_matrix
    rate_1_s: float
    tolerance: float
    work: Work = field(default_factory=Work)

    def multiply(self, values: Values) -> Values:
        """Return P x, of the shape of x, (n,) or (n, p). Collective."""
        self.work.products += 1
        return np.asarray(self.transition @ self.space.halo.extended(values))

    def within(self, room: Values) -> Diffusion:
        """Return the diffusion through a share c of each control volume. Collective.

        Volumes become c_i M_i and conductances get the factor c_i c_j. Off the diagonal P_ij becomes P_ij c_j, which
        needs no division by small numbers, and q stays sufficient.

        Args:
            room: share c in (0, 1], shape (n,).
        """
        known = self.transition
        narrowed = sparse.csr_matrix(
            (known.data * self.space.halo.extended(room)[known.indices], known.indices, known.indptr), shape=known.shape
        )
        own = np.arange(self.space.size)
        rest = sparse.csr_matrix((1.0 - np.asarray(narrowed.sum(axis=1)).ravel(), (own, own)), shape=known.shape)
        space = replace(self.space, volumes_m3=room * self.space.volumes_m3)
        return replace(self, space=space, transition=sparse.csr_matrix(narrowed + rest))

    def weights(self, duration_s: float) -> tuple[float, ...]:
        """Return w_0..w_m of a step."""
        return stage_weights(self.rate_1_s * duration_s, self.tolerance)

    def step(self, density: Values, duration_s: float) -> Values:
        """Return the density after a step, sum_k w_k P^k u, shape (n,). Collective.

        Args:
            density: density u before the step, shape (n,).
            duration_s: duration of the step, seconds.
        """
        weights = self.weights(duration_s)
        total, stage, term = weights[0] * density, density, np.empty_like(density)
        for weight in weights[1:]:
            stage = self.multiply(stage)
            total += np.multiply(weight, stage, out=term)
        return without_tails(total)

    def stages(self, density: Values, duration_s: float, moments: Moments | None = None) -> tuple[Values, Values]:
        """Return the step's result, shape (n,), and its stages x_k = P^k u, k = 0..m, shape (m + 1, n). Collective.

        Args:
            density: density u before the step, shape (n,).
            duration_s: duration of the step, seconds.
            moments: object whose memory holds the stages until it is used again; None for new memory.
        """
        weights = self.weights(duration_s)
        stages = np.empty((len(weights), self.space.size)) if moments is None else moments.memory(len(weights))
        stages[0] = density
        total, term = weights[0] * density, np.empty_like(density)
        for k, weight in enumerate(weights[1:], start=1):
            stages[k] = self.multiply(stages[k - 1])
            total += np.multiply(weight, stages[k], out=term)
        return without_tails(total), stages

    def tangent(
        self,
        stages: Values,
        change: Values,
        log_change: Values | None,
        duration_s: float,
        log_volumes: Values | None = None,
    ) -> Values:
        """Return derivatives of the step's result along a block of directions, shape (n, p). Collective.

        Args:
            stages: stages x_0..x_m, shape (m + 1, n).
            change: changes of u, shape (n, p).
            log_change: changes d of ln D, shape (n, p); None if D does not change.
            duration_s: duration of the step, seconds.
            log_volumes: changes of ln M, shape (n, p), only together with d; None if M does not change. They add
                log_volumes (x - P x) to dP x, since M divides the rows of L.
        """
        weights = self.weights(duration_s)
        total, moved = weights[0] * change, change
        if log_change is not None:
            half = 0.5 * log_change
            spread = self.multiply(half)
        for k, weight in enumerate(weights[1:]):
            if log_change is None:
                moved = self.multiply(moved)
            else:
                # P moved + dP stage, with one product for both terms that P acts on.
                here, following = stages[k][:, None], stages[k + 1][:, None]
                moved = self.multiply(moved + half * here)
                moved -= half * (here - following)
                moved -= spread * here
                if log_volumes is not None:
                    moved += log_volumes * (here - following)
            total += weight * moved
        return without_tails(total)

    def pull_back(self, stages: Values, adjoint: Values, duration_s: float, moments: Moments) -> Values:
        """Apply the transpose of the step to an adjoint state over M, shape (n,). Collective.

        Args:
            stages: stages x_0..x_m, shape (m + 1, n).
            adjoint: adjoint of the step's result, over M, shape (n,).
            duration_s: duration of the step, seconds.
            moments: sums for the gradient in ln D, to which this step's are added in place.
        """
        weights = self.weights(duration_s)
        state, term = weights[-1] * adjoint, np.empty_like(adjoint)
        for k in range(len(weights) - 2, -1, -1):
            following = self.multiply(state)
            moments.add(state, following, stages[k], stages[k + 1])
            following += np.multiply(weights[k], adjoint, out=term)
            state = following
        return without_tails(state)


class Moments:
    """Sums of z x and of z Px + x Pz over stages, from which the gradient in ln D follows with one product.

    It keeps the memory of stages as well: fields that are allocated and freed in each step cost as much as products,
    since the operating system maps their pages anew each time.
    """

    def __init__(self, size: int) -> None:
        self._plain, self._crossed, self._product = np.zeros(size), np.zeros(size), np.empty(size)
        self._stages = np.empty((0, size))

    def clear(self) -> None:
        """Begin the sums anew, for another field D."""
        self._plain[:] = 0.0
        self._crossed[:] = 0.0

    def memory(self, rows: int) -> Values:
        """Return memory for stages, reused in each call, shape (rows, n)."""
        if len(self._stages) < rows:
            self._stages = np.empty((rows, len(self._plain)))
        return self._stages[:rows]

    def add(self, z: Values, pz: Values, x: Values, px: Values) -> None:
        """Add one stage: adjoint z, density x and their products with P, shape (n,) each."""
        self._plain += np.multiply(z, x, out=self._product)
        self._crossed += np.multiply(z, px, out=self._product)
        self._crossed += np.multiply(x, pz, out=self._product)

    def gradient(self, diffusion: Diffusion) -> Values:
        """Return the derivative of the functional by ln D at every control volume, shape (n,). Collective."""
        spread = diffusion.multiply(self._plain)
        return np.asarray(-0.5 * diffusion.space.volumes_m3 * (self._plain - self._crossed + spread))


class VolumeMoments(Moments):
    """Moments with the sum of z Px, from which the gradient in ln M follows."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._forward = np.zeros(size)

    def clear(self) -> None:
        """See Moments."""
        super().clear()
        self._forward[:] = 0.0

    def add(self, z: Values, pz: Values, x: Values, px: Values) -> None:
        """See Moments."""
        super().add(z, pz, x, px)
        self._forward += z * px

    def volume_gradient(self, diffusion: Diffusion) -> Values:
        """Return the derivative of the functional by ln M at every control volume, shape (n,).

        Adjoint states over M are held constant.
        """
        return np.asarray(diffusion.space.volumes_m3 * (self._plain - self._forward))


def diffusion(space: GrowthSpace, diffusivity_m2_s: Values, tolerance: float) -> Diffusion:
    """Prepare diffusion with a field D. Collective.

    Args:
        space: control volumes.
        diffusivity_m2_s: diffusivity D >= 0, zero where nothing passes, such as a cavity, shape (n,).
        tolerance: largest error of the weights of a step's stages (see stage_weights).
    """
    roots = space.halo.extended(np.sqrt(diffusivity_m2_s))
    own = space.size
    rates = sparse.diags_array(roots[:own] / space.volumes_m3) @ space.conductances_m @ sparse.diags_array(roots)
    losses = np.asarray(rates.sum(axis=1)).ravel()
    largest = 0.5 * space.extremes(losses + np.asarray(abs(rates).sum(axis=1)).ravel())[1]
    rate = _rounded_up(largest)
    stay = sparse.csr_matrix((1.0 - losses / rate, (np.arange(own), np.arange(own))), shape=rates.shape)
    transition = sparse.csr_matrix(rates / rate + stay)
    transition.sort_indices()
    return Diffusion(space, transition, rate, tolerance)


def _rounded_up(rate: float) -> float:
    """Return the next rate of the scale; any positive one where nothing diffuses."""
    if rate <= 0.0:
        return 1.0
    return float(2.0 ** (np.ceil(_RATES_AN_OCTAVE * np.log2(rate)) / _RATES_AN_OCTAVE))
