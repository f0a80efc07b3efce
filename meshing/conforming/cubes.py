"""Lattice of cubes with one label each: volumes are kept, no label is pinched, labels that are too thin are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.mesh import TetrahedraSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import Segmentation
from palpate.meshing.conforming.composed import compose
from palpate.meshing.conforming.lattice import MeshLattice, lattice_of, vote
from palpate.meshing.conforming.sizes import wave_limit_mm

_ROUNDS = 3
"""Number of votes. After each, the targets make up for the cubes that a label lost when pinched places were mended;
the best vote is kept."""

_LEAST_KEPT = 0.5
"""Smallest share of a label's voxels that must lie in its own cubes: a sheet half as thick as a cube keeps less."""

_LARGEST_LOSS = 0.02
"""Largest share of a label's voxels that may be in pieces without any cube."""

_BYTES_PER_CUBE = 15_000
"""Peak memory for each cube with a label, bytes: six tetrahedra, MMG's own included (measured, decision 0040)."""

_NEIGHBOURS = ndimage.generate_binary_structure(3, 3)


@dataclass(frozen=True, slots=True)
class Cubes:
    """Lattice of cubes with one label each.

    Attributes:
        labels: label of each cube, 0 for none, shape (i, j, k).
        affine_mm: cube indices to world RAS millimetres of the centres, shape (4, 4).
        pinched: number of places where a label touches itself across an edge or corner only.
        crumbs: number of voxels of each label in pieces smaller than a cube that no cube represents.
    """

    labels: NDArray[np.int64]
    affine_mm: NDArray[np.float64]
    pinched: int
    crumbs: Mapping[int, int]


def label_cubes(segmentation: Segmentation, settings: TetrahedraSettings, where: str) -> Cubes:
    """Return cubes of the settings' edge length that represent a segmentation.

    Args:
        segmentation: labels of voxels and their names.
        settings: edge length of the cubes, and the memory that may be used.
        where: the file that errors name.

    Raises:
        InputError: the mesh would be too large; a modulus names no label; a label is thinner than a cube, or loses a
            piece.
    """
    _demand_known_names(segmentation, settings)
    _demand_memory(segmentation, settings, where)
    numbers = np.array(sorted(segmentation.names))
    compact = np.zeros(segmentation.labels.shape, dtype=np.int16)
    for position, number in enumerate(numbers, start=1):
        compact[segmentation.labels == number] = position
    lattice = lattice_of(compact, len(numbers), segmentation.affine_mm, settings.edge_mm)
    composed, pinched = _composed(lattice)
    at_voxels = _labels_at_voxels(composed, lattice.affine_mm, segmentation)
    crumbs = {
        int(number): _missed(segmentation, compact == position, at_voxels == position, int(number), settings, where)
        for position, number in enumerate(numbers, start=1)
    }
    return Cubes(np.concatenate([[0], numbers])[composed], lattice.affine_mm, pinched, crumbs)


def _composed(lattice: MeshLattice) -> tuple[NDArray[np.int16], int]:
    """Return cubes of the vote whose worst volume is best, and the pinched places left in them."""
    found: list[tuple[float, NDArray[np.int16], int]] = []
    targets = lattice.targets.copy()
    for _ in range(_ROUNDS):
        chosen, offsets = vote(lattice, targets)
        cubes, pinched = compose(chosen, lattice.scores + offsets[:, None, None, None].astype(np.float32))
        lack = lattice.targets - np.bincount(cubes.ravel(), minlength=len(targets))
        found.append((float(np.abs(lack[1:] / lattice.targets[1:]).max()), cubes, pinched))
        targets += lack
    _, cubes, pinched = min(found, key=lambda one: one[0])
    return cubes, pinched


