"""The choices behind the in-silico patient with a tumour over time."""

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
    in space: what a calibration assumes is not what made the data.
    """

    subject: Label = "02"
    """BIDS subject label."""
    seed: Annotated[int, Field(ge=0)] = 11
    """Everything random follows from it."""

    centre_mm: tuple[float, float, float] = (-28.0, -16.0, 28.0)
    """Where the tumour begins, in the atlas' world coordinates R, A, S; inside white matter."""
    half_mm: Positive = 42.0
    """Half of the edge of the block of brain."""
    truth_voxel_mm: Positive = 1.75
    """Edge of the voxels on which the truth is grown."""
    truth_step_days: Positive = 0.5
    """Longest time step of the truth."""

    begin_mm: Positive = 5.0
    """Radius of the tumour when it begins."""
    before_days: NotNegative = 110.0
    """How long it grows before the first scan."""
    days: tuple[int, ...] = (0, 21, 80)
    """Days of the scans, the first 0."""
    beyond_days: tuple[int, ...] = (110, 140)
    """Days after the last scan at which the truth is kept, to check a forecast."""

    diffusivity_mm2_day: Positive = 0.1
    """D in white matter."""
    white_to_grey: Positive = 8.0
    """D in white over D in grey matter."""
    proliferation_1_day: Positive = 0.04
    """Rate of growth."""
    variation: NotNegative = 0.2
    """Standard deviation of the logarithm of either in space."""
    correlation_mm: Positive = 18.0
    """Correlation length of that (Matern, smoothness 3/2)."""
    fibres: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """How much faster white matter conducts along its fibres: 1 + 2 fibres along, 1 - fibres across."""

    first_fraction_day: Annotated[int, Field(ge=0)] = 25
    """Day of the first fraction; five a week follow."""
    fractions: Annotated[int, Field(ge=0, le=60)] = 30
    """Number of fractions."""
    fraction_gy: Positive = 2.0
    """Dose of a fraction."""
    alpha_1_gy: NotNegative = 0.022
    """Radiosensitivity; alpha over beta is 10 Gy."""
    temozolomide_mg: NotNegative = 140.0
    """On every day of radiotherapy; twice as much on five days a month afterwards."""
    kill_1_g: Positive = 0.12
    """Logarithm of the share of cells that survives one gram, with a plus sign."""

    stress_slowing: NotNegative = 0.0
    """gamma lambda, as in the twin's settings; 0: stress does not slow the truth."""
    elastic_box_mm: Positive = 7.0
    """Edge of the boxes on which the truth's stress is computed."""
    stress_every_days: Positive = 2.5
    """How often it is renewed."""
    strain: Literal["small", "finite"] = "small"
    """Law of elasticity behind the truth's stress; finite strain takes ten to twenty times as long."""
    growth_pa: Positive = 10e3
    """lambda, the pressure of the densest tumour. Small strain knows gamma lambda, finite strain lambda as well."""
    rest_stiffness: Positive = 1.0
    """s: stiffness at rest over what elastography sees. Displacements go by lambda / s; small strain's stress does not
    know it."""
    oxygen: Literal["ample", "limited"] = "ample"
    """Limited: where oxygen is low, cells divide more slowly, and die into necrosis that keeps its space."""
    oxygen_length_mm: NotNegative = 0.5
    """Length over which well-perfused tissue evens out its oxygen; at full density it is shorter by the root of
    oxygen_at_capacity."""
    oxygen_at_capacity: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Level of oxygen at full density, over that of well-perfused tissue, as all levels are."""
    hypoxic_half_proliferation: Positive = 0.1
    """Level at which proliferation is half as fast, about."""
    hypoxic_half_death: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Level at which half of the death rate is reached."""
    hypoxic_death_1_day: NotNegative = 0.05
    """Rate of death without oxygen."""
    oxygen_every_days: Positive = 2.0
    """How often the level is renewed; with it the stress."""
    grey_storage_pa: Positive = 2400.0
    """G' of grey matter."""
    white_storage_pa: Positive = 2600.0
    """G' of white matter."""
    fluid_storage_pa: Positive = 300.0
    """G' in place of CSF."""
    stiffness_variation: NotNegative = 0.25
    """Standard deviation of ln G' within tissue, over the length correlation_mm."""
    tumour_log_stiffness: Annotated[float, Field(ge=-2, le=2)] = -0.2
    """ln of the densest tumour's G' over that of the brain it grew in, from the first scan on."""
    mre_log_std: Positive = 0.12
    """Error of ln G' in the patient's elastogram, and the spread of its draws."""
    mre_error_mm: Positive = 8.0
    """Length over which that error is alike."""
    mre_draws: Annotated[int, Field(ge=2, le=500)] = 24
    """Number of draws."""

    voxel_mm: Positive = 3.0
    """Edge of the voxels of the growth maps."""
    adc_noise_mm2_s: NotNegative = 0.2e-3
    """Noise of ADC."""
    contour_noise: NotNegative = 0.05
    """Standard deviation of the density at which a contour is drawn; smooth along it."""
    moved_mm: NotNegative = 1.5
    """Standard deviation of each date's displacement along each axis."""
    turned_deg: NotNegative = 1.0
    """Standard deviation of each date's turn about each axis."""

    @model_validator(mode="after")
    def _dates_ascend(self) -> Self:
        every = (*self.days, *self.beyond_days)
        if len(self.days) < 1 or self.days[0] != 0 or any(b <= a for a, b in pairwise(every)):
            raise ValueError("days must begin with 0 and ascend, and beyond_days must follow them")
        return self
