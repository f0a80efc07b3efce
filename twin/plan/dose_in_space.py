"""Relative dose of a plan in space, for the tumour by radius and for the hottest volume of each organ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.limits import LimitsSettings, OrganLimit
from palpate.errors import InputError
from palpate.imaging.files.nifti import Volume, voxel_indices, voxel_volume_ml
from palpate.imaging.regions.read import read_region
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.tumour.dose import read_dose
from palpate.imaging.tumour.history import Irradiation, TumourHistory
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.twin.plan.organ_dose import OrganDose, relative_at
from palpate.twin.rungs.from_history import regimen, seen_on
from palpate.twin.rungs.regimen import DatedFraction

type Values = NDArray[np.float64]

_COVERED: Final = 0.99
"""Least share of an organ in which the dose must be known."""


@dataclass(frozen=True, slots=True)
class DoseInSpace:
    """Dose of a plan over its prescription.

    Attributes:
        relative: dose over the prescription on a grid, shape (i, j, k), and its affine to the first scan's world.
        tumour: fraction of the prescription as the visible tumour gets it, by radius; its day stands for nothing.
    """

    relative: Volume
    tumour: DatedFraction

    def organ(self, limit: OrganLimit, folder: Path) -> OrganDose:
        """Return an organ with the relative dose that counts for its limit.

        Args:
            limit: limit of the organ.
            folder: folder to which its files are relative.

        Raises:
            InputError: the organ cannot be read, or its dose is not known in all of it.
        """
        region = read_region(folder / str(limit.mask or limit.contour))
        values, weights_ml = _inside(self.relative, region)
        covered_ml, whole_ml = float(weights_ml.sum()), region.shape.volume_mm3 * 1e-3
        if covered_ml < _COVERED * whole_ml:
            raise InputError(
                f"organ {limit.name}",
                found=f"dose in {covered_ml:.1f} of its {whole_ml:.1f} mL",
                expected="dose in all of an organ that has a limit",
                advice="Name an RTDOSE or NIfTI under dose that holds the whole organ, in the first scan's world.",
            )
        return OrganDose(limit, relative_at(values, weights_ml, limit.volume_ml), whole_ml)


def dose_in_space(history: TumourHistory, limits: LimitsSettings, folder: Path) -> DoseInSpace:
    """Return the relative dose of the plan.

    Args:
        history: history of the tumour on its lattice.
        limits: limits, with the file of the dose.
        folder: folder to which files are relative.

    Raises:
        InputError: the file cannot be used, or there is none and nothing is planned.
    """
    if limits.dose is not None:
        found = read_dose(folder / limits.dose.file)
        relative = Volume(found.volume.values / limits.dose.prescribed_gy, found.volume.affine_mm)
    else:
        relative = _planned(history)
    i, j, k = history.tissue.shape
    on_lattice = TumourGrid((i, j, k), history.affine_mm).interpolated(relative, outside=0.0)
    last = history.scans[-1].day
    alone = replace(history, irradiations=(Irradiation(last, on_lattice),), drug_doses=(), surgeries=())
    (fraction,) = regimen(alone).fractions
    if not fraction.dose_gy > 0.0:
        raise InputError(
            "dose",
            found="no dose in the visible tumour",
            expected="a dose that reaches it",
            advice="Check that the dose lies in the world of the first scan.",
        )
    return DoseInSpace(relative, fraction)


def _planned(history: TumourHistory) -> Volume:
    """Return the dose of the next planned fraction over its mean in the visible tumour, on the lattice."""
    last = history.scans[-1].day
    planned = [one for one in history.irradiations if one.day >= last]
    if not planned:
        raise InputError(
            "dose",
            found="no dose, and no planned fraction in the patient's history",
            expected="a dose in space, by which organs and tumour can be told apart",
            advice="Name an RTDOSE or NIfTI file under dose, with prescribed_gy.",
        )
    dose = planned[0].dose_gy
    return Volume(dose / float(dose[seen_on(history, last)].mean()), history.affine_mm)


def _inside(relative: Volume, region: DrawnRegion) -> tuple[Values, Values]:
    """Return relative dose and volume in mL of the voxels of the dose that a region holds, shape (n,) each."""
    affine = relative.affine_mm
    corners = np.array(np.meshgrid(*region.shape.box_mm.T, indexing="ij")).reshape(3, -1).T
    index = voxel_indices(affine, corners)
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, relative.values.shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, relative.values.shape)
    grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1).reshape(-1, 3)
    shares = region.shape.shares(grid @ affine[:3, :3].T + affine[:3, 3]) if len(grid) else np.zeros(0)
    kept = shares > 0.0
    return relative.values[tuple(grid[kept].T)].astype(np.float64), shares[kept] * voxel_volume_ml(affine)
