"""Stiffness on the grid of the anatomical image: each draw interpolated, statistics afterwards, misplacement included.

Files of a folder, `<stem>` being the run and, where it holds several, the frequency:

    <stem>_space-T1w_stat-{mean,std,lower,upper}_{storagemodulus,lossmodulus}.nii.gz    kPa, NaN outside the mask
    <stem>_space-T1w_desc-informed_mask.nii.gz              voxels whose value comes mostly from this scan
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.resample import Grid, grid_of, log_moments
from palpate.imaging.files.draws import DrawsFile, open_draws
from palpate.imaging.files.maps import Map, read_map, write_map, write_mask
from palpate.imaging.files.stiffness_folder import (
    MODULI,
    MODULUS_WORDS,
    STATISTIC_WORDS,
    Marginals,
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
_INTERVAL_95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class _Target:
    """Voxels of the anatomy that a run covers.

    Attributes:
        affine_mm: voxel indices of the anatomy to world millimetres, shape (4, 4).
        covered: voxels that lie in the run's mask, shape (i, j, k) of the anatomy.
    """

    affine_mm: NDArray[np.float64]
    covered: NDArray[np.bool_]

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """World points, in the anatomy, of the voxels that are covered, shape (M, 3)."""
        return np.asarray(np.argwhere(self.covered) @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3])


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
    if run.samples_path is None:
        raise InputError(
            run.stem,
            found="no joint draws",
            expected="*_samples.h5 beside the maps",
            advice="Run palpate invert again: values between voxels need joint draws.",
        )
    draws = open_draws(run.samples_path, run.informed.shape)
    grid = grid_of(draws.voxels, run.informed.shape, run.affine_mm)
    target = _target(grid, anatomy, placement)
    misplaced = "" if placement.uncertainty_mm is None else f", misplaced by {placement.uncertainty_mm:.2g} mm"
    written = []
    for modulus in MODULI:
        for statistic, values in _statistics(draws, grid, run.moduli[modulus], modulus, target, placement).items():
            written.append(folder / f"{run.stem}_space-T1w_stat-{statistic}_{modulus}.nii.gz")
            volume = np.full(target.covered.shape, np.nan, dtype=np.float32)
            volume[target.covered] = values
            what = f"{STATISTIC_WORDS[statistic]} of the {MODULUS_WORDS[modulus]}"
            words = f"{what} on the T1 ({placement.status}{misplaced})"
            write_map(written[-1], volume, target.affine_mm, units="kPa", description=words)
    informed = np.zeros(target.covered.shape, dtype=bool)
    of_voxels = run.informed[tuple(draws.voxels.T)]
    informed[target.covered] = grid.nearest_values(of_voxels, _seen_mm(target.points_mm, placement.motion))
    written.append(folder / f"{run.stem}_space-T1w_desc-informed_mask.nii.gz")
    write_mask(written[-1], informed, target.affine_mm, description="voxels whose value comes mostly from this scan")
    say(f"{run.stem}: {int(target.covered.sum())} voxels of the anatomy{misplaced}")
    return written


def _target(grid: Grid, anatomy: Map, placement: Placement) -> _Target:
    """Return the anatomy's voxels whose centres lie in the posterior's, found slice by slice."""
    covered = np.zeros(anatomy.values.shape, dtype=bool)
    plane = np.moveaxis(np.indices((*covered.shape[:2], 1), dtype=np.float64), 0, -1)[:, :, 0]
    for k in range(covered.shape[2]):
        points_mm = (plane + np.array([0.0, 0.0, k])) @ anatomy.affine_mm[:3, :3].T + anatomy.affine_mm[:3, 3]
        covered[..., k] = grid.covers(_seen_mm(points_mm, placement.motion))
    return _Target(anatomy.affine_mm, covered)


def _statistics(
    draws: DrawsFile, grid: Grid, known: Marginals, modulus: Modulus, target: _Target, placement: Placement
) -> dict[str, NDArray[np.float64]]:
    """Mean, standard deviation and bounds in the target's voxels, kPa, of a log-normal as palpate invert has it."""
    mean, std = (one.values[tuple(draws.voxels.T)].astype(np.float64) for one in (known.mean, known.std))
    log_variance = np.log1p((std / mean) ** 2)
    points_mm = target.points_mm

    def places() -> Iterator[NDArray[np.float64]]:
        # The same motions for both moduli: draw d is one tissue in one place.
        for motion in placement.motion.draws(placement.covariance, draws.count, MOTION_SEED):
            yield _seen_mm(points_mm, motion)

    centre, spread = log_moments(
        grid, lambda: draws.log_draws(modulus), (np.log(mean) - 0.5 * log_variance, np.sqrt(log_variance)), places
    )
    middle = np.exp(centre + 0.5 * spread**2)
    return {
        "mean": middle,
        "std": middle * np.sqrt(np.expm1(spread**2)),
        "lower": np.exp(centre - _INTERVAL_95 * spread),
        "upper": np.exp(centre + _INTERVAL_95 * spread),
    }


def _seen_mm(points_mm: NDArray[np.float64], motion: Rigid) -> NDArray[np.float64]:
    """World points of the anatomy, shape (..., 3), in the elastogram's world."""
    back = np.linalg.inv(motion.matrix_mm)
    return np.asarray(points_mm @ back[:3, :3].T + back[:3, 3])
