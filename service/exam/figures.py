"""Figures of an exam's region: mean of |G*| with its interval from joint draws, by slice, beside the scanner's own.

Means are computed in every draw and summarised afterwards; an interval put together from the spreads of single voxels
would be far too narrow, because errors of neighbours are alike. A voxel counts by its share in the reported region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.derived.formulas import magnitude_pa
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.files.stiffness_folder import Samples, StiffnessMaps
from palpate.service.exam.region import ReportedRegion
from palpate.service.exam.scanner import ScannerPixels

CHANGE_PERCENT: Final = 19.0
"""Change of the mean stiffness of a liver between two exams of one person from which on it is real with 95 %
confidence, by QIBA's profile for MR elastography of the liver."""


@dataclass(frozen=True, slots=True)
class RegionMean:
    """Figures of the whole reported region or of one slice.

    Attributes:
        volume_ml: volume that counts, millilitres.
        area_cm2: area that counts, square centimetres, in a single slice; the sum over the slices for the whole.
        voxels: number of voxels that count, each by its share.
        magnitude: mean of |G*|, kPa.
        direct_kpa: mean of |G*| of the algebraic inversion, kPa; None where there is none.
        scanner_kpa: mean of the scanner's stiffness over the same pixels, kPa; None where there is none.
    """

    volume_ml: float
    area_cm2: float
    voxels: float
    magnitude: DrawSummary
    direct_kpa: float | None
    scanner_kpa: float | None

    @property
    def over_scanner(self) -> DrawSummary | None:
        """Difference from the scanner's mean, per cent of it; None where the scanner has none."""
        if self.scanner_kpa is None:
            return None
        return DrawSummary(100.0 * (self.magnitude.values / self.scanner_kpa - 1.0), "%")


@dataclass(frozen=True, slots=True)
class Spread:
    """Spread over the reported region of the posterior means of |G*| in voxels, or of the scanner's pixels.

    Attributes:
        std_kpa: standard deviation, kPa.
        quartiles_kpa: 25 % and 75 % quantile, kPa.
    """

    std_kpa: float
    quartiles_kpa: tuple[float, float]

    @property
    def iqr_kpa(self) -> float:
        """Interquartile range, kPa."""
        return self.quartiles_kpa[1] - self.quartiles_kpa[0]


@dataclass(frozen=True, slots=True)
class ExamFigures:
    """Figures of a reported region.

    Attributes:
        whole: figures of the whole.
        slices: figures of each slice that holds some of it, by its index along the third axis.
        spread: spread of the posterior mean from voxel to voxel.
        scanner_spread: spread of the scanner's stiffness from pixel to pixel; None where it has none.
        region_ml: volume of the region before anything was left out, millilitres.
        region_voxels: its number of voxels.
        covered_share: share of the region's voxels with a value.
        reported_share: share of the region's volume that counts.
        informed_share: share of what counts whose values come mostly from this scan.
        confident_share: share of the region's pixels with sufficient confidence; None where the scanner has none.
    """

    whole: RegionMean
    slices: Mapping[int, RegionMean]
    spread: Spread
    scanner_spread: Spread | None
    region_ml: float
    region_voxels: int
    covered_share: float
    reported_share: float
    informed_share: float
    confident_share: float | None


def exam_figures(
    run: StiffnessMaps,
    samples: Samples,
    reported: ReportedRegion,
    pixels: ScannerPixels | None,
    least_confidence: float,
) -> ExamFigures | None:
    """Return the figures of a region; None where nothing of it counts.

    Args:
        run: posterior of one run.
        samples: its joint draws.
        reported: region, and the part that counts.
        pixels: the scanner's own maps; None where it computed none.
        least_confidence: confidence of the scanner above which a pixel counts.
    """
    shares = reported.shares
    by_voxel = shares[tuple(samples.voxels.T)]
    if not by_voxel.any():
        return None
    slices = [int(k) for k in np.flatnonzero(shares.sum(axis=(0, 1)))]
    layers = samples.voxels[:, 2:] == np.array(slices)
    draws, mean_kpa = _means(samples, np.column_stack([by_voxel, np.where(layers, by_voxel[:, None], 0.0)]))
    chosen = None if pixels is None else _chosen(pixels, reported, least_confidence)
    parts = [_part(run, reported, draws[:, 0], slice(None), pixels, chosen)]
    parts += [
        _part(run, reported, draws[:, at], slice(k, k + 1), pixels, chosen) for at, k in enumerate(slices, start=1)
    ]
    covered = run.moduli["storagemodulus"].mean.covered
    voxels = int(np.count_nonzero(reported.region))
    return ExamFigures(
        whole=parts[0],
        slices=dict(zip(slices, parts[1:], strict=True)),
        spread=_spread(mean_kpa, by_voxel),
        scanner_spread=_scanner_spread(pixels, chosen),
        region_ml=voxels * _voxel_mm3(run) / 1e3,
        region_voxels=voxels,
        covered_share=float(np.mean(covered[reported.region])),
        reported_share=float(shares.sum()) / voxels,
        informed_share=float(shares[run.informed].sum() / shares.sum()),
        confident_share=_confident_share(pixels, reported, least_confidence),
    )


