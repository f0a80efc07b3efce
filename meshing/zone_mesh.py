"""Zones of a physical size, the number of voxels that they cover, and their cells as a mesh in the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import meshio
import numpy as np
from numpy.typing import NDArray

from palpate.config.mesh import MeshSettings
from palpate.meshing.zones import CELL_SPAN, Zone, cut_zones

LEAST_CELLS = 2
"""Number of cells along an edge of the smallest zone: with fewer, no node is surrounded by cells."""

THICK = 2.0
"""Factor on a zone's width and stride where its displacement has a prior: four slices, two wavelengths, fewer zones."""

_ROUNDING = 1e-3
"""Tolerance for voxel sizes from float32 affines, in voxels: 18 mm are nine voxels of 2.000001 mm."""

_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
"""Corners of a hexahedron in VTK's order."""


@dataclass(frozen=True, slots=True)
class MaskCoverage:
    """Numbers of cells, nodes and voxels that the zones of a mask cover.

    Attributes:
        zones: number of zones.
        cells: number of cells, counted in every zone that has them.
        nodes: number of nodes, counted in every zone that has them.
        largest_zone_nodes: nodes of the largest zone, which sets the memory that is needed.
        mask_voxels: voxels of the mask.
        covered_voxels: voxels that are a node of some zone; the others' data are not used.
        interior_voxels: voxels at which some zone demands equilibrium.
    """

    zones: int
    cells: int
    nodes: int
    largest_zone_nodes: int
    mask_voxels: int
    covered_voxels: int
    interior_voxels: int


def zones_of(
    mask: NDArray[np.bool_],
    voxel_size_mm: NDArray[np.float64],
    settings: MeshSettings,
    where: str = "mask",
    *,
    thick: bool = False,
) -> list[Zone]:
    """Cover a mask with zones of the size that the settings ask for.

    Args:
        mask: tissue voxels, shape (i, j, k).
        voxel_size_mm: voxel edges along i, j, k, shape (3,).
        settings: width and stride of the zones.
        where: name of the mask in the error.
        thick: whether zones are THICK times as wide.

    Raises:
        InputError: the mask is too thin for two cells along each axis.
    """
    width_voxels, stride_voxels = zone_extents(voxel_size_mm, settings, thick=thick)
    return cut_zones(mask, width_voxels=width_voxels, stride_voxels=stride_voxels, where=where)


def zone_extents(
    voxel_size_mm: NDArray[np.float64], settings: MeshSettings, *, thick: bool = False
) -> tuple[list[int], list[int]]:
    """Return the nodes of a zone and the largest distance of neighbouring zones, both in voxels along each axis.

    The distance is at most two less than the number of nodes: then every node but the outermost of the mask is
    surrounded by cells in some zone.

    Args:
        voxel_size_mm: voxel edges along i, j, k, shape (3,).
        settings: width and stride in millimetres.
        thick: whether zones are THICK times as wide.
    """
    wide = THICK if thick else 1.0
    width_mm, stride_mm = wide * settings.zone_width_mm, wide * settings.zone_stride_mm
    cells = [max(LEAST_CELLS, round(width_mm / (CELL_SPAN * float(edge)))) for edge in voxel_size_mm]
    nodes = [CELL_SPAN * count + 1 for count in cells]
    steps = [math.floor(stride_mm / float(edge) + _ROUNDING) for edge in voxel_size_mm]
    return nodes, [min(max(1, step), count - 2) for step, count in zip(steps, nodes, strict=True)]


def coverage(zones: Sequence[Zone], mask_voxels: int) -> MaskCoverage:
    """Count the cells, nodes and voxels that zones cover.

    Args:
        zones: all zones of a mask.
        mask_voxels: number of voxels of the mask.
    """
    return MaskCoverage(
        zones=len(zones),
        cells=sum(len(zone.cells) for zone in zones),
        nodes=sum(len(zone.interior) for zone in zones),
        largest_zone_nodes=max(len(zone.interior) for zone in zones),
        mask_voxels=mask_voxels,
        covered_voxels=len(np.unique(np.concatenate([zone.voxels[zone.weight > 0.0] for zone in zones]))),
        interior_voxels=len(np.unique(np.concatenate([zone.balanced_voxels for zone in zones]))),
    )


def world_mesh(zones: Sequence[Zone], affine_mm: NDArray[np.float64]) -> meshio.Mesh:
    """Return the distinct cells of all zones as hexahedra in the world, each with the number of zones that have it.

    Neighbouring zones need not put their cells at the same places; such cells overlap and are all kept.

    Args:
        zones: all zones of a mask.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    firsts = np.concatenate([zone.ijk[zone.cells[:, 0]] for zone in zones])
    cells, counts = np.unique(firsts, axis=0, return_counts=True)
    corners = cells[:, None, :] + CELL_SPAN * _CORNERS
    nodes, hexahedra = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    hexahedra = hexahedra.reshape(-1, len(_CORNERS))
    if np.linalg.det(affine_mm[:3, :3]) < 0:  # a mirrored grid would make volumes negative
        hexahedra = hexahedra[:, [4, 5, 6, 7, 0, 1, 2, 3]]
    points = nodes @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    return meshio.Mesh(points, [("hexahedron", hexahedra)], cell_data={"zones": [counts.astype(np.int32)]})
