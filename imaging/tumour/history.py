"""Tumour of a patient from the first scan to the last, on one grid: everything that a calibration uses.

A history is made from the rows of a subject in sessions.tsv; the twin turns it into a likelihood. Volumes are on the
grid of the first scan of the tumour, days count from that scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.tumour.streams.value import StreamValue

type Values = NDArray[np.float64]

ENHANCING: Final = 1
"""Number of the region that takes up contrast agent."""
NON_ENHANCING: Final = 2
"""Number of the region of oedema and infiltration: bright on FLAIR, no contrast agent."""
NECROTIC: Final = 3
"""Number of the region of dead tissue."""
CAVITY: Final = 4
"""Number of the region from which tissue was resected."""
VISIBLE: Final = (ENHANCING, NON_ENHANCING, NECROTIC)
"""Regions that are tumour."""


@dataclass(frozen=True, slots=True)
class Biopsy:
    """Density of tumour cells in a sample of tissue.

    Attributes:
        point_mm: place of the sample, world RAS, mm.
        density: density of cells, relative to the capacity theta.
        std: standard deviation of its error.
    """

    point_mm: tuple[float, float, float]
    density: float
    std: float


@dataclass(frozen=True, slots=True)
class TumourScan:
    """Images of the tumour on one date.

    Attributes:
        day: days since the first scan.
        cellularity: estimated density of tumour cells, relative to the capacity theta, shape (i, j, k); NaN where it
            was not measured.
        cellularity_std: standard deviation of its error by voxel, same shape.
        roi: 0 or one of the regions above, shape (i, j, k).
        drawn: whether regions were drawn. If they were, a `roi` of zeros means that nothing is visible, which is data;
            if they were not, it means that nobody looked, which is no data.
        offset: position at which the values of each voxel were measured, from its middle and in voxels along the axes,
            shape (i, j, k, 3); None for scans on this grid. Values are those of the nearest voxel of the date's own
            images: interpolation would flatten peaks and, at the border of what was measured, use one side only.
        misplaced_mm: uncertainty of the registration to the first scan, mm; None where it was not measured.
        hypoxia: share h of the cells that are hypoxic, 0 to 1, shape (i, j, k); None where it was not measured.
        biopsies: samples of this date, in the world of the first scan.
    """

    day: float
    cellularity: Values
    cellularity_std: Values
    roi: NDArray[np.uint8]
    drawn: bool = False
    offset: NDArray[np.float32] | None = None
    misplaced_mm: float | None = None
    hypoxia: Values | None = None
    biopsies: tuple[Biopsy, ...] = ()

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """Voxels of drawn regions of tumour, without cavities, shape (i, j, k)."""
        return np.isin(self.roi, VISIBLE)

    @property
    def marked(self) -> bool:
        """Whether this date's regions are known; they may be empty."""
        return self.drawn or bool(self.roi.any())


@dataclass(frozen=True, slots=True)
class Irradiation:
    """One fraction of radiotherapy.

    Attributes:
        day: days since the first scan.
        dose_gy: dose on the grid, Gy, shape (i, j, k).
    """

    day: float
    dose_gy: Values


@dataclass(frozen=True, slots=True)
class DrugDose:
    """One dose of a drug.

    Attributes:
        day: days since the first scan.
        drug: name of the drug in lower case, as in the configuration's table of drugs.
        amount_mg: amount of the drug, mg.
    """

    day: float
    drug: str
    amount_mg: float


@dataclass(frozen=True, slots=True)
class Surgery:
    """One resection.

    Attributes:
        day: days since the first scan.
        removed: voxels that were resected, shape (i, j, k).
    """

    day: float
    removed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TumourMarkers:
    """Facts about a subject that may shift priors, from participants.tsv; None where one is not known.

    Attributes:
        mgmt: state of MGMT's promoter, "methylated" or "unmethylated".
        idh: state of IDH, "mutant" or "wildtype".
        age: age, years.
        weight_kg: weight, kg.
        creatinine_clearance_ml_min: clearance of creatinine, mL/min.
    """

    mgmt: str | None = None
    idh: str | None = None
    age: float | None = None
    weight_kg: float | None = None
    creatinine_clearance_ml_min: float | None = None


@dataclass(frozen=True, slots=True)
class StiffnessDraws:
    """Storage modulus on the grid, as joint draws from the inversion's posterior.

    Attributes:
        draws_pa: storage modulus G', pascal, shape (draws, i, j, k); NaN outside the inverted region.
    """

    draws_pa: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TumourHistory:
    """Everything known of a tumour.

    Attributes:
        subject: BIDS label.
        affine_mm: voxel indices to world RAS, shape (4, 4).
        tissue: voxels in which cells may live: brain without CSF, shape (i, j, k).
        white: share of white matter in tissue, 0 to 1, shape (i, j, k).
        scans: scans in order of their days, the first on day 0.
        irradiations: fractions in order of their days.
        drug_doses: doses of drugs in order of their days.
        surgeries: resections in order of their days.
        stiffness: stiffness of this patient; None where no MRE was made.
        streams: numbers measured beside the images, in order of their days.
        markers: facts that may shift priors; None where participants.tsv states none.
    """

    subject: str
    affine_mm: Values
    tissue: NDArray[np.bool_]
    white: Values
    scans: tuple[TumourScan, ...]
    irradiations: tuple[Irradiation, ...] = ()
    drug_doses: tuple[DrugDose, ...] = ()
    surgeries: tuple[Surgery, ...] = ()
    stiffness: StiffnessDraws | None = None
    streams: tuple[StreamValue, ...] = ()
    markers: TumourMarkers | None = None

    @property
    def edges_mm(self) -> Values:
        """Edges of a voxel, mm, shape (3,)."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))
