"""Diffusivity on the twin's voxels, lowered so that fronts advance as they do without voxels.

On voxels of edge h fronts are too fast where they are narrow (twin.front). With q = 3 h^2 k / (5 D) the diffusivity

    ln D' = ln D + F(q),        F(q) = -5 ln(1 + q / 120),

gives fronts the radius of a radial solution of 0.1 mm on days 30, 60 and 90 within 3 % (benchmarks/front_speed.py). Its
beginning -q / 24 is half of what a settled front would need: in the first months the body of a front drives it as much
as the tail ahead, on which voxels act the most. From q = 50 on, F is the settled front's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.coupling import Coupling
from palpate.solvers.growth.parameters import Parameters
from palpate.units import mm_to_m

type Values = NDArray[np.float64]

POWER: Final = 5.0
"""Power of 1 + q / SCALE by which D is divided."""
SCALE: Final = 120.0
"""Ratio q at which the correction bends; POWER / SCALE is its slope 1 / 24 where q is small."""
DIRECTIONS: Final = 5.0
"""Reciprocal of the mean fourth power of a direction's cosine."""


@dataclass(frozen=True, slots=True)
class FrontCorrection:
    """Correction of ln D for the width of voxels.

    Attributes:
        square_m2: sum of the squares of a voxel's edges over DIRECTIONS, m2; 0 for no correction.
    """

    square_m2: float

    def log_change(self, parameters: Parameters) -> Values:
        """Return F(q), shape (n,).

        Args:
            parameters: parameters with the diffusivity D of tissue without voxels.
        """
        return np.asarray(-POWER * np.log1p(self.ratio(parameters) / SCALE))

    def slope(self, parameters: Parameters) -> Values:
        """Return the derivative of F by ln q, that is by ln k and by -ln D, shape (n,).

        Args:
            parameters: parameters with the diffusivity D of tissue without voxels.
        """
        ratio = self.ratio(parameters)
        return np.asarray(-POWER * ratio / (SCALE + ratio))

    def corrected(self, parameters: Parameters) -> Parameters:
        """Return the parameters with ln D'.

        Args:
            parameters: parameters with the diffusivity D of tissue without voxels.
        """
        return replace(parameters, log_diffusivity=parameters.log_diffusivity + self.log_change(parameters))

    def ratio(self, parameters: Parameters) -> Values:
        """Return q, shape (n,).

        Args:
            parameters: parameters with the diffusivity D of tissue without voxels.
        """
        return np.asarray(self.square_m2 * np.exp(parameters.log_proliferation - parameters.log_diffusivity))


@dataclass(frozen=True, slots=True)
class CorrectedCoupling:
    """Coupling of D with the density whose fronts are corrected: s + F(q e^-s) in place of a shift s of ln D.

    Attributes:
        plain: coupling without the correction.
        correction: correction of the fronts.
        free: parameters without coupling and correction.
    """

    plain: Coupling
    correction: FrontCorrection
    free: Parameters

    @property
    def every_s(self) -> float:
        """Time between two renewals of the shift, seconds."""
        return self.plain.every_s

    def shift(self, density: Values) -> Values:
        """Return the change of ln D, shape (n,). Collective."""
        plain = self.plain.shift(density)
        return np.asarray(plain + self.correction.log_change(self._slowed(plain)))

    def tangent(self, density: Values, changes: Values) -> Values:
        """Return the derivatives of the shift along changes of density, shape (n, p) both. Collective."""
        slope = self.correction.slope(self._slowed(self.plain.shift(density)))
        return np.asarray((1.0 - slope)[:, None] * self.plain.tangent(density, changes))

    def pull_back(self, density: Values, by_shift: Values) -> Values:
        """Return the derivatives by the density, from those by the shift, shape (n,) each. Collective."""
        slope = self.correction.slope(self._slowed(self.plain.shift(density)))
        return self.plain.pull_back(density, (1.0 - slope) * by_shift)

    def _slowed(self, shift: Values) -> Parameters:
        return replace(self.free, log_diffusivity=self.free.log_diffusivity + shift)


def front_correction(edges_mm: Values) -> FrontCorrection:
    """Return the correction on voxels.

    Args:
        edges_mm: edges of a voxel, millimetres, shape (3,).
    """
    return FrontCorrection(float(np.sum(mm_to_m(edges_mm) ** 2)) / DIRECTIONS)
