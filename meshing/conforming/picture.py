"""Picture of the quality report: a cut through the mesh in the colours of its labels, and a histogram of its angles."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from palpate.meshing.conforming.quality import dihedral_angles_deg
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh

_LOOPS = {
    1: ((0, 1), (0, 2), (0, 3)),
    2: ((0, 2), (0, 3), (1, 3), (1, 2)),
    3: ((0, 3), (1, 3), (2, 3)),
}
"""Edges that a plane cuts, in order round the polygon, with 1, 2 or 3 nodes (the first ones) below it."""


def write_picture(path: Path, mesh: TetrahedralMesh) -> None:
    """Draw the axial cut through the middle of the smallest label, and the histogram of dihedral angles.

    Args:
        path: the PNG file to write.
        mesh: any mesh of labels.
    """
    figure = Figure(figsize=(11.0, 5.2), layout="constrained")
    cut, spread = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    _draw_cut(cut, mesh)
    angles = dihedral_angles_deg(mesh.points_mm, mesh.cells)
    spread.hist(angles.ravel(), bins=np.arange(0.0, 181.0, 5.0), color="#0b6e6e")
    spread.axvline(angles.min(), color="#c4622d", lw=1.2)
    spread.set_xlabel(f"dihedral angle, degrees; {angles.min():.1f} to {angles.max():.1f}")
    spread.set_ylabel("angles")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def cut_polygons(mesh: TetrahedralMesh, height_mm: float) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Return the polygons in which the plane S = height cuts the cells.

    Args:
        mesh: any mesh of labels.
        height_mm: height S of the plane, millimetres; nodes at that very height count as above it.

    Returns:
        Polygons in R and A, shapes (3 or 4, 2), and the labels of their cells.
    """
    below = mesh.points_mm[mesh.cells, 2] < height_mm
    polygons: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.int64]] = []
    for count, loop in _LOOPS.items():
        chosen = np.flatnonzero(below.sum(axis=1) == count)
        order = np.argsort(~below[chosen], axis=1, kind="stable")
        nodes = mesh.points_mm[np.take_along_axis(mesh.cells[chosen], order, axis=1)]
        corners = []
        for low, high in loop:
            start, end = nodes[:, low], nodes[:, high]
            part = (height_mm - start[:, 2]) / (end[:, 2] - start[:, 2])
            corners.append((start + part[:, None] * (end - start))[:, :2])
        polygons.extend(np.stack(corners, axis=1))
        labels.append(mesh.labels[chosen])
    return polygons, np.concatenate(labels)


def _draw_cut(axes: Axes, mesh: TetrahedralMesh) -> None:
    volumes = {label: volume for label, volume in mesh.label_volumes_mm3.items() if volume > 0}
    smallest = min(volumes, key=lambda label: volumes[label])
    height_mm = float(np.median(mesh.points_mm[mesh.cells[mesh.labels == smallest], 2]))
    polygons, labels = cut_polygons(mesh, height_mm)
    shades = mpl.colormaps["tab10" if len(volumes) <= 10 else "tab20"]
    colours = {label: shades(position % shades.N) for position, label in enumerate(sorted(volumes))}
    faces = [colours[int(label)] for label in labels]
    axes.add_collection(PolyCollection(polygons, facecolors=faces, edgecolors="white", linewidths=0.3))
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.set_xlabel(f"R, mm (cut at S = {height_mm:.0f} mm)")
    axes.set_ylabel("A, mm")
    keys = [Patch(color=colours[label], label=mesh.names[label]) for label in sorted(volumes)[:12]]
    axes.legend(handles=keys, frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
