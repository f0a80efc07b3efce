"""Grid on which a wave field is inverted, where that is not the grid of its files.

A voxel without data amid tissue is tissue all the same: the wave passes through it and its neighbours determine it.
Images that a scanner interpolated hold no more than their acquired matrix, with noise that neighbours share: they are
averaged to it. For zero filling by a whole factor f the mean of f stored voxels has the variance

    sigma^2 / f^2 sum_ab sinc((a - b) / f)

along an axis, as their noise is that of the acquired voxels, interpolated by sinc. What is left, such as 256 stored of
224 acquired voxels, is noise that fills a part f of the band: it has the correlation sinc(f) between neighbours.

Where whole slices, many wavelengths wide, move together far more than waves make them (the table shakes, a
breath-hold sways), the plane of best fit is taken from each component of each slice. What it took of the waves comes
back as linear phase errors, whose size is stated with the field and over which the likelihood integrates. In narrower
fields planes are hardly told from waves, but a rigid turn of all of the field is: it is taken from it likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.block_average import Factors, block_average, nearest_blocks
from palpate.imaging.waves.noise_band import band_of
from palpate.imaging.waves.rigid_motion import bulk_motion
from palpate.imaging.waves.slice_planes import slice_planes
from palpate.progress import say
from palpate.units import m_to_mm

HOLE_NEIGHBOURS: Final = 0.8
"""Least part of a hole's neighbours that are tissue: in a concave corner of tissue, 0.73 are."""

FILLING_VOXELS: Final = 0.7
"""Standard deviation of the Gaussian that fills a hole from its neighbours for tests that need a number there, voxels;
the inversion does not use it."""

BULK_SHARE: Final = 0.3
"""Fraction of the mean square of U in planes of slices above which it is bulk motion; waves leave a twentieth there."""

WIDE_WAVELENGTHS: Final = 4.0
"""Least width of slices for that, in wavelengths of soft tissue (1.5 kPa): a wave that is longer is a plane itself."""

SOFT_SPEED_M_PER_S: Final = 1.2
"""Speed of shear waves in soft tissue (1.5 kPa), metre per second."""

NODES_A_WAVELENGTH: Final = 3.6
"""Least number of nodes or voxels in a wavelength of soft tissue: nearly two quadratic elements."""

PLANES_OF_WAVES: Final = 0.25
"""Root of the part of waves' mean square that planes hold in wide slices."""

NOTABLE: Final = 0.02
"""Correlation of neighbours below which noise counts as independent: it fills 98 % of the band."""

WHOLE: Final = 0.1
"""Tolerance of the ratio of the stored to the acquired matrix below a whole number."""


def longest_edge_mm(frequency_hz: float) -> float:
    """Return the longest edge of a voxel whose neighbours still see the same wave of soft tissue, mm.

    Args:
        frequency_hz: frequency of the wave, hertz.
    """
    return m_to_mm(SOFT_SPEED_M_PER_S / frequency_hz) / NODES_A_WAVELENGTH


