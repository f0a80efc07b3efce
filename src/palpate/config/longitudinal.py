"""Settings of the in-silico patient with a tumour over time."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Label = Annotated[str, Field(pattern=r"^[0-9A-Za-z]+$")]


class LongitudinalSettings(Section):
    """A patient with a growing tumour that is irradiated and treated with temozolomide.

    The truth is grown on finer voxels and in shorter steps than a calibration uses, along fibres, with rates that vary
    in space: the model behind the data is not the model that a calibration assumes.
    """

    subject: Label = "02"
    """BIDS subject label."""
    seed: Annotated[int, Field(ge=0)] = 11
    """Seed of everything random."""

    centre_mm: tuple[float, float, float] = (-28.0, -16.0, 28.0)
    """Point at which the tumour begins, in the atlas' world coordinates R, A, S, mm; inside white matter."""
    half_edge_mm: Positive = 42.0
    """Half of the edge of the block of brain, mm."""
    truth_voxel_mm: Positive = 1.75
    """Edge of the voxels on which the truth is grown, mm."""
    truth_step_days: Positive = 0.5
    """Longest time step of the truth, days."""

    initial_radius_mm: Positive = 5.0
    """Radius of the tumour when it begins, mm."""
    days_before_first_scan: NotNegative = 110.0
    """Time for which the tumour grows before the first scan, days."""
    days: tuple[int, ...] = (0, 21, 80)
    """Days of the scans, the first 0."""
    beyond_days: tuple[int, ...] = (110, 140)
    """Days after the last scan at which the truth is kept, to check a forecast."""

    diffusivity_mm2_day: Positive = 0.1
    """Diffusivity D in white matter, mm2/day."""
    white_to_grey: Positive = 8.0
    """Ratio of D in white matter to D in grey matter."""
    proliferation_1_day: Positive = 0.04
    """Rate of growth k, 1/day."""
    variation: NotNegative = 0.2
    """Standard deviation of ln D and of ln k in space."""
    correlation_mm: Positive = 18.0
    """Correlation length of that variation, mm (Matern, smoothness 3/2)."""
    diffusivity_anisotropy: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Anisotropy a of D in white matter: its factor is 1 + 2 a along the fibres, and 1 - a across."""

    first_fraction_day: Annotated[int, Field(ge=0)] = 25
    """Day of the first fraction; five a week follow."""
    fractions: Annotated[int, Field(ge=0, le=60)] = 30
    """Number of fractions."""
    fraction_gy: Positive = 2.0
    """Dose of a fraction, Gy."""
    alpha_1_gy: NotNegative = 0.022
    """Radiosensitivity alpha, 1/Gy; alpha over beta is 10 Gy."""
    temozolomide_mg: NotNegative = 140.0
    """Dose of temozolomide on every day of radiotherapy, mg; twice as much on five days a month afterwards."""
    kill_1_g: Positive = 0.12
    """Negative logarithm of the share of cells that survives one gram of temozolomide, 1/g."""

    stress_slowing: NotNegative = 0.0
    """Product gamma lambda, as in the twin's settings; 0: stress does not slow the truth's invasion."""
    elastic_box_mm: Positive = 7.0
    """Edge of the boxes on which the truth's stress is computed, mm."""
    stress_every_days: Positive = 2.5
    """Time after which the stress is computed anew, days."""
    strain: Literal["small", "finite"] = "small"
    """Law of elasticity behind the truth's stress; finite strain takes ten to twenty times as long."""
    tumour_pressure_pa: Positive = 10e3
    """Pressure lambda of the densest tumour, Pa. Small strain depends on gamma lambda alone, finite strain on lambda
    too."""
    rest_stiffness: Positive = 1.0
    """Ratio s of stiffness at rest to the stiffness that elastography measures. Displacements are proportional to
    lambda / s; the stress of small strain does not depend on s."""
    oxygen: Literal["ample", "limited"] = "ample"
    """Supply of oxygen. ample: it does not matter. limited: where oxygen is low, cells divide more slowly, and die into
    necrosis that keeps its space."""
    oxygen_length_mm: NotNegative = 0.5
    """Length over which oxygen evens out in well-perfused tissue, mm; at full density it is shorter by the root of
    oxygen_at_capacity."""
    oxygen_at_capacity: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Level of oxygen at full density, over that of well-perfused tissue, as all levels are."""
    hypoxic_half_proliferation: Positive = 0.1
    """Level of oxygen at which proliferation is about half as fast."""
    hypoxic_half_death: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Level of oxygen at which half of the death rate is reached."""
    hypoxic_death_1_day: NotNegative = 0.05
    """Rate of death without oxygen, 1/day."""
    oxygen_every_days: Positive = 2.0
    """Time after which the level of oxygen is computed anew, and the stress with it, days."""
    grey_storage_pa: Positive = 2400.0
    """Storage modulus G' of grey matter, Pa."""
    white_storage_pa: Positive = 2600.0
    """Storage modulus G' of white matter, Pa."""
    fluid_storage_pa: Positive = 300.0
    """Storage modulus G' of the solid that stands for CSF, Pa."""
    stiffness_variation: NotNegative = 0.25
    """Standard deviation of ln G' within tissue, over the length correlation_mm."""
    tumour_log_stiffness: Annotated[float, Field(ge=-2, le=2)] = -0.2
    """Logarithm of the densest tumour's G' over that of the brain in which it grew, from the first scan on."""
    mre_log_std: Positive = 0.12
    """Standard deviation of the error of ln G' in the patient's elastogram, and of its draws."""
    mre_error_length_mm: Positive = 8.0
    """Correlation length of that error, mm."""
    mre_draws: Annotated[int, Field(ge=2, le=500)] = 24
    """Number of the elastogram's draws."""

    voxel_mm: Positive = 3.0
    """Edge of the voxels of the growth maps, mm."""
    adc_noise_mm2_s: NotNegative = 0.2e-3
    """Standard deviation of the noise of ADC, mm2/s."""
    contour_noise: NotNegative = 0.05
    """Standard deviation of the density at which a contour is drawn; smooth along it."""
    head_shift_mm: NotNegative = 1.5
    """Standard deviation of the head's displacement at each date along each axis, mm."""
    head_rotation_deg: NotNegative = 1.0
    """Standard deviation of the head's rotation at each date about each axis, degree."""

    @model_validator(mode="after")
    def _dates_ascend(self) -> Self:
        every = (*self.days, *self.beyond_days)
        if len(self.days) < 1 or self.days[0] != 0 or any(b <= a for a, b in pairwise(every)):
            raise ValueError("days must begin with 0 and ascend, and beyond_days must follow them")
        return self
