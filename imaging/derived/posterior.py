"""Derived quantities in a Python session: attributes of a posterior and of a region, each from joint draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from palpate.config.derived import Quantity
from palpate.imaging.derived.quantities import DerivedQuantity, Medium
from palpate.imaging.derived.statistics import STATISTICS, Rows, by_voxel, ends, summary
from palpate.imaging.files.stiffness_folder import Samples

type Volume = NDArray[np.float64]


@dataclass(frozen=True)
class DerivedPosterior:
    """Posterior of a quantity that is derived from both moduli, voxel by voxel, from joint draws.

    Values lie on the grid, shape (i, j, k), with the precision of the files; NaN outside the mask, and where the
    quantity is undefined.

    Attributes:
        quantity: the quantity, with its unit and formula.
        mask: voxels with a posterior, shape (i, j, k).
    """

    quantity: DerivedQuantity
    mask: NDArray[np.bool_] = field(repr=False)
    _samples: Samples = field(repr=False)
    _medium: Medium = field(repr=False)

    @property
    def unit(self) -> str:
        """Unit of the values; "1" for a ratio."""
        return self.quantity.unit

    @property
    def draws(self) -> int:
        """Number of joint draws."""
        return self._samples.count

    @property
    def mean(self) -> Volume:
        """Posterior mean."""
        return self._summary["mean"]

    @property
    def std(self) -> Volume:
        """Posterior standard deviation."""
        return self._summary["std"]

    @property
    def lower(self) -> Volume:
        """Lower end of the 95 % credible interval."""
        return self._summary["lower"]

    @property
    def upper(self) -> Volume:
        """Upper end of the 95 % credible interval."""
        return self._summary["upper"]

    def interval(self, level: float = 0.95) -> tuple[Volume, Volume]:
        """Return the ends of each voxel's central credible interval, quantiles of the draws, shape (i, j, k) each.

        Args:
            level: probability inside, between 0 and 1.
        """
        lower, upper = self._rows(ends(level))
        return lower, upper

    @cached_property
    def undefined(self) -> Mapping[str, NDArray[np.bool_]]:
        """Voxels of the mask without a value, shape (i, j, k), by the reason; empty where each has one."""
        return undefined_voxels(self.quantity, self.mask, self._samples.voxels, self.mean)

    @cached_property
    def _summary(self) -> dict[str, Volume]:
        return dict(zip(STATISTICS, self._rows(summary), strict=True))

    def _rows(self, rows: Rows) -> list[Volume]:
        found = by_voxel(self._samples.blocks(), len(self._samples.voxels), [self.quantity], self._medium, rows)
        return [on_grid_of(self.mask, self._samples.voxels, one) for one in found[self.quantity.key]]


def on_grid_of(mask: NDArray[np.bool_], voxels: NDArray[np.int32], values: NDArray[np.float64]) -> Volume:
    """Return values of voxels on their grid, with the precision of the files; NaN elsewhere.

    Args:
        mask: voxels with a posterior, shape (i, j, k).
        voxels: indices of the N voxels, shape (N, 3).
        values: values there, shape (N,).
    """
    volume = np.full(mask.shape, np.nan)
    volume[tuple(voxels.T)] = values.astype(np.float32)
    return np.where(mask, volume, np.nan)


def undefined_voxels(
    quantity: DerivedQuantity, mask: NDArray[np.bool_], voxels: NDArray[np.int32], values: Volume
) -> dict[str, NDArray[np.bool_]]:
    """Return the voxels of a mask without a value, shape (i, j, k), by the reason.

    Reasons that hold nowhere are left out.

    Args:
        quantity: quantity of the map.
        mask: voxels with a posterior, shape (i, j, k).
        voxels: indices of the voxels with draws, shape (N, 3).
        values: map of the quantity, shape (i, j, k).
    """
    drawn = np.zeros(mask.shape, dtype=bool)
    drawn[tuple(voxels.T)] = True
    without = mask & np.isnan(values)
    reasons = {"no joint draws": without & ~drawn, f"{quantity.undefined}, in one draw or more": without & drawn}
    return {reason: where for reason, where in reasons.items() if where.any()}


class DerivedAttributes[Posterior]:
    """Derived quantities as attributes whose names tell the unit, each computed at its first use.

    Formulas: palpate.imaging.derived.formulas.
    """

    @cached_property
    def magnitude_kpa(self) -> Posterior:
        """Magnitude |G*| of the complex shear modulus, kPa."""
        return self._derive("magnitude")

    @cached_property
    def loss_tangent(self) -> Posterior:
        """Loss tangent G''/G', a ratio."""
        return self._derive("loss_tangent")

    @cached_property
    def wave_speed_m_per_s(self) -> Posterior:
        """Phase speed c of shear waves, m/s."""
        return self._derive("wave_speed")

    @cached_property
    def phase_angle_rad(self) -> Posterior:
        """Phase angle delta = atan2(G'', G'), rad."""
        return self._derive("phase_angle")

    @cached_property
    def attenuation_np_per_m(self) -> Posterior:
        """Attenuation alpha of shear waves, Np/m."""
        return self._derive("attenuation")

    @cached_property
    def damping_ratio(self) -> Posterior:
        """Damping ratio G''/(2 G'), a ratio."""
        return self._derive("damping_ratio")

    @cached_property
    def shear_stiffness_kpa(self) -> Posterior:
        """Shear stiffness mu = 2|G*|^2/(G' + |G*|), kPa: the mu of nonlinear inversion (NLI)."""
        return self._derive("shear_stiffness")

    @property
    def _derive(self) -> Callable[[Quantity], Posterior]:
        raise NotImplementedError