@dataclass(frozen=True, slots=True)
class InversionGrid:
    """Wave field as it is inverted, and the place of the given voxels in it.

    Attributes:
        field: wave field on the grid of the inversion.
        given: wave field as it was given.
        voxels: voxel of the inverted field's mask for each voxel of the given one's, shape (N,).
    """

    field: WaveField
    given: WaveField
    voxels: NDArray[np.int64]

    @property
    def same(self) -> bool:
        """Whether the given grid is that of the inversion."""
        return self.field is self.given

    def on_given(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a map of the inversion's grid on the given one, NaN outside the mask.

        Args:
            values: map on the inversion's grid.
        """
        found = np.full(self.given.mask.shape, np.nan)
        found[self.given.mask] = values[self.field.mask][self.voxels]
        return found


def inversion_grid(field: WaveField) -> InversionGrid:
    """Return the wave field as it is inverted: holes filled with tissue, interpolated images averaged.

    Args:
        field: wave field as it was given.
    """
    number = np.arange(int(np.count_nonzero(field.mask)))
    whole = _with_holes(_without_bulk_motion(field))
    if whole.mask is not field.mask:
        number = (np.cumsum(whole.mask.ravel()) - 1)[field.mask.ravel()]
    factors = interpolation_factors(field)
    correlation = _correlation_left(field, factors)
    if correlation != field.noise_correlation:
        whole = replace(whole, noise_correlation=correlation)
    if factors == (1, 1, 1):
        return InversionGrid(whole, field, number)
    averaged = _averaged(whole, factors)
    return InversionGrid(averaged, field, nearest_blocks(field.mask, averaged.mask, factors))


def interpolation_factors(field: WaveField) -> Factors:
    """Return the whole numbers of stored voxels to an acquired one along i, j, k; 1 where images are as acquired.

    Args:
        field: wave field with its acquired matrix, columns along i and rows along j.
    """
    if field.acquired_matrix is None:
        return (1, 1, 1)
    ratios = np.array(field.mask.shape[:2]) / field.acquired_matrix
    i, j = (max(1, int(ratio + WHOLE)) for ratio in ratios)
    return (i, j, 1)


def _correlation_left(field: WaveField, factors: Factors) -> tuple[float, float] | None:
    """Return the correlation of the noise of neighbours along i and j on the inversion's grid; None for independent.

    Args:
        field: wave field as it was given, with its acquired matrix or the correlation on its own grid.
        factors: whole numbers of stored voxels to one of the inversion's.
    """
    stored = np.array(field.mask.shape[:2]) / factors[:2]
    if field.noise_correlation is not None:
        filled = np.array([band_of(one) for one in field.noise_correlation]) * factors[:2]
    elif field.acquired_matrix is not None:
        filled = field.acquired_matrix / stored
    else:
        return None
    i, j = (float(np.sinc(min(1.0, one))) for one in filled)
    if factors == (1, 1, 1) and field.noise_correlation is not None:
        return field.noise_correlation
    return (i, j) if max(i, j) > NOTABLE else None


def _without_bulk_motion(field: WaveField) -> WaveField:
    """The field without the motion of whole slices, or of the whole narrow field, that no wave makes; else itself."""
    extent_mm = np.ptp(np.argwhere(field.mask)[:, :2], axis=0) * field.voxel_size_mm[:2]
    wide = float(extent_mm.min()) >= WIDE_WAVELENGTHS * m_to_mm(SOFT_SPEED_M_PER_S / field.frequency_hz)
    return _without_planes(field) if wide else _without_turn(field)


def _without_turn(field: WaveField) -> WaveField:
    """The field without a rigid motion of all of it, which comes back as a turn of unknown size; else itself."""
    if field.directions is not None:
        return field
    places_mm = np.argwhere(field.mask) @ field.affine_mm[:3, :3].T
    motion = bulk_motion(field.displacement_m[field.mask], places_mm)
    if motion is None:
        return field
    say(f"{field.label}: the body turns as a whole, farther than waves turn it; its rigid motion is left out")
    displacement = field.displacement_m.copy()
    displacement[field.mask] -= motion.displacement_m
    return replace(field, displacement_m=displacement, turn_std_m=motion.turn_std_m)


def _without_planes(field: WaveField) -> WaveField:
    """The field without the plane of each slice and component where whole slices move together; else itself."""
    values = field.displacement_m[field.mask]
    planes = np.zeros_like(values)
    for inside, terms in slice_planes(field.mask):
        planes[inside] = terms @ np.linalg.lstsq(terms, values[inside], rcond=None)[0]
    total, rest = (float(np.mean(np.abs(part) ** 2)) for part in (values, values - planes))
    if total - rest <= BULK_SHARE * total:
        return field
    displacement = field.displacement_m.copy()
    displacement[field.mask] = values - planes
    # Of the real and of the imaginary part.
    taken_m = PLANES_OF_WAVES * float(np.sqrt(rest / 2.0))
    say(
        f"{field.label}: slices move as a whole, {np.sqrt((total - rest) / rest):.1f} times as far as waves move them; "
        "the plane of each slice is left out"
    )
    error_m = max(taken_m, field.linear_phase_error_std_m)
    return replace(field, displacement_m=displacement, linear_phase_error_std_m=error_m)


def _with_holes(field: WaveField) -> WaveField:
    """The field with voxels amid tissue in the mask and marked as not measured; itself where there are none."""
    near = np.ones((3, 3, 3))
    near[1, 1, 1] = 0.0
    tissue = ndimage.convolve(field.mask.astype(np.float64), near, mode="constant")
    inside = ndimage.convolve(np.ones(field.mask.shape), near, mode="constant")
    holes = ~field.mask & (tissue >= HOLE_NEIGHBOURS * inside)
    if not holes.any():
        return field
    displacement = field.displacement_m.copy()
    weight = ndimage.gaussian_filter(field.mask.astype(np.float64), FILLING_VOXELS)[holes]
    for component in range(displacement.shape[-1]):
        known = np.where(field.mask, displacement[..., component], 0.0)
        displacement[holes, component] = ndimage.gaussian_filter(known, FILLING_VOXELS)[holes] / weight
    measured = field.mask if field.measured is None else field.mask & field.measured
    noise = field.noise_map_m
    if noise is not None:
        noise = np.where(holes[..., None], np.nanmedian(noise[field.mask], axis=0), noise)
    return replace(field, displacement_m=displacement, mask=field.mask | holes, measured=measured, noise_map_m=noise)


def _averaged(field: WaveField, factors: Factors) -> WaveField:
    """The means over blocks, with the noise that interpolation left in them."""
    mean = block_average(field, factors)
    share = float(np.sqrt(np.prod([_mean_variance(factor) for factor in factors])))
    noise = None if field.noise_std_m is None else share * field.noise_std_m
    return replace(mean, noise_std_m=noise, acquired_matrix=None)


def _mean_variance(factor: int) -> float:
    """Variance of the mean of `factor` interpolated samples over that of one."""
    apart = np.subtract.outer(np.arange(factor), np.arange(factor)) / factor
    return float(np.sinc(apart).mean())