def _demand_memory(segmentation: Segmentation, settings: TetrahedraSettings, where: str) -> None:
    """Refuse what would not fit: elements are as long as the cubes, or shorter where waves are."""
    lengths_mm = {
        number: min(settings.edge_mm, wave_limit_mm(settings, name) or np.inf)
        for number, name in segmentation.names.items()
    }
    elements = sum(volume / lengths_mm[number] ** 3 for number, volume in segmentation.volumes_mm3.items())
    needed_mb = elements * _BYTES_PER_CUBE / 1e6
    if needed_mb <= settings.largest_memory_mb:
        return
    shortest = min(lengths_mm, key=lambda number: lengths_mm[number])
    if lengths_mm[shortest] < settings.edge_mm:
        words = f"elements of {lengths_mm[shortest]:.2g} mm for the waves in {segmentation.names[shortest]!r}"
        advice = "Ask for fewer elements_per_wavelength, a lower frequency_hz, or allow more memory."
    else:
        fitting_mm = settings.edge_mm * (needed_mb / settings.largest_memory_mb) ** (1 / 3)
        words = f"{elements:.0f} cubes of {settings.edge_mm:g} mm"
        advice = f"Use edge_mm = {np.ceil(10 * fitting_mm) / 10:g} or more, or allow more memory."
    raise InputError(
        where,
        found=f"{words}, which need about {needed_mb:.0f} MB",
        expected=f"at most largest_memory_mb = {settings.largest_memory_mb:g}",
        advice=advice,
    )


def _demand_known_names(segmentation: Segmentation, settings: TetrahedraSettings) -> None:
    """Refuse a modulus of a tissue that is not there: without an error it would have no effect, unnoticed."""
    unknown = sorted(set(settings.modulus_kpa) - set(segmentation.names.values()))
    if unknown:
        raise InputError(
            "tetrahedra.modulus_kpa",
            found=f"a modulus for {unknown[0]!r}",
            expected=f"names of labels: {', '.join(sorted(segmentation.names.values())[:8])}",
            advice="Correct the name, or leave it out.",
        )


def _labels_at_voxels(
    cubes: NDArray[np.int16], affine_mm: NDArray[np.float64], segmentation: Segmentation
) -> NDArray[np.int16]:
    """Label of the cube that holds each voxel's centre, shape of the voxels; the axes of both are parallel."""
    to_cubes = np.linalg.inv(affine_mm) @ segmentation.affine_mm
    index = [
        np.rint(to_cubes[axis, axis] * np.arange(extent) + to_cubes[axis, 3]).astype(int)
        for axis, extent in enumerate(segmentation.labels.shape)
    ]
    inside = [(one >= 0) & (one < extent) for one, extent in zip(index, cubes.shape, strict=True)]
    taken = cubes[np.ix_(*(np.clip(one, 0, extent - 1) for one, extent in zip(index, cubes.shape, strict=True)))]
    i, j, k = inside
    return np.asarray(np.where(i[:, None, None] & j[:, None] & k, taken, 0))


def _missed(
    segmentation: Segmentation,
    voxels: NDArray[np.bool_],
    meshed: NDArray[np.bool_],
    number: int,
    settings: TetrahedraSettings,
    where: str,
) -> int:
    """Return voxels of one label in pieces without a cube, all of them smaller than one.

    Raises:
        InputError: most of the label lies outside its cubes, or pieces that matter have none.
    """
    total = int(np.count_nonzero(voxels))
    advice = f"Use elements smaller than edge_mm = {settings.edge_mm:g}, or merge the label with its neighbour."
    kept = int(np.count_nonzero(voxels & meshed)) / total
    middle = np.argwhere(voxels)[total // 2]
    pieces, count = ndimage.label(voxels, structure=_NEIGHBOURS)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    met = np.bincount(pieces[meshed], minlength=count + 1)
    lost = np.flatnonzero((met == 0) & (np.arange(count + 1) > 0))
    lost_voxels = int(sizes[lost].sum())
    if kept >= _LEAST_KEPT and lost_voxels <= _LARGEST_LOSS * total:
        return lost_voxels
    if kept >= _LEAST_KEPT:
        middle = np.argwhere(pieces == lost[sizes[lost].argmax()])[0]
        found = f"{lost_voxels} of its {total} voxels in {len(lost)} pieces without an element"
    else:
        found = f"thinner than an element: {1 - kept:.0%} of its {total} voxels have no element of their own"
    at_mm = segmentation.affine_mm[:3, :3] @ middle + segmentation.affine_mm[:3, 3]
    place = ", ".join(f"{coordinate:.0f}" for coordinate in at_mm)
    raise InputError(
        where,
        found=f"label {number} {segmentation.names[number]!r} {found}, such as at RAS {place} mm",
        expected="labels as thick as an element",
        advice=advice,
    )
