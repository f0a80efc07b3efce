"""Findings of a map compared with its truth: intervals, false findings, and whether a lesion is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.findings import FindingsSettings
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.findings.find import findings
from palpate.imaging.findings.finding import Finding, Kind
from palpate.imaging.findings.neighbourhood import Neighbourhood
from palpate.imaging.findings.reference import true_relative
from palpate.imaging.findings.regions import SIGNS
from palpate.imaging.region_values.averages import JointDraws

SHARE: Final = 0.5
"""Share of a finding within a lesion, or of the lesion within the finding, from which the lesion is found."""


@dataclass(frozen=True, slots=True)
class FigureAndTruth:
    """One figure of a finding and its truth.

    Attributes:
        mean: posterior mean.
        lower: lower end of the 95 % interval.
        upper: upper end of the 95 % interval.
        truth: true value.
    """

    mean: float
    lower: float
    upper: float
    truth: float

    @property
    def held(self) -> bool:
        """Whether the interval holds the truth."""
        return self.lower <= self.truth <= self.upper


@dataclass(frozen=True, slots=True)
class FindingScore:
    """One finding and its truth.

    Attributes:
        kind: "stiff" or "soft".
        volume_ml: volume, millilitres.
        mean_kpa: mean stiffness, kPa.
        ratio: ratio to the surroundings; None without surroundings.
        extent_ml: volume of what lies beyond the threshold, millilitres.
        true_ratio_to_reference: true mean over the true reference.
        true_share_beyond: share of its voxels that lie beyond the threshold in truth.
        lesion_share: share of its voxels that lie in the lesion.
    """

    kind: Kind
    volume_ml: float
    mean_kpa: FigureAndTruth
    ratio: FigureAndTruth | None
    extent_ml: FigureAndTruth
    true_ratio_to_reference: float
    true_share_beyond: float
    lesion_share: float

    def false(self, factor: float) -> bool:
        """Return whether its true mean is not beyond the threshold."""
        return self.true_ratio_to_reference ** SIGNS[self.kind] <= factor

    @property
    def overstated(self) -> float:
        """Error of the mean away from the reference, as a share of the truth."""
        return float((self.mean_kpa.mean / self.mean_kpa.truth) ** SIGNS[self.kind] - 1.0)


@dataclass(frozen=True, slots=True)
class LesionScore:
    """Lesion of a patient.

    Attributes:
        diameter_mm: diameter of the ball of its volume, mm.
        contrast: its true mean over that of its surroundings.
        found: whether a finding of its kind shows it.
    """

    diameter_mm: float
    contrast: float
    found: bool


@dataclass(frozen=True, slots=True)
class PatientScore:
    """Findings of one patient.

    Attributes:
        name: patient.
        tissue_ml: volume of the map, millilitres.
        informed_share: share of informed voxels.
        findings: scores of the findings.
        lesion: the lesion; None without one.
    """

    name: str
    tissue_ml: float
    informed_share: float
    findings: tuple[FindingScore, ...]
    lesion: LesionScore | None

    def as_record(self) -> dict[str, object]:
        """Return the scores as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrueStiffness:
    """Truth of a patient on the voxels of the maps.

    Attributes:
        stiffness_kpa: true stiffness of the kind that the settings compare, kPa, shape (i, j, k).
        lesion: voxels of the lesion, shape (i, j, k); none set without a lesion.
    """

    stiffness_kpa: NDArray[np.float64]
    lesion: NDArray[np.bool_]


def score(
    name: str, run: StiffnessMaps, draws: JointDraws, truth: TrueStiffness, settings: FindingsSettings
) -> PatientScore:
    """Search a map for findings and compare them with the truth.

    Args:
        name: patient.
        run: posterior of the patient.
        draws: its joint draws.
        truth: truth on its voxels.
        settings: settings of the search.
    """
    found = findings(run, draws, settings)
    true = _TrueField(run, truth, draws.voxels, settings)
    return PatientScore(
        name=name,
        tissue_ml=len(draws.voxels) * true.voxel_ml,
        informed_share=float(run.informed[tuple(draws.voxels.T)].mean()),
        findings=tuple(true.score(one) for one in found),
        lesion=true.lesion(found),
    )


class _TrueField:
    """Truth in the terms of findings."""

    def __init__(
        self, run: StiffnessMaps, truth: TrueStiffness, voxels: NDArray[np.int32], settings: FindingsSettings
    ) -> None:
        self._truth, self._settings = truth, settings
        self._relative = true_relative(run, truth.stiffness_kpa, voxels)
        self.voxel_ml = self._relative.voxel_ml

    def score(self, found: Finding) -> FindingScore:
        """Return the score of one finding."""
        inside_kpa = self._truth.stiffness_kpa[found.mask]
        ratio = inside_kpa.mean() / self._truth.stiffness_kpa[found.surroundings].mean() if found.ratio else np.nan
        threshold, sign = float(np.log(self._settings.factor)), SIGNS[found.kind]
        reach_mm = self._settings.gap_mm + self._settings.shell_mm
        around = Neighbourhood.around(found.mask, self._relative.affine_mm, reach_mm)
        (extent,) = around.extents(self._relative.values, self._relative.places, sign, threshold, reach_mm)
        relative = self._relative.values[0, self._relative.places[found.mask]]
        reference_kpa = float(np.exp(np.log(inside_kpa) - relative)[0])
        return FindingScore(
            kind=found.kind,
            volume_ml=found.volume_ml,
            mean_kpa=_figure(found.mean_kpa, float(inside_kpa.mean())),
            ratio=None if found.ratio is None else _figure(found.ratio, float(ratio)),
            extent_ml=_figure(found.extent_ml, float(extent) * self.voxel_ml),
            true_ratio_to_reference=float(inside_kpa.mean()) / reference_kpa,
            true_share_beyond=float((sign * relative > threshold).mean()),
            lesion_share=float(self._truth.lesion[found.mask].mean()),
        )

    def lesion(self, found: Sequence[Finding]) -> LesionScore | None:
        """Return the score of the lesion, if there is one in the map."""
        inside = self._truth.lesion & (self._relative.places >= 0)
        if not inside.any():
            return None
        around = Neighbourhood.around(inside, self._relative.affine_mm, 10.0)
        shell = around.shell(self._relative.places >= 0, 0.0, 10.0)
        contrast = float(self._truth.stiffness_kpa[inside].mean() / self._truth.stiffness_kpa[shell].mean())
        volume_mm3 = 1e3 * self.voxel_ml * np.count_nonzero(inside)
        kind = "stiff" if contrast > 1.0 else "soft"
        shown = any(_shows(one.mask, inside) for one in found if one.kind == kind)
        return LesionScore(float(np.cbrt(6.0 * volume_mm3 / np.pi)), contrast, shown)


def _shows(finding: NDArray[np.bool_], lesion: NDArray[np.bool_]) -> bool:
    both = np.count_nonzero(finding & lesion)
    return bool(both >= SHARE * min(np.count_nonzero(finding), np.count_nonzero(lesion)))


def _figure(found: DrawSummary, truth: float) -> FigureAndTruth:
    return FigureAndTruth(found.mean, found.lower, found.upper, truth)
