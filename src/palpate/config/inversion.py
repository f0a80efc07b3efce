"""Settings of the inversion from a wave field to the stiffness posterior."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class InversionSettings(Section):
    """Settings of the inversion from the wave field to the stiffness posterior."""

    method: Literal["nonlinear", "direct"] = "nonlinear"
    """Method of inversion. nonlinear: the posterior. direct: the algebraic baseline alone, which gives no
    uncertainty."""

    rheology: Literal["per-frequency", "kelvin-voigt", "springpot"] = "per-frequency"
    """Dependence of G* on frequency. per-frequency: the frequencies of a run are inverted one by one. kelvin-voigt
    (G' constant, G'' proportional to frequency) or springpot (G* a power of frequency): jointly, two parameters a
    voxel. Compare the log_evidence of several on the same data."""

    reference_hz: Positive | None = None
    """Frequency at which the prior of a joint inversion is stated, Hz; by default the geometric mean of those measured.
    Without a rheology it has no effect."""

    fit_prior: bool = True
    """Whether the prior's standard deviations, length and cross-correlation are fitted to the data (evidence) or taken
    as stated below."""

    storage_std: Annotated[float, Field(gt=0, le=2)] = 0.4
    """Prior standard deviation of ln G' around its mean; a start where fit_prior is true."""

    loss_std: Annotated[float, Field(gt=0, le=2)] = 0.4
    """Prior standard deviation of ln G''; a start where fit_prior is true."""

    length_mm: Positive = 12.0
    """Prior correlation length, mm; a start where fit_prior is true."""

    cross_correlation: Annotated[float, Field(gt=-1, lt=1)] = 0.5
    """Prior correlation of ln G' with ln G'' at a point; a start where fit_prior is true."""

    roughness: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the prior variance that is rough (Matern 1/2, as tissue borders are); the rest is smooth (Matern 3/2).
    A start where fit_prior is true."""

    use_anatomy: bool = True
    """Whether the anatomical image beside the wave field, divided into three classes by its brightness, is used to
    tell regions of different mean stiffness apart. Labels, where given, are used instead."""

    unresolved_std: Annotated[float, Field(ge=0, le=1)] = 0.08
    """Least standard deviation of the part of ln G' and ln G'' that varies from voxel to voxel and that waves do not
    resolve; added where the fitted prior varies by less over 4 mm. Not fitted, because the data contain no information
    about it (docs/theory/prior.md)."""

    region_std: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Prior standard deviation of the means of ln G' and ln G'' of regions of the anatomy, by labels or
    brightness; a start where fit_prior is true."""

    noise_factor: Positive = 1.0
    """Factor on the noise that the wave field states, for a user who knows the noise better than the importer."""

    density_percent: Annotated[float, Field(ge=0, le=50)] = 4.0
    """Standard deviation of a stated density, percent: waves determine G* only in proportion to density, and the stated
    value is mostly 1000 kg/m3, whereas tissue has up to 1060. Set less for a gel whose density was measured."""

    tissue_density_kg_m3: Positive = 1030.0
    """Density where none is stated, kg/m3: the middle of fluid (1000), brain (1040), liver and muscle (1060). Moduli
    are then 3 % above those of programs that take 1000."""

    tissue_density_percent: Annotated[float, Field(ge=0, le=50)] = 2.0
    """Standard deviation of tissue's density around tissue_density_kg_m3, percent."""

    anisotropy_percent: Annotated[float, Field(ge=0, le=50)] | None = None
    """Standard deviation of ln G' around the tissue's isotropic part because of fibres, percent (1.5 times as large for
    ln G''): waves of one vibration do not show it. By default 2.8, which allows for white matter that is 10 to
    40 % stiffer along its fibres, if an anatomical image or labels distinguish tissues, as in brains; else
    nothing. 0 for tissue without fibres that has such an image."""

    discretisation_percent: Annotated[float, Field(ge=0, le=20)] = 0.3
    """Discretisation error of the finite elements as noise, percent of the mean displacement; added to the noise."""

    hessian_rank: Annotated[int, Field(ge=20, le=2000)] = 250
    """Number of directions of parameter space followed in each zone. More cannot narrow intervals wrongly; fewer make
    them wider."""

    samples: Annotated[int, Field(ge=20, le=5000)] = 200
    """Joint draws of the posterior (number); its spread is computed from them."""

    max_iterations: Annotated[int, Field(ge=1, le=100)] = 30
    """Largest number of Gauss-Newton steps."""

    tolerance: Positive = 0.1
    """Step of ln G* below which the iterations end, in posterior standard deviations (root mean squares)."""

    informed_variance_reduction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the prior variance of ln G' that the data must remove at a voxel for it to be informed (first of two
    conditions)."""

    informed_std: Positive = 0.5
    """Largest posterior standard deviation of ln G' at an informed voxel (second of two conditions): 0.5 is a 95 %
    interval of a factor 2.7 either way."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the posterior draws."""
