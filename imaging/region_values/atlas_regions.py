"""Regions of the average brain on a patient: both halves, and grey matter, white matter and fluid of each.

The atlas (ICBM152, symmetric, 2009) holds shares of tissue averaged over 152 people: a voxel counts by the share of
grey matter that these people have there, not by the patient's own tissue. Labels of the patient's T1 are better; the
atlas is there where nobody made any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import Atlas, load_atlas
from palpate.imaging.anatomy.atlas_placement import place_atlas
from palpate.imaging.files.nifti import read_volume, voxel_indices, voxel_volume_ml
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.motion import Motion, UncertainMotion, uncertain
from palpate.imaging.region_values.weights import LATTICE, SCATTERED, PosteriorVoxels, WeightedRegion
from palpate.imaging.region_values.worlds import Worlds
from palpate.imaging.registration.placement import Placement, not_moved
from palpate.quality_warning import QualityWarning

AVERAGE: Final = QualityWarning(
    "atlas-regions",
    "Regions of the atlas are those of an average brain, laid on the patient by a rigid motion and one scale.",
    "Give labels of the patient's own T1 where there are any.",
)


@dataclass(frozen=True, slots=True)
class AfterAnother:
    """Motion that follows another one.

    Attributes:
        first: the motion before.
        second: the motion after it.
    """

    first: Motion
    second: Motion

    def moved(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points lie after both motions, mm, shape (..., 3).

        Args:
            points_mm: world RAS millimetres, shape (..., 3).
        """
        return self.second.moved(self.first.moved(points_mm))


@dataclass(frozen=True, slots=True)
class LaidAtlas:
    """Atlas on a patient.

    Attributes:
        shares: share of each voxel of the atlas in each region, by its name, shape (i, j, k).
        affine_mm: voxel indices of the atlas to the world in which it was laid, mm, shape (4, 4).
        carry: motion from the elastogram to that world.
    """

    shares: Mapping[str, NDArray[np.float32]]
    affine_mm: NDArray[np.float64]
    carry: UncertainMotion

    def weighted(self, run: StiffnessMaps, draws: PosteriorVoxels) -> list[WeightedRegion]:
        """Return the share of each voxel of a posterior in each region.

        Args:
            run: posterior of one run.
            draws: its joint draws.
        """
        table = np.stack(list(self.shares.values()), axis=-1).reshape(-1, len(self.shares))
        shares = self._shares(table, run, draws.voxels, self.carry, LATTICE)
        around = [self._shares(table, run, draws.voxels, one, SCATTERED) for one in (self.carry, *self.carry.displaced)]
        of_atlas_ml = voxel_volume_ml(self.affine_mm)
        voxel_ml = voxel_volume_ml(run.affine_mm)
        return [
            WeightedRegion(
                name=name,
                number=None,
                shares=shares[:, column].copy(),
                volume_ml=float(table[:, column].sum(dtype=np.float64)) * of_atlas_ml,
                covered_ml=float(shares[:, column].sum()) * voxel_ml,
                voxel_ml=voxel_ml,
                displaced=sparse.csr_array(np.stack([one[:, column] for one in around])),
            )
            for column, name in enumerate(self.shares)
        ]

    def _shares(
        self,
        table: NDArray[np.float32],
        run: StiffnessMaps,
        voxels: NDArray[np.int32],
        motion: Motion,
        offsets: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the share of each voxel in each region under a motion, shape (N, regions)."""
        shape = next(iter(self.shares.values())).shape
        found = np.zeros((len(voxels), table.shape[1]))
        for offset in offsets:
            points_mm = motion.moved((voxels + offset) @ run.affine_mm[:3, :3].T + run.affine_mm[:3, 3])
            index = np.rint(voxel_indices(self.affine_mm, points_mm)).astype(np.intp)
            within = np.all((index >= 0) & (index < shape), axis=1)
            found[within] += table[np.ravel_multi_index(tuple(index[within].T), shape)]
        return found / len(offsets)


def lay_atlas(worlds: Worlds) -> LaidAtlas:
    """Lay the atlas on the T1 of a session, or on the magnitude where there is no T1 whose place is known.

    Args:
        worlds: images of a run.

    Raises:
        InputError: the session has neither image, or the atlas cannot be laid on it.
    """
    if worlds.image is None:
        raise InputError(
            worlds.run.label,
            found="neither a T1 whose place is known nor a magnitude",
            expected="an image of the head, on which the atlas can be laid",
            advice="Run palpate ingest with the T1 of the visit, or name labels with --labels.",
        )
    atlas = load_atlas()
    laid = place_atlas(read_volume(worlds.image), atlas, worlds.run.label)
    placement = worlds.placement if worlds.image.name.endswith("_T1w.nii.gz") else not_moved("aligned")
    return LaidAtlas(_shares_of(atlas), laid.affine_mm, one_after_another(placement, laid.placement))


def _shares_of(atlas: Atlas) -> dict[str, NDArray[np.float32]]:
    """Return the share of each voxel of the atlas in each region, by its name, shape (i, j, k)."""
    right = np.clip(0.5 + atlas.points_mm[..., 0] / np.linalg.norm(atlas.affine_mm[:3, 0]), 0.0, 1.0)
    fluid = np.clip(atlas.brain.astype(np.float64) - atlas.grey - atlas.white, 0.0, 1.0)
    brain = atlas.brain.astype(np.float64)
    tissues = {"brain": brain, "grey matter": atlas.grey, "white matter": atlas.white, "fluid": fluid}
    return {
        f"atlas {side} {name}": (inside * tissue).astype(np.float32)
        for side, inside in (("left", 1.0 - right), ("right", right))
        for name, tissue in tissues.items()
    }


def one_after_another(first: Placement, second: Placement) -> UncertainMotion:
    """Return two motions that follow one another, with the sum of their covariances about the second one's centre.

    Errors are small turns and shifts: one about another centre is the same turn with the shift that it makes there.

    Args:
        first: placement whose motion comes first.
        second: placement whose motion follows.
    """
    away = second.motion.centre_mm - first.motion.moved(first.motion.centre_mm)
    shifted = np.eye(6)
    shifted[3:, :3] = [[0.0, away[2], -away[1]], [-away[2], 0.0, away[0]], [away[1], -away[0], 0.0]]
    covariance = second.covariance + shifted @ first.covariance @ shifted.T
    last = uncertain(second.motion, covariance)
    displaced = tuple(AfterAnother(first.motion, one) for one in last.displaced)
    return UncertainMotion(AfterAnother(first.motion, last), displaced)
