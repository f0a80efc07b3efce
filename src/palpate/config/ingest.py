"""Settings of the import from a scanner's phase images to the wave field."""

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
    """Settings of the import from DICOM to the wave field."""

    menc_um_per_rad: Positive | None = None
    """Motion encoding: displacement along the encoding axis per radian of phase, micrometre, in one image of weight 1
    in the encoding matrix; where images are subtracted from each other, the factor of two or four is applied on top.
    None takes it from the header."""

    assumed_menc_um_per_rad: Positive = 1.0
    """Motion encoding where neither the setting above nor the header states it, micrometre per radian; the sidecar says
    that it was assumed. Moduli do not depend on it; displacements do."""

    frequency_hz: Positive | None = None
    """Vibration frequency, Hz, used where headers state none or contradict themselves; else the header's is used."""

    encoding_matrix: Annotated[tuple[tuple[Finite, Finite, Finite], ...], Field(min_length=1, max_length=8)] | None = (
        None
    )
    """Encoding of motion by the images, where headers do not state it: one row for each encoding, in the order in which
    the scanner stores them; in a row the sensitivity along the three axes of encoding_frame, in units of 1 / MENC. A
    reference without motion encoding is a row of zeros. One or two rows state an exam of fewer than three directions.
    None takes the header's scheme, or the vendor's usual one; of a single encoding, the one through the slices."""

    encoding_frame: EncodingFrame = "image"
    """Axes in which the encoding matrix is given. image: along a row of pixels, down the rows, along the slice normal
    (row x column). world: patient's right, anterior, superior."""

    encoding_polarity: EncodingPolarity = "constant"
    """Sign of the encodings over the time offsets. constant: the same sign at every offset. alternating: every other
    time offset, from the second on, plays all encodings with the opposite sign. alternating is allowed only where
    images are subtracted from each other, so that the static phase cancels within each offset."""

    no_motion_series: tuple[int, ...] = ()
    """SeriesNumbers of scans with the actuator off. They give no wave field; the noise is measured from them."""

    density_kg_m3: Positive | None = None
    """Mass density of the tissue, rho, kg/m3, where it is known. Else 1000 is written, as is usual, and marked as
    assumed: the inversion then uses inversion.tissue_density_kg_m3, because tissue is heavier."""

    time_step_sign: Literal["positive", "negative"] = "positive"
    """Direction in which time offsets move the vibration. positive: offset k samples the vibration k/N of a period
    later; negative: earlier. A wrong sign turns the wave field into its complex conjugate, in which waves gain energy
    as they travel."""

    slice_timing: Literal["auto", "apply", "ignore"] = "auto"
    """Whether slices saw the vibration at the different times at which they were acquired (free-running actuator).
    auto: where the header states those times, the choice under which neighbouring slices agree better."""

    bulk_motion: Literal["auto", "keep", "remove"] = "auto"
    """Treatment of the mean displacement of each slice. keep: it stays, since rigid motion satisfies the wave
    equation like any other motion. remove: it is subtracted in every slice. auto: it stays, except along directions
    where phase wraps leave the mean undetermined."""

    compressional: Literal["keep", "remove"] = "keep"
    """Treatment of the part of the wave field that has divergence. keep: it stays, and the inversion's pressure
    accounts for it. remove: the nearest field without divergence is written, for programs that assume shear waves
    alone."""

    image_motion: Literal["auto", "keep"] = "auto"
    """Treatment of images whose head position differs from the mean position by more than a quarter of a voxel within
    the slices. auto: they are shifted back; keep: they stay."""

    least_oss_snr: Positive = 3.0
    """Least signal-to-noise ratio of the octahedral shear strain, median over the mask, for waves to count as strong
    enough."""

    weak_waves: Literal["warn", "refuse"] = "warn"
    """Treatment of waves below least_oss_snr. warn: records and page say so, and intervals are wide; refuse: the
    session ends with an error."""

    mask_by: Literal["auto", "magnitude", "atlas", "waves"] = "auto"
    """Source of the mask where none is given. magnitude: the largest bright piece, for fat-suppressed images and
    other organs; atlas: the ICBM152 brain registered to the mean magnitude, for images in which scalp or neck are as
    bright as the brain; waves: tissue in which the waves are well above the noise, without vessels and edges, which is
    no segmentation of an organ. auto: waves where fewer than three directions were measured, else magnitude."""

    least_wave_snr: Positive = 3.0
    """Least amplitude of the waves over their noise, in the neighbourhood of a voxel: for mask_by waves, and for voxels
    above max_noise_rad to be kept where their noise holds motion."""

    interpolated: Literal["auto", "keep", "undo"] = "auto"
    """Treatment of images that the scanner interpolated. keep: they stay, and neighbours share their noise. undo: the
    complex images are cut in k-space to the acquired matrix, and to pixels whose edges differ by no more than a factor
    of two, so that noise is nearly independent. auto: undo where fewer than three directions were measured, else
    keep."""

    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the mean magnitude's 90th percentile above which a voxel counts as tissue."""

    mask_opening_mm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4.0
    """Width below which bridges of tissue (dura, scalp) are cut before the largest piece is kept, mm."""

    max_noise_rad: Positive = 0.5
    """Largest noise of the first harmonic at a voxel of the mask (standard deviation of its real and imaginary part,
    worst encoding direction), radian; noisier voxels are left out, whoever chose the region. With four or five offsets
    that noise holds motion too, most where waves are largest: there a noisier voxel is kept if its waves exceed
    least_wave_snr times the noise."""

    registration: Literal["auto", "never"] = "auto"
    """Whether the anatomy is registered to the elastogram (rigid motion, mutual information). auto: it is, and is moved
    where the misalignment exceeds the registration's own uncertainty; never: it stays where its file says."""

    arrays: ArraySettings = ArraySettings()
    """Properties that displacement arrays of other laboratories do not contain."""

    identifiers: Literal["pseudonymised", "retained"] = "pseudonymised"
    """Unique identifiers of study, series, image and frame of reference in records. pseudonymised: those that `palpate
    deidentify` gives with the same key, which it has given already where it wrote the scan. retained: the scan's own.
    Identifiers in DICOM maps are another choice: maps.identity."""

    key: Path | None = None
    """File of the key for pseudonymised identifiers; relative to the working directory, outside the results. None takes
    the user's own, palpate/key in $XDG_CONFIG_HOME (~/.config where that is not set), which is made on first use;
    whoever works on the study with others, or on machines that share no home, names one file for all."""
