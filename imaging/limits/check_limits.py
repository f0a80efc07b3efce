"""Limits of the checks that need no header, each with the figures between which it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """Limit of a check.

    Attributes:
        value: limit of the figure.
        sound: worst figure of sound data.
        faulty: mildest figure of data with a planted fault.
        reason: origin of both figures.
    """

    value: float
    sound: float
    faulty: float
    reason: str


LIMITS: Final = {
    "offsets_refused": Limit(
        0.45,
        0.99,
        0.34,
        "residual at the best other times over that at even times, where an export is refused; sound: both real scans "
        "and the liver exam 1.00, phantoms of five vendors 0.99 and more; faulty: 6 of 8 offsets of the real scan 0.34",
    ),
    "offsets_doubted": Limit(
        0.8,
        0.99,
        0.55,
        "the same, where it is said; sound: as above; faulty: one of the real scan's 8 offsets missing within 0.55",
    ),
    "offsets_gain": Limit(
        0.01,
        0.0043,
        0.021,
        "share of the motion that the other times explain besides; sound: noise of 3 times the waves 0.0043; "
        "faulty: the last of 8 offsets missing, phantoms 0.022, within the real scan 0.021",
    ),
    "direction_gain": Limit(
        0.05,
        0.045,
        0.064,
        "the same of one direction by itself, for two offsets exchanged; sound: 4 offsets under noise of 3 times the "
        "waves 0.045, real scans 0.00; faulty: neighbours of 8 offsets exchanged, phantoms 0.064, real scans 0.127",
    ),
    "wrapped_pairs": Limit(
        3e-4,
        1e-5,
        0.0198,
        "share of neighbours that jump by most of the range; sound: smooth phase with noise below 1e-5; faulty: "
        "phantoms 0.0198, real scans 0.039, liver exam 0.023 where they wrap",
    ),
    "phase_range": Limit(
        0.9,
        0.9996,
        0.767,
        "range over which images wrap, over 2 pi; sound: phantoms, real scans and the liver exam 0.9996 and more; "
        "faulty: milliradians taken for 4096 steps 0.767, half scale 0.50",
    ),
    "axes_gain": Limit(
        0.75,
        1.76,
        0.57,
        "divergence over curl of the best other signs and order over that of the given ones; sound: real scans 1.76 "
        "and 1.80, 13 simulated patients 4 and more; faulty: 23 other choices of the real scans up to 0.57",
    ),
    "axes_signal": Limit(
        0.3,
        0.64,
        0.026,
        "share of the gradient's power that is not noise, below which no choice is better than another; sound: plane "
        "waves under noise of 10 % of their mean 0.64; faulty: noise alone 0.026 by chance",
    ),
    "simpler": Limit(
        0.9,
        0.996,
        0.84,
        "divergence over curl of a less simple remedy over that of a simpler one, for the less simple to be named; "
        "sound: right times against right signs on real scans 0.996; faulty: one direction backwards in time, real "
        "scans, 0.84 and less",
    ),
    "shifted_deg": Limit(
        20.0,
        4.0,
        45.0,
        "phase of one component against the others at least divergence, degrees; sound: real scans 4.0, phantoms of "
        "all vendors at 5 % noise 4.0; faulty: one offset of eight 45 (41 and more as estimated)",
    ),
    "shifted_gain": Limit(
        0.95,
        0.996,
        0.875,
        "divergence over curl at the best times over that as given; sound: real scans 0.996; faulty: one offset of "
        "eight, real scans 0.875 and less",
    ),
    "reversed_gain": Limit(
        0.9,
        1.17,
        0.82,
        "the same with one component backwards in time; sound: real scans 1.17 and more; faulty: one direction of the "
        "real scans backwards 0.82 and less",
    ),
    "scaled_gain": Limit(
        0.85,
        0.94,
        0.82,
        "divergence over curl with one component scaled over that as given; sound: real scans 0.94 and 0.99; faulty: "
        "one component of the real scans doubled 0.82 and less, halved in plane 0.74 and less",
    ),
    "component_scale": Limit(
        1.5,
        1.32,
        1.85,
        "factor on one component at least divergence, or its inverse; sound: slices of 10 mm, whose means flatten the "
        "waves along one axis, 1.32; faulty: one component of the real scans doubled 1.85 and more",
    ),
    "smooth_component": Limit(
        0.3,
        0.93,
        0.013,
        "correlation of a component's neighbouring voxels; sound: real scans 0.955 and more, 3 % noise 0.93; faulty: "
        "noise alone 0.013",
    ),
    "smooth_others": Limit(
        0.6, 0.93, 0.013, "the same of the other two, below which noise is everywhere; sound and faulty: as above"
    ),
    "copy_coherence": Limit(
        0.98,
        0.63,
        0.997,
        "coherence of two components; sound: real scans 0.63; faulty: one component for another, with noise, 0.997",
    ),
    "copy_ratio": Limit(
        0.05, 0.2, 0.006, "ratio of two coherent components less 1; sound: chance; faulty: one for another 0.006"
    ),
    "divergence_unexplained": Limit(
        0.4,
        0.24,
        0.41,
        "divergence over curl at the best reading; sound: real scans 0.24; faulty: plane waves whose slices have times "
        "of their own 0.41 and more, all directions of free-running slices backwards in time 0.56",
    ),
    "slices_agree": Limit(
        0.4,
        0.31,
        0.45,
        "agreement of neighbouring slices with their times reversed; sound: phantoms 0.31; faulty: free-running slices "
        "of a direction backwards 0.86 and more, under noise of 0.3 rad 0.45",
    ),
    "slices_disagree": Limit(
        0.5,
        2.4,
        0.13,
        "agreement as measured or by the stated times, the better, over that with reversed times; sound: phantoms "
        "2.4; faulty: as above 0.13 and less",
    ),
    "reordered_gain": Limit(
        0.4,
        0.53,
        0.28,
        "unlikeness of slices that would be neighbours in another order over that of those that it parts; sound: plane "
        "waves in slices a quarter of a wavelength apart 0.53; faulty: interleaved slices a fifth apart 0.28 and less "
        "in the median",
    ),
    "least_likeness": Limit(
        0.85,
        0.80,
        0.92,
        "likeness of slices that would be neighbours in another order; sound: plane waves in 4 slices a third of a "
        "wavelength apart 0.80; faulty: right neighbours a fifth apart 0.92 in the median",
    ),
    "slice_jump": Limit(
        3.0,
        2.5,
        4.5,
        "shift of a pair of slices less the median of all pairs, mm; sound: real liver exam 2.5; faulty: one slice "
        "moved by a voxel of 5 mm 4.5 and more as estimated",
    ),
    "parts_gain": Limit(
        0.88,
        1.31,
        0.76,
        "the same with one part's components reordered; sound: real scans 1.31 and more; faulty: two components "
        "of the imaginary part exchanged, or an axis mirrored, real scans 0.76 and less",
    ),
    "void_residual": Limit(
        9.0,
        6.7,
        24.0,
        "square of what a voxel's neighbours miss over its median; sound: white noise 6.3, waves at 5 % noise 6.7, "
        "the largest of 6000; faulty: a void of half the waves' amplitude at 5 % noise 24 and more in 95 of 100 voxels",
    ),
    "void_slope": Limit(
        0.5,
        0.26,
        0.53,
        "the same over the square of the neighbours' slope; sound: plane waves of seven voxels 0.26 and less in 99 of "
        "100; faulty: noise alone 0.53 and more in 95 of 100",
    ),
    "void_share": Limit(
        0.2,
        0.058,
        0.25,
        "share of the mask that looks void; sound: real scans 0.058; faulty: every fourth row from elsewhere 0.25",
    ),
    "amplitude_gain": Limit(
        0.8,
        0.96,
        0.66,
        "divergence over curl of amplitude times exp(i phase) over that of the stored parts; sound: fields with a real "
        "part raised until never negative, real scans 0.96, plane waves 0.99, phantoms 2.5 and more; faulty: amplitude "
        "and phase of plane waves at 10 % noise 0.66, of real scans 0.64, of phantoms 0.12",
    ),
    "axes_least": Limit(
        0.1,
        0.05,
        0.17,
        "divergence over curl below which components are right whatever another choice gives; sound: simulated "
        "patients at 5 % noise 0.05; faulty: one component of a simulated patient reversed 0.17",
    ),
    "loss_tangent": Limit(
        -0.05,
        0.10,
        -0.10,
        "apparent loss tangent; sound: simulated box at 10 % noise 0.10, simulated patients 0.12 and more, real scans "
        "0.66; faulty: their complex conjugates",
    ),
    "unmeasured_share": Limit(
        0.001,
        0.0,
        0.01,
        "share of the mask without any displacement; sound: none anywhere; faulty: a rim of one voxel in a hundred",
    ),
    "neighbour_noise": Limit(
        0.45,
        0.60,
        0.26,
        "noise between neighbours in a slice over the stated noise; sound: real scans, whose stated noise holds motion "
        "of the head, 0.60, simulated patients 0.96 and more; faulty: noise zero-filled to twice the matrix 0.26",
    ),
    "misfit_low": Limit(
        0.6,
        0.75,
        0.44,
        "misfit over that of noise alone; sound: fits of 7^3 voxels 0.75 by chance and larger ones 0.97; faulty: noise "
        "stated 1.5 times too large",
    ),
    "modulus_low": Limit(
        0.1, 0.3, 0.063, "apparent modulus, kPa; sound: fluid 0.3, brain at 20 Hz 0.43; faulty: 60 Hz stated as 9.55"
    ),
    "modulus_high": Limit(
        50.0,
        35.3,
        75.0,
        "the same; sound: stiffest target of the BIOQIC gel; faulty: 377 for 60 Hz in the softest simulated brain",
    ),
    "modulus_in_rad_s": Limit(
        8.0,
        3.9,
        18.0,
        "apparent modulus, kPa, above which a frequency of 2 pi times a usual one is taken for one in rad/s; sound: "
        "the stiffest of simulated patients and real scans 3.9; faulty: 126 for 20 Hz in a real brain 18",
    ),
    "directions_condition": Limit(
        6.0,
        2.9,
        9.9,
        "condition number of directions; sound: axes 60 degrees apart and the oblique ones of scanners below 2.9; "
        "faulty: two directions 11.5 degrees apart 9.9",
    ),
    "laplacian_signal": Limit(
        0.1,
        0.31,
        0.096,
        "share of the Laplacian's power that is not noise, below which its sign means nothing; sound: plane waves "
        "under noise of half their mean 0.31; faulty: noise alone 0.096 by chance",
    ),
    "wrap_jump": Limit(
        0.8,
        0.86,
        0.44,
        "share of the range that a difference of neighbours must have to be a wrap; sound: wraps of plane waves of 5 "
        "rad 0.86 and more in 95 of 100; faulty: differences without a wrap at 10 % noise up to 0.44",
    ),
    "equal_residuals": Limit(
        1.1,
        1.073,
        1.315,
        "residual of a supposed set of times over the least one, up to which the simpler is named; sound: two offsets "
        "missing where one is, under noise of 30 %, 1.073; faulty: the offset beside the missing one, same, 1.315",
    ),
    "usual_low": Limit(
        0.4, 0.43, 0.063, "kPa that a supposed unit must bring; sound: brain at 20 Hz 0.43; faulty: 60 Hz as 9.55 0.063"
    ),
    "usual_high": Limit(
        10.0, 3.9, 18.0, "the same; sound: the stiffest of simulated patients 3.9; faulty: 126 for 20 Hz in a brain 18"
    ),
    "acquired_share": Limit(
        0.95,
        1.0,
        0.5,
        "acquired over stored pixels; sound: phantoms of all vendors 1; faulty: one axis interpolated twofold 0.5",
    ),
    "frequency_low": Limit(5.0, 10.0, 0.06, "Hz; sound: the lowest in use; faulty: 60 Hz stated in kHz"),
    "frequency_high": Limit(2000.0, 1000.0, 16700.0, "Hz; sound: micro-elastography; faulty: a period of 60 Hz in ms"),
    "density_low": Limit(500.0, 900.0, 1.06, "kg/m3; sound: fat; faulty: g/cm3"),
    "density_high": Limit(2000.0, 1200.0, 1e6, "kg/m3; sound: gels; faulty: g/m3"),
    "voxel_low": Limit(0.02, 0.05, 0.01, "mm; sound: microscopes; faulty: slices of 10 mm stated in metres"),
    "voxel_high": Limit(50.0, 20.0, 100.0, "mm; sound: slices with gaps; faulty: specimens of 0.1 mm stated in um"),
    "shear": Limit(
        0.01,
        1e-5,
        0.0175,
        "cosine of the angle between two voxel axes; sound: affines in single precision 1e-5; faulty: one degree",
    ),
    "thickness_low": Limit(
        0.1,
        0.33,
        0.001,
        "slice thickness over the distance of slices; sound: gaps of two slices 0.33; faulty: metres for millimetres",
    ),
    "thickness_high": Limit(5.0, 2.0, 1000.0, "the same; sound: slices interpolated twofold 2; faulty: um for mm"),
    "noise_ratio": Limit(
        10.0,
        2.0,
        1000.0,
        "noise map over NoiseStd, or its inverse; sound: a map where the head moved 2; faulty: another unit 1000",
    ),
    "displacement_low": Limit(0.01, 0.1, 0.001, "largest, um; sound: weak waves; faulty: 1 um stated in another unit"),
    "displacement_small": Limit(
        0.07,
        0.1,
        0.05,
        "largest, um, below which it is said; sound: weak waves; faulty: 50 um of a head that sways, in mm",
    ),
    "displacement_high": Limit(1000.0, 200.0, 1e4, "largest, um; sound: driver plate; faulty: 10 um read as mm"),
}
"""Limits by name, each with its unit, meaning and origin; the constants below are their values."""
OFFSETS_REFUSED: Final = LIMITS["offsets_refused"].value
"""Residual at the best other times over that at even times, below which an export is refused."""
OFFSETS_DOUBTED: Final = LIMITS["offsets_doubted"].value
"""Residual at the best other times over that at even times, below which a warning is given."""
OFFSETS_GAIN: Final = LIMITS["offsets_gain"].value
"""Least share of the motion that the other times must explain besides."""
DIRECTION_GAIN: Final = LIMITS["direction_gain"].value
"""Least share of the motion of one direction that other times must explain besides."""
WRAPPED_PAIRS: Final = LIMITS["wrapped_pairs"].value
"""Share of neighbours that jump by most of the range, above which images count as wrapped."""
PHASE_RANGE: Final = LIMITS["phase_range"].value
"""Least range over which images wrap, over 2 pi."""
AXES_GAIN: Final = LIMITS["axes_gain"].value
"""Divergence over curl of the best other signs and order over that of the given ones, below which they are named."""
AXES_LEAST: Final = LIMITS["axes_least"].value
"""Divergence over curl below which components count as right whatever another choice gives."""
AXES_SIGNAL: Final = LIMITS["axes_signal"].value
"""Least share of the gradient's power that is not noise, for axes to be judged."""
REVERSED_GAIN: Final = LIMITS["reversed_gain"].value
"""Divergence over curl with one component backwards in time over that as given, below which it is named."""
SHIFTED_DEG: Final = LIMITS["shifted_deg"].value
"""Least phase of one component against the others, degrees, for it to be named."""
SHIFTED_GAIN: Final = LIMITS["shifted_gain"].value
"""Divergence over curl at the best times over that as given, below which they are named."""
SIMPLER: Final = LIMITS["simpler"].value
"""Divergence over curl of a less simple remedy over that of a simpler one, below which the less simple is named."""
SCALED_GAIN: Final = LIMITS["scaled_gain"].value
"""Divergence over curl with one component scaled over that as given, below which it is named."""
COMPONENT_SCALE: Final = LIMITS["component_scale"].value
"""Least factor on one component, or its inverse, for it to be named."""
SMOOTH_COMPONENT: Final = LIMITS["smooth_component"].value
"""Correlation of neighbouring voxels below which a component counts as noise."""
SMOOTH_OTHERS: Final = LIMITS["smooth_others"].value
"""Least correlation of neighbouring voxels in the other components, for one to be named as noise."""
COPY_COHERENCE: Final = LIMITS["copy_coherence"].value
"""Coherence of two components above which one may be the other's copy."""
COPY_RATIO: Final = LIMITS["copy_ratio"].value
"""Largest difference from one of the ratio of a component to its copy."""
DIVERGENCE_UNEXPLAINED: Final = LIMITS["divergence_unexplained"].value
"""Divergence over curl at the best reading, above which a warning is given."""
SLICES_AGREE: Final = LIMITS["slices_agree"].value
"""Agreement of neighbouring slices with reversed times, from which on offsets may run backwards."""
SLICES_DISAGREE: Final = LIMITS["slices_disagree"].value
"""Agreement of neighbouring slices otherwise over that with reversed times, up to which they then do."""
REORDERED_GAIN: Final = LIMITS["reordered_gain"].value
"""Unlikeness of neighbouring slices in another order over that in the given one, up to which it is named."""
SLICE_JUMP_MM: Final = LIMITS["slice_jump"].value
"""Shift of a pair of slices within them beyond the median of all pairs, mm, from which on a slice has moved."""
LEAST_LIKENESS: Final = LIMITS["least_likeness"].value
"""Least likeness of neighbouring slices in another order, for it to be named."""
PARTS_GAIN: Final = LIMITS["parts_gain"].value
"""Divergence over curl with one part's components reordered over that as given, below which it is named."""
AMPLITUDE_GAIN: Final = LIMITS["amplitude_gain"].value
"""Divergence over curl of amplitude times exp(i phase) over that of the stored parts, below which it is refused."""
VOID_RESIDUAL: Final = LIMITS["void_residual"].value
"""Square of what a voxel's neighbours miss over its median, above which it may be a void."""
VOID_SLOPE: Final = LIMITS["void_slope"].value
"""Square of what a voxel's neighbours miss over that of their slope, above which it may be a void."""
VOID_SHARE: Final = LIMITS["void_share"].value
"""Largest share of the mask that may be void: where more look so, the field is at fault."""
LOSS_TANGENT: Final = LIMITS["loss_tangent"].value
"""Apparent loss tangent below which the sign of time is doubtful."""
MISFIT_LOW: Final = LIMITS["misfit_low"].value
"""Misfit over that of noise alone, below which the noise is overstated."""
NEIGHBOUR_NOISE: Final = LIMITS["neighbour_noise"].value
"""Noise between neighbours in a slice over the stated noise, below which neighbours are correlated."""
UNMEASURED_SHARE: Final = LIMITS["unmeasured_share"].value
"""Largest share of the mask without any displacement."""
MODULUS_KPA: Final = (LIMITS["modulus_low"].value, LIMITS["modulus_high"].value)
"""Smallest and largest plausible apparent modulus, kPa."""
MODULUS_IN_RAD_S_KPA: Final = LIMITS["modulus_in_rad_s"].value
"""Apparent modulus, kPa, above which 2 pi times a usual frequency is taken for one in rad/s."""
LAPLACIAN_SIGNAL: Final = LIMITS["laplacian_signal"].value
"""Least share of the Laplacian's power that is not noise, for its sign to be judged."""
WRAP_JUMP: Final = LIMITS["wrap_jump"].value
"""Share of the range that a difference of neighbours must have to be a wrap."""
EQUAL_RESIDUALS: Final = LIMITS["equal_residuals"].value
"""Residual of a supposed set of times over the least one, up to which the simpler set is named."""
USUAL_KPA: Final = (LIMITS["usual_low"].value, LIMITS["usual_high"].value)
"""Smallest and largest apparent modulus that a supposed unit must bring, kPa."""
ACQUIRED_SHARE: Final = LIMITS["acquired_share"].value
"""Acquired over stored voxels, below which images count as interpolated."""
DIRECTIONS_CONDITION: Final = LIMITS["directions_condition"].value
"""Largest condition number of encoding directions."""
FREQUENCY_HZ: Final = (LIMITS["frequency_low"].value, LIMITS["frequency_high"].value)
"""Lowest and highest plausible frequency, Hz."""
DENSITY_KG_M3: Final = (LIMITS["density_low"].value, LIMITS["density_high"].value)
"""Smallest and largest plausible density, kg/m3."""
DISPLACEMENT_UM: Final = (LIMITS["displacement_low"].value, LIMITS["displacement_high"].value)
"""Range of the largest displacement of a wave field, um."""
DISPLACEMENT_SMALL_UM: Final = LIMITS["displacement_small"].value
"""Largest displacement, um, below which a warning is given."""
VOXEL_MM: Final = (LIMITS["voxel_low"].value, LIMITS["voxel_high"].value)
"""Smallest and largest edge of a voxel, mm."""
SHEAR: Final = LIMITS["shear"].value
"""Largest cosine of the angle between two voxel axes."""
THICKNESS: Final = (LIMITS["thickness_low"].value, LIMITS["thickness_high"].value)
"""Smallest and largest thickness of a slice over the distance between slices."""
NOISE_RATIO: Final = LIMITS["noise_ratio"].value
"""Largest ratio of a noise map to the one number for the noise, or its inverse."""
