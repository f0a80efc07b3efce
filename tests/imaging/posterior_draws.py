"""Posteriors in memory: a run and its joint draws from any field of ln G'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import MODULI, Marginals, Samples, StiffnessMaps

AFFINE_MM = np.diag([2.0, 2.0, 2.0, 1.0])


@dataclass(frozen=True)
class Posterior:
    """Run with its draws, and one more draw as its truth.

    Attributes:
        run: marginal maps.
        draws: joint draws.
        truth_kpa: true G', shape (i, j, k).
    """

    run: StiffnessMaps
    draws: Samples
    truth_kpa: NDArray[np.float64]


def smooth(shape: tuple[int, ...], count: int, width: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Fields of unit variance, correlated over some voxels, shape (count, i, j, k)."""
    fields = ndimage.gaussian_filter(rng.standard_normal((count, *shape)), (0.0, width, width, width), mode="wrap")
    return np.asarray(fields / fields.std())


def posterior(
    log_kpa: NDArray[np.float64],
    spread: float,
    seed: int,
    *,
    count: int = 99,
    width: float = 1.0,
    affine_mm: NDArray[np.float64] = AFFINE_MM,
    informed: NDArray[np.bool_] | None = None,
) -> Posterior:
    """Posterior of mean ln G' with errors that are smooth fields: truth and draws have one law; it is calibrated."""
    errors = spread * smooth(log_kpa.shape, count + 1, width, np.random.default_rng(seed))
    truth, *drawn = np.exp(log_kpa + errors)
    return of_draws(np.stack(drawn), truth, affine_mm, np.ones(log_kpa.shape, bool) if informed is None else informed)


def of_draws(
    drawn_kpa: NDArray[np.float64],
    truth_kpa: NDArray[np.float64],
    affine_mm: NDArray[np.float64],
    informed: NDArray[np.bool_],
) -> Posterior:
    """Posterior of given draws of G', shape (count, i, j, k); G'' is half of G' in each."""
    voxels = np.argwhere(np.ones(informed.shape, bool)).astype(np.int32)
    storage_kpa = drawn_kpa.reshape(len(drawn_kpa), -1).astype(np.float32)
    moduli = dict(zip(MODULI, (storage_kpa, 0.5 * storage_kpa), strict=True))
    maps = {}
    for name, values in moduli.items():
        numbers = (values.mean(axis=0), values.std(axis=0), *np.quantile(values, [0.025, 0.975], axis=0))
        shown = (Map(one.reshape(informed.shape).astype(np.float32), affine_mm, "kPa", "") for one in numbers)
        maps[name] = Marginals(*shown, None)
    run = StiffnessMaps("sub-01", "sub-01", 50.0, maps, informed, None, None, {}, 0.0)
    return Posterior(run, Samples(moduli, voxels), truth_kpa)
