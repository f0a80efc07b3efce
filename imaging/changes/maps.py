"""Map of the change from session A to session B on A's voxels: ratio, difference and the probability of an increase.

B's posterior is interpolated draw by draw, each draw with a motion that the uncertainty of the way allows, and both are
compared as log-normal numbers, as `palpate invert` writes them:

    ln (B / A) ~ N(m_B - m_A, s_A^2 + s_B^2 + s_e^2),

with m and s per density, so that one density of the tissue cancels, and s_e the variation between scans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray

from palpate.imaging.anatomy.resample import Grid, grid_of, log_moments
from palpate.imaging.changes.between_scans import NORMAL_95
from palpate.imaging.changes.places import Places, motion_of
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.maps import write_map
from palpate.imaging.files.stiffness_folder import MODULI, MODULUS_WORDS, Modulus
from palpate.imaging.registration.placement import MOTION_SEED
from palpate.imaging.registration.rigid import Rigid

_POINTS: Final = 256
_BLOCK: Final = 20_000
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "ratio": ("1", "ratio of session B to session A"),
    "ratiolower": ("1", "lower end of the ratio's 95 % interval"),
    "ratioupper": ("1", "upper end of the ratio's 95 % interval"),
    "difference": ("kPa", "difference, session B less session A"),
    "differencelower": ("kPa", "lower end of the difference's 95 % interval"),
    "differenceupper": ("kPa", "upper end of the difference's 95 % interval"),
    "increased": ("1", "probability that it has increased"),
}
"""Unit and words of each map."""


@dataclass(frozen=True, slots=True)
class LogMoments:
    """Normal distribution of the logarithm of a modulus per density in some voxels.

    Attributes:
        mean: mean, shape (n,).
        std: standard deviation, shape (n,).
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def write_change_maps(
    folder: Path,
    first: ComparedSession,
    second: ComparedSession,
    places: Places,
    *,
    between_std: float,
    common_fibres: NDArray[np.float64],
) -> int:
    """Write the maps of one frequency on the voxels of session A that session B covers; return their number.

    Args:
        folder: folder in which the maps are written.
        first: session A.
        second: session B.
        places: worlds of both, with a way from A's elastogram to B's.
        between_std: standard deviation of the variation between scans in ln (B / A).
        common_fibres: variances of ln G' and ln G'' because of fibres that both sessions share, in one voxel, shape
            (2,).
    """
    way = places.way("elastogram A", "elastogram B")
    assert way is not None  # places_of refuses sessions without one
    voxels = first.draws.voxels
    points_mm = voxels @ first.run.affine_mm[:3, :3].T + first.run.affine_mm[:3, 3]
    grid = grid_of(second.draws.voxels, second.run.informed.shape, second.run.affine_mm)
    motion, covariance = motion_of(way, points_mm.mean(axis=0))
    seen = grid.covers(motion.moved(points_mm))
    density = float(np.mean(_density(first.draws)))
    for modulus, common in zip(MODULI, common_fibres, strict=True):
        own = _own_moments(first, modulus, float(common))
        moments = LogMoments(own.mean[seen], own.std[seen])
        other = _carried_moments(second, modulus, grid, points_mm[seen], (motion, covariance), float(common))
        change = change_of_moments(moments, other, between_std=between_std, density_kg_m3=density)
        for name, values in change.items():
            volume = np.full(first.run.informed.shape, np.nan, dtype=np.float32)
            volume[tuple(voxels[seen].T)] = values
            unit, words = _WORDS[name]
            path = folder / f"{first.run.stem}_stat-{name}_{modulus}.nii.gz"
            description = f"{MODULUS_WORDS[modulus]}: {words}"
            write_map(path, volume, first.run.affine_mm, units=unit, description=description)
    return int(np.count_nonzero(seen))


