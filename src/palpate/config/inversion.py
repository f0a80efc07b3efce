"""The choices between a wave field and the stiffness posterior."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class InversionSettings(Section):
    """From the wave field to the stiffness posterior."""

    method: Literal["nonlinear", "direct"] = "nonlinear"
    """nonlinear: the posterior. direct: the algebraic baseline alone, which knows no uncertainty."""

    rheology: Literal["per-frequency", "kelvin-voigt", "springpot"] = "per-frequency"
    """How G* follows frequency. per-frequency: the frequencies of a run are inverted one by one. kelvin-voigt
    (G' constant, G'' proportional to frequency) or springpot (G* a power of frequency): jointly, two parameters a
    voxel. Compare the log_evidence of several on the same data."""

    reference_hz: Positive | None = None
    """Frequency at which the prior of a joint inversion is stated; the geometric mean of those measured where absent.
    Without a rheology it has no effect."""

    fit_prior: bool = True
    """Whether the prior's spread, length and coupling are fitted to the data (evidence) or taken as stated below."""

    storage_std: Annotated[float, Field(gt=0, le=2)] = 0.4
    """Prior standard deviation of ln G' around its mean; a start where fit_prior is true."""

    loss_std: Annotated[float, Field(gt=0, le=2)] = 0.4
    """Prior standard deviation of ln G''; a start where fit_prior is true."""

    length_mm: Positive = 12.0
    """Prior correlation length; a start where fit_prior is true."""

    coupling: Annotated[float, Field(gt=-1, lt=1)] = 0.5
    """Prior correlation of ln G' and ln G'' at a point; a start where fit_prior is true."""

    roughness: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the prior variance that is rough (Matern 1/2, as tissue borders are); the rest is smooth (Matern 3/2).
    A start where fit_prior is true."""

    use_anatomy: bool = True
    """Whether the anatomical image beside the wave field, divided into three classes by its brightness, may tell where
    mean stiffness differs. Labels, where given, are used instead."""

    unresolved_std: Annotated[float, Field(ge=0, le=1)] = 0.08
    """Least standard deviation of ln G' and ln G'' of what varies from voxel to voxel and waves do not resolve; added
    where the fitted prior varies by less over 4 mm. Not fitted, because data do not tell (docs/theory/prior.md)."""

    region_std: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Prior standard deviation of the means of ln G' and ln G'' of regions of the anatomy, by labels or
    brightness; a start where fit_prior is true."""

    noise_factor: Positive = 1.0
    """Multiplies the noise that the wave field states, where you know better than the importer."""

    density_percent: Annotated[float, Field(ge=0, le=50)] = 4.0
    """How well a stated density is known, one standard deviation: waves tell G* only in proportion to it, and what is
    stated is mostly 1000 kg/m3, where tissue has up to 1060. Less for a gel whose density was measured."""

    tissue_density_kg_m3: Positive = 1030.0
    """Density where nobody states it: the middle of fluid (1000), brain (1040), liver and muscle (1060). Moduli are
    then 3 % above those of programs that take 1000."""

    tissue_density_percent: Annotated[float, Field(ge=0, le=50)] = 2.0
    """How far tissue strays from that, one standard deviation."""

    anisotropy_percent: Annotated[float, Field(ge=0, le=50)] | None = None
    """How far fibres may make ln G' stray from the tissue's isotropic part, one standard deviation (ln G'' strays 1.5
    times as far): waves of one vibration do not show it. Where absent, 2.8, which allows for white matter that is 10 to
    40 % stiffer along its fibres, if an anatomical image or labels tell tissues apart, as they do in brains; else
    nothing. 0 for tissue without fibres that has such an image."""

    discretisation_percent: Annotated[float, Field(ge=0, le=20)] = 0.3
    """What the finite elements cannot represent, as noise in percent of the mean displacement; added to the noise."""

    hessian_rank: Annotated[int, Field(ge=20, le=2000)] = 250
    """Directions followed in each zone. More cannot narrow intervals wrongly; fewer make them wider."""

    samples: Annotated[int, Field(ge=20, le=5000)] = 200
    """Joint draws of the posterior; its spread is computed from them."""

    max_iterations: Annotated[int, Field(ge=1, le=100)] = 30
    """Most Gauss-Newton steps."""

    tolerance: Positive = 0.1
    """A step of ln G* below this many posterior standard deviations (root mean squares) ends the iterations."""

    informed_above: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A voxel is informed where data take away more than this share of the prior variance of ln G', ..."""

    informed_std: Positive = 0.5
    """... and leave ln G' with a standard deviation below this: 0.5 is a 95 % interval of a factor 2.7 either way."""

    seed: Annotated[int, Field(ge=0)] = 1
    """Of the posterior draws."""
