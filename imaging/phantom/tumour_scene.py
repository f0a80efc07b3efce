"""Surroundings of the in-silico tumour: a block of the atlas with tissue, fibres, varying rates, dose and drug."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.longitudinal import LongitudinalSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas
from palpate.imaging.files.nifti import voxel_indices
from palpate.imaging.phantom.grid import ScanGrid, block
from palpate.imaging.phantom.tissue import random_field

type Values = NDArray[np.float64]

_TISSUE = 0.5
_LEAST_WHITE = 0.3
_DOSE_MARGIN_MM = 20.0
_PENUMBRA_MM = 3.0
_DAYS_A_WEEK, _WORKDAYS = 7, 5
_CYCLE_DAYS, _CYCLE_DOSES, _PAUSE_DAYS = 28, 5, 28


@dataclass(frozen=True, slots=True)
class TumourScene:
    """Surroundings of the true tumour on the truth's own grid.

    Attributes:
        grid: voxels of the truth, axes R, A, S.
        tissue: brain without fluid, shape (i, j, k).
        white: share of white matter in tissue, same shape.
        grey: share of grey matter, same shape.
        t1: T1-weighted signal of the healthy brain, 0..1, same shape.
        diffusivity_mm2_day: diffusivity D, mm2/day, same shape.
        proliferation_1_day: proliferation rate k, 1/day, same shape.
        tensors: diffusion tensors T along R, A, S, mean eigenvalue 1, shape (i, j, k, 3, 3).
        begin: density of cells when the tumour begins, same shape as tissue.
        head: inside of the skull, including fluid, same shape.
        storage_pa: storage modulus G' of the healthy brain, pascal, same shape.
    """

    grid: ScanGrid
    tissue: NDArray[np.bool_]
    white: Values
    grey: Values
    t1: Values
    diffusivity_mm2_day: Values
    proliferation_1_day: Values
    tensors: Values
    begin: Values
    head: NDArray[np.bool_]
    storage_pa: Values


def tumour_scene(settings: LongitudinalSettings, atlas: Atlas) -> TumourScene:
    """Cut the block out of the atlas and give it its rates. Equal seeds give equal blocks.

    Raises:
        InputError: the tumour would not begin in white matter.
    """
    count = int(np.ceil(2.0 * settings.half_edge_mm / settings.truth_voxel_mm))
    grid = block(np.asarray(settings.centre_mm), np.eye(3), (count, count, count), settings.truth_voxel_mm)
    index = np.moveaxis(voxel_indices(atlas.affine_mm, grid.points_mm), -1, 0)
    grey, white, t1, brain = (
        ndimage.map_coordinates(one.astype(np.float64), index, order=1)
        for one in (atlas.grey, atlas.white, atlas.t1, atlas.brain)
    )
    solid = grey + white
    tissue = (solid >= _TISSUE) & (brain > _TISSUE)
    pieces, _ = ndimage.label(tissue)
    distance = np.linalg.norm(grid.points_mm - np.asarray(settings.centre_mm), axis=-1)
    middle = np.unravel_index(int(np.argmin(distance)), distance.shape)
    if not tissue[middle] or white[middle] < _LEAST_WHITE:
        raise InputError(
            "phantom.longitudinal.centre_mm",
            found=f"a place with {white[middle]:.0%} white matter",
            expected=f"at least {_LEAST_WHITE:.0%}",
            advice="Move it; the default is -28, -16, 28.",
        )
    tissue = pieces == pieces[middle]
    share = np.where(tissue, white / np.maximum(solid, 1e-6), 0.0)
    generator = np.random.default_rng([settings.seed, 21])
    length = settings.correlation_mm / settings.truth_voxel_mm
    shape = grid.shape
    slower = np.log(settings.white_to_grey) * (1.0 - share)
    wander = settings.variation * np.stack([random_field(generator, shape, length) for _ in range(2)])
    return TumourScene(
        grid,
        tissue,
        share,
        np.where(tissue, grey, 0.0),
        t1,
        settings.diffusivity_mm2_day * np.exp(wander[0] - slower),
        settings.proliferation_1_day * np.exp(wander[1]),
        _tensors(generator, shape, length, settings.diffusivity_anisotropy * share),
        np.where(tissue, 0.9 / (1.0 + np.exp((distance - settings.initial_radius_mm) / 1.5)), 0.0),
        tissue | (brain > _TISSUE),
        _storage_pa(settings, tissue, share, length),
    )


def _storage_pa(settings: LongitudinalSettings, tissue: NDArray[np.bool_], share: Values, length: float) -> Values:
    """G' by tissue, varying within it."""
    generator = np.random.default_rng([settings.seed, 23])
    grey, white = np.log(settings.grey_storage_pa), np.log(settings.white_storage_pa)
    wander = settings.stiffness_variation * random_field(generator, tissue.shape, length)
    return np.where(tissue, np.exp(grey + share * (white - grey) + wander), settings.fluid_storage_pa)


def _tensors(generator: np.random.Generator, shape: tuple[int, ...], length: float, along: Values) -> Values:
    """1 + 2 f along smooth random directions, 1 - f across."""
    fibre = np.stack([random_field(generator, shape, length) for _ in range(3)], axis=-1)
    fibre /= np.linalg.norm(fibre, axis=-1, keepdims=True)
    outer = fibre[..., :, None] * fibre[..., None, :]
    return np.asarray((1.0 - along)[..., None, None] * np.eye(3) + 3.0 * along[..., None, None] * outer)


def dose_gy(settings: LongitudinalSettings, points_mm: Values, radius_mm: float) -> Values:
    """Return the dose of one fraction, Gy, at world points of the first scan: a ball with a penumbra.

    Args:
        settings: centre and amount of the dose.
        points_mm: world points at which the dose is evaluated, mm, shape (..., 3).
        radius_mm: radius of the tumour that is to be covered, mm; a margin is added.
    """
    distance = np.linalg.norm(points_mm - np.asarray(settings.centre_mm), axis=-1)
    return np.asarray(settings.fraction_gy / (1.0 + np.exp((distance - radius_mm - _DOSE_MARGIN_MM) / _PENUMBRA_MM)))


def fraction_days(settings: LongitudinalSettings) -> tuple[int, ...]:
    """Return the days of the fractions, five a week."""
    first = settings.first_fraction_day
    return tuple(first + _DAYS_A_WEEK * (n // _WORKDAYS) + n % _WORKDAYS for n in range(settings.fractions))


def drug_days(settings: LongitudinalSettings, last: int) -> tuple[tuple[int, float], ...]:
    """Return days and amounts (mg) of temozolomide, given with every fraction and five days a month from four weeks on.

    Args:
        settings: fractions and amount of the drug.
        last: last day on which a dose may be given.
    """
    days = fraction_days(settings)
    if not days or settings.temozolomide_mg == 0.0:
        return ()
    given = [(day, settings.temozolomide_mg) for day in days]
    start = days[-1] + _PAUSE_DAYS
    while start <= last:
        given += [(start + n, 2.0 * settings.temozolomide_mg) for n in range(_CYCLE_DOSES)]
        start += _CYCLE_DAYS
    return tuple((day, amount) for day, amount in given if day <= last)
