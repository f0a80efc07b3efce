"""The tumour's maps of one date, read strictly.

    cellularity.nii.gz    0..1, with cellularity.json {"NoiseStd": 0.15} if known, or
    adc.nii.gz            with adc.json {"Units": "1e-6 mm2/s", "NoiseStd": 120} if known, and
    roi.nii.gz            0 none, 1 enhancing, 2 non-enhancing (oedema, infiltration), 3 necrotic, 4 cavity
    hypoxia.nii.gz        0..1, share of the cells that are hypoxic; optional
    biopsies.tsv          densities of cells at points; optional (palpate.imaging.tumour.biopsies)

roi.nii.gz is needed beside adc.nii.gz, because ADC tells cells from free water and not tumour from healthy brain;
beside cellularity.nii.gz it adds the regions that are seen. All maps of a folder share one grid.

Regions that are 0 in every voxel mean that nothing is visible, as after a complete response. A missing file is refused,
because it means nothing, and so is a blank one where another file of the folder shows a tumour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.nifti import StoredVolume, Volume, read_stored, read_volume, same_grid
from palpate.imaging.tumour.adc import Cellularity, cellularity, demand_possible, detected_unit, in_mm2_s, unit_of
from palpate.imaging.tumour.biopsies import read_biopsies
from palpate.imaging.tumour.history import CAVITY, ENHANCING, VISIBLE, Biopsy
from palpate.imaging.tumour.visibility import LEAST_ML, SEEN, smoothed

CELLULARITY: Final = "cellularity.nii.gz"
"""Name of the map of cellularity."""
ADC: Final = "adc.nii.gz"
"""Name of the map of ADC."""
ROI: Final = "roi.nii.gz"
"""Name of the map of the tumour's regions."""
HYPOXIA: Final = "hypoxia.nii.gz"
"""Name of the map of the share of hypoxic cells."""
_ROUNDING: Final = 1e-3
"""Largest distance of a cellularity from 0..1: the rounding of eight bits and a scale factor."""
_REGIONS: Final = "0 none, 1 enhancing, 2 non-enhancing, 3 necrotic, 4 cavity"
_NOTHING: Final = "no tumour is drawn: the scan is taken as one without a visible tumour"


@dataclass(frozen=True, slots=True)
class GrowthMaps:
    """Maps of the tumour on one date, on their own grid.

    Attributes:
        cellularity: density of tumour cells and its error, shape (i, j, k); NaN where it was not measured.
        roi: regions, same shape.
        affine_mm: voxel indices to world RAS millimetres of this date, shape (4, 4).
        notes: assumptions made in reading, in sentences.
        drawn: whether there is a file of regions.
        hypoxia: share of the cells that are hypoxic, shape (i, j, k); None without such a map.
        biopsies: samples of this date, in its own world.
    """

    cellularity: Cellularity
    roi: NDArray[np.uint8]
    affine_mm: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    drawn: bool = True
    hypoxia: NDArray[np.float64] | None = None
    biopsies: tuple[Biopsy, ...] = ()


def read_growth(folder: Path, settings: TumourSettings) -> GrowthMaps:
    """Read the maps of one date.

    Args:
        folder: folder with the files of the module's description.
        settings: ADC of water and of dense cells, and the noise to assume where none is stated.

    Raises:
        InputError: a map is missing, unreadable, no volume, on another grid, holds what cannot be, or contradicts
            another.
    """
    if not folder.is_dir():
        raise InputError(folder, found="no folder", expected=f"a folder with {CELLULARITY} or {ADC}", advice=_ADVICE)
    found = replace(_cells(folder, settings), biopsies=read_biopsies(folder))
    return replace(found, hypoxia=read_hypoxia(folder / HYPOXIA, found)) if (folder / HYPOXIA).exists() else found


