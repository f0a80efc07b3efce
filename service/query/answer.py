"""Answer to a query: figures of one region of a session, as plain numbers that every format is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.quality_warning import QualityWarning

type Registration = Literal["none needed", "recorded", "not registered", "given", "own"]

RESEARCH_USE: Final = "Research use only: palpate is not a medical device, and these figures are no diagnosis."
"""Sentence that stands in every answer."""


@dataclass(frozen=True, slots=True)
class QuantityName:
    """Quantity by its names.

    Attributes:
        key: name for programs, such as "wave_speed".
        words: name with its symbol.
        unit: unit of its values; "1" for a ratio.
    """

    key: str
    words: str
    unit: str


def beyond_words(probability: float, draws: int) -> str:
    """Return a sentence where no draw or every draw has what is asked for; empty otherwise.

    Args:
        probability: share of the draws, 0 to 1.
        draws: number of draws.
    """
    if 0.0 < probability < 1.0:
        return ""
    return (
        f"{'None' if probability <= 0.0 else 'All'} of {draws} draws: {'below' if probability <= 0.0 else 'above'} "
        + (f"1/{draws}" if probability <= 0.0 else f"1 - 1/{draws}")
    )


@dataclass(frozen=True, slots=True)
class ThresholdProbability:
    """Probability that the mean over the region exceeds a threshold.

    Attributes:
        threshold_kpa: threshold, kPa.
        probability: share of the draws above it.
        error: Monte-Carlo standard error of the probability.
        draws: number of draws, whose inverse is the smallest probability that they can tell from 0.
    """

    threshold_kpa: float
    probability: float
    error: float
    draws: int

    @property
    def words(self) -> str:
        """Sentence for a probability of 0 or 1, which draws cannot tell from one beyond 1/draws; empty for others."""
        return beyond_words(self.probability, self.draws)


@dataclass(frozen=True, slots=True)
class StifferFigure:
    """Posterior of the difference of a quantity's mean between the region and another one, by joint draws.

    Attributes:
        quantity: the quantity.
        difference: posterior mean of the region's mean less that of the other region, in the quantity's unit.
        std: posterior standard deviation of the difference.
        lower: lower end of its 95 % credible interval.
        upper: upper end of its 95 % credible interval.
        lower_error: Monte-Carlo standard error of the lower end.
        upper_error: Monte-Carlo standard error of the upper end.
        probability: share of the joint draws in which the region's mean is the larger one.
        probability_error: Monte-Carlo standard error of the probability.
        draws: number of joint draws.
    """

    quantity: QuantityName
    difference: float
    std: float
    lower: float
    upper: float
    lower_error: float
    upper_error: float
    probability: float
    probability_error: float
    draws: int

    @property
    def words(self) -> str:
        """Sentence for a probability of 0 or 1, which draws cannot tell from one beyond 1/draws; empty for others."""
        return beyond_words(self.probability, self.draws)


@dataclass(frozen=True, slots=True)
class QueryFigure:
    """Posterior of the mean of a quantity over the region, in the quantity's unit.

    Attributes:
        quantity: the quantity.
        mean: posterior mean.
        std: posterior standard deviation.
        lower: lower end of the 95 % credible interval.
        upper: upper end of the 95 % credible interval.
        mean_error: Monte-Carlo standard error of the mean.
        lower_error: Monte-Carlo standard error of the lower end.
        upper_error: Monte-Carlo standard error of the upper end.
        above: probability of exceeding a threshold; None where nobody asked, or the quantity is not in kPa.
        draws: mean over the region of each joint draw, in the quantity's unit, shape (count,).
    """

    quantity: QuantityName
    mean: float
    std: float
    lower: float
    upper: float
    mean_error: float
    lower_error: float
    upper_error: float
    above: ThresholdProbability | None = None
    draws: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """Way by which the region came to the elastogram.

    Attributes:
        state: "none needed", the region is drawn in the elastogram's world; "recorded", it is drawn on the T1 and was
            carried by the registration that palpate ingest recorded; "not registered", it is drawn on the T1, which is
            taken to lie where its file says; "given", it was carried by a registration that the user named; "own", by
            palpate's own registration of the CT on which it was drawn.
        uncertainty_mm: root mean square error of the way, mm (of the recorded one over the tissue), which widens the
            intervals; None where nobody measured it.
    """

    state: Registration
    uncertainty_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Region on the voxels of a run.

    Attributes:
        voxels: indices of the n voxels that it touches, shape (n, 3).
        shares: share of each inside the region, 0 to 1, shape (n,).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """

    voxels: NDArray[np.int32]
    shares: NDArray[np.float64]
    affine_mm: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """Figures of the region in one run at one frequency.

    Attributes:
        run: label of the run, such as "sub-01_ses-01_run-1".
        frequency_hz: frequency of the vibration, hertz.
        figures: figures of each quantity.
        draws: number of joint draws.
        covered_ml: volume of the part of the region that the map covers, millilitres.
        covered_share: share of the region that the map covers, 0 to 1.
        informed_share: share of that part whose value comes mostly from this scan, 0 to 1.
        registration: way by which the region came to the elastogram.
        warnings: warnings of the session's steps, and about the region in this run.
        made: modification time of the record of the inversion; no record states when the run was inverted.
        digests: SHA-256 of what was read for this run, by its role.
        footprint: the region on the voxels of the run.
        stiffer: comparison with another region, quantity by quantity; empty where nobody asked.
    """

    run: str
    frequency_hz: float
    figures: tuple[QueryFigure, ...]
    draws: int
    covered_ml: float
    covered_share: float
    informed_share: float
    registration: RegistrationState
    warnings: tuple[QualityWarning, ...]
    made: datetime
    digests: Mapping[str, str]
    footprint: Footprint = field(repr=False, compare=False)
    stiffer: tuple[StifferFigure, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """Region that was asked for.

    Attributes:
        kind: "sphere", "NIfTI", "SEG" or "RTSTRUCT".
        name: name of words that may be repeated; empty where there is none.
        number: number of the segment or ROI; None where it has none.
        volume_ml: volume as it was drawn, millilitres.
        centre_mm: centre of a sphere, world RAS of the elastogram, mm; None for another region.
        radius_mm: radius of a sphere, mm; None for another region.
    """

    kind: str
    name: str
    number: int | None
    volume_ml: float
    centre_mm: tuple[float, float, float] | None = None
    radius_mm: float | None = None

    @property
    def title(self) -> str:
        """Name for people; the kind and number where it has no name that may be repeated."""
        return self.name or (f"region {self.number}" if self.number is not None else "region")


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a query.

    Attributes:
        subject: label of the subject in the study; empty where the files name none.
        session: label of the session; empty where the files name none.
        region: region that was asked for.
        runs: figures in each run and at each frequency that was asked for.
        versions: version of each program that took part, by its name.
        region_digest: SHA-256 of the region's file; None for a sphere.
        than: region with which it is compared; None for none.
        than_digest: SHA-256 of that region's file; None for a sphere or none.
    """

    subject: str
    session: str
    region: RegionFacts
    runs: tuple[RunAnswer, ...]
    versions: Mapping[str, str]
    region_digest: str | None = None
    than: RegionFacts | None = None
    than_digest: str | None = None

    @property
    def warnings(self) -> tuple[QualityWarning, ...]:
        """Warnings of all runs, each once."""
        return tuple(dict.fromkeys(one for run in self.runs for one in run.warnings))
