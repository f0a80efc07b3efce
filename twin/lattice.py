"""Grid on which a tumour is grown: the part of the images around it, in voxels coarse enough to be fast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.tumour.history import (
    CAVITY,
    Irradiation,
    Surgery,
    TumourHistory,
    TumourScan,
)
from palpate.imaging.tumour.visibility import LEAST_ML, SEEN, SIGMA_MM, weighted_mean

type Values = NDArray[np.float64]
type Mask = NDArray[np.bool_]

_TISSUE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TwinLattice:
    """Blocks of whole image voxels inside a box.

    Attributes:
        first: first voxel of the box in the images, shape (3,).
        factors: image voxels in a block along each axis, shape (3,).
        shape: number of blocks along each axis.
        image_shape: number of image voxels along each axis.
        affine_mm: block indices to world RAS millimetres, shape (4, 4).
    """

    first: tuple[int, int, int]
    factors: tuple[int, int, int]
    shape: tuple[int, int, int]
    image_shape: tuple[int, int, int]
    affine_mm: Values

    @property
    def edges_mm(self) -> Values:
        """Edges of a block, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))

    def mean(self, volume: Values, weights: Values | None = None) -> Values:
        """Return the mean over each block where weighted voxels exist, else 0; shape `shape`.

        Args:
            volume: values on the images' grid.
            weights: weights of its voxels, same shape; None for equal weights.
        """
        if weights is None:
            return self._sums(volume) / float(np.prod(self.factors))
        total = self._sums(weights)
        return np.asarray(self._sums(np.where(weights > 0, volume, 0.0) * weights) / np.where(total > 0, total, 1.0))

    def irradiation(self, one: Irradiation) -> Irradiation:
        """Return a radiotherapy fraction on the blocks."""
        return Irradiation(one.day, self.mean(one.dose_gy))

    def surgery(self, one: Surgery) -> Surgery:
        """Return a resection on the blocks: the blocks of which at least half was removed."""
        return Surgery(one.day, self.mean(one.removed.astype(np.float64)) >= _TISSUE_SHARE)

    @property
    def _box(self) -> tuple[slice, slice, slice]:
        begin = self.first
        ends = [min(a + f * n, m) for a, f, n, m in zip(begin, self.factors, self.shape, self.image_shape, strict=True)]
        return (slice(begin[0], ends[0]), slice(begin[1], ends[1]), slice(begin[2], ends[2]))

    def _sums(self, volume: Values) -> Values:
        if volume.shape != self.image_shape:
            raise InputError(
                "tumour images",
                found=f"a volume of shape {volume.shape}",
                expected=f"{self.image_shape}, as the first scan has it",
                advice="Resample it to the first scan's grid.",
            )
        inside = np.asarray(volume[self._box], dtype=np.float64)
        whole = np.zeros(np.array(self.shape) * self.factors)
        whole[tuple(slice(0, n) for n in inside.shape)] = inside
        (a, b, c), (f, g, h) = self.shape, self.factors
        return np.asarray(whole.reshape(a, f, b, g, c, h).sum(axis=(1, 3, 5)))


def nearest_in(region: Mask, edges_mm: Values | None = None) -> tuple[NDArray[np.int64], ...]:
    """Return the indices of a region's voxel nearest to each voxel, which extend a field beyond the region.

    Args:
        region: mask of the region, shape (i, j, k).
        edges_mm: edges of a voxel, millimetres, shape (3,); None to measure distance in voxels.
    """
    return tuple(
        ndimage.distance_transform_edt(~region, sampling=edges_mm, return_distances=False, return_indices=True)
    )


def visible(scan: TumourScan, edges_mm: Values) -> Mask:
    """Return a mask of the tumour that a scan shows, by its regions or by smoothed cellularity, shape (i, j, k).

    Args:
        scan: scan of one date.
        edges_mm: edges of a voxel, millimetres, shape (3,).
    """
    smooth = smoothed(scan, SIGMA_MM / edges_mm)
    found = scan.tumour | (smooth > SEEN)
    islands, count = ndimage.label(found)
    if count > 1:
        sizes = ndimage.sum_labels(found, islands, np.arange(1, count + 1)) * float(np.prod(edges_mm))
        keep = (sizes >= 1e3 * LEAST_ML) | (sizes == sizes.max())
        found = found & np.isin(islands, 1 + np.flatnonzero(keep))
    return np.asarray(found)


