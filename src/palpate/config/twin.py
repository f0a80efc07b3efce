"""Settings of the calibration between a tumour's images over time and its forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Share = Annotated[float, Field(gt=0, lt=1)]


class LogNormal(Section):
    """Log-normal prior of a positive number: it lies within a factor exp(2 log_std) of the median in 95 % of cases."""

    median: Positive
    """Median of the prior, exceeded with probability one half."""

    log_std: Annotated[float, Field(gt=0, le=3)]
    """Standard deviation of the logarithm."""


class ExchangeSettings(Section):
    """Exchange of a drug between the blood and a second compartment, tissue that fills and empties slowly."""

    out_1_day: Positive
    """Rate from the blood to the tissue, 1/day."""

    back_1_day: Positive
    """Rate from the tissue back to the blood, 1/day."""


class DrugSettings(Section):
    """A drug: where it goes in the body, how it leaves it, and how it acts on tumour cells."""

    half_life_h: Positive
    """Half-life of elimination from the blood, hours; with a second compartment it is ln 2 over the rate k10."""

    volume_l: Positive = 30.0
    """Volume of distribution, litres; with a second compartment that of the first."""

    absorption_1_day: Positive | None = None
    """Rate of absorption from the gut, 1/day; none for an injection."""

    bioavailability: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a dose that reaches the blood."""

    exchange: ExchangeSettings | None = None
    """Exchange with a second compartment; none for one compartment."""

    kill_1_g: LogNormal
    """Negative logarithm of the share of cells that survives one gram, 1/g: 0.1 leaves 90 %."""

    half_effect_mg_l: Positive | None = None
    """Concentration of half the largest effect, mg/L; without it the drug kills in proportion to its concentration."""

    radiosensitisation_l_mg: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Increase of alpha by 1 mg/L of the drug at the time of a fraction, as a share of alpha, L/mg."""

    renal_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the clearance that is the kidneys', where these clear 120 mL/min of creatinine."""

    by_weight: bool = False
    """Whether clearance and volume, which are those of 70 kg, follow the patient's weight (participants.tsv)."""


TEMOZOLOMIDE = DrugSettings(
    half_life_h=1.8, volume_l=30.0, absorption_1_day=40.0, kill_1_g=LogNormal(median=0.1, log_std=0.7)
)
"""Pharmacokinetics of temozolomide, and the prior of its effect."""


