"""Joint draws of the stiffness inside the skull: this patient's where elastography measured it, else a population's.

Only contrasts matter: stresses do not depend on the scale of G' (docs/theory/growth.md). Population values are
therefore scaled to the level of the measured ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import StiffnessDraws, TumourHistory
from palpate.solvers.growth.mechanics.lattice import POPULATION_PA, demand_moduli, storage_by_tissue
from palpate.twin.lattice import TwinLattice, visible
from palpate.twin.outline import matern_shapes, spread_out

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

FLUID, GREY, WHITE = 0, 1, 2
"""Numbers of the tissues."""
_POPULATION_PA: Final = {
    FLUID: POPULATION_PA["csf"],
    GREY: POPULATION_PA["grey"],
    WHITE: POPULATION_PA["white"],
}
BETWEEN_LOG_STD: Final = 0.15
"""Standard deviation of a tissue's level of ln G' between people, relative to their other tissues."""
WITHIN_LOG_STD: Final = 0.25
"""Standard deviation of ln G' within a tissue, over some centimetres."""
WITHIN_MM: Final = 15.0
"""Correlation length of that variation, mm."""
TUMOUR_LOG: Final = (-0.15, 0.3)
"""Mean and standard deviation of ln(G' of tumour / G' of the brain around): softer on average, stiffer in some."""
_CENTRES: Final = 60
_LEAST_SHARE: Final = 0.5


def coarse_stiffness(history: TumourHistory, grid: TwinLattice, most: int) -> StiffnessDraws | None:
    """Average the draws over the lattice's blocks: exp of the mean of ln G' over measured tissue.

    Blocks of which less than half was measured are NaN.

    Args:
        history: history on the images' grid.
        grid: lattice of blocks.
        most: largest number of draws to keep.

    Raises:
        InputError: draws of another grid, too few, moduli that are none, or nothing of the tumour was measured.
    """
    if history.stiffness is None:
        return None
    draws = history.stiffness.draws_pa[:most].astype(np.float64)
    _demand_draws(draws, history)
    measured = np.isfinite(draws).all(axis=0) & history.tissue
    weights = measured.astype(np.float64)
    share = grid.mean(weights)
    enough = (share > 0.0) & (share >= _LEAST_SHARE * grid.mean(history.tissue.astype(np.float64)))
    if not enough.any():
        raise _elsewhere(history)
    logs = np.log(draws, where=measured, out=np.zeros(draws.shape))
    means = [np.where(enough, np.exp(grid.mean(one, weights)), np.nan) for one in logs]
    return StiffnessDraws(np.stack(means).astype(np.float32))


def log_stiffness(history: TumourHistory, skull: Mask, settings: TwinSettings) -> Values:
    """Return joint draws of ln G', G' in Pa, everywhere inside the skull, shape (draws, i, j, k); 0 outside.

    Args:
        history: history on the lattice.
        skull: mask of the inside of the skull, shape (i, j, k).
        settings: number of draws where nothing was measured, and seed.
    """
    given = history.stiffness
    count = settings.stiffness_draws if given is None else len(given.draws_pa)
    rng = np.random.default_rng([settings.seed, 2])
    tissues = np.where(history.tissue, np.where(history.white >= 0.5, WHITE, GREY), FLUID)
    plain = np.log(storage_by_tissue(None, tissues, _POPULATION_PA))
    tumour = np.any([visible(scan, history.edges_mm) for scan in history.scans], axis=0) & history.tissue
    points = np.argwhere(skull) * history.edges_mm
    shapes = matern_shapes(spread_out(points, _CENTRES), points, WITHIN_MM)
    found = np.zeros((count, *skull.shape))
    for number in range(count):
        levels = np.concatenate([[0.0], BETWEEN_LOG_STD * rng.standard_normal(2)])
        contrast = TUMOUR_LOG[0] + TUMOUR_LOG[1] * rng.standard_normal()
        middle, one = plain + contrast * tumour, found[number]
        one[skull] = (middle + levels[tissues])[skull]
        one[skull] += WITHIN_LOG_STD * (shapes @ rng.standard_normal(shapes.shape[1])) * history.tissue[skull]
        if given is not None:
            measured = np.isfinite(given.draws_pa[number])
            known = np.log(given.draws_pa[number].astype(np.float64), where=measured, out=np.zeros(skull.shape))
            one += np.median((known - middle)[measured])
            one[measured] = known[measured]
    found[:, ~skull] = 0.0
    return found


def _demand_draws(draws_pa: Values, history: TumourHistory) -> None:
    """Refuse draws that would steer growth wrongly and unnoticed.

    Raises:
        InputError: see coarse_stiffness.
    """
    if draws_pa.ndim != 4 or draws_pa.shape[1:] != history.tissue.shape or len(draws_pa) < 2:
        raise InputError(
            f"stiffness of {history.subject}",
            found=f"draws of shape {draws_pa.shape}",
            expected=f"at least two draws of shape {history.tissue.shape}, as the tumour's images",
            advice="Make the tumour's history again.",
        )
    demand_moduli(draws_pa[~np.isnan(draws_pa)])
    measured = np.isfinite(draws_pa).all(axis=0)
    tumour = np.any([visible(scan, history.edges_mm) for scan in history.scans], axis=0) & history.tissue
    if not (measured & tumour).any():
        raise _elsewhere(history)


def _elsewhere(history: TumourHistory) -> InputError:
    return InputError(
        f"stiffness of {history.subject}",
        found="an elastogram that shows nothing of the tumour",
        expected="moduli in at least a part of what any scan shows of it",
        advice="Leave the stiffness out, or check whose it is and how it was registered.",
    )
