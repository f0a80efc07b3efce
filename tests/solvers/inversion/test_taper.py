"""Weights around a threshold pass from nothing to all without a jump."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.solvers.inversion.prior.taper import BAND, foot, root_weight


def test_weights_rise_continuously_around_the_threshold() -> None:
    """Zero up to the foot, a half at the threshold, one from BAND times the foot on; steps are as small as values'."""
    threshold, fine = 0.03, 1.0 + 1e-3
    values = threshold * fine ** np.arange(-1000, 1001)
    found = root_weight(values, threshold)
    assert root_weight(np.array([threshold]), threshold) == pytest.approx(0.5)
    assert np.all(found[values <= foot(threshold)] == 0.0)
    assert np.all(found[values >= 1.001 * BAND * foot(threshold)] == 1.0)
    assert np.diff(found).min() >= 0.0
    assert np.diff(found).max() <= 1.001 * np.log(fine) / np.log(BAND)


def test_what_is_not_positive_has_no_weight() -> None:
    """Eigenvalues of what data do not see are rounding, of either sign."""
    assert np.array_equal(root_weight(np.array([-1.0, 0.0]), 0.03), [0.0, 0.0])
