"""Scores of stiffness maps against known truth: the size of the error and the coverage of the intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from palpate.errors import InputError
from palpate.imaging.draw_scores import crps, share_interval
from palpate.imaging.files.maps import Map, read_map
from palpate.imaging.files.stiffness_folder import MODULI, Marginals, Modulus, Samples, StiffnessMaps, on_grid
from palpate.imaging.files.wavefield_folder import frequency_text

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals whose coverage is measured."""
_BLOCK_MM: Final = 10.0
"""Edge of the blocks within which errors count as one, mm: the correlation length of brain stiffness (field.md, 2)."""
_DRAWS_NEEDED: Final = 20
"""Smallest number of joint draws from which quantiles are estimated."""


@dataclass(frozen=True, slots=True)
class IntervalCoverage:
    """Share of intervals of one level that hold the truth, with its uncertainty.

    Attributes:
        level: probability of the intervals.
        share: share of voxels whose interval holds the truth.
        lower: lower end of the 95 % interval of that share, given the number of independent blocks of tissue.
        upper: upper end of the 95 % interval of that share.
        expected_lower: lower end of the range in which the share of a calibrated posterior lies in 95 % of patients
            like this one; None without joint draws.
        expected_upper: upper end of that range; None without joint draws.
    """

    level: float
    share: float
    lower: float
    upper: float
    expected_lower: float | None
    expected_upper: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """Errors and intervals of one modulus of one run against truth, over the voxels that count.

    Attributes:
        voxels: number of voxels that count.
        median_error: median of |estimate - truth| / truth of the posterior mean.
        median_bias: median of (estimate - truth) / truth of the posterior mean.
        direct_median_error: median |error| of the direct inversion, over the same voxels; None without one.
        direct_missing: share of those voxels where the direct inversion gives no positive modulus, which counts as
            error 1; None without one.
        coverage: coverage of the 50, 80, 90 and 95 % intervals.
        interval_width: median width of the 95 % interval over the posterior mean (sharpness).
        crps_kpa: mean continuous ranked probability score, kPa; None without joint draws.
    """

    voxels: int
    median_error: float
    median_bias: float
    direct_median_error: float | None
    direct_missing: float | None
    coverage: tuple[IntervalCoverage, ...]
    interval_width: float
    crps_kpa: float | None

    def covered(self, level: float) -> IntervalCoverage:
        """Return the coverage of one level."""
        return next(item for item in self.coverage if item.level == level)


def read_truth(folder: Path, run: StiffnessMaps) -> dict[Modulus, Map]:
    """Read the true moduli, kPa, on the grid of a run.

    Args:
        folder: folder of `truth_storagemodulus.nii.gz` and `truth_lossmodulus.nii.gz`, or of `truth_acq-<f>Hz_...`
            where the truth depends on frequency.
        run: run to compare with the truth.

    Raises:
        InputError: a file is missing or lies on another grid.
    """
    truth: dict[Modulus, Map] = {}
    for modulus in MODULI:
        own = folder / f"truth_acq-{frequency_text(run.frequency_hz)}Hz_{modulus}.nii.gz"
        path = own if own.exists() else folder / f"truth_{modulus}.nii.gz"
        truth[modulus] = read_map(path, units="kPa")
        if not on_grid(truth[modulus], run.moduli[modulus].mean):
            raise InputError(
                path,
                found=f"a grid of {truth[modulus].values.shape} voxels at other places",
                expected=f"the grid of the maps, {run.informed.shape}",
                advice="Name the truth that belongs to these maps.",
            )
    return truth


def counted_voxels(run: StiffnessMaps, truth: Mapping[Modulus, Map], margin_voxels: int = 0) -> NDArray[np.bool_]:
    """Return a mask of the voxels that count: informed, with known truth, and `margin_voxels` from the grid's edge.

    Raises:
        InputError: no voxel is left.
    """
    counted = run.informed.copy()
    for modulus in MODULI:
        counted &= truth[modulus].covered & (truth[modulus].values > 0.0)
    if margin_voxels:
        interior = np.zeros_like(counted)
        interior[(slice(margin_voxels, -margin_voxels),) * 3] = True
        counted &= interior
    if not counted.any():
        raise InputError(
            run.stem,
            found="no voxel that is informed and has a truth",
            expected="at least one",
            advice="Look at the informed mask; no voxel's value may come mostly from the scan.",
        )
    return counted


def score_run(run: StiffnessMaps, truth: Mapping[Modulus, Map], *, margin_voxels: int = 0) -> dict[Modulus, Score]:
    """Score both moduli of a run inside its informed mask.

    Args:
        run: posterior of one run.
        truth: true map of each modulus, kPa, on the same grid.
        margin_voxels: distance from the edge of the grid, in voxels; nearer voxels are left out.

    Raises:
        InputError: no voxel counts, or the draws cannot be read.
    """
    counted = counted_voxels(run, truth, margin_voxels)
    samples = run.samples()
    return {
        modulus: score_modulus(
            run.moduli[modulus], truth[modulus], counted, counted_draws(samples, modulus, counted), modulus=modulus
        )
        for modulus in MODULI
    }


