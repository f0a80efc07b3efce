"""Checks of the slices of a wave field: copies among them, their order, and whether waves can be followed across them.

Slices that lie out of order show in three components by the divergence (component_checks). Where fewer were measured
they show by their coherence

    c_kl = sum U_l conj U_k / sqrt(sum |U_k|^2 sum |U_l|^2),

sums over voxels that both slices hold, U less its slice's mean. Its size does not depend on the phase of each slice,
which may have seen the vibration at a time of its own, and falls with the distance of slices, so that neighbours are
most alike in the right order. A stack and its mirror image are equally alike: a reversed order cannot be told.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.displacement import without_slice_means
from palpate.imaging.limits.check_limits import LEAST_LIKENESS, REORDERED_GAIN, USUAL_KPA
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning
from palpate.units import kpa_to_pa, m_to_mm

_SAMPLES: Final = 0.5
"""Largest distance of slices over the wavelength at which a wave across them is still sampled."""
_FEWEST_VOXELS: Final = 12
"""Voxels that two slices must share to be compared."""
_REAL: Final = 0.8
"""Cosine of the phase between two slices above which they move in phase, and below whose negative in antiphase."""
_ROUNDING: Final = 1e-9
_UNLIKE: Final = 0.2
"""Least unlikeness of the neighbours that another order parts: waves that hardly change across slices, in slices of
unequal noise, differ by 0.09."""
_FEWEST_SLICES: Final = 4
"""Least number of slices of which an order can be told, since in any order of three neighbours are at most two slices
apart."""


def check_slices(field: WaveField, modulus_pa: complex | None) -> tuple[QualityWarning, ...]:
    """Warn of slices that are copies, out of order, too far apart, or alone.

    Args:
        field: wave field to check.
        modulus_pa: modulus that fits the whole field best, pascal; None where it cannot be told.
    """
    twice = _twice(field)
    order = () if twice or field.directions is None else _out_of_order(field)
    return (*twice, *order, *_far_apart(field, modulus_pa))


def slice_coherence(field: WaveField, slices: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Return the coherence of slices, of size 0 to 1, shape (n, n); 0 where two share few voxels.

    Args:
        field: wave field with one to three components.
        slices: indices of n slices along k.
    """
    waves = np.where(field.mask, np.moveaxis(field.displacement_m, -1, 0), 0.0)
    centred = np.stack([without_slice_means(one, field.mask) for one in waves]) * field.mask
    # Components and voxels of a slice in one row.
    rows = np.moveaxis(centred[..., slices], -1, 0).reshape(len(slices), -1)
    inside = np.moveaxis(field.mask[..., slices], -1, 0).reshape(len(slices), -1).astype(np.float64)
    power = np.sum(np.abs(rows.reshape(len(slices), len(waves), -1)) ** 2, axis=1) @ inside.T
    size = np.sqrt(power * power.T)
    enough = (inside @ inside.T >= _FEWEST_VOXELS) & (size > 0.0)
    return np.asarray(np.where(enough, (rows.conj() @ rows.T) / np.where(enough, size, 1.0), 0.0))


