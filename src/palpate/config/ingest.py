"""The choices between a scanner's phase images and the wave field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class IngestSettings(Section):
    """From DICOM to the wave field."""

    menc_um_per_rad: Positive | None = None
    """Motion encoding: displacement along the encoding axis per radian of phase. None takes it from the header."""

    assumed_menc_um_per_rad: Positive = 1.0
    """Used, and said so in the sidecar, where neither the setting above nor the header knows the motion encoding.
    Moduli do not depend on it; displacements do."""

    density_kg_m3: Positive = 1000.0
    """Mass density of the tissue, rho."""

    time_step_sign: Literal["positive", "negative"] = "positive"
    """Positive: offset k samples the vibration k/N of a period later; negative: earlier. A wrong sign turns the
    wave field into its complex conjugate, in which waves gain energy as they travel."""

    slice_timing: Literal["auto", "apply", "ignore"] = "auto"
    """Whether slices saw the vibration at the different times at which they were acquired (free-running actuator).
    auto: where the header knows those times, whichever makes neighbouring slices agree better."""

    bulk_motion: Literal["auto", "keep", "remove"] = "auto"
    """The mean displacement of each slice. keep: rigid motion satisfies the wave equation like any other motion.
    remove: of every slice. auto: keep, except along directions where phase wraps leave the mean undetermined."""

    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Tissue is where the mean magnitude exceeds this share of its 90th percentile."""

    mask_opening_mm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    """Bridges of tissue narrower than this (dura, scalp) are cut before the largest piece is kept."""

    max_noise_rad: Positive = 0.5
    """Voxels whose first harmonic is noisier than this (standard deviation of its real and imaginary part, worst
    encoding direction) are left out of the mask."""

    registration: Literal["auto", "never"] = "auto"
    """Whether the anatomy is registered to the elastogram (rigid motion, mutual information). auto: it is, and is moved
    where it lies off by more than its own uncertainty; never: it stays where its file says."""
