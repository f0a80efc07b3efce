"""Regions of findings: connected parts of the excursion sets, with their neighbourhoods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.config.findings import FindingsSettings
from palpate.imaging.findings.excursion import Excursions, Sign
from palpate.imaging.findings.finding import Kind
from palpate.imaging.findings.neighbourhood import Neighbourhood
from palpate.imaging.findings.reference import RelativeStiffness

SIGNS: Final[dict[Kind, Sign]] = {"stiff": 1, "soft": -1}
"""Side of the reference on which each kind of finding lies."""
FEWEST_AROUND: Final = 20
"""Least number of voxels of surroundings with which a region is compared."""
_TOUCHING: Final = np.ones((3, 3, 3), dtype=np.bool_)
"""Neighbours of a voxel in a region: by faces, edges and corners."""


@dataclass(frozen=True, slots=True)
class Region:
    """Connected part of an excursion set, and its neighbourhood.

    Attributes:
        kind: kind of the finding.
        mask: its voxels, shape (i, j, k).
        around: neighbourhood on the grid.
        surroundings: informed voxels around it that belong to no excursion set, shape (i, j, k).
    """

    kind: Kind
    mask: NDArray[np.bool_]
    around: Neighbourhood
    surroundings: NDArray[np.bool_]

    @property
    def masks(self) -> tuple[NDArray[np.bool_], ...]:
        """Mask of the region, and that of its surroundings where these are enough voxels to compare with."""
        enough = np.count_nonzero(self.surroundings) >= FEWEST_AROUND
        return (self.mask, self.surroundings) if enough else (self.mask,)


def regions_of(relative: RelativeStiffness, settings: FindingsSettings) -> Iterator[Region]:
    """Yield the regions of a map that are large and informed enough, stiff ones first, the largest first.

    Args:
        relative: stiffness over its reference, in each draw.
        settings: settings of the search.
    """
    threshold = float(np.log(settings.factor))
    excursions = Excursions.of(relative.values)
    sets = {kind: relative.mask(excursions.joint_set(sign, threshold, settings.level)) for kind, sign in SIGNS.items()}
    elsewhere = relative.mask(relative.informed) & ~np.logical_or.reduce(list(sets.values()))
    for kind, joint in sets.items():
        for mask in _pieces(joint, relative, settings):
            around = Neighbourhood.around(mask, relative.affine_mm, settings.gap_mm + settings.shell_mm)
            yield Region(kind, mask, around, around.shell(elsewhere, settings.gap_mm, settings.shell_mm))


def _pieces(
    joint: NDArray[np.bool_], relative: RelativeStiffness, settings: FindingsSettings
) -> Iterator[NDArray[np.bool_]]:
    """Yield the connected pieces of a set that are large and informed enough, the largest first."""
    pieces, count = ndimage.label(joint, structure=_TOUCHING)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    informed = np.bincount(pieces[relative.mask(relative.informed)], minlength=count + 1)[1:]
    shown = (sizes * relative.voxel_ml >= settings.least_volume_ml) & (
        informed >= settings.least_informed_share * sizes
    )
    for number in np.argsort(-sizes, kind="stable"):
        if shown[number]:
            yield pieces == number + 1
