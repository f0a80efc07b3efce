"""Whole turns of a patch's mean motion, which unwrapping within images cannot determine.

Inside a connected patch of a slice, spatial unwrapping leaves one unknown multiple of 2 pi in each step between
offsets. Rigid motion of a head can exceed several turns, so these multiples matter. Two facts select them:

- motion of one frequency has no energy beyond its first harmonic;
- neighbouring slices move alike, once each slice's own time of acquisition is accounted for.

The best chain of choices through all slices minimises the sum of both misfits, in radians squared, exactly (dynamic
programming). A slice is ambiguous where another choice for it, with all but the first slice chosen anew, costs hardly
more. The first slice is held because with 3, 4 or 6 offsets some patterns of whole turns are pure first harmonics: then
a motion common to all slices is not known, and the smallest is taken. Such a uniform translation causes no strain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.waves.harmonics import harmonics

_TURN: Final = 2.0 * np.pi
_MAX_OFFSETS_SEARCHED: Final = 9
"""Largest number of offsets for which turns are searched.

With more offsets the steps are so small that whole patches do not wrap, and the search would grow without need.
"""
_KEPT: Final = 60
"""Number of choices per patch that enter the search, best first."""
_TIE_BREAK: Final = 1e-3
"""Misfit per squared amplitude, by which the smallest of equally good motions is preferred."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Possible mean motions of one patch.

    Attributes:
        turns: whole turns added to each step, shape (choice, offset).
        misfit: sum of |U_h|^2 beyond the first harmonic plus a very small share of |U_1|^2, radians
            squared, shape (choice,).
        first: first harmonic U_1 at the common time of all slices, shape (choice,).
    """

    turns: NDArray[np.float64]
    misfit: NDArray[np.float64]
    first: NDArray[np.complex128]


def integrate_steps(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cyclic series with these steps (axis 0) and zero mean; their sum is first made zero evenly."""
    spectrum = np.fft.rfft(steps, axis=0)
    factor = np.exp(_TURN * 1j * np.arange(spectrum.shape[0]) / steps.shape[0]) - 1.0
    spectrum[0] = 0.0
    spectrum[1:] /= factor[1:].reshape(-1, *[1] * (steps.ndim - 1))
    return np.asarray(np.fft.irfft(spectrum, n=steps.shape[0], axis=0))


def patch_choices(steps: NDArray[np.float64], slice_phase_rad: float) -> Choices:
    """Return the most plausible mean motions of one patch, best first; all of them close the cycle.

    Args:
        steps: median step of the patch between neighbouring offsets, shape (offset,).
        slice_phase_rad: omega times the acquisition time of the patch's slice, radians.
    """
    turns = _closing_turns(steps)
    spectrum = harmonics(integrate_steps((steps + _TURN * turns).T))
    misfit = (np.abs(spectrum[2:]) ** 2).sum(axis=0) + _TIE_BREAK * np.abs(spectrum[1]) ** 2
    best = np.argsort(misfit, kind="stable")[:_KEPT]
    return Choices(turns[best], misfit[best], spectrum[1, best] * np.exp(-1j * slice_phase_rad))


def best_chain(chain: list[Choices]) -> tuple[list[int], float]:
    """Find the cheapest choice for each patch of a chain of neighbouring slices.

    Args:
        chain: choices of the main patch of each slice, in the order of slices.

    Returns:
        Index of the choice for each patch, and the least extra cost, radians squared, at which any patch but the first
        could have been chosen differently beside that first one (infinite where there is no such choice).
    """
    chosen = [int(np.argmin(total)) for total in _best_totals(chain)]
    held = np.array([chosen[0]])
    first = Choices(chain[0].turns[held], chain[0].misfit[held], chain[0].first[held])
    totals = _best_totals([first, *chain[1:]])[1:]
    margins = [float(np.partition(total, 1)[1] - total.min()) for total in totals if total.size > 1]
    return chosen, min(margins, default=np.inf)


def _best_totals(chain: list[Choices]) -> list[NDArray[np.float64]]:
    """Return the cost of the cheapest chain through each choice of each patch."""
    links = [np.abs(b.first[None, :] - a.first[:, None]) ** 2 for a, b in pairwise(chain)]
    forward = [chain[0].misfit]
    for link, choices in zip(links, chain[1:], strict=True):
        forward.append((forward[-1][:, None] + link).min(axis=0) + choices.misfit)
    backward = [np.zeros_like(chain[-1].misfit)]
    for link, choices in zip(reversed(links), reversed(chain[1:]), strict=True):
        backward.append((link + (choices.misfit + backward[-1])[None, :]).min(axis=1))
    return [ahead + behind for ahead, behind in zip(forward, reversed(backward), strict=True)]


def nearest_choice(choices: Choices, first: complex) -> int:
    """Return the index of the choice for a side patch whose slice's main patch moves with U_1 = `first`."""
    return int(np.argmin(choices.misfit + np.abs(choices.first - first) ** 2))


def _closing_turns(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ways to add -1, 0 or 1 turn to each step so that the cycle adds up to zero, shape (way, offset)."""
    excess = int(np.round(steps.sum() / _TURN))
    if steps.size <= _MAX_OFFSETS_SEARCHED:
        every = _every_choice(steps.size)
        closing = every[every.sum(axis=1) == -excess]
        if closing.size:
            return np.asarray(closing)
    single = np.zeros(steps.size)
    single[np.argsort(-np.sign(excess) * steps)[: abs(excess)]] = -np.sign(excess)
    return single[None, :]


@cache
def _every_choice(n_offsets: int) -> NDArray[np.float64]:
    return np.array(list(product((0.0, -1.0, 1.0), repeat=n_offsets)), dtype=np.float64)
