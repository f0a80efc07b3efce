"""Labels of two sessions: the world in which they lie, and the part of each that both sessions cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.anatomy.resample import grid_of
from palpate.imaging.changes.places import SessionWorld
from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.files.nifti import voxel_indices
from palpate.imaging.region_values.label_map import LabelMap, read_label_map
from palpate.imaging.registration.rigid import Rigid
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class PlacedLabels:
    """Map of labels and the world in which its coordinates hold.

    Attributes:
        labels: map of labels.
        world: world of its coordinates.
        warnings: warnings about the choice of the world.
    """

    labels: LabelMap
    world: SessionWorld
    warnings: tuple[QualityWarning, ...] = ()


def read_labels(path: Path, names: Path | None, first: ComparedSession, second: ComparedSession) -> PlacedLabels:
    """Read labels and find the world of their coordinates.

    That is the world of the image on whose voxels they are drawn. Labels on other voxels lie in the T1's world of
    session A, or in that of its elastogram where it has no T1; where they touch nothing of A, in session B's.

    Args:
        path: NIfTI of whole numbers, 0 for no region.
        names: table of names; None for one that lies beside the labels, or numbers without one.
        first: session A.
        second: session B.

    Raises:
        InputError: the files are no labels and names, or the labels touch neither session.
    """
    labels = read_label_map(path, names)
    sides: Sequence[tuple[ComparedSession, SessionWorld, SessionWorld]] = (
        (first, "T1 of A", "elastogram A"),
        (second, "T1 of B", "elastogram B"),
    )
    for session, t1, elastogram in sides:
        anatomy = session.anatomy()
        of_t1 = anatomy is not None and labels.on_grid(anatomy.affine_mm, anatomy.values.shape)
        of_elastogram = labels.on_grid(session.run.affine_mm, session.run.informed.shape)
        if (of_t1 or of_elastogram) and _touches(labels, session, session.placement.motion if of_t1 else None):
            return PlacedLabels(labels, t1 if of_t1 else elastogram)
    for session, t1, elastogram in sides:
        world = t1 if session.anatomy_path is not None else elastogram
        if _touches(labels, session, session.placement.motion if world == t1 else None):
            return PlacedLabels(labels, world, (_assumed(world),))
    raise InputError(
        path,
        found="no label inside either session",
        expected="labels in the world coordinates (RAS, mm) of an elastogram or T1 of one of both sessions",
        advice="Compare the labels with the sessions' images in a viewer; they may belong to another person or visit.",
    )


def common_part(labels: LabelMap, sessions: Sequence[ComparedSession], returned: Sequence[Rigid]) -> LabelMap:
    """Return the labels without what one of the sessions does not cover; volumes stay those of the whole labels.

    Args:
        labels: map of labels.
        sessions: both sessions.
        returned: motions from the labels' world to the elastograms of both.
    """
    where = np.nonzero(labels.labels)
    points_mm = np.stack(where, axis=-1) @ labels.affine_mm[:3, :3].T + labels.affine_mm[:3, 3]
    seen = np.ones(len(points_mm), dtype=bool)
    for session, motion in zip(sessions, returned, strict=True):
        grid = grid_of(session.draws.voxels, session.run.informed.shape, session.run.affine_mm)
        seen &= grid.covers(motion.moved(points_mm))
    left = labels.labels.copy()
    left[tuple(one[~seen] for one in where)] = 0
    return replace(labels, labels=left)


def _touches(labels: LabelMap, session: ComparedSession, motion: Rigid | None) -> bool:
    """Return whether any voxel of a session has its centre in a labelled voxel."""
    affine_mm = session.run.affine_mm
    points_mm = session.draws.voxels @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    index = np.rint(voxel_indices(labels.affine_mm, points_mm if motion is None else motion.moved(points_mm)))
    index = index.astype(np.int64)
    within: NDArray[np.bool_] = np.all((index >= 0) & (index < labels.labels.shape), axis=-1)
    return bool(np.any(labels.labels[tuple(index[within].T)] > 0))


def _assumed(world: SessionWorld) -> QualityWarning:
    sentence = f"The labels lie on the voxels of no image of either session; their coordinates are taken as {world}'s."
    advice = "Compare the labels with that image in a viewer, or give them on its voxels."
    return QualityWarning("labels-world-assumed", sentence, advice)
