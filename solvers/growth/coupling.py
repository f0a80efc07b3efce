"""How the tumour's own pressure slows diffusion: what the model needs to know about it.

ln D = ln D_0 + shift(u), renewed every few days from the density of that time (solvers.growth.mechanics).
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
        """How often it is renewed."""

    def shift(self, density: Values) -> Values:
        """Change of ln D, shape (n,). Collective."""

    def tangent(self, density: Values, changes: Values) -> Values:
        """Derivatives of the shift along changes of density, shape (n, p) both. Collective."""

    def pull_back(self, density: Values, by_shift: Values) -> Values:
        """Derivatives by the density, from those by the shift, shape (n,) each. Collective."""
