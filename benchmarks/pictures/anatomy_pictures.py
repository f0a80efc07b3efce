"""The gallery's pictures of masks, registration and meshing, docs/pictures/anatomy_*.png.

    python benchmarks/pictures/anatomy_pictures.py SESSION --out docs/pictures

SESSION is a finished session with maps on its T1, such as demo/results/sub-01/ses-01 after `make demo`; all other
pictures are of heads and labels made here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from brain_mask import whole_head
from harness.command_line import options
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tetrahedra import crop
from worlds.brain_labels import labelled_brain
from worlds.moved_heads import healthy_head, moved_head, random_motion, slab_grid
from worlds.skulled_heads import HeadShape, skulled_head

from palpate.config.ingest import IngestSettings
from palpate.config.mesh import TetrahedraSettings
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.anatomy.brain_mask import brain_mask
from palpate.imaging.anatomy.segmentation import Segmentation
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.nifti import voxel_indices
from palpate.imaging.registration.register import register
from palpate.meshing.conforming.cubes import label_cubes
from palpate.meshing.conforming.kuhn import kuhn_split
from palpate.meshing.conforming.mesher import LEAST_ANGLE_DEG, mesh_labels
from palpate.meshing.conforming.picture import cut_polygons
from palpate.meshing.conforming.polish import fit_volumes, smooth_stairs
from palpate.meshing.conforming.quality import dihedral_angles_deg
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.transfer import overlap

SETTINGS: Final = TetrahedraSettings(edge_mm=2.5)
INGEST: Final = IngestSettings()
COLOURS: Final = {1: "#c9ced6", 2: "#3d7ea6", 3: "#d9773f", 4: "#7a2e1d", 5: "#f1ead8"}
_DPI: Final = 90
_BESIDE: Final = 20
"""Number of voxels of the T1 shown around the maps."""

type Values = NDArray[np.float64]


def draw_mask(path: Path) -> None:
    """Draw the masks by magnitude and by atlas on a head with scalp, neck and eyes."""
    grid = whole_head()
    head = skulled_head(load_atlas(), grid, HeadShape(seed=1))
    limits = {"threshold": INGEST.mask_threshold, "opening_mm": INGEST.mask_opening_mm}
    masks = {
        "by magnitude": tissue_mask(head.image.values, grid.voxel_mm, **limits),
        "by atlas": brain_mask(head.image, threshold=INGEST.mask_threshold, where="head").mask,
    }
    figure, axes = _sheet(2, 2, (8.0, 7.4))
    middle = [int(n) for n in np.argwhere(head.brain).mean(axis=0)]
    for row, (name, mask) in zip(axes, masks.items(), strict=True):
        for place, take in zip(row, (lambda v: v[:, :, middle[2]], lambda v: v[middle[0]]), strict=True):
            _grey(place, take(head.image.values).T, flip=take(mask).shape[1] == mask.shape[2])
            place.contour(take(mask).T, [0.5], colors=["#e4572e"], linewidths=1.2)
            place.contour(take(head.brain).T, [0.5], colors=["#35c4d7"], linewidths=0.7)
        row[0].set_title(f"mask {name} (red), true brain (blue)", fontsize=10, loc="left")
    _save(figure, path)


def draw_registration(path: Path) -> None:
    """Draw the T1's outlines on the elastogram before and after registration."""
    head = healthy_head()
    generator = np.random.default_rng([5, 3])
    case = moved_head(head, slab_grid(), random_motion(generator), snr=20.0, generator=generator)
    placement = register(case.magnitude, case.tissue, case.anatomy)
    k = case.magnitude.values.shape[2] // 2
    voxels = np.moveaxis(np.indices((*case.magnitude.values.shape[:2], 1), dtype=np.float64), 0, -1)
    voxels[..., 2] = k
    points = voxels @ case.magnitude.affine_mm[:3, :3].T + case.magnitude.affine_mm[:3, 3]
    figure, axes = _sheet(1, 2, (8.0, 4.9))
    for place, name, matrix in ((axes[0, 0], "before", np.eye(4)), (axes[0, 1], "after", placement.motion.matrix_mm)):
        index = voxel_indices(case.anatomy.affine_mm, points @ matrix[:3, :3].T + matrix[:3, 3])
        seen = ndimage.map_coordinates(case.anatomy.values, np.moveaxis(index, -1, 0), order=1)[:, :, 0]
        _grey(place, case.magnitude.values[:, :, k].T)
        levels = np.percentile(seen[case.tissue[..., k]], [15.0, 60.0])
        place.contour(ndimage.gaussian_filter(seen, 0.7).T, levels, colors=["#35c4d7", "#e4572e"], linewidths=0.8)
        error_mm = float(np.sqrt(np.mean(case.errors_mm(matrix) ** 2)))
        place.set_title(f"{name}: {error_mm:.2f} mm off", fontsize=10)
    _save(figure, path)


