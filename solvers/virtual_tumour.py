"""In-silico tumour: grown on finer voxels and in shorter steps than a calibration uses, along fibres."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from palpate.config.longitudinal import LongitudinalSettings
from palpate.imaging.phantom.tumour_scene import TumourScene, dose_gy, drug_days, fraction_days
from palpate.imaging.phantom.tumour_study import INFILTRATES_ABOVE, Displacement, Truth
from palpate.solvers.growth.coupling import Coupling
from palpate.solvers.growth.mechanics.coupling import Pressure, mechanics, middles_m
from palpate.solvers.growth.mechanics.displacement import (
    LARGEST,
    ElasticHead,
    SmallStrain,
    brain_around,
    displacement_system,
    lengths_mm,
)
from palpate.solvers.growth.mechanics.finite_strain import finite_strain
from palpate.solvers.growth.mechanics.lattice import lattice
from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.oxygen.law import Oxygen
from palpate.solvers.growth.oxygen.oxygen_limited import OxygenLimitedGrowth
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import Voxels, voxels
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse, one_compartment
from palpate.solvers.growth.treatment.treatment import Fraction, Treatment
from palpate.units import days_to_s, mg_to_kg, mm2_day_to_m2_s, mm_to_m, per_day_to_per_s

_HALF_LIFE_DAYS = 1.8 / 24.0
_ABSORPTION_1_DAY = 40.0
_VOLUME_M3 = 0.03
_TOLERANCE = 2e-3
_KG_A_GRAM = 1e-3
_COARSER = 1.5
"""Ratio of the box edges of the two lattices from which displacement is extrapolated."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """Densities on the truth's voxels, shape (n,); no necrosis where oxygen is ample."""

    living: np.ndarray
    dead: np.ndarray | None = None

    @property
    def filled(self) -> np.ndarray:
        return self.living if self.dead is None else self.living + self.dead


def grow(settings: LongitudinalSettings, scene: TumourScene) -> Truth:
    """Grow the tumour from its beginning through its treatment to the last day that is kept.

    Args:
        settings: settings of the patient.
        scene: the patient's brain.
    """
    began = time.monotonic()
    place = voxels(scene.tissue, mm_to_m(scene.grid.voxel_mm), tensors=scene.tensors)
    parameters = Parameters(
        np.log(mm2_day_to_m2_s(place.from_volume(scene.diffusivity_mm2_day))),
        np.log(per_day_to_per_s(place.from_volume(scene.proliferation_1_day))),
        float(np.log(max(settings.alpha_1_gy, 1e-12))),
    )
    living = place.from_volume(scene.begin)
    start = _Cells(living, None if settings.oxygen == "ample" else np.zeros_like(living))
    if settings.days_before_first_scan > 0.0:
        elastic_system = _elastic_system(settings, scene, place, scene.storage_pa)
        before = _model(settings, place, (float(settings.days_before_first_scan),), Treatment(), elastic_system)
        (start,) = _grown(settings, before, parameters, start)
    # Softer or stiffer where the tumour is on the day of the elastogram; it stays so.
    storage_pa = scene.storage_pa * np.exp(settings.tumour_log_stiffness * place.to_volume(start.filled))
    elastic_system = _elastic_system(settings, scene, place, storage_pa)
    every = (*settings.days, *settings.beyond_days)
    # The dose is planned on the last scan before radiotherapy; its tumour must be grown to first.
    planning = [day for day in settings.days if day <= settings.first_fraction_day][-1]
    radius_mm = _radius_mm(settings, place, parameters, start, planning, elastic_system)
    treatment, log_sensitivities = _treatment(settings, scene, place, radius_mm, every[-1])
    treated = Parameters(
        parameters.log_diffusivity, parameters.log_proliferation, parameters.log_alpha, log_sensitivities
    )
    model = _model(settings, place, tuple(float(day) for day in every[1:]), treatment, elastic_system)
    states = (start, *_grown(settings, model, treated, start)) if len(every) > 1 else (start,)
    densities = {day: place.to_volume(cells.living) for day, cells in zip(every, states, strict=True)}
    necrosis = {
        day: place.to_volume(cells.dead) for day, cells in zip(every, states, strict=True) if cells.dead is not None
    }
    filled = {day: cells.filled for day, cells in zip(every, states, strict=True)}
    displaced = _displaced(settings, scene, place, storage_pa, filled)
    if elastic_system is None:
        return Truth(densities, radius_mm, time.monotonic() - began, necrosis=necrosis, displaced=displaced)
    slowed = {
        day: -float(np.average(elastic_system.shift(cells.filled), weights=cells.filled * (1.0 - cells.filled) + 1e-12))
        for day, cells in zip(every, states, strict=True)
    }
    return Truth(densities, radius_mm, time.monotonic() - began, storage_pa, slowed, necrosis, displaced)


