"""A small patient with everything that can happen to a tumour, on any number of ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Derivative, Parameters
from palpate.solvers.growth.space.voxels import Voxels, voxels
from palpate.solvers.growth.treatment.pharmacokinetics import (
    DrugCourse,
    Emax,
    LogKill,
    one_compartment,
    two_compartment,
)
from palpate.solvers.growth.treatment.treatment import Fraction, Resection, Treatment
from palpate.units import days_to_s, mm2_day_to_m2_s, per_day_to_per_s

type Values = NDArray[np.float64]

SHAPE = (9, 8, 7)


@dataclass(frozen=True)
class Patient:
    """Space, model, parameters, density, and random fields that are the same for every number of ranks."""

    voxels: Voxels
    model: GrowthModel
    parameters: Parameters
    density: Values
    rng: np.random.Generator

    def field(self) -> Values:
        """A random field on this rank's voxels."""
        return self.voxels.from_volume(self.rng.normal(size=SHAPE))

    def direction(self) -> Derivative:
        """A random direction; fields of k where the patient's k is a field."""
        single = not self.parameters.log_proliferation.ndim
        return Derivative(
            0.2 * self.field() * self.density,
            self.field(),
            np.array(0.8) if single else self.field(),
            0.7,
            np.array([0.9, -0.6]),
        )

    def moved(self, by: Derivative, step: float) -> tuple[Parameters, Values]:
        """Parameters and density a step along a direction."""
        at = self.parameters
        return Parameters(
            at.log_diffusivity + step * by.log_diffusivity,
            at.log_proliferation + step * by.log_proliferation,
            at.log_alpha + step * by.log_alpha,
            at.log_sensitivities + step * by.log_sensitivities,
        ), self.density + step * by.density


def days(*values: float) -> tuple[float, ...]:
    """Seconds."""
    return tuple(days_to_s(value) for value in values)


def course(*, saturating: bool = False) -> DrugCourse:
    """Daily capsules; two of them between time steps."""
    kinetics = one_compartment(0.03, per_day_to_per_s(9.24), per_day_to_per_s(40.0))
    given = days(3.25, 4.25, 5.0, 6.0, 7.0)
    return DrugCourse("capsules", given, (2e-4,) * 5, kinetics, Emax(4e-3) if saturating else LogKill(), 20.0)


def patient(comm: MPI.Comm = MPI.COMM_SELF, *, field_of_k: bool = True, saturating: bool = False) -> Patient:
    """Resection, then a capsule drug, an infused one and four fractions of a dose that varies in space."""
    rng = np.random.default_rng(7)
    place = voxels(rng.random(SHAPE) > 0.15, np.array([2e-3, 2e-3, 3e-3]), comm)
    at = np.indices(SHAPE) - 4
    density = place.from_volume(0.6 * np.exp(-(at**2).sum(axis=0) / 4.0))
    dose = place.from_volume(2.0 * rng.random(SHAPE))
    slow = DrugCourse("infusion", days(4.0), (1e-4,), two_compartment(0.02, *(1e-5, 4e-5, 2e-5)))
    treatment = Treatment(
        tuple(Fraction(days_to_s(4.0 + i), dose) for i in range(4)),
        (course(saturating=saturating), slow),
        (Resection(days_to_s(2.0), place.from_volume(at[0] > 1)),),
    )
    log_k = np.log(per_day_to_per_s(0.06)) + (
        place.from_volume(0.3 * rng.normal(size=SHAPE)) if field_of_k else np.zeros(())
    )
    parameters = Parameters(
        np.log(mm2_day_to_m2_s(0.2)) + place.from_volume(0.5 * rng.normal(size=SHAPE)),
        log_k,
        float(np.log(0.1)),
        np.log([3e-4, 1e-4]),
    )
    return Patient(place, GrowthModel(place.space, days(3.0, 6.0, 15.0), treatment), parameters, density, rng)
