"""The small patient of these tests whose tumour runs out of oxygen, with necrosis from the beginning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.growth.oxygen.law import Oxygen
from palpate.solvers.growth.oxygen.oxygen_limited import LimitedTrajectory, OxygenLimitedGrowth
from palpate.solvers.growth.parameters import Derivative
from palpate.units import days_to_s, per_day_to_per_s
from tests.solvers.growth.head import coupled
from tests.solvers.growth.patient import Patient, patient

type Values = NDArray[np.float64]

STRONG = Oxygen(2e-3, 0.05, 0.2, 0.3, per_day_to_per_s(0.3), days_to_s(2.7))
"""Every term counts within days, on voxels of 2 mm; renewed off the beat of treatment and observations."""


@dataclass(frozen=True)
class Breathing:
    """A patient, its model and its necrosis."""

    who: Patient
    model: OxygenLimitedGrowth
    necrosis: Values

    def forecast(self, *, keep: bool = False) -> LimitedTrajectory:
        """From the patient's density and necrosis."""
        return self.model.forecast(self.who.parameters, self.who.density, self.necrosis, keep=keep)

    def direction(self) -> Derivative:
        """A random direction that moves the necrosis too."""
        return replace(self.who.direction(), necrosis=0.2 * self.who.field() * self.necrosis)

    def moved(self, by: Derivative, step: float) -> LimitedTrajectory:
        """A forecast a step along a direction."""
        assert by.necrosis is not None
        parameters, density = self.who.moved(by, step)
        return self.model.forecast(parameters, density, self.necrosis + step * by.necrosis)


def breathing(comm: MPI.Comm, *, field_of_k: bool = True, pushed: bool = False) -> Breathing:
    """A patient through resection, drugs and fractions, with or without mechanics."""
    who = coupled(comm)[0] if pushed else patient(comm, field_of_k=field_of_k)
    share = who.voxels.from_volume(np.random.default_rng(5).random(who.voxels.mask.shape))
    return Breathing(who, OxygenLimitedGrowth(who.model, STRONG), 0.4 * share * who.density)
