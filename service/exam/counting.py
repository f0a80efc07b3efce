"""Choice of what counts in a region, with an edge or without, and the figures of each choice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.draw_summary import FEWEST_DRAWS
from palpate.service.exam.figures import ExamFigures, exam_figures
from palpate.service.exam.region import ReportedRegion, reported_region
from palpate.service.report.session import RunView


class Counting:
    """Choice of what counts in a region, and its figures.

    Args:
        run: results of one run at one frequency.
        region: region as drawn or gated, shape (i, j, k).
        covered: voxels with a posterior, shape (i, j, k).
        least_confidence: confidence of the scanner above which a pixel counts.
    """

    def __init__(
        self, run: RunView, region: NDArray[np.bool_], covered: NDArray[np.bool_], least_confidence: float
    ) -> None:
        self.run, self.region, self.covered, self.least_confidence = run, region, covered, least_confidence
        drawn = run.stiffness.samples()
        self.samples = drawn if drawn is not None and drawn.count >= FEWEST_DRAWS else None

    @property
    def enough(self) -> bool:
        """Whether there are joint draws from which an interval follows."""
        return self.samples is not None

    def part(self, edge_mm: float, *, vessels: bool) -> ReportedRegion:
        """Return what counts.

        Args:
            edge_mm: width of the edge to leave out, mm.
            vessels: whether vessels and voids count.
        """
        pixels, grey = self.run.pixels, self.run.magnitude
        fits = grey is not None and grey.values.shape == self.region.shape
        confident = None
        if pixels is not None and pixels.confidence is not None:
            confident = pixels.shares(pixels.confident(self.least_confidence), self.region.shape)
        return reported_region(
            self.region,
            self.covered,
            np.linalg.norm(self.run.stiffness.affine_mm[:3, :3], axis=0),
            edge_mm=edge_mm,
            magnitude=grey.values.astype(np.float64) if grey is not None and fits and not vessels else None,
            confident=confident,
        )

    def figures(self, part: ReportedRegion) -> ExamFigures | None:
        """Return the figures of what counts; None where nothing does, or there are no joint draws."""
        if self.samples is None:
            return None
        return exam_figures(self.run.stiffness, self.samples, part, self.run.pixels, self.least_confidence)
