"""Phase unwrapping in space and time for one encoding direction.

The steps psi_k = phi_(k+1) - phi_k between neighbouring offsets, cyclic over the period, are unwrapped, not the phases:
the static phase of the tissue, with its poles and steep edges, cancels in them, and so does everything that differs
between slices but not in time. What is left is smooth, smaller than the vibration (by 2 sin(pi/N)), and it can be
checked: the N true steps of a voxel add up to zero.

1. Each step image is unwrapped slice by slice with scikit-image's reliability-sorted unwrapper (Herraez et al. 2002).
   Slices stay apart because they may lie far from each other and see the vibration at different times.
2. The whole turns of each connected patch's mean motion are chosen as in palpate.imaging.waves.patch_turns.
3. Voxels whose steps do not add up to zero are unwrapped anew around the motion of their sound neighbours.

docs/decisions/0010 compares this with other ways of unwrapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

from palpate.imaging.waves.patch_turns import best_chain, integrate_steps, nearest_choice, patch_choices

_TURN: Final = 2.0 * np.pi
_DECISIVE_RAD2: Final = 0.5
"""Least extra cost of any other choice for a chain of patches whose mean motion is determined, radians squared."""
_PLAUSIBLE_RAD2: Final = 1.0
"""Largest energy of any patch beyond its first harmonic if the mean motion is determined, radians squared."""
_NEIGHBOURHOOD_VOXELS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """Unwrapped vibration of one encoding direction.

    Attributes:
        phase_rad: vibration phase with zero mean over time, radians, shape (offset, i, j, k); 0 outside the mask.
        mean_determined: whether the mean motion of every slice is determined.
        margin_rad2: extra cost of the next best mean motion, radians squared; see palpate.imaging.waves.patch_turns.
        misfit_rad2: energy of the mean motion beyond its first harmonic in the worst slice, radians squared.
        wrapped_share: share of in-plane neighbours, inside the mask, whose measured phases jump by more than pi.
        repaired_share: share of voxels that step 3 had to repair.
    """

    phase_rad: NDArray[np.float64]
    mean_determined: bool
    margin_rad2: float
    misfit_rad2: float
    wrapped_share: float
    repaired_share: float


def wrap(phase_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wrap phase into [-pi, pi)."""
    return np.asarray((phase_rad + np.pi) % _TURN - np.pi)


