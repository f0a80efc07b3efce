"""The choices between a scanner's phase images and the wave field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from palpate.config.arrays import ArraySettings
from palpate.config.section import Section

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Finite = Annotated[float, Field(allow_inf_nan=False)]
type EncodingFrame = Literal["image", "world"]
type EncodingPolarity = Literal["constant", "alternating"]


class IngestSettings(Section):
    """From DICOM to the wave field."""

    menc_um_per_rad: Positive | None = None
    """Motion encoding: displacement along the encoding axis per radian of phase, in one image of weight 1 in the
    encoding matrix; where images are subtracted from each other, the factor of two or four is applied on top. None
    takes it from the header."""

    assumed_menc_um_per_rad: Positive = 1.0
    """Used, and said so in the sidecar, where neither the setting above nor the header knows the motion encoding.
    Moduli do not depend on it; displacements do."""

    frequency_hz: Positive | None = None
    """Vibration frequency, taken where headers state none or contradict themselves; else they are believed."""

    encoding_matrix: Annotated[tuple[tuple[Finite, Finite, Finite], ...], Field(min_length=3, max_length=8)] | None = (
        None
    )
    """How the images encode motion, where headers do not say: one row for each encoding, in the order in which the
    scanner stores them; in a row the sensitivity along the three axes of encoding_frame, in units of 1 / MENC. A
    reference without motion encoding is a row of zeros. None takes the header's scheme, or the vendor's usual one."""

    encoding_frame: EncodingFrame = "image"
    """In which axes the encoding matrix is given. image: along a row of pixels, down the rows, along the slice normal
    (row x column). world: patient's right, anterior, superior."""

    encoding_polarity: EncodingPolarity = "constant"
    """alternating: every other time offset, from the second on, plays all encodings with the opposite sign. Only where
    images are subtracted from each other, so that the static phase cancels within each offset."""

    no_motion_series: tuple[int, ...] = ()
    """SeriesNumbers of scans with the actuator off. They give no wave field; the noise is measured from them."""

    density_kg_m3: Positive | None = None
    """Mass density of the tissue, rho, where it is known. Else 1000 is written, as everybody does, and said to be
    assumed: the inversion then knows that tissue is heavier (inversion.tissue_density_kg_m3)."""

    time_step_sign: Literal["positive", "negative"] = "positive"
    """Positive: offset k samples the vibration k/N of a period later; negative: earlier. A wrong sign turns the
    wave field into its complex conjugate, in which waves gain energy as they travel."""

    slice_timing: Literal["auto", "apply", "ignore"] = "auto"
    """Whether slices saw the vibration at the different times at which they were acquired (free-running actuator).
    auto: where the header knows those times, whichever makes neighbouring slices agree better."""

    bulk_motion: Literal["auto", "keep", "remove"] = "auto"
    """The mean displacement of each slice. keep: rigid motion satisfies the wave equation like any other motion.
    remove: of every slice. auto: keep, except along directions where phase wraps leave the mean undetermined."""

    compressional: Literal["keep", "remove"] = "keep"
    """The part of the wave field that has divergence. keep: the inversion's pressure takes it up. remove: for what
    takes the field for shear waves alone; the nearest field without divergence is written."""

    image_motion: Literal["auto", "keep"] = "auto"
    """Images in which the head lies off their mean by more than a quarter of a voxel within the slices. auto: they are
    shifted back; keep: they stay."""

    least_oss_snr: Positive = 3.0
    """Signal-to-noise of the octahedral shear strain, median over the mask, that waves should have."""

    weak_waves: Literal["warn", "refuse"] = "warn"
    """Below that. warn: records and page say so, and intervals are wide; refuse: the session ends with an error."""

    mask_by: Literal["magnitude", "atlas"] = "magnitude"
    """Where a mask that nobody drew comes from. magnitude: the largest bright piece, for fat-suppressed images and
    other organs; atlas: the ICBM152 brain laid on the mean magnitude, where scalp or neck are as bright as it."""

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

    arrays: ArraySettings = ArraySettings()
    """What displacement arrays of other laboratories do not say about themselves."""

    uids: Literal["keyed", "retained"] = "keyed"
    """Unique identifiers of study, series, image and frame of reference in records. keyed: those that `palpate
    deidentify` gives with the same key, which it has given already where it wrote the scan. retained: the scan's own.
    What DICOM maps carry is another choice: maps.identity."""

    key: Path | None = None
    """The key's file for keyed identifiers; relative to the working directory, outside the results. None takes the
    user's own, palpate/key in $XDG_CONFIG_HOME (~/.config where that is not set), which is made on first use; whoever
    works on the study with others, or on machines that share no home, names one file for all."""
