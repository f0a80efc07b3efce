"""Residuals of in-silico scans at their true density: their misfit, what is left of correlation, and new constants.

Patients are made as those of growth_cohort, with other seeds, and their images are read as palpate reads them. The true
density is averaged over the twin's voxels, and the data are predicted from it with the true thresholds. What remains
are the errors of the images alone, of which palpate.twin.observation.contour_errors is the model.

- misfit: r^T R^-1 r over the number of data that can err, without front model error, for each patient
- left: correlation of whitened residuals of shares of neighbouring blocks, up to 9.5 mm
- fit (with --fit): constants that make residuals of shares near contours most probable

    python benchmarks/contour_errors.py --out folder [--seed 47] [--patients 3] [--fit]

The constants in use are those of patients 1 to 6 of the seed 31. Finished patients in the folder are taken over. The
correlation between a scan's two contours is not fitted with the others.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import growth_cohort
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.provenance import atomic_file

type Values = NDArray[np.float64]

SUB: Final = 4
"""Points along each edge of a twin's voxel over which the true density is averaged."""
NEIGHBOURS_MM: Final = 9.5
"""Largest distance of blocks that count as neighbours, mm."""
FITTED: Final = ("level_std", "level_mm", "own_std", "voxel_mm", "floor", "missed")
"""Constants that are fitted."""


@dataclass(frozen=True, slots=True)
class ContourResidual:
    """Residual of one scan at the true density.

    Attributes:
        misfit: r^T R^-1 r of the whole scan.
        telling: number of its data that can err.
        residual: residual r of shares near contours, shape (m,).
        points_mm: middles of their blocks, millimetres, shape (m, 3).
        kinds: numbers of their contours, shape (m,).
        level: spread c of the shares by the level, shape (m,).
        slope: change g of the shares by the place of the front, 1/mm, shape (m,).
        rim: squared weights of their voxels at the edge of tissue, shape (m,).
        place: columns of errors of place, shape (m, r).
    """

    misfit: float
    telling: int
    residual: Values
    points_mm: Values
    kinds: NDArray[np.int64]
    level: Values
    slope: Values
    rim: Values
    place: Values


def averaged(
    density: Values, tissue: NDArray[np.bool_], affine_mm: Values, grid: tuple[Values, tuple[int, ...]]
) -> Values:
    """Return the mean of a density over what is tissue of each of the twin's voxels, shape (i, j, k).

    Args:
        density: true density on its own voxels.
        tissue: mask of tissue on the same voxels.
        affine_mm: their affine, mm.
        grid: affine, mm, and shape of the twin's voxels.
    """
    step = (np.arange(SUB) + 0.5) / SUB - 0.5
    index, both = np.indices(grid[1]).reshape(3, -1).T, np.linalg.inv(affine_mm) @ grid[0]
    share = tissue.astype(np.float64)
    cells, room = np.zeros(len(index)), np.zeros(len(index))
    for offset in np.stack(np.meshgrid(step, step, step), axis=-1).reshape(-1, 3):
        points = ((index + offset) @ both[:3, :3].T + both[:3, 3]).T
        cells += ndimage.map_coordinates(density * share, points, order=1)
        room += ndimage.map_coordinates(share, points, order=1)
    return np.asarray((cells / np.maximum(room, 1e-3)).reshape(grid[1]))


def residuals(settings: LongitudinalSettings, folder: Path, atlas: Atlas) -> list[ContourResidual]:
    """Grow and image one patient, and return the residuals of its scans; none where a scan shows no tumour."""
    import palpate.solvers  # noqa: F401  (loads MPI before dolfinx)
    from palpate.imaging.files.nifti import read_nifti
    from palpate.imaging.phantom.tumour_scene import tumour_scene
    from palpate.twin.calibration.calibrate import prepared
    from palpate.twin.lattice import lattice, on_lattice

    made = growth_cohort.images(settings, folder, atlas)
    history = dataclasses.replace(made.history, stiffness=None)
    if not all(scan.tumour.any() for scan in history.scans):
        return []
    chosen, scene = TwinSettings(mechanics=False, outline_modes=6), tumour_scene(settings, atlas)
    grid = lattice(history, chosen.voxel_mm, chosen.margin_mm)
    coarse = on_lattice(history, grid)
    states = []
    for number in range(1, len(history.scans) + 1):
        path = folder / f"sub-{settings.subject}" / f"ses-{number:02d}" / "truth" / "truth_density.nii.gz"
        place = (grid.affine_mm, coarse.tissue.shape)
        states.append(averaged(read_nifti(path).values, scene.tissue, scene.grid.affine_mm, place)[coarse.tissue])
    problem = prepared(coarse, chosen)
    return _of_scans(problem.observations, states, problem.dynamics.unknowns)


