"""Settings of the in-silico patient."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0)]
type Triple = tuple[float, float, float]
type Vendor = Literal["siemens", "ge", "ge-brain", "philips", "philips-enhanced"]
type Label = Annotated[str, Field(pattern=r"^[0-9A-Za-z]+$")]


class TissueSettings(Section):
    """Shear moduli at the phantom's frequency and the image contrast of one tissue."""

    storage_kpa: Positive
    """Storage modulus G', kPa."""
    loss_kpa: Positive
    """Loss modulus G'', kPa."""
    magnitude: Positive
    """Relative signal of the MRE magnitude image (T2-like contrast)."""


class LesionSettings(Section):
    """A stiff lesion: a ball with a soft edge, placed into the anatomy."""

    centre_mm: Triple = (-33.0, -16.0, 30.0)
    """Centre in the atlas' world coordinates R, A, S, mm."""
    radius_mm: Positive = 7.5
    """Radius at which half of the tissue is lesion, mm."""
    edge_mm: Positive = 0.6
    """Width of the transition, mm."""
    tissue: TissueSettings = TissueSettings(storage_kpa=4.5, loss_kpa=1.6, magnitude=1.15)
    """Tissue of the lesion; by default like a meningioma, the stiffest common intracranial tumour."""


class PhantomSettings(Section):
    """Settings of the in-silico patient: anatomy, mechanics, vibration and acquisition."""

    subject: Label = "01"
    """BIDS subject label."""
    session: Label = "01"
    """BIDS session label."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Seed of everything random: tissue variation, wave phases, noise, motion, identifiers."""

    vendor: Vendor = "siemens"
    """Vendor whose format the MRE images have."""

    extent: Literal["region", "whole-brain"] = "region"
    """Extent of the images: a block inside the brain (minutes), or the whole brain (needs a larger machine or larger
    elements)."""
    centre_mm: Triple = (-30.0, -14.0, 30.0)
    """Centre of the imaged block in the atlas' world coordinates R, A, S, mm; not used for the whole brain."""
    shape: tuple[int, int, int] = (22, 22, 12)
    """Voxels along columns, rows and slices of the imaged block; not used for the whole brain."""
    voxel_mm: Positive = 2.0
    """Edge of the cubic MRE voxel, mm."""
    tilt_deg: Triple = (4.0, -3.0, 6.0)
    """Rotation of the slices about R, A and S, degree, as an operator would tilt them."""

    grey: TissueSettings = TissueSettings(storage_kpa=2.378, loss_kpa=0.883, magnitude=1.0)
    """Grey matter; moduli at 50 Hz (docs/phantom.md)."""
    white: TissueSettings = TissueSettings(storage_kpa=2.603, loss_kpa=1.157, magnitude=0.8)
    """White matter; moduli at 50 Hz."""
    fluid: TissueSettings = TissueSettings(storage_kpa=0.3, loss_kpa=0.3, magnitude=1.35)
    """Cerebrospinal fluid, as a very soft solid."""
    lesion: LesionSettings | None = LesionSettings()
    """A stiff lesion, or null for a healthy brain."""
    variation: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Standard deviation of log G' and log G'' within solid tissue."""
    correlation_mm: Positive = 9.0
    """Correlation length of that variation, mm (Matern, smoothness 3/2)."""
    fine_variation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Standard deviation of additional variation of log G' and log G'' from voxel to voxel of 2 mm, which waves do not
    resolve."""
    anisotropy: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share by which white matter is stiffer in shear along its fibres than across, the fibres running along A + R. The
    truth is then the isotropic part, the mean over all five modes of shear."""

    frequency_hz: Positive = 50.0
    """Vibration frequency, Hz."""
    amplitude_um: Positive = 11.0
    """Amplitude of each wave where it enters the tissue, micrometre."""
    density_kg_m3: Positive = 1030.0
    """Mass density, kg/m3; a scan does not state it."""
    bulk_modulus_kpa: Positive = 2.2e6
    """Bulk modulus, kPa; that of water makes the tissue incompressible for all purposes."""
    element_mm: Positive | None = None
    """Edge of the forward solver's lattice, mm; deliberately not a multiple of the voxel. By default 2.35 mm for the
    block and 6.5 mm for the whole brain, which two cores and 8 GB can solve in minutes."""
    margin_mm: Positive = 3.0
    """Margin of the computed block around the imaged one, mm."""

    offsets: Annotated[int, Field(ge=4, le=64)] = 8
    """Phase images per vibration period and direction."""
    slice_interval_ms: Annotated[float, Field(ge=0)] = 187.0
    """Time between slices of one image, ms; the actuator runs on, so each slice is at another moment of the vibration.
    0 means that the actuator starts anew for every slice."""
    menc_um_per_rad: Positive = 4.0
    """Motion encoding: displacement along the encoding axis per radian of phase, micrometre."""
    noise_percent: Annotated[float, Field(ge=0, lt=50)] = 2.0
    """Noise of the first harmonic (each of real and imaginary part, where the signal is median) in percent of
    mean |U|, |U| being the length of the complex vector."""
    background_rad: Annotated[float, Field(ge=0)] = 1.6
    """Amplitude of the static background phase, radian."""
    motion_rad: Annotated[float, Field(ge=0)] = 0.02
    """Standard deviation of the phase that bulk motion adds to each image, radian: an offset, and a ramp of that
    size across the image."""

    longitudinal: LongitudinalSettings | None = None
    """Settings of a second patient with a tumour over time, or null for none."""

    @property
    def element_edge_mm(self) -> float:
        """Edge of the forward solver's lattice that is used, mm."""
        if self.element_mm is not None:
            return self.element_mm
        return 2.35 if self.extent == "region" else 6.5

    @model_validator(mode="after")
    def _block_has_voxels(self) -> Self:
        if min(self.shape) < 3:
            raise ValueError("the imaged block needs at least 3 voxels along each axis")
        return self