def read_hypoxia(path: Path, maps: GrowthMaps) -> NDArray[np.float64]:
    """Read the share h of hypoxic cells of one date, shape (i, j, k).

    Args:
        path: NIfTI file on the grid of the date's other maps.
        maps: the date's other maps.

    Raises:
        InputError: the file is no volume, on another grid, without a value somewhere, or no share.
    """
    volume = read_volume(path)
    _demand_one(path, volume)
    _demand_same(path, volume, Volume(maps.cellularity.values, maps.affine_mm))
    if not np.isfinite(volume.values).all():
        raise InputError(
            path,
            found=f"{int(np.sum(~np.isfinite(volume.values)))} values that are not finite",
            expected="a share of hypoxic cells in every voxel, 0 where tissue is well supplied",
            advice="Write 0 where nothing was measured, or leave the file out.",
        )
    low, high = float(volume.values.min()), float(volume.values.max())
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise InputError(
            path,
            found=f"values from {low:g} to {high:g}",
            expected="shares from 0 to 1, not uptake, tumour-to-blood ratios, percent or partial pressures",
            advice="Turn the image into the share of cells that are hypoxic, by the tracer's own threshold or model.",
        )
    return np.clip(volume.values, 0.0, 1.0)


def _cells(folder: Path, settings: TumourSettings) -> GrowthMaps:
    """Read cellularity or ADC, with the regions."""
    if (folder / CELLULARITY).exists() and (folder / ADC).exists():
        # Both are kept by some pipelines: the finished map counts, and the other must at least be of the same scan.
        _demand_same(folder / ADC, _volume(folder / ADC), _volume(folder / CELLULARITY))
    if (folder / CELLULARITY).exists():
        return _from_cellularity(folder, settings)
    if (folder / ADC).exists():
        return _from_adc(folder, settings)
    raise InputError(
        folder, found=f"neither {CELLULARITY} nor {ADC}", expected=f"{CELLULARITY}, or {ADC} with {ROI}", advice=_ADVICE
    )


_ADVICE: Final = "Write the maps of this date there (docs/longitudinal.md), or leave the cell growth empty."


def _from_cellularity(folder: Path, settings: TumourSettings) -> GrowthMaps:
    path = folder / CELLULARITY
    volume = _volume(path)
    _demand_finite_or_nan(path, volume.values)
    known = volume.values[np.isfinite(volume.values)]
    low, high = float(known.min()), float(known.max())
    if low < -_ROUNDING or high > 1.0 + _ROUNDING:
        raise InputError(
            path,
            found=f"values from {low:g} to {high:g}",
            expected="density relative to the most that fits, 0 to 1",
            advice="Scale the map, or give the ADC map as adc.nii.gz with roi.nii.gz.",
        )
    drawn = (folder / ROI).exists()
    roi = _roi(folder / ROI, volume) if drawn else np.zeros(volume.values.shape, np.uint8)
    nothing = drawn and not np.isin(roi, VISIBLE).any()
    if high <= 0.0 and not nothing:
        raise InputError(
            path,
            found="0 in every voxel",
            expected=f"a positive cellularity somewhere, or {ROI} that says that no tumour is visible (0 everywhere)",
            advice="Check the map; leave the cell growth empty where no tumour was measured.",
        )
    sidecar = _sidecar(path)
    std = _noise(path, sidecar, settings.cellularity_std)
    notes = [] if "NoiseStd" in sidecar else [f"noise of cellularity taken as {std:g}"]
    values = np.clip(volume.values, 0.0, 1.0)
    if nothing:
        _demand_nothing(folder / ROI, np.where(roi == CAVITY, np.nan, values), volume.affine_mm)
        notes.append(_NOTHING)
    elif drawn:
        _demand_agreement(folder / ROI, np.isin(roi, VISIBLE), values, volume.affine_mm)
    maps = Cellularity(values, np.where(np.isfinite(values), std, np.nan))
    return GrowthMaps(maps, roi, volume.affine_mm, tuple(notes), drawn)


