"""Data of the interactive viewer: anatomy, maps, a veil over voxels that are not informed, and each voxel's numbers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.imaging.files.compact_nifti import NO_NUMBER, compact_hundredths, compact_image, compact_map
from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import MODULI, Modulus
from palpate.service.report.session import RunView, SessionView

MODULUS_COLOURS: Final = "viridis"
"""Colour map of moduli."""
SPREAD_COLOURS: Final = "magma"
"""Colour map of standard deviations."""
_NAMES: Final[Mapping[Modulus, str]] = {"storagemodulus": "G′", "lossmodulus": "G″"}
_MARGIN_MM: Final = 12.0


def colour_tops_kpa(run: RunView, settings: ReportSettings) -> dict[tuple[str, Modulus], float]:
    """Return the upper ends of the colour scales of mean and spread, kPa, above nearly all informed tissue.

    Where the truth is known the scale of the mean covers it as well, so that both can be compared by eye.
    """
    chosen = {"storagemodulus": settings.storage_top_kpa, "lossmodulus": settings.loss_top_kpa}
    tops: dict[tuple[str, Modulus], float] = {}
    informed = run.stiffness.informed
    for modulus in MODULI:
        marginals = run.stiffness.moduli[modulus]
        own = chosen[modulus]
        shown = [marginals.mean, *([run.truth[modulus]] if run.truth is not None else [])]
        tops["mean", modulus] = (
            own if own is not None else _round_up(max(_high(the_map, informed) for the_map in shown))
        )
        tops["std", modulus] = _round_up(_high(marginals.std, informed))
    return tops


def viewer_data(view: SessionView, settings: ReportSettings) -> dict[str, Any]:
    """Return all data that the viewer's script reads, as JSON values.

    Args:
        view: results of the session.
        settings: settings of the page; the anatomy is averaged down to `anatomy_mm`.

    Returns:
        `colours`: the colour maps; `anatomy`: base64 NIfTI or null; `runs`: for each run its volumes.
    """
    return {
        "colours": {name: _colour_nodes(name) for name in (MODULUS_COLOURS, SPREAD_COLOURS)},
        "anatomy": _anatomy(view, settings.anatomy_mm),
        "runs": [_run_data(run, settings) for run in view.runs],
    }


def _run_data(run: RunView, settings: ReportSettings) -> dict[str, Any]:
    """Return the volumes of one run."""
    affine_mm = run.stiffness.affine_mm
    tops = colour_tops_kpa(run, settings)
    layers = []
    for modulus in MODULI:
        marginals = run.stiffness.moduli[modulus]
        for statistic, the_map, colours, words in (
            ("mean", marginals.mean, MODULUS_COLOURS, "posterior mean"),
            ("std", marginals.std, SPREAD_COLOURS, "standard deviation"),
        ):
            layers.append(
                {
                    "key": f"{statistic}-{modulus}",
                    "name": f"{_NAMES[modulus]}, {words}",
                    "colours": colours,
                    "top": tops[statistic, modulus],
                    "unit": "kPa",
                    "data": _text(compact_map(the_map.values, affine_mm)),
                }
            )
    covered = run.stiffness.moduli["storagemodulus"].mean.covered
    veil = covered & ~run.stiffness.informed
    seen = np.argwhere(run.stiffness.informed if run.stiffness.informed.any() else covered)
    centre_mm = affine_mm[:3, :3] @ seen.mean(axis=0) + affine_mm[:3, 3] if len(seen) else affine_mm[:3, 3]
    return {
        "title": run.title,
        "centre_mm": centre_mm.round(2).tolist(),
        "magnitude": None if run.magnitude is None else _text(compact_image(_grey(run.magnitude.values), affine_mm)),
        "layers": layers,
        "numbers": _numbers(run),
        "veil": _text(compact_image(veil, affine_mm)),
    }


def _numbers(run: RunView) -> dict[str, Any]:
    """Return what the line at the cross-hair states: the native maps' numbers to two decimals, and their grid.

    A voxel without a positive finite mean of G' has no numbers at all, whatever other maps hold there.
    """
    moduli = run.stiffness.moduli
    storage = moduli["storagemodulus"].mean.values
    known = np.isfinite(storage) & (storage > 0.0)
    statistics = {
        f"{statistic}-{modulus}": getattr(moduli[modulus], statistic).values
        for modulus in MODULI
        for statistic in ("mean", "lower", "upper")
    }
    affine_mm = run.stiffness.affine_mm
    return {
        "shape": list(storage.shape),
        "inverse": np.linalg.inv(affine_mm)[:3].tolist(),
        "none": NO_NUMBER,
        "hundredths_kpa": {
            key: _text(compact_hundredths(np.where(known, values, np.float32(np.nan)), affine_mm))
            for key, values in statistics.items()
        },
    }


def _anatomy(view: SessionView, voxel_mm: float) -> str | None:
    """Return the anatomical image around the maps, averaged down and in 8 bits."""
    if view.anatomy is None:
        return None
    reference = view.runs[0].stiffness
    cropped = crop_around(view.anatomy, reference.affine_mm, reference.informed.shape)
    if cropped is None:
        return None
    averaged = average_down(cropped, voxel_mm)
    return _text(compact_image(_grey(averaged.values), averaged.affine_mm))


def crop_around(anatomy: Map, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> Map | None:
    """Crop the part of an image that surrounds a grid; None where they do not meet.

    Args:
        anatomy: image to crop.
        affine_mm: affine of the grid, voxel indices to the same world millimetres, shape (4, 4).
        shape: shape of the grid, (i, j, k).
    """
    corners = np.array([[i, j, k, 1.0] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    inside = np.linalg.solve(anatomy.affine_mm, affine_mm @ corners.T)[:3]
    margin = _MARGIN_MM / np.linalg.norm(anatomy.affine_mm[:3, :3], axis=0)
    size = np.array(anatomy.values.shape)
    first = np.clip(np.floor(inside.min(axis=1) - margin), 0, size).astype(int)
    last = np.clip(np.ceil(inside.max(axis=1) + margin), 0, size).astype(int)
    if np.any(last - first < 2):
        return None
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    moved = anatomy.affine_mm.copy()
    moved[:3, 3] += anatomy.affine_mm[:3, :3] @ first
    return Map(anatomy.values[box], moved, anatomy.units, anatomy.description)


def average_down(image: Map, voxel_mm: float) -> Map:
    """Average over whole blocks of voxels, so that no edge is shorter than about `voxel_mm`.

    Args:
        image: image to average.
        voxel_mm: wanted edge of a voxel, millimetres.
    """
    sizes_mm = np.linalg.norm(image.affine_mm[:3, :3], axis=0)
    block = np.clip(np.floor(voxel_mm / sizes_mm + 0.25), 1, image.values.shape).astype(int)
    if np.all(block == 1):
        return image
    count = np.array(image.values.shape) // block
    kept = image.values[tuple(slice(0, n) for n in count * block)]
    blocks = kept.reshape(count[0], block[0], count[1], block[1], count[2], block[2])
    affine_mm = image.affine_mm.copy()
    affine_mm[:3, :3] *= block
    affine_mm[:3, 3] += image.affine_mm[:3, :3] @ ((block - 1) / 2.0)
    return Map(blocks.mean(axis=(1, 3, 5)), affine_mm, image.units, image.description)


def _grey(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit greys with some room above the brightest tissue; only the brightest thousandth is cut off."""
    filled = np.nan_to_num(values, nan=0.0)
    bottom, top = np.percentile(filled, [0.5, 99.9])
    return np.asarray(np.clip(225.0 * (filled - bottom) / max(top - bottom, 1e-12), 0, 255), dtype=np.uint8)


def _high(the_map: Map, informed: NDArray[np.bool_]) -> float:
    """Return a value above nearly all informed tissue; elsewhere the prior's tail would set the colours."""
    counted = the_map.covered & informed
    inside = the_map.values[counted if counted.any() else the_map.covered]
    return float(np.percentile(inside, 98.0)) if inside.size else 1.0


def _round_up(value: float) -> float:
    """Return the next number with two significant digits."""
    if value <= 0.0:
        return 1.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1.0)
    return float(f"{np.ceil(value / step) * step:.2g}")


def _colour_nodes(name: str, count: int = 33) -> dict[str, list[int]]:
    """Return a colour map as the viewer takes it; its first node is transparent, so that nothing is painted outside."""
    positions = np.linspace(0.0, 1.0, count)
    rgb = np.round(255 * mpl.colormaps[name](positions)[:, :3]).astype(int)
    red, green, blue = ([int(rgb[0, channel]), *rgb[:, channel].tolist()] for channel in range(3))
    places = [0, 1, *np.round(255 * positions[1:]).astype(int).tolist()]
    return {"R": red, "G": green, "B": blue, "A": [0, *[255] * count], "I": places}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
