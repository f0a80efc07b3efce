"""Scores of findings: what is true, false, found and overstated, against truths made for it."""

from __future__ import annotations

import numpy as np
import pytest
from scores.finding_score import PatientScore, Truth, score

from palpate.config.findings import FindingsSettings
from tests.imaging.posterior_draws import posterior
from tests.imaging.test_findings import ball, planted

SETTINGS = FindingsSettings()
KNOWN = posterior(planted(), 0.05, seed=1, count=39)
LESION = ball((4.0, 5.0, 5.0), 3.0) >= 0.5


def scored(truth_kpa: np.ndarray, lesion: np.ndarray = LESION) -> PatientScore:
    return score("one", KNOWN.run, KNOWN.draws, Truth(truth_kpa, lesion), SETTINGS)


def test_the_truth_scores_as_true() -> None:
    """The field that the draws are about: the finding is true in every voxel, and the ball is found with its size."""
    patient = scored(KNOWN.truth_kpa)
    (one,) = patient.findings
    assert (one.kind, one.lesion_share, one.true_share_beyond) == ("stiff", 1.0, 1.0)
    assert not one.false(SETTINGS.factor)
    assert one.ratio is not None
    assert one.mean_kpa.held
    assert one.ratio.held
    assert patient.lesion is not None
    assert patient.lesion.found
    assert patient.lesion.diameter_mm == pytest.approx(12.0, rel=0.05)


def test_tissue_of_one_stiffness_makes_a_finding_false() -> None:
    """Nothing is stiffer in truth: the finding is false, no interval holds, and the mean is twice the truth."""
    (one,) = scored(np.full(LESION.shape, 2.5), np.zeros_like(LESION)).findings
    assert one.false(SETTINGS.factor)
    assert one.true_share_beyond == 0.0
    assert one.ratio is not None
    assert not one.ratio.held
    assert one.overstated == pytest.approx(0.9, abs=0.2)
    assert one.extent_ml.truth == 0.0


def test_a_lesion_elsewhere_is_not_found() -> None:
    """A finding does not stand for a lesion that it does not touch."""
    elsewhere = ball((9.0, 2.0, 2.0), 1.5) >= 0.5
    patient = scored(KNOWN.truth_kpa * np.where(elsewhere, 1.5, 1.0), elsewhere)
    assert patient.lesion is not None
    assert not patient.lesion.found
    assert patient.lesion.contrast > 1.2
