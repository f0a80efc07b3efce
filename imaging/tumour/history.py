"""A patient's tumour from the first scan to the last, on one grid: all that a calibration may know.

Made by reading the rows of a subject in sessions.tsv; the twin turns it into a likelihood. Volumes are on the grid of
the first scan of the tumour, days count from that scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

ENHANCING: Final = 1
NON_ENHANCING: Final = 2
"""Oedema and infiltration: bright on FLAIR, no contrast agent."""
NECROTIC: Final = 3
CAVITY: Final = 4
"""Where tissue was resected."""
VISIBLE: Final = (ENHANCING, NON_ENHANCING, NECROTIC)
"""Regions that are tumour."""


@dataclass(frozen=True, slots=True)
class TumourScan:
    """What the images of one date say.

    Attributes:
        day: since the first scan.
        cellularity: estimated density of tumour cells, relative to the capacity theta, shape (i, j, k); NaN where it
            was not measured.
        cellularity_std: standard deviation of its error by voxel, same shape.
        roi: 0 or one of the regions above, shape (i, j, k).
        drawn: whether somebody drew regions; where all of `roi` is 0 they then say that nothing is visible, which is
            data, and else that nobody looked, which is none.
        offset: where the values of each voxel were seen, from its middle and in voxels along the axes, shape
            (i, j, k, 3); None for scans on this grid. Values are those of the nearest voxel of the date's own images:
            interpolating them would flatten peaks and, at the border of what was measured, know one side only.
        misplaced_mm: uncertainty of the registration to the first scan; None where nobody measured it.
    """

    day: float
    cellularity: Values
    cellularity_std: Values
    roi: NDArray[np.uint8]
    drawn: bool = False
    offset: NDArray[np.float32] | None = None
    misplaced_mm: float | None = None

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """Where regions of tumour are drawn, cavities not among them, shape (i, j, k)."""
        return np.isin(self.roi, VISIBLE)

    @property
    def marked(self) -> bool:
        """Whether this date's regions are known, be it that there are none."""
        return self.drawn or bool(self.roi.any())


@dataclass(frozen=True, slots=True)
class Irradiation:
    """One fraction of radiotherapy.

    Attributes:
        day: since the first scan.
        dose_gy: on the grid, shape (i, j, k).
    """

    day: float
    dose_gy: Values


@dataclass(frozen=True, slots=True)
class DrugDose:
    """One dose of a drug.

    Attributes:
        day: since the first scan.
        drug: its name in lower case, as in the configuration's table of drugs.
        amount_mg: how much.
    """

    day: float
    drug: str
    amount_mg: float


@dataclass(frozen=True, slots=True)
class Surgery:
    """One resection.

    Attributes:
        day: since the first scan.
        removed: what was taken out, shape (i, j, k).
    """

    day: float
    removed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stiffness:
    """Storage modulus on the grid, as joint draws from the inversion's posterior.

    Attributes:
        draws_pa: G', shape (draws, i, j, k); NaN outside the inverted region.
    """

    draws_pa: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TumourHistory:
    """Everything known of a tumour.

    Attributes:
        subject: BIDS label.
        affine_mm: voxel indices to world RAS, shape (4, 4).
        tissue: where cells may live: brain without CSF, shape (i, j, k).
        white: share of white matter in tissue, 0 to 1, shape (i, j, k).
        scans: in order of their days, the first on day 0.
        irradiations: in order.
        drug_doses: in order.
        surgeries: in order.
        stiffness: this patient's; None where no MRE was made.
    """

    subject: str
    affine_mm: Values
    tissue: NDArray[np.bool_]
    white: Values
    scans: tuple[TumourScan, ...]
    irradiations: tuple[Irradiation, ...] = ()
    drug_doses: tuple[DrugDose, ...] = ()
    surgeries: tuple[Surgery, ...] = ()
    stiffness: Stiffness | None = None

    @property
    def edges_mm(self) -> Values:
        """Edges of a voxel, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))