def _means(samples: Samples, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weighted means of |G*| in each draw, shape (draws, parts), and its posterior mean in each voxel, kPa.

    Args:
        samples: joint draws of N voxels.
        weights: weights of the voxels in each part, shape (N, parts).
    """
    total = np.zeros((samples.count, weights.shape[1]))
    mean_kpa = np.zeros(len(weights))
    for here, storage_kpa, loss_kpa in samples.blocks():
        drawn = magnitude_pa(storage_kpa, loss_kpa)
        total += drawn @ weights[here]
        mean_kpa[here] = drawn.mean(axis=0)
    return total / weights.sum(axis=0), mean_kpa


def _part(
    run: StiffnessMaps,
    reported: ReportedRegion,
    draws: NDArray[np.float64],
    layer: slice,
    pixels: ScannerPixels | None,
    chosen: NDArray[np.bool_] | None,
) -> RegionMean:
    """Return the figures of some slices."""
    shares = np.zeros_like(reported.shares)
    shares[..., layer] = reported.shares[..., layer]
    voxels, voxel_mm3 = float(shares.sum()), _voxel_mm3(run)
    within_mm2 = float(np.linalg.norm(np.cross(*run.affine_mm[:3, :2].T)))
    scanner = None
    if pixels is not None and pixels.stiffness_kpa is not None and chosen is not None:
        in_layer = chosen & np.isin(pixels.voxels[:, 2], np.arange(shares.shape[2])[layer])
        scanner = float(pixels.stiffness_kpa[in_layer].mean()) if in_layer.any() else None
    return RegionMean(
        volume_ml=voxels * voxel_mm3 / 1e3,
        area_cm2=voxels * within_mm2 / 1e2,
        voxels=voxels,
        magnitude=DrawSummary(draws, "kPa"),
        direct_kpa=_direct_kpa(run, shares),
        scanner_kpa=scanner,
    )


def _direct_kpa(run: StiffnessMaps, shares: NDArray[np.float64]) -> float | None:
    """Return the mean of |G*| of the algebraic inversion, kPa; None where it has no value that counts."""
    storage, loss = (run.moduli[modulus].direct for modulus in ("storagemodulus", "lossmodulus"))
    if storage is None or loss is None:
        return None
    values = magnitude_pa(storage.values, loss.values)
    weights = np.where(np.isfinite(values), shares, 0.0)
    return float(np.sum(weights * np.nan_to_num(values)) / weights.sum()) if weights.any() else None


def _chosen(pixels: ScannerPixels, reported: ReportedRegion, least_confidence: float) -> NDArray[np.bool_]:
    """Return the scanner's pixels that count: those of the reported region, confident, and above zero."""
    inside = reported.shares[tuple(pixels.voxels.T)] > 0.0
    counted = np.asarray(inside & pixels.confident(least_confidence))
    if pixels.stiffness_kpa is None:
        return counted
    return np.asarray(counted & (np.nan_to_num(pixels.stiffness_kpa) > 0.0))


def _scanner_spread(pixels: ScannerPixels | None, chosen: NDArray[np.bool_] | None) -> Spread | None:
    if pixels is None or pixels.stiffness_kpa is None or chosen is None or not chosen.any():
        return None
    values = pixels.stiffness_kpa[chosen]
    return _spread(values, np.ones(len(values)))


def _confident_share(pixels: ScannerPixels | None, reported: ReportedRegion, least: float) -> float | None:
    if pixels is None or pixels.confidence is None:
        return None
    inside = reported.region[tuple(pixels.voxels.T)]
    return float(pixels.confident(least)[inside].mean()) if inside.any() else None


def _spread(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Spread:
    """Return the spread of weighted values."""
    mean = np.average(values, weights=weights)
    low, high = np.quantile(values, [0.25, 0.75], weights=weights, method="inverted_cdf")
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    return Spread(std, (float(low), float(high)))


def _voxel_mm3(run: StiffnessMaps) -> float:
    return abs(float(np.linalg.det(run.affine_mm[:3, :3])))