def _displaced(
    settings: LongitudinalSettings,
    scene: TumourScene,
    place: Voxels,
    storage_pa: np.ndarray,
    filled: dict[int, np.ndarray],
) -> dict[int, dict[int, Displacement]]:
    """Return the displacement of the brain around the tumour of each scan, on every day that is kept.

    Args:
        settings: lambda, s, boxes and law of elasticity.
        scene: the brain, whose block is held at its faces as by a skull.
        place: the truth's voxels.
        storage_pa: G' from the first scan on.
        filled: densities by day.
    """
    edges_m = mm_to_m(scene.grid.voxel_mm)
    head = ElasticHead(place.space, middles_m(place, edges_m), scene.head, edges_m, storage_pa)
    law = SmallStrain if settings.strain == "small" else finite_strain
    elastic_system = displacement_system(
        head, _pressure(settings), float(mm_to_m(settings.elastic_box_mm)), _COARSER, law
    )
    found = lengths_mm(elastic_system.displacements_m(np.stack(list(filled.values()))))
    told: dict[int, dict[int, Displacement]] = {}
    for day in settings.days:
        tumour = place.to_volume(filled[day]) > INFILTRATES_ABOVE
        around = place.from_volume(brain_around(scene.tissue, tumour, scene.grid.voxel_mm))
        if tumour.any() and around.any():
            some = dict(zip(filled, found[:, around], strict=True))
            told[day] = {n: Displacement(float(w.mean()), float(np.quantile(w, LARGEST))) for n, w in some.items()}
    return told


def _pressure(settings: LongitudinalSettings) -> Pressure:
    pressure_pa = settings.tumour_pressure_pa
    return Pressure(pressure_pa, settings.stress_slowing / pressure_pa, settings.rest_stiffness)


def _grown(
    settings: LongitudinalSettings, model: GrowthModel, parameters: Parameters, start: _Cells
) -> tuple[_Cells, ...]:
    """Return cells at the model's observations."""
    if start.dead is None:
        return tuple(_Cells(state) for state in model.forecast(parameters, start.living).states)
    oxygen = Oxygen(
        float(mm_to_m(settings.oxygen_length_mm)),
        settings.oxygen_at_capacity,
        settings.hypoxic_half_proliferation,
        settings.hypoxic_half_death,
        per_day_to_per_s(settings.hypoxic_death_1_day),
        days_to_s(settings.oxygen_every_days),
    )
    found = OxygenLimitedGrowth(model, oxygen).forecast(parameters, start.living, start.dead)
    return tuple(_Cells(*pair) for pair in zip(found.states, found.necrosis, strict=True))


def _elastic_system(
    settings: LongitudinalSettings, scene: TumourScene, place: Voxels, storage_pa: np.ndarray
) -> Coupling | None:
    """Return the coupling by stress that slows the true tumour, on boxes of its own; None if none does."""
    if settings.stress_slowing == 0.0:
        return None
    edges_m = mm_to_m(scene.grid.voxel_mm)
    boxes = lattice(scene.head, edges_m, storage_pa, float(mm_to_m(settings.elastic_box_mm)))
    every_s = days_to_s(settings.stress_every_days)
    small = mechanics(place.space, middles_m(place, edges_m), boxes, _pressure(settings), every_s=every_s)
    return finite_strain(small) if settings.strain == "finite" else small


def _model(
    settings: LongitudinalSettings,
    place: Voxels,
    days: tuple[float, ...],
    treatment: Treatment,
    elastic_system: Coupling | None,
) -> GrowthModel:
    return GrowthModel(
        place.space,
        tuple(days_to_s(day) for day in days),
        treatment,
        step_s=days_to_s(settings.truth_step_days),
        tolerance=_TOLERANCE,
        coupling=elastic_system,
    )


def _radius_mm(
    settings: LongitudinalSettings,
    place: Voxels,
    parameters: Parameters,
    start: _Cells,
    day: int,
    elastic_system: Coupling | None,
) -> float:
    """Return the radius of a ball with the volume of the visible tumour on a day without treatment."""
    state = start
    if day > 0:
        untreated = _model(settings, place, (float(day),), Treatment(), elastic_system)
        (state,) = _grown(settings, untreated, parameters, start)
    volume_m3 = float(place.space.volumes_m3[state.filled > INFILTRATES_ABOVE].sum())
    return 1e3 * float((3.0 * volume_m3 / (4.0 * np.pi)) ** (1.0 / 3.0))


def _treatment(
    settings: LongitudinalSettings, scene: TumourScene, place: Voxels, radius_mm: float, last: int
) -> tuple[Treatment, np.ndarray]:
    """Return fractions and temozolomide up to a day, and the logarithm of the drug's sensitivity, s m3/kg."""
    dose = place.from_volume(dose_gy(settings, scene.grid.points_mm, radius_mm))
    days = [day for day in fraction_days(settings) if day <= last]
    fractions = tuple(Fraction(days_to_s(float(day)), dose) for day in days)
    given = drug_days(settings, last)
    if not given:
        return Treatment(fractions), np.zeros(0)
    elimination = float(np.log(2.0)) / days_to_s(_HALF_LIFE_DAYS)
    kinetics = one_compartment(_VOLUME_M3, elimination, per_day_to_per_s(_ABSORPTION_1_DAY))
    course = DrugCourse(
        "temozolomide",
        tuple(days_to_s(float(day)) for day, _ in given),
        tuple(mg_to_kg(amount) for _, amount in given),
        kinetics,
    )
    exposure = _KG_A_GRAM / (_VOLUME_M3 * elimination)
    return Treatment(fractions, (course,)), np.array([np.log(settings.kill_1_g / exposure)])
