"""Interface of the slowing of diffusion by the tumour's own pressure, as the growth model uses it.

ln D = ln D_0 + shift(u), renewed every few days from the density at that time (solvers.growth.mechanics).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]


class Coupling(Protocol):
    """Change of ln D with the density."""

    @property
    def every_s(self) -> float:
        """Time between two renewals of the shift, seconds."""

    def shift(self, density: Values) -> Values:
        """Return the change of ln D, shape (n,). Collective."""

    def tangent(self, density: Values, changes: Values) -> Values:
        """Return the derivatives of the shift along changes of density, shape (n, p) both. Collective."""

    def pull_back(self, density: Values, by_shift: Values) -> Values:
        """Return the derivatives by the density, from those by the shift, shape (n,) each. Collective."""