def score_modulus(
    marginals: Marginals,
    truth: Map,
    counted: NDArray[np.bool_],
    draws_kpa: NDArray[np.float64] | None,
    *,
    modulus: Modulus = "storagemodulus",
) -> Score:
    """Score one modulus against truth.

    Args:
        marginals: posterior maps of the modulus, kPa.
        truth: true map of the modulus, kPa, positive in the voxels that count.
        counted: mask of the voxels that count, shape (i, j, k).
        draws_kpa: joint draws in these voxels, kPa, shape (n_samples, n_counted), in the order of `counted`'s voxels.
        modulus: name of the modulus, for the error.

    Raises:
        InputError: a map has no value in a voxel that counts.
    """
    true_kpa = truth.values[counted].astype(float)
    mean_kpa, std_kpa, lower_kpa, upper_kpa = (
        the_map.values[counted].astype(float)
        for the_map in (marginals.mean, marginals.std, marginals.lower, marginals.upper)
    )
    if not np.all(np.isfinite([mean_kpa, std_kpa, lower_kpa, upper_kpa])):
        raise InputError(
            modulus,
            found="informed voxels without a mean, a spread or a bound",
            expected="finite values wherever the informed mask is 1",
            advice="Run palpate invert again.",
        )
    relative = (mean_kpa - true_kpa) / true_kpa
    direct_error, direct_missing = _direct_error(marginals, true_kpa, counted)
    blocks = cubes(counted, truth.affine_mm, _BLOCK_MM)
    return Score(
        voxels=int(counted.sum()),
        median_error=float(np.median(np.abs(relative))),
        median_bias=float(np.median(relative)),
        direct_median_error=direct_error,
        direct_missing=direct_missing,
        coverage=tuple(
            _coverage(
                level,
                *_interval(level, mean_kpa, std_kpa, lower_kpa, upper_kpa, draws_kpa),
                true_kpa,
                blocks,
                draws_kpa,
            )
            for level in LEVELS
        ),
        interval_width=float(np.median((upper_kpa - lower_kpa) / mean_kpa)),
        crps_kpa=None if draws_kpa is None else float(np.mean(crps(draws_kpa, true_kpa))),
    )


def counted_draws(samples: Samples | None, modulus: Modulus, counted: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return the draws of the voxels that count, in numpy's order of these voxels; None if there are too few draws."""
    if samples is None or len(samples.moduli_kpa[modulus]) < _DRAWS_NEEDED:
        return None
    column = np.full(counted.shape, -1)
    column[tuple(samples.voxels.T)] = np.arange(len(samples.voxels))
    wanted = column[counted]
    return None if np.any(wanted < 0) else samples.moduli_kpa[modulus][:, wanted].astype(float)


def _interval(
    level: float,
    mean_kpa: NDArray[np.float64],
    std_kpa: NDArray[np.float64],
    lower_kpa: NDArray[np.float64],
    upper_kpa: NDArray[np.float64],
    draws_kpa: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the central interval of a level: the bounds given for 95 %, else quantiles of draws, else log-normal."""
    if level == 0.95:
        return lower_kpa, upper_kpa
    tail = (1.0 - level) / 2.0
    if draws_kpa is not None:
        # Weibull's positions p (n + 1): a further draw lies in the interval with exactly the level's probability.
        low, high = np.quantile(draws_kpa, [tail, 1.0 - tail], axis=0, method="weibull")
        return low, high
    log_variance = np.log1p((std_kpa / mean_kpa) ** 2)
    log_median = np.log(mean_kpa) - log_variance / 2.0
    reach = ndtri(1.0 - tail) * np.sqrt(log_variance)
    return np.exp(log_median - reach), np.exp(log_median + reach)


def _coverage(
    level: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    true_kpa: NDArray[np.float64],
    blocks: NDArray[np.int64],
    draws_kpa: NDArray[np.float64] | None,
) -> IntervalCoverage:
    """Coverage of one level, with the interval of the share and the range a calibrated posterior would give."""
    held = (low <= true_kpa) & (true_kpa <= high)
    expected: tuple[float | None, float | None] = (None, None)
    most_independent = math.inf
    if draws_kpa is not None:
        # Each draw in turn plays the truth; joint draws carry the correlation between voxels, also between blocks.
        shares = np.mean((low <= draws_kpa) & (draws_kpa <= high), axis=1)
        expected = (float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975)))
        variance = float(shares.var(ddof=1))
        most_independent = level * (1.0 - level) / variance if variance > 0.0 else math.inf
    share_low, share_high = share_interval(held, blocks, most_independent=most_independent)
    return IntervalCoverage(level, float(held.mean()), share_low, share_high, *expected)


def _direct_error(
    marginals: Marginals, true_kpa: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Return the median |error| of the direct inversion, and the share of voxels where it gives no positive modulus."""
    if marginals.direct is None:
        return None, None
    error, usable = direct_errors(marginals.direct, true_kpa, counted)
    return float(np.median(error)), float(1.0 - usable.mean())


def direct_errors(
    direct: Map, true_kpa: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the relative |error| of the direct inversion in each voxel that counts, and a mask of usable ones.

    Voxels where it gives no positive modulus have error 1, so that gaps do not lower its error.
    """
    direct_kpa = direct.values[counted].astype(float)
    usable = np.isfinite(direct_kpa) & (direct_kpa > 0.0)
    return np.where(usable, np.abs(np.where(usable, direct_kpa, 0.0) - true_kpa) / true_kpa, 1.0), usable


def cubes(counted: NDArray[np.bool_], affine_mm: NDArray[np.float64], edge_mm: float) -> NDArray[np.int64]:
    """Number the cubes of tissue; return for each voxel that counts the number of its cube."""
    cube = np.argwhere(counted) // cube_voxels(affine_mm, edge_mm)
    return np.asarray(np.unique(cube, axis=0, return_inverse=True)[1].ravel(), dtype=np.int64)


def cube_voxels(affine_mm: NDArray[np.float64], edge_mm: float) -> NDArray[np.int64]:
    """Return the number of voxels along each edge of a cube, at least one, shape (3,)."""
    return np.maximum(1, np.round(edge_mm / np.linalg.norm(affine_mm[:3, :3], axis=0))).astype(np.int64)