def smoothed(scan: TumourScan, sigmas: Values) -> Values:
    """Return the cellularity under a Gaussian, weighted by its inverse variance; 0 where it was not measured."""
    measured = np.isfinite(scan.cellularity) & (scan.cellularity_std > 0)
    std = np.where(measured, scan.cellularity_std, 1.0)
    weight = np.where(measured, 1.0 / std**2, 0.0)
    return weighted_mean(scan.cellularity, weight, sigmas)


def lattice(history: TumourHistory, voxel_mm: float, margin_mm: float) -> TwinLattice:
    """Return the lattice over the box around all visible tumour, in blocks with edges of about `voxel_mm`.

    Args:
        history: images of all dates.
        voxel_mm: wanted edge of a block, millimetres; images with larger voxels stay as they are.
        margin_mm: margin around all visible tumour, millimetres.

    Raises:
        InputError: no scan shows a tumour.
    """
    edges_mm = history.edges_mm
    seen = np.any([visible(scan, edges_mm) & history.tissue for scan in history.scans], axis=0)
    if not seen.any():
        raise InputError(
            f"tumour images of {history.subject}",
            found="no tumour in any scan",
            expected="cellularity or regions of a tumour in the brain",
            advice="Check cellularity and regions against the anatomy.",
        )
    factors = np.maximum(1, np.floor(voxel_mm / edges_mm + 1e-3)).astype(int)
    at = np.argwhere(seen)
    margin = np.ceil(margin_mm / edges_mm).astype(int)
    limits = np.array(seen.shape)
    low = np.maximum(at.min(axis=0) - margin, 0)
    high = np.minimum(at.max(axis=0) + margin + 1, limits)
    counts = -(-(high - low) // factors)
    affine = history.affine_mm.copy()
    affine[:3, 3] += affine[:3, :3] @ (low + 0.5 * (factors - 1))
    affine[:3, :3] = affine[:3, :3] * factors
    a, b, c = (int(one) for one in low)
    f, g, h = (int(one) for one in factors)
    i, j, k = (int(one) for one in counts)
    x, y, z = (int(one) for one in limits)
    return TwinLattice((a, b, c), (f, g, h), (i, j, k), (x, y, z), affine)


def on_lattice(history: TumourHistory, grid: TwinLattice) -> TumourHistory:
    """Return the tumour's history in the lattice's blocks.

    Errors of voxels are taken as independent, so that block means have smaller ones. Stiffness is left out; see
    palpate.twin.stiffness.

    Args:
        history: history on the images' grid.
        grid: lattice of blocks.
    """
    tissue_share = grid.mean(history.tissue.astype(np.float64))
    tissue = tissue_share >= _TISSUE_SHARE
    white = grid.mean(history.white, history.tissue.astype(np.float64))
    return replace(
        history,
        affine_mm=grid.affine_mm,
        tissue=tissue,
        white=np.where(tissue, np.clip(white, 0.0, 1.0), 0.0),
        scans=tuple(_scan(scan, history.tissue, grid) for scan in history.scans),
        irradiations=tuple(map(grid.irradiation, history.irradiations)),
        surgeries=tuple(map(grid.surgery, history.surgeries)),
        stiffness=None,
    )


def _scan(scan: TumourScan, tissue: Mask, grid: TwinLattice) -> TumourScan:
    measured = np.isfinite(scan.cellularity) & (scan.cellularity_std > 0) & tissue
    weights = measured.astype(np.float64)
    enough = grid.mean(weights) >= 0.5 * _TISSUE_SHARE
    mean = np.where(enough, grid.mean(np.where(measured, scan.cellularity, 0.0), weights), np.nan)
    count = grid.mean(weights) * float(np.prod(grid.factors))
    variance = grid.mean(np.where(measured, scan.cellularity_std, 0.0) ** 2, weights) / np.maximum(count, 1.0)
    std = np.where(enough, np.sqrt(variance), np.nan)
    shares = np.stack([grid.mean((scan.roi == region).astype(np.float64)) for region in range(CAVITY + 1)])
    roi = np.argmax(shares, axis=0).astype(np.uint8)
    hypoxia = None if scan.hypoxia is None else grid.mean(scan.hypoxia, tissue.astype(np.float64))
    return replace(scan, cellularity=mean, cellularity_std=std, roi=roi, offset=_offset(scan, grid), hypoxia=hypoxia)


def _offset(scan: TumourScan, grid: TwinLattice) -> NDArray[np.float32] | None:
    """Return the offset of blocks, the mean of their voxels' offsets."""
    if scan.offset is None:
        return None
    along = np.moveaxis(scan.offset, -1, 0)
    means = [grid.mean(one) / factor for one, factor in zip(along, grid.factors, strict=True)]
    return np.stack(means, axis=-1).astype(np.float32)
