"""The choices between a tumour's images over time and its forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Share = Annotated[float, Field(gt=0, lt=1)]


class LogNormal(Section):
    """What is known of a positive number before any image: it lies within a factor exp(2 log_std) of the median."""

    median: Positive
    """As likely exceeded as not."""

    log_std: Annotated[float, Field(gt=0, le=3)]
    """Standard deviation of the logarithm."""


class DrugSettings(Section):
    """A drug: one compartment, killing in proportion to its concentration."""

    half_life_h: Positive
    """Of elimination."""

    volume_l: Positive = 30.0
    """Of distribution."""

    absorption_1_day: Positive | None = None
    """Rate of absorption from the gut; none for an injection."""

    kill_1_g: LogNormal
    """Logarithm of the share of cells that survives one gram, with a plus sign: 0.1 leaves 90 %."""


TEMOZOLOMIDE = DrugSettings(
    half_life_h=1.8, volume_l=30.0, absorption_1_day=40.0, kill_1_g=LogNormal(median=0.1, log_std=0.7)
)


class TwinSettings(Section):
    """From a tumour's images to its forecast. Priors are ranges of the literature (docs/theory/twin.md)."""

    voxel_mm: Positive = 3.0
    """Images are averaged over whole voxels to about this edge before the tumour is grown on them."""

    margin_mm: Positive = 35.0
    """Tissue around everything visible that takes part."""

    proliferation_1_day: LogNormal = LogNormal(median=0.05, log_std=0.5)
    """Rate k of growth."""

    diffusivity_mm2_day: LogNormal = LogNormal(median=0.1, log_std=0.9)
    """D of white matter."""

    white_to_grey: LogNormal = LogNormal(median=7.0, log_std=0.3)
    """D of white over D of grey matter."""

    alpha_1_gy: LogNormal = LogNormal(median=0.035, log_std=0.7)
    """Radiosensitivity alpha of the linear-quadratic law."""

    alpha_beta_gy: Positive = 10.0
    """alpha over beta; not calibrated."""

    drugs: dict[str, DrugSettings] = Field(default_factory=lambda: {"temozolomide": TEMOZOLOMIDE})
    """By name in lower case."""

    enhancing_above: Share = 0.8
    """Density above which contrast agent is taken up."""

    infiltrated_above: Share = 0.18
    """Density above which FLAIR is bright."""

    threshold_logit_std: Positive = 0.4
    """How well both thresholds are known: standard deviation of their logits."""

    gain_std: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Standard deviation of the logarithm of a factor on all of a patient's cellularity (the choice of its scale)."""

    block_mm: Positive = 6.0
    """Data enter as means over blocks of this edge, about the resolution of diffusion images."""

    shared_noise_std: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Error of cellularity that neighbouring voxels share (artefacts, registration of b-values)."""

    contour_std_mm: Positive = 0.5
    """Error of where a scan's regions show the tumour's edge: segmentation, resolution."""

    registration_std_mm: Annotated[float, Field(ge=0)] = 0.3
    """Error of where a scan after the first was laid on it, if its registration measured none."""

    correlation_mm: Positive = 15.0
    """Length over which errors of the edge and shared noise are alike."""

    drift_per_100_days: Annotated[float, Field(ge=0, le=2)] = 0.4
    """Model error in time: ln k is a Brownian motion, with this standard deviation after 100 days. 0: none."""

    front_drift_mm: Annotated[float, Field(ge=0)] = 1.0
    """Model error in space: the front strays from the forecast, by this standard deviation after 100 days (as the root
    of time). Where there are several scans they decide up to the factor below. 0: none."""

    front_drift_log_std: Annotated[float, Field(gt=0, le=2)] = 0.5
    """How well front_drift_mm is known: standard deviation of its logarithm."""

    outline_std_mm: Positive = 4.0
    """How far the tumour's true outline at the first scan may be from the one seen."""

    outline_modes: Annotated[int, Field(ge=1, le=200)] = 24
    """Number of shapes by which the outline may differ."""

    growth_field_log_std: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much ln k varies in space: standard deviation of a smooth field. 0: one rate for the whole tumour."""

    growth_field_mm: Positive = 18.0
    """Its correlation length (Matern, smoothness 3/2)."""

    growth_field_modes: Annotated[int, Field(ge=1, le=200)] = 20
    """Number of shapes by which it may vary."""

    mechanics: bool = True
    """Whether stress from the tumour's pressure slows invasion, D = D_0 exp(-gamma sigma)."""

    strain: Literal["small", "finite"] = "small"
    """Law of elasticity. Only small strain serves the twin; phantom.longitudinal.strain also knows finite strain."""

    stress_slowing: LogNormal = LogNormal(median=20.0, log_std=1.0)
    """gamma lambda: by how much ln D falls where von Mises stress is as large as the pressure of densest tumour."""

    elastic_box_mm: Positive = 10.0
    """Edge of the boxes on which stress is computed. What gamma means depends on it: keep it within a study."""

    swelling_kpa: LogNormal = LogNormal(median=10.0, log_std=0.5)
    """lambda / s: pressure of densest tumour over s, stiffness at rest over what elastography sees. Displacement of
    tissue is proportional to it. Nobody has measured it in patients, and images do not tell: what goes in comes out."""

    displacement_box_mm: Positive = 9.0
    """Edge of the boxes on which displacement is computed; larger ones beside them serve to extrapolate."""

    displacement_stiffnesses: Annotated[int, Field(ge=1, le=100)] = 6
    """Most draws of the stiffness that displacement is computed with, in turns; each is factorised."""

    stiffness_draws: Annotated[int, Field(ge=2, le=500)] = 24
    """Most draws of the stiffness that are looked at: the patient's own, or the population's without elastography."""

    stiffness_modes: Annotated[int, Field(ge=0, le=20)] = 4
    """Number of shapes of the stiffness that are unknown, those that move the stress most; 0 takes it as known."""

    draws: Annotated[int, Field(ge=20, le=5000)] = 200
    """Joint draws of the posterior, each of them a forecast."""

    max_iterations: Annotated[int, Field(ge=1, le=200)] = 25
    """Most Gauss-Newton steps."""

    tolerance: Positive = 0.05
    """A step below this many posterior standard deviations ends the iterations."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Of the draws."""

    @field_validator("strain")
    @classmethod
    def _stress_is_linear(cls, strain: str) -> str:
        if strain == "finite":
            raise ValueError(
                "small, since the twin infers gamma lambda by a stress that is proportional to lambda: finite strain "
                "needs lambda and the stiffness at rest by themselves, which nothing measures (docs/decisions/0062)"
            )
        return strain