def unwrapped_steps(phase_rad: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return steps between neighbouring offsets, unwrapped in space, correct up to whole turns of each patch.

    Args:
        phase_rad: wrapped phase phi_k, radians, shape (offset, i, j, k), offsets evenly over one period.
        mask: tissue, shape (i, j, k).

    Returns:
        The steps, same shape, with patch medians within half a turn; 0 outside the mask.
    """
    steps = wrap(np.roll(phase_rad, -1, axis=0) - phase_rad)
    for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        inside = mask[..., k]
        for step in steps[..., k]:
            masked = np.ma.MaskedArray(step, mask=~inside)
            step[...] = np.ma.filled(unwrap_phase(masked, rng=0), fill_value=0.0)
    for k, patches in enumerate(slice_patches(mask)):
        for patch in patches:
            values = steps[..., k][:, patch]
            steps[..., k][:, patch] = values - _TURN * np.round(np.median(values, axis=1, keepdims=True) / _TURN)
    steps[:, ~mask] = 0.0
    return steps


def slice_patches(mask: NDArray[np.bool_]) -> list[list[NDArray[np.bool_]]]:
    """Return connected patches of each slice, largest first; patch masks have shape (i, j)."""
    slices = []
    for k in range(mask.shape[2]):
        labels, count = ndimage.label(mask[..., k])
        patches = [labels == number for number in range(1, count + 1)]
        slices.append(sorted(patches, key=np.count_nonzero, reverse=True))
    return slices


def unwrap_vibration(
    phase_rad: NDArray[np.float64],
    mask: NDArray[np.bool_],
    *,
    steps: NDArray[np.float64] | None = None,
    slice_phase_rad: NDArray[np.float64] | None = None,
) -> Unwrapped:
    """Unwrap the phase images of one encoding direction.

    Args:
        phase_rad: wrapped phase phi_k, radians, shape (offset, i, j, k), offsets evenly over one period.
        mask: tissue, shape (i, j, k); nothing outside is unwrapped.
        steps: result of `unwrapped_steps`, where it is at hand.
        slice_phase_rad: omega times each slice's own acquisition time, radians, shape (k,); None for simultaneous
            slices.
    """
    steps = unwrapped_steps(phase_rad, mask) if steps is None else steps.copy()
    lateness = np.zeros(mask.shape[2]) if slice_phase_rad is None else slice_phase_rad
    margin_rad2, misfit_rad2 = _settle_patches(steps, mask, lateness)
    broken = mask & (np.abs(steps.sum(axis=0)) > np.pi)
    vibration = integrate_steps(steps)
    if broken.any():
        vibration[:, broken] = _repair(phase_rad, vibration, mask, broken)
    return Unwrapped(
        phase_rad=vibration,
        mean_determined=margin_rad2 > _DECISIVE_RAD2 and misfit_rad2 < _PLAUSIBLE_RAD2,
        margin_rad2=margin_rad2,
        misfit_rad2=misfit_rad2,
        wrapped_share=_jump_share(phase_rad, mask),
        repaired_share=int(broken.sum()) / max(int(mask.sum()), 1),
    )


def _jump_share(phase_rad: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Share of in-plane neighbours, both in the mask, whose phases differ by more than half a turn."""
    along_i = np.abs(np.diff(phase_rad, axis=1))[:, mask[1:] & mask[:-1]]
    along_j = np.abs(np.diff(phase_rad, axis=2))[:, mask[:, 1:] & mask[:, :-1]]
    jumps = np.concatenate([along_i.ravel(), along_j.ravel()]) > np.pi
    return float(jumps.mean()) if jumps.size else 0.0


def _settle_patches(
    steps: NDArray[np.float64], mask: NDArray[np.bool_], slice_phase_rad: NDArray[np.float64]
) -> tuple[float, float]:
    """Add the chosen whole turns to the steps of every patch, in place; margin and worst misfit of the choice."""
    slices = [(k, patches) for k, patches in enumerate(slice_patches(mask)) if patches]
    if not slices:
        return np.inf, 0.0
    options = [
        [patch_choices(np.median(steps[..., k][:, patch], axis=1), float(slice_phase_rad[k])) for patch in patches]
        for k, patches in slices
    ]
    chosen, margin_rad2 = best_chain([of_slice[0] for of_slice in options])
    for (k, patches), of_slice, main in zip(slices, options, chosen, strict=True):
        motion = complex(of_slice[0].first[main])
        for number, (patch, choices) in enumerate(zip(patches, of_slice, strict=True)):
            choice = main if number == 0 else nearest_choice(choices, motion)
            steps[..., k][:, patch] += _TURN * choices.turns[choice][:, None]
    misfits = [float(of_slice[0].misfit[main]) for of_slice, main in zip(options, chosen, strict=True)]
    return margin_rad2, max(misfits)


def _repair(
    phase_rad: NDArray[np.float64],
    vibration: NDArray[np.float64],
    mask: NDArray[np.bool_],
    broken: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Vibration of the broken voxels, shape (offset, voxel): the measured phase around its neighbours' motion."""
    sound = (mask & ~broken).astype(np.float64)
    width = (0.0, _NEIGHBOURHOOD_VOXELS, _NEIGHBOURHOOD_VOXELS, 0.0)
    weight = ndimage.gaussian_filter(sound, width[1:])
    around = ndimage.gaussian_filter(vibration * sound, width)
    model = (around / np.maximum(weight, 1e-6))[:, broken]
    measured = phase_rad[:, broken]
    static = np.angle(np.exp(1j * (measured - model)).sum(axis=0))
    unwrapped = model + wrap(measured - model - static)
    return np.asarray(unwrapped - unwrapped.mean(axis=0))
