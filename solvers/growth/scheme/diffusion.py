"""One diffusion step, its derivative along a direction, and the transpose of that (see stages and space).

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
from palpate.solvers.growth.space.space import Space

type Values = NDArray[np.float64]

_RATES_AN_OCTAVE = 4
"""q comes in such steps, so that it and the number of stages are constant where derivatives are taken."""


_TINY = 1e-85
"""Against this, what is below 1e-101 rounds to zero. Tails fall by orders of magnitude from voxel to voxel; processors
take a hundred times as long for products of theirs that are below the smallest normal number, 1e-308."""


def without_tails(values: Values) -> Values:
    """The same array, with numbers below 1e-101 replaced by zero in place."""
    values += _TINY
    values -= _TINY
    return values


@dataclass(slots=True)
class Work:
    """What was computed so far.

    Attributes:
        products: products of P and a vector or block of vectors.
    """

    products: int = 0


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Diffusion with a fixed field D.

    Attributes:
        space: control volumes.
        transition: P, shape (n, n + ghosts).
        rate_1_s: q.
        tolerance: of stage_weights.
        work: counts products.
    """

    space: Space
    transition: sparse.csr_matrix
    rate_1_s: float
    tolerance: float
    work: Work = field(default_factory=Work)

    def multiply(self, values: Values) -> Values:
        """P x, of the shape of x, (n,) or (n, p). Collective."""
        self.work.products += 1
        return np.asarray(self.transition @ self.space.halo.extended(values))

    def within(self, room: Values) -> Diffusion:
        """The same where a share of each control volume is left: volumes c_i M_i, conductances c_i c_j. Collective.

        Off the diagonal P_ij becomes P_ij c_j, which needs no division by what may be small, and q stays sufficient.

        Args:
            room: c in (0, 1], shape (n,).
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
        """w_0..w_m of a step."""
        return stage_weights(self.rate_1_s * duration_s, self.tolerance)

    def step(self, density: Values, duration_s: float) -> Values:
        """sum_k w_k P^k u, shape (n,). Collective.

        Args:
            density: u, shape (n,).
            duration_s: of the step.
        """
        weights = self.weights(duration_s)
        total, stage, share = weights[0] * density, density, np.empty_like(density)
        for weight in weights[1:]:
            stage = self.multiply(stage)
            total += np.multiply(weight, stage, out=share)
        return without_tails(total)

    def stages(self, density: Values, duration_s: float, moments: Moments | None = None) -> tuple[Values, Values]:
        """The step's result, shape (n,), and x_0..x_m, x_k = P^k u, shape (m + 1, n). Collective.

        Args:
            density: u, shape (n,).
            duration_s: of the step.
            moments: in whose memory x_0..x_m lie, until it is used again; None for new memory.
        """
        weights = self.weights(duration_s)
        stages = np.empty((len(weights), self.space.size)) if moments is None else moments.memory(len(weights))
        stages[0] = density
        total, share = weights[0] * density, np.empty_like(density)
        for k, weight in enumerate(weights[1:], start=1):
            stages[k] = self.multiply(stages[k - 1])
            total += np.multiply(weight, stages[k], out=share)
        return without_tails(total), stages

    def tangent(
        self,
        stages: Values,
        change: Values,
        log_change: Values | None,
        duration_s: float,
        log_volumes: Values | None = None,
    ) -> Values:
        """Derivatives of the step's result along a block of directions, shape (n, p). Collective.

        Args:
            stages: x_0..x_m.
            change: of u, shape (n, p).
            log_change: d, of ln D, shape (n, p); None where D stays.
            duration_s: of the step.
            log_volumes: of ln M, shape (n, p), only together with d; None where M stays. It adds log_volumes (x - P x)
                to dP x, since M divides the rows of L.
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
        """The transpose of the step on an adjoint state over M, shape (n,). Collective.

        Args:
            stages: x_0..x_m, shape (m + 1, n).
            adjoint: of the step's result, over M, shape (n,).
            duration_s: of the step.
            moments: where to add what the gradient in ln D needs.
        """
        weights = self.weights(duration_s)
        state, share = weights[-1] * adjoint, np.empty_like(adjoint)
        for k in range(len(weights) - 2, -1, -1):
            following = self.multiply(state)
            moments.add(state, following, stages[k], stages[k + 1])
            following += np.multiply(weights[k], adjoint, out=share)
            state = following
        return without_tails(state)


class Moments:
    """Sums of z x and of z Px + x Pz over stages, from which the gradient in ln D follows with one product.

    It keeps the memory of stages as well: fields that are asked for and returned each step cost as much as products,
    since the system takes them back and hands them out anew, page by page.
    """

    def __init__(self, size: int) -> None:
        self._plain, self._crossed, self._product = np.zeros(size), np.zeros(size), np.empty(size)
        self._stages = np.empty((0, size))

    def clear(self) -> None:
        """Begin the sums anew, for another field D."""
        self._plain[:] = 0.0
        self._crossed[:] = 0.0

    def memory(self, rows: int) -> Values:
        """Room for stages, the same each time, shape (rows, n)."""
        if len(self._stages) < rows:
            self._stages = np.empty((rows, len(self._plain)))
        return self._stages[:rows]

    def add(self, z: Values, pz: Values, x: Values, px: Values) -> None:
        """Add one stage; all of shape (n,)."""
        self._plain += np.multiply(z, x, out=self._product)
        self._crossed += np.multiply(z, px, out=self._product)
        self._crossed += np.multiply(x, pz, out=self._product)

    def gradient(self, diffusion: Diffusion) -> Values:
        """Derivative of the functional by ln D at every control volume, shape (n,). Collective."""
        spread = diffusion.multiply(self._plain)
        return np.asarray(-0.5 * diffusion.space.volumes_m3 * (self._plain - self._crossed + spread))


class VolumeMoments(Moments):
    """Also the sum of z Px, from which the gradient in ln M follows."""

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
        """Derivative of the functional by ln M at every control volume, z and all else over M kept, shape (n,)."""
        return np.asarray(diffusion.space.volumes_m3 * (self._plain - self._forward))


def diffusion(space: Space, diffusivity_m2_s: Values, tolerance: float) -> Diffusion:
    """Prepare diffusion with a field D. Collective.

    Args:
        space: control volumes.
        diffusivity_m2_s: D >= 0, zero where nothing passes, such as a cavity, shape (n,).
        tolerance: of the weights of a step's stages.
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
    """The next rate of the scale; any positive one where nothing diffuses."""
    if rate <= 0.0:
        return 1.0
    return float(2.0 ** (np.ceil(_RATES_AN_OCTAVE * np.log2(rate)) / _RATES_AN_OCTAVE))