def _of_scans(plain, states: list[Values], layout) -> list[ContourResidual]:  # noqa: ANN001
    """Return the residuals of each scan at the true densities."""
    from palpate.twin.observation.contour_errors import CONTOUR_ERRORS as USED
    from palpate.twin.observation.errors import shared_errors
    from palpate.twin.priors import GAIN

    xi, found, first = np.zeros(layout.size), [], 0
    seen = plain.around(states, layout)
    every, errors = seen.values - seen.predicted(states, xi, layout), seen.errors(1e-6)
    for its, level, slope in zip(seen.scans, seen.levels, seen.slopes, strict=True):
        own = slice(first, first + len(level))
        first = own.stop
        near = USED.near(level)
        kinds = np.repeat(np.arange(len(its)), [len(one.values) for one in its])
        cells = sum(len(one.values) for one in its if one.kind == GAIN)
        plain_variances = USED.variances(level, slope, np.zeros(len(level)))
        variances = np.concatenate([one.variances for one in its])
        part = shared_errors(errors.blocks.part(own), errors.columns[own])
        points = np.concatenate([one.points_mm for one in its])
        rim = np.maximum(variances - plain_variances, 0.0) / USED.missed
        rows = (every[own], points, kinds, level, slope, rim, errors.columns[own])
        telling = cells + int(near.sum())
        found.append(ContourResidual(part.misfit(every[own]), telling, *(one[near] for one in rows)))
    return found


def whitened(one: ContourResidual, constants: dict[str, float]) -> tuple[Values, float]:
    """Return whitened residuals of shares near contours, shape (m,), and ln det L of their covariance L L^T.

    Args:
        one: residual of a scan.
        constants: constants of contours by name.
    """
    from palpate.twin.observation.contour_errors import CONTOUR_ERRORS as USED
    from palpate.twin.observation.contour_errors import ContourErrors

    errors = ContourErrors(**(dataclasses.asdict(USED) | constants))
    level = one.level * errors.level_std / USED.level_std
    total = errors.covariance(level, one.points_mm, one.kinds) + one.place @ one.place.T
    half = np.linalg.cholesky(total + np.diag(errors.variances(level, one.slope, one.rim)))
    return solve_triangular(half, one.residual, lower=True), float(np.log(np.diag(half)).sum())


def left(scans: list[ContourResidual]) -> tuple[float, float, int]:
    """Return variance of whitened residuals, their correlation between neighbours, and the number of pairs."""
    products, squares, pairs = 0.0, [], 0
    for one in scans:
        z, _ = whitened(one, {})
        squares.append(z**2)
        apart = np.linalg.norm(one.points_mm[:, None] - one.points_mm, axis=-1)
        near = (apart > 0.0) & (apart < NEIGHBOURS_MM) & (one.kinds[:, None] == one.kinds)
        products += float((z[:, None] * z)[near].sum())
        pairs += int(near.sum())
    variance = float(np.concatenate(squares).mean())
    return variance, products / max(pairs, 1) / variance, pairs // 2


def fit(scans: list[ContourResidual]) -> dict[str, float]:
    """Return the constants that make the residuals most probable."""
    from palpate.twin.observation.contour_errors import CONTOUR_ERRORS as USED

    def loss(logs: Values) -> float:
        every = [whitened(one, dict(zip(FITTED, np.exp(logs), strict=True))) for one in scans]
        return sum(0.5 * float(z @ z) + log_half for z, log_half in every)

    start = np.log([getattr(USED, name) for name in FITTED])
    best = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 200, "xatol": 0.02, "fatol": 0.1})
    return dict(zip(FITTED, np.exp(best.x).tolist(), strict=True))


def patient_residuals(seed: int, number: int, folder: Path, atlas: Atlas) -> list[ContourResidual]:
    """Return the residuals of a patient, taken over where finished; drawn again until every scan shows a tumour."""
    kept = folder / f"{seed}-{number:02d}.npz"
    names = [field.name for field in dataclasses.fields(ContourResidual)]
    if kept.exists():
        with np.load(kept) as file:
            count = sum(key.startswith("misfit") for key in file)
            rows = [{name: file[f"{name}-{at}"] for name in names} for at in range(count)]
        return [ContourResidual(**{n: v.item() if v.ndim == 0 else v for n, v in row.items()}) for row in rows]
    growth_cohort.SEED = seed
    for attempt in range(50):
        settings = growth_cohort.patient(number + 1000 * attempt, atlas).model_copy(update={"subject": f"{number:02d}"})
        try:
            found = residuals(settings, folder / f"{seed}-{number:02d}", atlas)
        except InputError:
            continue
        if found:
            with atomic_file(kept) as partial, partial.open("wb") as file:
                np.savez(file, **{f"{n}-{at}": getattr(one, n) for at, one in enumerate(found) for n in names})
            return found
    raise RuntimeError(f"no place for the tumour of patient {number}")


def main() -> None:
    """Print the figures of all patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of patients")
    parser.add_argument("--seed", type=int, default=47, help="seed of the patients")
    parser.add_argument("--patients", type=int, default=3, help="number of patients")
    parser.add_argument("--fit", action="store_true", help="fit the constants as well")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    atlas, every = load_atlas(), []
    for number in range(1, chosen.patients + 1):
        found = patient_residuals(chosen.seed, number, chosen.out, atlas)
        telling = sum(one.telling for one in found)
        print(f"patient {number}: misfit {sum(one.misfit for one in found) / telling:.2f} a datum of {telling}")
        every += found
    variance, correlation, pairs = left(every)
    print(f"whitened shares: variance {variance:.2f}, correlation {correlation:.3f} of {pairs} pairs of neighbours")
    if chosen.fit:
        print({name: round(value, 4) for name, value in fit(every).items()})


if __name__ == "__main__":
    main()
