"""Methods of unwrapping the phase images of one encoding direction, to be compared with palpate's own.

Each takes wrapped phase, shape (offset, i, j, k), and the mask, shape (i, j, k), and returns the vibration with zero
mean over time, same shape. Libraries: scikit-image (Herraez et al. 2002), numpy, scipy; kamui (Costantini's network
flow, 1998), where it is installed, which palpate's environment leaves out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from skimage.restoration import unwrap_phase

from palpate.imaging.waves.patch_turns import integrate_steps
from palpate.imaging.waves.unwrap import wrap

type Phase = NDArray[np.float64]
type Mask = NDArray[np.bool_]
type Method = Callable[[Phase, Mask], Phase]

KAMUI: Final = importlib.util.find_spec("kamui") is not None


def raw(phase: Phase, mask: Mask) -> Phase:
    """Return the wrapped phase, without any unwrapping."""
    return centred(phase * mask)


def along_time(phase: Phase, mask: Mask) -> Phase:
    """Unwrap each voxel along time by numpy.unwrap."""
    return centred(np.unwrap(phase, axis=0) * mask)


def volumes(phase: Phase, mask: Mask) -> Phase:
    """Unwrap each offset's volume as a whole by scikit-image."""
    return centred(np.stack([_reliable(one, mask) for one in phase]))


def slices(phase: Phase, mask: Mask) -> Phase:
    """Unwrap slice by slice by scikit-image."""
    return centred(np.stack([_by_slice(one, mask, _reliable) for one in phase]))


def rows_columns_time(phase: Phase, mask: Mask) -> Phase:
    """Unwrap slice by slice over rows, columns and cyclic time by scikit-image."""
    found = np.zeros_like(phase)
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        masked = np.ma.masked_array(phase[..., k], mask=np.broadcast_to(~mask[..., k], phase.shape[:3]))
        found[..., k] = np.ma.filled(unwrap_phase(masked, wrap_around=(True, False, False), rng=0), 0.0)
    return centred(found)


def laplacian(phase: Phase, mask: Mask) -> Phase:
    """Unwrap image by image by the Laplacian's inverse (cosine transforms; Schofield & Zhu 2003), made congruent."""
    rows, columns = (2.0 * np.cos(np.pi * np.arange(extent) / extent) - 2.0 for extent in phase.shape[1:3])
    eigenvalues = (rows[:, None] + columns)[None, :, :, None]
    eigenvalues[0, 0, 0] = 1.0
    curvature = sum(_wrapped_curvature(phase, axis) for axis in (1, 2))
    spectrum = fft.dctn(np.asarray(curvature), axes=(1, 2)) / eigenvalues
    spectrum[:, 0, 0] = 0.0
    smooth = fft.idctn(spectrum, axes=(1, 2))
    offset = np.angle(np.exp(1j * (phase - smooth)).mean(axis=(1, 2), keepdims=True))
    return centred((smooth + offset + wrap(phase - smooth - offset)) * mask)


def flow_slices(phase: Phase, mask: Mask) -> Phase:
    """Unwrap slice by slice by kamui."""
    return centred(np.stack([_by_slice(one, mask, _flow) for one in phase]))


def flow_steps(phase: Phase, mask: Mask) -> Phase:
    """Unwrap the steps between offsets slice by slice by kamui."""
    return _of_steps(phase, mask, _flow)


def reliable_steps(phase: Phase, mask: Mask) -> Phase:
    """Unwrap the steps between offsets slice by slice by scikit-image."""
    return _of_steps(phase, mask, _reliable)


def methods() -> Mapping[str, Method]:
    """Return all methods that this environment offers, by name."""
    found: dict[str, Method] = {
        "not unwrapped": raw,
        "numpy, along time": along_time,
        "scikit-image, volumes": volumes,
        "scikit-image, slices": slices,
        "scikit-image, slices and time": rows_columns_time,
        "Laplacian, slices": laplacian,
        "scikit-image, steps": reliable_steps,
    }
    if KAMUI:
        found |= {"kamui, slices": flow_slices, "kamui, steps": flow_steps}
    return found


def centred(phase: Phase) -> Phase:
    """Subtract the mean over time."""
    return np.asarray(phase - phase.mean(axis=0))


def _of_steps(phase: Phase, mask: Mask, unwrap: Callable[[Phase, Mask], Phase]) -> Phase:
    steps = wrap(np.roll(phase, -1, axis=0) - phase)
    return integrate_steps(np.stack([_by_slice(one, mask, unwrap) for one in steps]))


def _by_slice(image: Phase, mask: Mask, unwrap: Callable[[Phase, Mask], Phase]) -> Phase:
    """Each slice by itself, its median within half a turn; 0 outside the mask."""
    found = np.zeros_like(image)
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        inside = mask[..., k]
        values = unwrap(image[..., k], inside)
        values -= 2.0 * np.pi * np.round(np.median(values[inside]) / (2.0 * np.pi))
        found[..., k] = values * inside
    return found


def _reliable(image: Phase, mask: Mask) -> Phase:
    return np.asarray(np.ma.filled(unwrap_phase(np.ma.masked_array(image, mask=~mask), rng=0), 0.0))


def _flow(image: Phase, mask: Mask) -> Phase:
    import kamui  # type: ignore[import-not-found]

    return np.asarray(kamui.unwrap_dimensional(image, weights=mask.astype(np.float64), merging_method="min"))


def _wrapped_curvature(phase: Phase, axis: int) -> Phase:
    """Second difference of the wrapped first differences, none across the image's edge."""
    steps = wrap(np.diff(phase, axis=axis))
    ends = [(0, 0)] * phase.ndim
    ends[axis] = (1, 1)
    return np.asarray(np.diff(np.pad(steps, ends), axis=axis))