def order_by_likeness(likeness: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the order in which neighbours are most alike, of the two directions the one that begins lower, shape (n,).

    A round trip through the slices and one place that is like none of them is an order. The given one, and from each
    slice on that of always the most alike next, are improved by reversing parts until none helps (2-opt; Croes 1958).

    Args:
        likeness: size of the slices' coherence, shape (n, n).
    """
    count = len(likeness)
    padded = np.pad(likeness, (0, 1))
    begun = [np.arange(count + 1), *(_most_alike_next(likeness, first) for first in range(count))]
    trips = [_improved(padded, trip) for trip in begun]
    trip = max(trips, key=lambda one: float(padded[one, np.roll(one, -1)].sum()))
    order = np.roll(trip, -1 - int(np.flatnonzero(trip == count)[0]))[:-1]
    return order if order[0] < order[-1] else order[::-1]


def _most_alike_next(likeness: NDArray[np.float64], first: int) -> NDArray[np.int64]:
    """Return a round trip from a slice to always the most alike one that is left, shape (n + 1,)."""
    trip, left = [first], set(range(len(likeness))) - {first}
    while left:
        trip.append(max(sorted(left), key=lambda one: float(likeness[trip[-1], one])))
        left.remove(trip[-1])
    return np.array([*trip, len(likeness)])


def _improved(likeness: NDArray[np.float64], trip: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a round trip of which no part is better reversed."""
    trip = trip.copy()
    while True:
        ahead = np.roll(trip, -1)
        kept = likeness[trip, ahead]
        gain = likeness[np.ix_(trip, trip)] + likeness[np.ix_(ahead, ahead)] - kept[:, None] - kept
        first, last = np.unravel_index(np.argmax(np.triu(gain, 1)), gain.shape)
        if gain[first, last] <= _ROUNDING or first >= last:
            return trip
        trip[first + 1 : last + 1] = trip[first + 1 : last + 1][::-1]


def _twice(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn of two slices that hold the same numbers."""
    waves = field.displacement_m.reshape(-1, *field.displacement_m.shape[2:])
    inside = field.mask.reshape(-1, field.mask.shape[2])
    for one, other in combinations(np.flatnonzero(inside.any(axis=0)).tolist(), 2):
        both = np.flatnonzero(inside[:, one] & inside[:, other])
        few = both[:_FEWEST_VOXELS]
        if len(few) < _FEWEST_VOXELS or not np.array_equal(waves[few, one], waves[few, other]):
            continue
        if np.array_equal(waves[both, one], waves[both, other]):
            return (_copied(one, other),)
    return ()


def _copied(one: int, other: int) -> QualityWarning:
    sentence = (
        f"Slices {one + 1} and {other + 1} hold the same displacement: one of them was exported twice, and another one "
        "may be missing."
    )
    advice = "Check the slices of the export: waves that do not change from slice to slice have another modulus."
    return QualityWarning("slice-twice", sentence, advice)


def _out_of_order(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn where slices that are no neighbours are clearly more alike than those that are."""
    slices = np.flatnonzero(field.mask.any(axis=(0, 1)))
    if len(slices) < _FEWEST_SLICES:
        return ()
    coherence = slice_coherence(field, slices)
    order = order_by_likeness(np.abs(coherence))
    given, better = _pairs(np.arange(len(slices))), _pairs(order)
    parted, met = (np.array([coherence[pair] for pair in one]) for one in (given - better, better - given))
    if not met.size or not _explained(parted, met) or _standing(coherence):
        return ()
    sentence = (
        f"Slices seem to be out of order: in the order {', '.join(str(slices[number] + 1) for number in order)} the "
        f"new neighbours move alike by {100 * float(np.abs(met).mean()):.0f} %, where the present ones do by "
        f"{100 * float(np.abs(parted).mean()):.0f} %."
    )
    advice = (
        "Check in which order the slices were written: interleaved slices must be sorted by their positions. Stiffness "
        "from this wave field is wrong."
    )
    return (QualityWarning("slices-out-of-order", sentence, advice),)


def _pairs(order: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Return the neighbours of an order, the lower one first."""
    return {(min(pair), max(pair)) for pair in pairwise(order.tolist())}


def _explained(parted: NDArray[np.complex128], met: NDArray[np.complex128]) -> bool:
    """Return whether another order explains the waves: new neighbours are alike, unlike those that it parts.

    Args:
        parted: coherence of neighbours that are none in the other order, shape (n,).
        met: coherence of neighbours in the other order alone, shape (n,).
    """
    alike, unlike = float(np.abs(met).mean()), 1.0 - float(np.abs(parted).mean())
    return alike >= LEAST_LIKENESS and unlike >= _UNLIKE and 1.0 - alike <= REORDERED_GAIN * unlike


def _standing(coherence: NDArray[np.complex128]) -> bool:
    """Return whether slices are alike in phase or in antiphase, and some in antiphase.

    So are those of waves that stand across slices, half a wavelength apart, in their right order.

    Args:
        coherence: coherence of the slices, shape (n, n).
    """
    pairs = coherence[np.triu_indices(len(coherence), 1)]
    cosines = np.cos(np.angle(pairs[np.abs(pairs) >= LEAST_LIKENESS]))
    return bool(np.any(cosines < 0.0) and np.all(np.abs(cosines) > _REAL))


def _far_apart(field: WaveField, modulus_pa: complex | None) -> tuple[QualityWarning, ...]:
    """Warn of slices so far apart that nobody can follow a wave from one to the next, and of one slice alone."""
    slices = np.flatnonzero(field.mask.any(axis=(0, 1)))
    if len(slices) < 2:
        return (_alone(),) if len(slices) else ()
    # Where the waves do not tell, those of the stiffest usual tissue: no wave is longer.
    size_pa = float(kpa_to_pa(USUAL_KPA[1])) if modulus_pa is None else abs(modulus_pa)
    length_mm = float(m_to_mm(np.sqrt(size_pa / field.density_kg_m3) / field.frequency_hz))
    # Of a region that leaves slices out, between those that it holds.
    spacing_mm = float(field.voxel_size_mm[2] * np.median(np.diff(slices)))
    if spacing_mm <= _SAMPLES * length_mm:
        return ()
    known = "about" if modulus_pa is not None else f"in tissue of up to {USUAL_KPA[1]:g} kPa at most"
    sentence = (
        f"Slices are {spacing_mm:.3g} mm apart and the waves {known} {length_mm:.2g} mm long: a wave that travels "
        "across slices cannot be followed from one to the next."
    )
    advice = (
        "Stiffness rests on how waves look within each slice; if they travel across slices, it comes out too high. "
        "Scan slices closer than half a wavelength."
    )
    return (QualityWarning("slices-far-apart", sentence, advice),)


def _alone() -> QualityWarning:
    sentence = "All tissue lies in one slice: nothing shows how waves travel through it."
    advice = (
        "Stiffness rests on how waves look within the slice, and its interval is wide. Draw the region on neighbouring "
        "slices too, or scan slices closer than half a wavelength."
    )
    return QualityWarning("one-slice", sentence, advice)
