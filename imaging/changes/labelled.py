"""Labelled regions of two sessions: the world in which they lie, and the part of each that both sessions cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.labels import demand_labels
from palpate.imaging.anatomy.resample import Grid
from palpate.imaging.anatomy.segmentation import read_names
from palpate.imaging.changes.places import World
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.files.nifti import StoredVolume, demand_scanner_world, read_stored, same_grid
from palpate.imaging.regions.region import DrawnRegion, Shape, VoxelShape
from palpate.imaging.registration.rigid import Rigid
from palpate.quality_warning import QualityWarning

_TABLE: Final = "labels.tsv"


@dataclass(frozen=True, slots=True)
class Labels:
    """Labelled regions and the world in which their coordinates hold.

    Attributes:
        regions: one region for each label, ascending.
        world: world of their coordinates.
        warnings: warnings about the choice of the world.
    """

    regions: tuple[DrawnRegion, ...]
    world: World
    warnings: tuple[QualityWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class CommonShape:
    """Part of a shape that the other session covers.

    Attributes:
        whole: shape as it was drawn.
        other: voxels of the other session.
        carry: motion from the shape's world to the other session's elastogram.
    """

    whole: Shape
    other: Grid
    carry: Rigid

    @property
    def volume_mm3(self) -> float:
        """Volume of the whole shape, cubic millimetres."""
        return self.whole.volume_mm3

    @property
    def box_mm(self) -> NDArray[np.float64]:
        """Lowest and highest corner of a box that holds the shape, world RAS millimetres, shape (2, 3)."""
        return self.whole.box_mm

    def shares(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far points belong to the part, 0 to 1, shape (...).

        Args:
            points_mm: points in world RAS millimetres, shape (..., 3).
        """
        inside = self.whole.shares(points_mm)
        touched = inside > 0.0
        inside[touched] *= self.other.covers(self.carry.moved(points_mm[touched]))
        return inside


def read_labels(path: Path, names: Path | None, first: ComparedSession, second: ComparedSession) -> Labels:
    """Read labels and find the world of their coordinates.

    That is the world of the image on whose voxels they are drawn. Labels on other voxels lie in the T1's world of
    session A, or in that of its elastogram where it has no T1; where they touch nothing of A, in session B's.

    Args:
        path: NIfTI of whole numbers, 0 for no region.
        names: table with the columns index and name; None for labels.tsv beside the labels, or numbers without one.
        first: session A.
        second: session B.

    Raises:
        InputError: the files are no labels and names, or the labels touch neither session.
    """
    volume = read_stored(path)
    demand_labels(path, volume)
    demand_scanner_world(path, volume, "labels")
    regions = _regions(path, volume, _names(path, names))
    sides: Sequence[tuple[ComparedSession, World, World]] = (
        (first, "T1 of A", "elastogram A"),
        (second, "T1 of B", "elastogram B"),
    )
    for session, t1, elastogram in sides:
        anatomy = session.anatomy()
        if anatomy is not None and _on(volume, anatomy.affine_mm, anatomy.values.shape):
            return Labels(regions, t1)
        if _on(volume, session.run.affine_mm, session.run.informed.shape):
            return Labels(regions, elastogram)
    for session, t1, elastogram in sides:
        anatomical = session.anatomy_path is not None
        if _touches(volume, session, session.placement.motion if anatomical else None):
            world = t1 if anatomical else elastogram
            return Labels(regions, world, (_assumed(world),))
    raise InputError(
        path,
        found="no label inside either session",
        expected="labels in the world coordinates (RAS, mm) of an elastogram or T1 of one of both sessions",
        advice="Compare the labels with the sessions' images in a viewer; they may belong to another person or visit.",
    )


def _names(path: Path, names: Path | None) -> dict[int, str]:
    beside = path.with_name(_TABLE)
    if names is None and not beside.exists():
        return {}
    return read_names(beside if names is None else names)


def _regions(path: Path, volume: StoredVolume, names: dict[int, str]) -> tuple[DrawnRegion, ...]:
    """Return a region for each label that some voxel has, on the voxels around it alone."""
    present = sorted({int(number) for slab in volume.slabs() for number in np.unique(slab)} - {0})
    if not present:
        advice = "Check the segmentation."
        raise InputError(path, found="no voxel with a label above 0", expected="at least one region", advice=advice)
    nameless = [number for number in present if names and number not in names]
    if nameless:
        raise InputError(
            path,
            found=f"labels without a name: {', '.join(map(str, nameless[:5]))}",
            expected="only labels that the table of names lists",
            advice="Add them to the table, or set their voxels to 0.",
        )
    labels = np.asarray(volume.values)
    found = []
    for number in present:
        where = labels == number
        spans = [np.flatnonzero(where.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in spans)
        affine_mm = volume.affine_mm.copy()
        affine_mm[:3, 3] += affine_mm[:3, :3] @ [one.start for one in box]
        shape = VoxelShape(StoredVolume(where[box].astype(np.uint8), affine_mm), 1.0)
        found.append(DrawnRegion(path, "NIfTI", shape, number, names.get(number, f"label {number}")))
    return tuple(found)


def _on(volume: StoredVolume, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    return volume.values.shape == shape and same_grid(volume.affine_mm, affine_mm, shape)


def _touches(volume: StoredVolume, session: ComparedSession, motion: Rigid | None) -> bool:
    """Return whether any voxel of a session has its centre in a labelled voxel."""
    affine_mm = session.run.affine_mm
    points_mm = session.draws.voxels @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    everything = VoxelShape(volume, 1.0)
    return bool(np.any(everything.shares(points_mm if motion is None else motion.moved(points_mm)) > 0.0))


def _assumed(world: World) -> QualityWarning:
    sentence = f"The labels lie on the voxels of no image of either session; their coordinates are taken as {world}'s."
    advice = "Compare the labels with that image in a viewer, or give them on its voxels."
    return QualityWarning("labels-world-assumed", sentence, advice)