class TwinSettings(Section):
    """Settings of the twin that is calibrated to a tumour's images. Priors are ranges of the literature.

    Sources of the ranges are in docs/theory/twin.md.
    """

    voxel_mm: Positive = 3.0
    """Edge of the voxels on which the tumour is grown, mm; images are averaged over whole voxels to about this edge."""

    margin_mm: Positive = 35.0
    """Width of the tissue around everything visible that the model includes, mm."""

    proliferation_1_day: LogNormal = LogNormal(median=0.05, log_std=0.5)
    """Rate k of growth, 1/day."""

    diffusivity_mm2_day: LogNormal = LogNormal(median=0.1, log_std=0.9)
    """Diffusivity D of white matter, mm2/day."""

    white_to_grey: LogNormal = LogNormal(median=7.0, log_std=0.3)
    """Ratio of D in white matter to D in grey matter."""

    alpha_1_gy: LogNormal = LogNormal(median=0.035, log_std=0.7)
    """Radiosensitivity alpha of the linear-quadratic law, 1/Gy."""

    alpha_beta_gy: Positive = 10.0
    """Ratio of alpha to beta, Gy; not calibrated."""

    oxygen_enhancement_ratio: Annotated[float, Field(ge=1, le=4)] = 3.0
    """Dose that kills hypoxic cells over the dose that kills well-supplied ones as well. It acts where a map of hypoxia
    is given, and nowhere else."""

    drugs: dict[str, DrugSettings] = Field(default_factory=lambda: {"temozolomide": TEMOZOLOMIDE})
    """Drugs by name in lower case."""

    enhancing_above: Share = 0.8
    """Density above which contrast agent is taken up."""

    infiltrated_above: Share = 0.18
    """Density above which FLAIR is bright."""

    threshold_logit_std: Positive = 0.4
    """Standard deviation of the logits of both thresholds."""

    cellularity_gain_log_std: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Standard deviation of the logarithm of a factor on all of a patient's cellularity (the choice of its scale)."""

    block_mm: Positive = 6.0
    """Edge of the blocks over which data are averaged, mm; about the resolution of diffusion images."""

    shared_noise_std: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Standard deviation of the error of cellularity that neighbouring voxels share (artefacts, registration of
    b-values)."""

    contour_std_mm: Positive = 0.5
    """Standard deviation of the position of the tumour's edge in a scan's regions, mm (segmentation, resolution)."""

    contour_errors: Literal["independent", "correlated"] = "independent"
    """Model of the errors of drawn contours. independent: each block's share has an error of its own, four times as
    large in variance as measured. correlated: as measured, alike over some millimetres; misfits are near 1 at the true
    density, but parameters' intervals came out too narrow in the two patients that were tried (decision 0148)."""

    registration_std_mm: Annotated[float, Field(ge=0)] = 0.3
    """Standard deviation of the registration of a later scan to the first, mm, where the registration measured none."""

    biopsy_std_mm: Annotated[float, Field(ge=0)] = 2.0
    """Standard deviation of the place of a biopsy's sample, mm (navigation, shift of the brain); assumed."""

    correlation_mm: Positive = 15.0
    """Correlation length of errors of the edge and of shared noise, mm."""

    proliferation_log_std_per_100_days: Annotated[float, Field(ge=0, le=2)] = 0.4
    """Model error in time: ln k is a Brownian motion, with this standard deviation after 100 days. 0: none."""

    front_error_mm: Annotated[float, Field(ge=0)] = 1.0
    """Model error in space: standard deviation of the front's distance from the forecast after 100 days, mm (it grows
    as the root of time). Where there are several scans, it is fitted to them within the spread below. 0: none."""

    front_error_log_std: Annotated[float, Field(gt=0, le=2)] = 0.5
    """Standard deviation of the logarithm of front_error_mm."""

    outline_std_mm: Positive = 4.0
    """Standard deviation of the distance between the tumour's true outline at the first scan and the visible one,
    mm."""

    outline_modes: Annotated[int, Field(ge=1, le=200)] = 24
    """Number of shapes by which the outline may differ."""

    growth_field_log_std: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Standard deviation of ln k in space, as a smooth field. 0: one rate for the whole tumour."""

    growth_field_mm: Positive = 18.0
    """Correlation length of that field, mm (Matern, smoothness 3/2)."""

    growth_field_modes: Annotated[int, Field(ge=1, le=200)] = 20
    """Number of shapes that make up that field."""

    mechanics: bool = True
    """Whether stress from the tumour's pressure slows invasion, D = D_0 exp(-gamma sigma)."""

    strain: Literal["small", "finite"] = "small"
    """Law of elasticity. The twin supports small strain alone; phantom.longitudinal.strain also allows finite
    strain."""

    stress_slowing: LogNormal = LogNormal(median=20.0, log_std=1.0)
    """Product gamma lambda: fall of ln D where von Mises stress is as large as the pressure of the densest tumour."""

    elastic_box_mm: Positive = 10.0
    """Edge of the boxes on which stress is computed, mm. The meaning of gamma depends on it: keep it within a study."""

    swelling_kpa: LogNormal = LogNormal(median=10.0, log_std=0.5)
    """Ratio lambda / s, kPa: lambda is the pressure of the densest tumour, s the ratio of stiffness at rest to the
    stiffness that elastography measures. Displacement of tissue is proportional to it. It has not been measured in
    patients, and images do not inform it: the posterior equals this prior."""

    displacement_box_mm: Positive = 9.0
    """Edge of the boxes on which displacement is computed, mm; larger boxes are computed as well, to extrapolate."""

    displacement_stiffness_draws: Annotated[int, Field(ge=1, le=100)] = 6
    """Largest number of draws of the stiffness for which displacement is computed; the twin's draws take turns with
    them. Each is factorised."""

    stiffness_draws: Annotated[int, Field(ge=2, le=500)] = 24
    """Largest number of draws of the stiffness that are used: the patient's own, or the population's without
    elastography."""

    stiffness_modes: Annotated[int, Field(ge=0, le=20)] = 4
    """Number of shapes of the stiffness that are unknown, those that change the stress most; 0: the stiffness is
    known."""

    draws: Annotated[int, Field(ge=20, le=5000)] = 200
    """Joint draws of the posterior (number), each of them a forecast."""

    max_iterations: Annotated[int, Field(ge=1, le=200)] = 25
    """Largest number of Gauss-Newton steps."""

    tolerance: Positive = 0.05
    """Step below which the iterations end, in posterior standard deviations."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the draws."""

    @field_validator("strain")
    @classmethod
    def _stress_is_linear(cls, strain: str) -> str:
        if strain == "finite":
            raise ValueError(
                "small, since the twin infers gamma lambda by a stress that is proportional to lambda: finite strain "
                "needs lambda and the stiffness at rest by themselves, which nothing measures (docs/decisions/0062)"
            )
        return strain
