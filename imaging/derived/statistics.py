"""Statistics of derived quantities, voxel by voxel and over regions, from joint draws of G' and G''.

Each quantity is computed in every draw, never from means: a mean of quotients is no quotient of means, and an interval
must carry the correlation of G' and G''. Voxels are taken a few at a time, so that the draws of a whole brain need not
fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.config.derived import Quantity
from palpate.errors import InputError
from palpate.imaging.derived.quantities import DerivedQuantity, Medium
from palpate.imaging.draw_summary import FEWEST_DRAWS, demand_level
from palpate.imaging.files.stiffness_folder import STATISTIC_WORDS, DrawBlock

type Rows = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Function from draws of some voxels, shape (draws, n), to some numbers for each voxel, shape (rows, n)."""


class Named(Protocol):
    """Quantity of which it is known whether it depends on the density."""

    @property
    def key(self) -> str:
        """Name of the quantity."""
        ...

    @property
    def needs_density(self) -> bool:
        """Whether it depends on the density."""
        ...


STATISTICS: Final = tuple(STATISTIC_WORDS)
"""Names of the statistics of a map: mean, std, lower, upper."""

_LEVEL: Final = 0.95


def by_voxel(
    blocks: Iterable[DrawBlock], voxels: int, quantities: Sequence[DerivedQuantity], medium: Medium, rows: Rows
) -> dict[Quantity, NDArray[np.float64]]:
    """Return some numbers of each quantity for each voxel, shape (rows, N); NaN where one draw has no value.

    Args:
        blocks: joint draws of both moduli.
        voxels: number N of voxels.
        quantities: quantities to compute.
        medium: frequency, and density of the draws.
        rows: function from draws to the numbers, such as `summary` or `ends(0.8)`.
    """
    found: dict[Quantity, list[NDArray[np.float64]]] = {one.key: [] for one in quantities}
    seen = 0
    for here, storage_kpa, loss_kpa in blocks:
        assert here.start == seen  # blocks come in the order of the voxels
        seen = here.stop
        for one in quantities:
            found[one.key].append(rows(np.asarray(one.of(storage_kpa, loss_kpa, medium), dtype=np.float64)))
    assert seen == voxels
    return {key: np.concatenate(parts, axis=1) for key, parts in found.items()}


def summary(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean, standard deviation and the ends of the 95 % interval of each voxel, shape (4, n).

    Args:
        draws: draws of a quantity, shape (draws, n).
    """
    draws = _finite(draws)
    return np.stack([draws.mean(axis=0), draws.std(axis=0, ddof=1), *ends(_LEVEL)(draws)])


def ends(level: float) -> Rows:
    """Return the function that gives the ends of each voxel's central credible interval, shape (2, n).

    Quantiles are those of DrawSummary.

    Args:
        level: probability inside, between 0 and 1.
    """
    tail = (1.0 - demand_level(level)) / 2.0
    return lambda draws: np.quantile(_finite(draws), [tail, 1.0 - tail], axis=0, method="weibull")


def medium_of(
    where: str | Path,
    record: Mapping[str, Any],
    frequency_hz: float,
    drawn_kg_m3: NDArray[np.float64] | None,
    quantities: Iterable[Named],
) -> Medium:
    """Return frequency and density for derived quantities.

    Waves determine G* / rho. A draw's modulus is this ratio times the density that the draw assumes. Where that density
    was kept it is used, so that the uncertainty of the density does not widen the interval of a wave speed. Where it
    was not kept, as in results of older versions, the record's density takes its place, and intervals are wider.

    Args:
        where: file or folder for errors.
        record: entry of inversion.json for this run and frequency.
        frequency_hz: frequency of the vibration, hertz.
        drawn_kg_m3: density that each draw assumes, kg/m3, shape (draws,); None where it was not kept.
        quantities: quantities that are to be computed.

    Raises:
        InputError: one of the quantities needs the density, and nothing states it.
    """
    if drawn_kg_m3 is not None:
        return Medium(frequency_hz, drawn_kg_m3[:, None])
    stated = record.get("density_kg_m3")
    known = isinstance(stated, int | float) and not isinstance(stated, bool) and 0.0 < stated < np.inf
    missing = [] if known else [one for one in quantities if one.needs_density]
    if missing:
        raise InputError(
            where,
            found=f"density_kg_m3 = {stated!r} in the record of the inversion",
            expected=f"the density, needed for {' and '.join(one.key for one in missing)}",
            advice="Run palpate invert again, or ask for quantities without density, such as magnitude.",
        )
    return Medium(frequency_hz, float(stated) if known and stated is not None else np.nan)


def demand_draws(where: str | Path, count: int) -> None:
    """Refuse fewer draws than an interval needs.

    Raises:
        InputError: there are fewer than 20.
    """
    if count < FEWEST_DRAWS:
        raise InputError(
            where,
            found=f"{count} draws",
            expected=f"at least {FEWEST_DRAWS}, from which an interval follows",
            advice="Invert with more samples.",
        )


def draws_in_tail(count: int) -> int:
    """Return the number of draws up to each end of a 95 % interval, on which the end rests.

    Args:
        count: number of draws.
    """
    return max(1, int((count + 1) * (1.0 - _LEVEL) / 2.0 + 1e-9))


def _finite(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(draws), draws, np.nan)
