"""Stiffness on the grid of the anatomical image: each draw interpolated, statistics afterwards, misplacement included.

Files of a folder, `<stem>` being the run and, where it holds several, the frequency:

    <stem>_space-T1w_stat-{mean,std,lower,upper}_{storagemodulus,lossmodulus}.nii.gz    kPa, NaN outside the mask
    <stem>_space-T1w_desc-informed_mask.nii.gz              voxels whose value comes mostly from this scan
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.anatomy.resample import Grid, grid_of, log_moments, moments
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.maps import Map, read_map, write_map, write_mask
from palpate.imaging.files.stiffness_folder import (
    MODULI,
    MODULUS_WORDS,
    STATISTIC_WORDS,
    Modulus,
    StiffnessMaps,
    read_stiffness,
)
from palpate.imaging.registration.placement import MOTION_SEED, Placement, read_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.system_files import matching

NOTE_NAME: Final = "no_maps_on_anatomy.txt"
"""Name of the note that is written where there are no maps on the anatomy."""
type OnAnatomy = Modulus | Literal["magnitude"]
"""Quantity that can be laid on the anatomy: a modulus, or |G*|."""

_INTERVAL_95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class MapsOnAnatomy:
    """Posterior of a run on the voxels of the anatomy.

    Attributes:
        affine_mm: voxel indices of the anatomy to world millimetres, shape (4, 4).
        covered: voxels that lie in the run's mask, shape (i, j, k) of the anatomy.
        statistics: mean, std, lower and upper of each quantity in the M covered voxels, kPa, shape (M,) each.
        informed: informed voxels, shape (i, j, k).
    """

    affine_mm: NDArray[np.float64]
    covered: NDArray[np.bool_]
    statistics: Mapping[OnAnatomy, Mapping[str, NDArray[np.float64]]]
    informed: NDArray[np.bool_]

    def volume(self, quantity: OnAnatomy, statistic: str) -> NDArray[np.float32]:
        """Return a map, kPa, NaN outside the mask, shape (i, j, k)."""
        volume = np.full(self.covered.shape, np.nan, dtype=np.float32)
        volume[self.covered] = self.statistics[quantity][statistic]
        return volume


def write_maps_on_anatomy(mre: Path, wavefield: Path, out: Path) -> tuple[Path, ...]:
    """Write mean, standard deviation, 95 % bounds and informed mask of every run and frequency on the T1's grid.

    The T1 keeps the place that its own file states, so that the maps lie on it in any viewer.

    Args:
        mre: folder of finished stiffness maps, kPa, with their joint draws.
        wavefield: wave-field folder from which they were computed, with `*_T1w.nii.gz` where there is an anatomy.
        out: folder to write; an interrupted run leaves no partial result.

    Returns:
        The files written; none, but a note in the folder, without an anatomy whose place is known.

    Raises:
        InputError: the maps, the anatomy or the record of its place cannot be used, or there are no draws.
    """
    target = claim_folder(out, "overlay", {"mre": mre, "wavefield": wavefield})
    runs = read_stiffness(mre)
    anatomies = matching(wavefield, "*_T1w.nii.gz")
    anatomy = read_map(anatomies[0]) if anatomies else None
    written: list[Path] = []
    with target.writing() as partial:
        for run in runs if anatomy is not None else ():
            placement = read_placement(wavefield, run.label)
            if placement.usable:
                assert anatomy is not None
                written += _write_run(partial, run, anatomy, placement)
            else:
                say(f"{run.stem}: the place of the anatomy is not known, so nothing is laid on it")
        if not written:
            reason = "there is no anatomy" if anatomy is None else "the place of the anatomy is not known"
            (partial / NOTE_NAME).write_text(f"There are no maps here because {reason}.\n", encoding="utf-8")
    return tuple(out / path.name for path in written)


def _write_run(folder: Path, run: StiffnessMaps, anatomy: Map, placement: Placement) -> list[Path]:
    draws = run.draws()
    found = maps_on_anatomy(run, draws, anatomy.values.shape, anatomy.affine_mm, placement)
    misplaced = misplacement_words(placement)
    written = []
    for modulus in MODULI:
        for statistic in found.statistics[modulus]:
            written.append(folder / f"{run.stem}_space-T1w_stat-{statistic}_{modulus}.nii.gz")
            what = f"{STATISTIC_WORDS[statistic]} of the {MODULUS_WORDS[modulus]}"
            words = f"{what} on the T1 ({placement.status}{misplaced})"
            write_map(written[-1], found.volume(modulus, statistic), found.affine_mm, units="kPa", description=words)
    written.append(folder / f"{run.stem}_space-T1w_desc-informed_mask.nii.gz")
    write_mask(
        written[-1], found.informed, found.affine_mm, description="voxels whose value comes mostly from this scan"
    )
    say(f"{run.stem}: {int(found.covered.sum())} voxels of the anatomy{misplaced}")
    return written


def misplacement_words(placement: Placement) -> str:
    """Return how far the anatomy may be misplaced, for a sentence; empty where that was not measured."""
    return "" if placement.uncertainty_mm is None else f", misplaced by {placement.uncertainty_mm:.2g} mm"


def maps_on_anatomy(
    run: StiffnessMaps,
    draws: DrawsFile,
    shape: tuple[int, ...],
    affine_mm: NDArray[np.float64],
    placement: Placement,
    quantities: Sequence[OnAnatomy] = MODULI,
) -> MapsOnAnatomy:
    """Return the posterior of a run on the voxels of the anatomy.

    Args:
        run: posterior of the run.
        draws: its joint draws.
        shape: number of voxels of the anatomy along i, j, k.
        affine_mm: voxel indices of the anatomy to world RAS millimetres, shape (4, 4).
        placement: placement of the anatomy on the run, which must be usable.
        quantities: the moduli, or magnitude for |G*|.
    """
    grid = grid_of(draws.voxels, run.informed.shape, run.affine_mm)
    covered = _covered(grid, shape, affine_mm, placement)
    points_mm = np.asarray(np.argwhere(covered) @ affine_mm[:3, :3].T + affine_mm[:3, 3])
    statistics = {one: _statistics(one, run, draws, grid, points_mm, placement) for one in quantities}
    informed = np.zeros(covered.shape, dtype=bool)
    of_voxels = run.informed[tuple(draws.voxels.T)]
    informed[covered] = grid.nearest_values(of_voxels, _seen_mm(points_mm, placement.motion))
    return MapsOnAnatomy(affine_mm, covered, statistics, informed)


def _covered(
    grid: Grid, shape: tuple[int, ...], affine_mm: NDArray[np.float64], placement: Placement
) -> NDArray[np.bool_]:
    """Return the anatomy's voxels whose centres lie in the posterior's, found slice by slice."""
    covered = np.zeros(shape, dtype=bool)
    plane = np.moveaxis(np.indices((*shape[:2], 1), dtype=np.float64), 0, -1)[:, :, 0]
    for k in range(shape[2]):
        points_mm = (plane + np.array([0.0, 0.0, k])) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
        covered[..., k] = grid.covers(_seen_mm(points_mm, placement.motion))
    return covered


def _statistics(
    quantity: OnAnatomy,
    run: StiffnessMaps,
    draws: DrawsFile,
    grid: Grid,
    points_mm: NDArray[np.float64],
    placement: Placement,
) -> dict[str, NDArray[np.float64]]:
    """Mean, standard deviation and bounds at points of the anatomy, kPa, of a log-normal as palpate invert has it."""
    if quantity == "magnitude":
        known = moments(_log_magnitudes(draws))
    else:
        marginals = run.moduli[quantity]
        mean, std = (one.values[tuple(draws.voxels.T)].astype(np.float64) for one in (marginals.mean, marginals.std))
        log_variance = np.log1p((std / mean) ** 2)
        known = np.log(mean) - 0.5 * log_variance, np.sqrt(log_variance)

    def logs() -> Iterator[NDArray[np.float64]]:
        return _log_magnitudes(draws) if quantity == "magnitude" else draws.log_draws(quantity)

    def places() -> Iterator[NDArray[np.float64]]:
        # The same motions for all quantities: draw d is one tissue in one place.
        for motion in placement.motion.draws(placement.covariance, draws.count, MOTION_SEED):
            yield _seen_mm(points_mm, motion)

    centre, spread = log_moments(grid, logs, known, places)
    middle = np.exp(centre + 0.5 * spread**2)
    return {
        "mean": middle,
        "std": middle * np.sqrt(np.expm1(spread**2)),
        "lower": np.exp(centre - _INTERVAL_95 * spread),
        "upper": np.exp(centre + _INTERVAL_95 * spread),
    }


def _log_magnitudes(draws: DrawsFile) -> Iterator[NDArray[np.float64]]:
    """Yield ln |G*| draw by draw, |G*| in kPa, each of shape (N,)."""
    for storage, loss in zip(*(draws.log_draws(modulus) for modulus in MODULI), strict=True):
        yield 0.5 * np.logaddexp(2.0 * storage, 2.0 * loss)


def _seen_mm(points_mm: NDArray[np.float64], motion: Rigid) -> NDArray[np.float64]:
    """World points of the anatomy, shape (..., 3), in the elastogram's world."""
    back = np.linalg.inv(motion.matrix_mm)
    return np.asarray(points_mm @ back[:3, :3].T + back[:3, 3])
