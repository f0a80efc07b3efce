"""Finding: a stiff or soft region, with its place and its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.draw_summary import DrawSummary

type Kind = Literal["stiff", "soft"]
type Side = Literal["left", "right", "midline", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Stiff or soft region found from joint draws.

    Attributes:
        number: number from 1 on, among all findings of a map.
        kind: "stiff" or "soft".
        mask: voxels of the region, shape (i, j, k).
        surroundings: voxels around it with which it is compared, shape (i, j, k).
        centre_mm: mean of the centres of its voxels, world R A S millimetres, shape (3,).
        place_mm: centre of its voxel nearest to that, to which a viewer goes, world R A S millimetres, shape (3,).
        side: side of the patient on which the centre lies, seen from the mid-plane of the planning image; "unknown"
            where there is none.
        region: name of the label that most of its voxels have; empty where there is none.
        volume_ml: volume of its voxels, millilitres.
        extent_ml: volume, millilitres, of what lies beyond the threshold and is connected with the region.
        mean_kpa: mean stiffness over its voxels, kPa.
        ratio: mean over the mean of the surroundings; None where these are too few voxels.
        probability: probability that all of its voxels lie beyond the threshold, a share of draws.
        informed_share: share of informed voxels.
        draws: number of draws behind all figures.
        quantity: stiffness that was compared: "storage_modulus" or "magnitude".
        calibrated: whether measured intervals of the ratio hold the truth often enough.
        sentence: accuracy of the figures, as measured on simulated patients, in words.
    """

    number: int
    kind: Kind
    mask: NDArray[np.bool_] = field(repr=False)
    surroundings: NDArray[np.bool_] = field(repr=False)
    centre_mm: NDArray[np.float64]
    place_mm: NDArray[np.float64]
    side: Side
    region: str
    volume_ml: float
    extent_ml: DrawSummary
    mean_kpa: DrawSummary
    ratio: DrawSummary | None
    probability: float
    informed_share: float
    draws: int
    quantity: Literal["storage_modulus", "magnitude"]
    calibrated: bool
    sentence: str

    @property
    def name(self) -> str:
        """Name for tables, labels and files, such as "stiff-1"."""
        return f"{self.kind}-{self.number}"

    @property
    def probability_stiffer(self) -> float | None:
        """Probability that its mean exceeds that of the surroundings, a share of draws; None without surroundings."""
        return None if self.ratio is None else float((self.ratio.values > 1.0).mean())