def change_of_moments(
    first: LogMoments, second: LogMoments, *, between_std: float, density_kg_m3: float
) -> dict[str, NDArray[np.float64]]:
    """Return ratio, difference, their 95 % bounds and the probability of an increase, voxel by voxel.

    Args:
        first: logarithm of the modulus per density in session A.
        second: moments in session B.
        between_std: standard deviation of the variation between scans in ln (B / A).
        density_kg_m3: density of the tissue, by which differences are multiplied, kg/m3.
    """
    centre = second.mean - first.mean
    spread = np.sqrt(first.std**2 + second.std**2 + between_std**2)
    differences = [
        _differences(
            LogMoments(first.mean[here], first.std[here]),
            LogMoments(second.mean[here], second.std[here]),
            between_std,
            density_kg_m3,
        )
        for here in (slice(k, k + _BLOCK) for k in range(0, len(centre), _BLOCK))
    ]
    middle, lower, upper = np.concatenate(differences, axis=1) if differences else np.zeros((3, 0))
    return {
        "ratio": np.exp(centre),
        "ratiolower": np.exp(centre - NORMAL_95 * spread),
        "ratioupper": np.exp(centre + NORMAL_95 * spread),
        "difference": middle,
        "differencelower": lower,
        "differenceupper": upper,
        "increased": scipy.special.ndtr(centre / np.maximum(spread, 1e-12)),
    }


def _differences(
    first: LogMoments, second: LogMoments, between_std: float, density_kg_m3: float
) -> NDArray[np.float64]:
    """Return mean and 95 % bounds of the difference, shape (3, n), by points spread evenly over three normal numbers.

    A common factor multiplies the difference; its own spread, that of the density, is 2 to 4 % of the difference and
    left out here.
    """
    of_first, of_second, of_both = _normal_points()[:, :, None]
    before = np.exp(first.mean + first.std * of_first - 0.5 * between_std * of_both)
    after = np.exp(second.mean + second.std * of_second + 0.5 * between_std * of_both)
    found = density_kg_m3 * (after - before)
    return np.stack([found.mean(axis=0), *np.quantile(found, [0.025, 0.975], axis=0)])


def _normal_points() -> NDArray[np.float64]:
    """Return points of three independent standard normal numbers, spread evenly, shape (3, 256)."""
    even = scipy.stats.qmc.Sobol(3, scramble=True, rng=np.random.default_rng(MOTION_SEED)).random(_POINTS)
    return np.asarray(scipy.special.ndtri(np.clip(even, 1e-9, 1.0 - 1e-9)).T)


def _density(draws: DrawsFile) -> NDArray[np.float64]:
    """Return the density of each draw, kg/m3, shape (count,); ones where it was not kept."""
    return np.ones(draws.count) if draws.density_kg_m3 is None else draws.density_kg_m3


def _own_moments(session: ComparedSession, modulus: Modulus, common: float) -> LogMoments:
    """Return the moments in the session's own voxels, per density and without the fibres' common error."""
    maps, density = session.run.moduli[modulus], _density(session.draws)
    mean, std = (one.values[tuple(session.draws.voxels.T)].astype(np.float64) for one in (maps.mean, maps.std))
    variance = np.log1p((std / mean) ** 2)
    centre = np.log(mean) - 0.5 * variance - np.mean(np.log(density))
    left = variance - np.var(np.log(density), ddof=1) - common
    return LogMoments(centre, np.sqrt(np.maximum(left, 0.0)))


def _carried_moments(
    session: ComparedSession,
    modulus: Modulus,
    grid: Grid,
    points_mm: NDArray[np.float64],
    way: tuple[Rigid, NDArray[np.float64]],
    common: float,
) -> LogMoments:
    """Return the moments of session B at points of session A, whose place in B is uncertain."""
    own = _own_moments(session, modulus, common)
    density = _density(session.draws)

    def draws() -> Iterator[NDArray[np.float64]]:
        for rho, one in zip(density, session.draws.log_draws(modulus), strict=True):
            yield one - np.log(rho)

    def motions() -> Iterator[NDArray[np.float64]]:
        for one in way[0].draws(way[1], session.draws.count, MOTION_SEED):
            yield one.moved(points_mm)

    return LogMoments(*log_moments(grid, draws, (own.mean, own.std), motions))