def draw_labels(path: Path, whole: Segmentation) -> None:
    """Draw the labels of a whole brain, through the tumour."""
    figure, axes = _sheet(1, 3, (11.0, 4.2))
    middle = [int(n) for n in np.argwhere(whole.labels == 4).mean(axis=0)]
    colours = mpl.colors.ListedColormap(["white", *(COLOURS[n] for n in sorted(COLOURS))])
    for axis, place in enumerate(axes[0]):
        place.imshow(np.take(whole.labels, middle[axis], axis=axis).T, cmap=colours, vmin=0, vmax=5, origin="lower")
        place.set_axis_off()
    _legend(axes[0, 1], whole)
    _save(figure, path)


def draw_stage(path: Path, mesh: TetrahedralMesh, segmentation: Segmentation, height_mm: float, words: str) -> None:
    """Draw a cut through a mesh in the colours of its labels."""
    figure, axes = _sheet(1, 1, (6.2, 5.6))
    place = axes[0, 0]
    polygons, labels = cut_polygons(mesh, height_mm)
    faces = [COLOURS[int(label)] for label in labels]
    place.add_collection(PolyCollection(polygons, facecolors=faces, edgecolors="#444444", linewidths=0.25))
    _frame(place)
    angle = dihedral_angles_deg(mesh.points_mm, mesh.cells).min()
    place.set_title(f"{words}: {len(mesh.cells)} cells, least angle {angle:.1f} degrees", fontsize=10)
    _legend(place, segmentation)
    _save(figure, path)


def draw_quality(path: Path, meshes: dict[str, TetrahedralMesh]) -> None:
    """Draw the distribution of the smallest angle of cells, stage by stage."""
    figure, axes = _sheet(1, 1, (6.2, 3.6))
    place = axes[0, 0]
    place.set_axis_on()
    for (name, mesh), colour in zip(meshes.items(), ("#9aa3ad", "#3d7ea6", "#d9773f"), strict=True):
        least = dihedral_angles_deg(mesh.points_mm, mesh.cells).min(axis=1)
        weights = np.full(least.size, 100.0 / least.size)
        place.hist(least, bins=np.arange(0.0, 71.0, 1.0), weights=weights, histtype="step", color=colour, label=name)
    place.axvline(LEAST_ANGLE_DEG, color="#7a2e1d", lw=1.0, ls=":")
    place.set(xlabel="smallest dihedral angle of a cell, degrees", ylabel="cells, %", yscale="log")
    place.legend(frameon=False, fontsize=9, loc="upper left")
    _save(figure, path)


def draw_field(path: Path, mesh: TetrahedralMesh, segmentation: Segmentation, height_mm: float) -> None:
    """Draw a density of cells on voxels, on the mesh, and back on voxels."""
    tumour = np.isin(segmentation.labels, [3, 4]).astype(np.float64)
    density = np.clip(ndimage.gaussian_filter(tumour, 2.5), 0.0, 1.0) * (segmentation.labels > 0)
    shape = density.shape
    shared = overlap(mesh.points_mm, mesh.cells, segmentation.affine_mm, (shape[0], shape[1], shape[2]))
    nodes = shared.nodes_from_voxels(density)
    back = shared.voxels_from_nodes(nodes)
    amounts = [float((v * shared.voxel_volumes_mm3).sum()) / 1e3 for v in (density, np.nan_to_num(back))]
    k = int(np.rint(voxel_indices(segmentation.affine_mm, np.array([0.0, 0.0, height_mm]))[2]))
    figure, axes = _sheet(1, 3, (12.0, 4.0))
    corner = segmentation.affine_mm @ [-0.5, -0.5, 0.0, 1.0]
    end = segmentation.affine_mm @ [shape[0] - 0.5, shape[1] - 0.5, 0.0, 1.0]
    extent = (float(corner[0]), float(end[0]), float(corner[1]), float(end[1]))
    voxels = {"on voxels": (0, density, amounts[0]), "back on voxels": (2, back, amounts[1])}
    for name, (column, values, amount) in voxels.items():
        place = axes[0, column]
        image = place.imshow(values[:, :, k].T, origin="lower", extent=extent, cmap="magma", vmin=0.0, vmax=1.0)
        place.set_title(f"{name}: {amount:.3f} ml of cells", fontsize=10)
    polygons, cells = _cut_cells(mesh, height_mm)
    means = nodes[mesh.cells].mean(axis=1)[cells]
    place = axes[0, 1]
    shades = mpl.colormaps["magma"](means)
    place.add_collection(PolyCollection(polygons, facecolors=shades, edgecolors="#777777", linewidths=0.15))
    place.set(xlim=sorted(extent[:2]), ylim=sorted(extent[2:]), aspect="equal")
    amount = float((nodes * shared.node_volumes_mm3).sum()) / 1e3
    place.set_title(f"on the mesh: {amount:.3f} ml, {nodes.min():.2f} to {nodes.max():.2f}", fontsize=10)
    for column in (0, 2):
        axes[0, column].set(xlim=sorted(extent[:2]), ylim=sorted(extent[2:]))
    figure.colorbar(image, ax=axes.ravel().tolist(), shrink=0.8, label="density of cells")
    _save(figure, path)