def _dense(values: NDArray[np.float64], affine_mm: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    """Return the voxels whose cellularity counts as tumour, and the volume of a voxel, mL."""
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    return np.asarray(smoothed(values, edges_mm) > SEEN), float(np.prod(edges_mm)) / 1e3


def _demand_nothing(path: Path, values: NDArray[np.float64], affine_mm: NDArray[np.float64]) -> None:
    """Refuse regions that are blank while the cellularity beside them shows a tumour."""
    dense, voxel_ml = _dense(values, affine_mm)
    dense_ml = float(dense.sum()) * voxel_ml
    if dense_ml > LEAST_ML:
        raise InputError(
            path,
            found=f"no tumour, where {CELLULARITY} is above {SEEN:g} in {dense_ml:.1f} mL",
            expected="regions of what the images of this date show",
            advice="Draw the tumour, or leave the file of regions out; zeros say that no tumour is visible.",
        )


def _demand_agreement(
    path: Path, tumour: NDArray[np.bool_], values: NDArray[np.float64], affine_mm: NDArray[np.float64]
) -> None:
    """Refuse a cellularity that is denser elsewhere than where the tumour is drawn, as an inverted map is."""
    dense, voxel_ml = _dense(values, affine_mm)
    drawn_ml, outside_ml = float(tumour.sum()) * voxel_ml, float((dense & ~tumour).sum()) * voxel_ml
    if outside_ml <= max(LEAST_ML, drawn_ml):  # drawings often leave out what infiltrates
        return
    inside, outside = float(np.nanmean(values[tumour])), float(np.nanmean(values[dense & ~tumour]))
    if inside < outside:
        raise InputError(
            path,
            found=f"{drawn_ml:.1f} mL of tumour drawn, where {CELLULARITY} is {inside:.2f} on average, beside "
            f"{outside_ml:.1f} mL of {outside:.2f} elsewhere",
            expected="cells where the tumour is drawn",
            advice="Check that the map is the density of cells, not its complement, and that both lie on one grid.",
        )


def _from_adc(folder: Path, settings: TumourSettings) -> GrowthMaps:
    path = folder / ADC
    volume = _volume(path)
    if not (folder / ROI).exists():
        raise InputError(
            folder / ROI,
            found="no such file",
            expected=f"the tumour's regions beside {ADC}: {_REGIONS}",
            advice="Draw the tumour on this date's images.",
        )
    roi = _roi(folder / ROI, volume)
    counts = np.isin(roi, VISIBLE)
    if not counts.any():
        counts = roi > 0
    if not counts.any():
        return _from_blank(folder, volume, roi)
    inside = volume.values[counts]
    if not np.all(np.isfinite(inside)):
        raise InputError(
            path,
            found=f"{int(np.sum(~np.isfinite(inside)))} values in the tumour that are not finite",
            expected="ADC in every voxel of the tumour",
            advice="Fill or leave out these voxels in roi.nii.gz.",
        )
    sidecar = _sidecar(path)
    unit = unit_of(sidecar["Units"], path.with_name("adc.json")) if "Units" in sidecar else detected_unit(inside, path)
    demand_possible(in_mm2_s(inside, unit), path)
    stated = _noise(path, sidecar, 0.0)
    std_mm2_s = float(in_mm2_s(np.array(stated), unit)) if "NoiseStd" in sidecar else settings.adc_std_mm2_s
    notes = [] if "Units" in sidecar else [f"unit of ADC taken as {unit}, the only one that is possible"]
    if "NoiseStd" not in sidecar:
        notes.append(f"noise of ADC taken as {std_mm2_s:g} mm2/s")
    if not np.isin(roi, VISIBLE).any():
        notes.append(_NOTHING)
    kept = np.where(counts & (roi != CAVITY), in_mm2_s(volume.values, unit), np.nan)
    return GrowthMaps(cellularity(kept, std_mm2_s, settings), roi, volume.affine_mm, tuple(notes))


def _from_blank(folder: Path, volume: Volume, roi: NDArray[np.uint8]) -> GrowthMaps:
    """ADC beside regions that are 0 everywhere: it tells no cells, but it must be an image, which was looked at."""
    known = volume.values[np.isfinite(volume.values)]
    if not known.size or np.ptp(known) == 0.0:
        raise InputError(
            folder / ADC,
            found="no contrast at all" if known.size else "no finite value",
            expected=f"the image on which {ROI} says that no tumour is visible",
            advice="Export the ADC map again, or leave the cell growth empty where there was no scan.",
        )
    if "Units" in (sidecar := _sidecar(folder / ADC)):
        unit_of(sidecar["Units"], folder / "adc.json")
    unknown = np.full(roi.shape, np.nan)
    return GrowthMaps(Cellularity(unknown, unknown.copy()), roi, volume.affine_mm, (_NOTHING,))


def _volume(path: Path) -> Volume:
    volume = read_volume(path)
    _demand_one(path, volume)
    return volume


def _demand_one(path: Path, volume: Volume | StoredVolume) -> None:
    """Refuse a file that is not one volume of at least 2 voxels each way."""
    if volume.values.ndim != 3 or min(volume.values.shape) < 2:
        raise InputError(
            path,
            found=f"an array of shape {volume.values.shape}",
            expected="one volume, shape (i, j, k), at least 2 voxels each way",
            advice="Give one map a file; split or average images over time.",
        )


def _demand_finite_or_nan(path: Path, values: NDArray[np.float64]) -> None:
    if np.isinf(values).any() or not np.isfinite(values).any():
        raise InputError(
            path,
            found="infinite values" if np.isinf(values).any() else "no finite value",
            expected="a density in each voxel, NaN where it was not measured",
            advice="Compute the map again.",
        )


def _roi(path: Path, reference: Volume) -> NDArray[np.uint8]:
    volume = read_stored(path)
    _demand_one(path, volume)
    _demand_same(path, volume, reference)
    count, example = 0, 0.0
    for slab in volume.slabs():
        unknown = ~np.isin(slab, np.arange(ENHANCING - 1, CAVITY + 1))
        if unknown.any():
            example = example if count else float(np.asarray(slab[unknown], dtype=np.float64)[0])
            count += int(unknown.sum())
    if count:
        raise InputError(
            path,
            found=f"{count} voxels with values such as {example:g}",
            expected=_REGIONS,
            advice="Translate the labels of your segmentation to these numbers (BraTS: 4 becomes 1, 1 becomes 3).",
        )
    return np.asarray(volume.values.astype(np.uint8))


def _demand_same(path: Path, volume: Volume | StoredVolume, reference: Volume) -> None:
    shapes = volume.values.shape, reference.values.shape
    if shapes[0] != shapes[1] or not same_grid(volume.affine_mm, reference.affine_mm, shapes[0]):
        raise InputError(
            path,
            found=f"another grid than the map beside it ({shapes[0]} and {shapes[1]} voxels)",
            expected="one grid for all maps of a date",
            advice="Resample one of them to the other.",
        )


def _sidecar(path: Path) -> Mapping[str, Any]:
    sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    if not sidecar.exists():
        return {}
    return read_json(sidecar, what="a sidecar with Units and NoiseStd", advice="Write it as JSON, or remove it.")


def _noise(path: Path, sidecar: Mapping[str, Any], default: float) -> float:
    stated = sidecar.get("NoiseStd", default)
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0.0 <= stated < np.inf:
        raise InputError(
            path.with_name(path.name.removesuffix(".nii.gz") + ".json"),
            found=f"NoiseStd {str(stated)[:30]!r}",
            expected="a standard deviation by voxel in the map's unit",
            advice="Correct it, or remove the key.",
        )
    if stated == 0.0 and "NoiseStd" in sidecar:
        raise InputError(
            path.with_name(path.name.removesuffix(".nii.gz") + ".json"),
            found="NoiseStd 0",
            expected="a positive standard deviation: no measured map is exact",
            advice="Correct it, or remove the key.",
        )
    return float(stated)