def draw_overlay(path: Path, session: Path) -> None:
    """Draw the mean stiffness and its standard deviation on the T1."""
    anatomy = read_map(sorted((session / "wavefield").glob("*_T1w.nii.gz"))[0]).values
    maps = [
        read_map(sorted((session / "anat").glob(f"*_space-T1w_stat-{name}_storagemodulus.nii.gz"))[0]).values
        for name in ("mean", "std")
    ]
    k = int(np.isfinite(maps[0]).sum(axis=(0, 1)).argmax())
    covered = np.argwhere(np.isfinite(maps[0][:, :, k]))
    first, last = np.maximum(covered.min(axis=0) - _BESIDE, 0), covered.max(axis=0) + _BESIDE
    part = (slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1])), k)
    figure, axes = _sheet(1, 3, (11.0, 3.9))
    names = ("T1", "G', mean", "G', standard deviation")
    for place, values, name, colours in zip(axes[0], (None, *maps), names, ("", "viridis", "magma"), strict=True):
        _grey(place, anatomy[part].T)
        place.set_title(name, fontsize=10)
        if values is not None:
            image = place.imshow(values[part].T, cmap=colours, vmin=0.0, vmax=float(np.nanpercentile(values, 99.0)))
            figure.colorbar(image, ax=place, shrink=0.8, label="kPa")
    _save(figure, path, few_colours=False)


def main() -> None:
    """Draw all pictures."""
    chosen = options(__doc__, "session")
    folder = chosen.out
    draw_mask(folder / "anatomy_mask.png")
    draw_registration(folder / "anatomy_registration.png")
    whole = labelled_brain("tissues")
    draw_labels(folder / "anatomy_labels.png", whole)
    part = crop(whole)
    cubes = label_cubes(part, SETTINGS, "labels")
    lattice = kuhn_split(cubes.labels, cubes.affine_mm, part.names)
    smooth = fit_volumes(smooth_stairs(lattice, 15.0, SETTINGS.edge_mm), part.volumes_mm3, 15.0)
    final = mesh_labels(part, SETTINGS).mesh
    stages = {"lattice": lattice, "smoothed lattice": smooth, "remeshed": final}
    middle = np.argwhere(part.labels == 4).mean(axis=0)
    height_mm = float((part.affine_mm @ [*middle, 1.0])[2]) + 0.31
    for name, mesh in stages.items():
        draw_stage(folder / f"anatomy_{name.replace(' ', '_')}.png", mesh, part, height_mm, name)
    draw_quality(folder / "anatomy_quality.png", stages)
    draw_overlay(folder / "anatomy_stiffness_on_t1.png", chosen.source)
    draw_field(folder / "anatomy_field.png", final, part, height_mm)


def _cut_cells(mesh: TetrahedralMesh, height_mm: float) -> tuple[list[Values], NDArray[np.int64]]:
    """Return polygons of a cut, and the cells that they are of."""
    numbered = TetrahedralMesh(
        mesh.points_mm,
        mesh.cells,
        np.arange(len(mesh.cells)),
        {n: str(n) for n in range(len(mesh.cells))},
    )
    return cut_polygons(numbered, height_mm)


def _sheet(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, NDArray[np.object_]]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.ravel():
        place.set_axis_off()
    return figure, axes


def _grey(place: Axes, values: Values, *, flip: bool = False) -> None:
    place.imshow(values, cmap="gray", vmax=float(np.percentile(values, 99.5)), origin="lower" if flip else "upper")


def _frame(place: Axes) -> None:
    place.autoscale_view()
    place.set_aspect("equal")


def _legend(place: Axes, segmentation: Segmentation) -> None:
    names = {**segmentation.names, 1: "grey matter"}
    keys = [Patch(color=COLOURS[label], label=names[label]) for label in sorted(segmentation.names)]
    place.legend(handles=keys, frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=5)


def _save(figure: Figure, path: Path, *, few_colours: bool = True) -> None:
    """Save a PNG; one of few colours is a third as large, which colour maps do not bear."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI)
    image = Image.open(drawn).convert("RGB")
    if few_colours:
        image = image.quantize(128, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


if __name__ == "__main__":
    main()
