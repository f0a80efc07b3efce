"""Doubts are raised where the waves contradict the model, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import palpate.solvers  # noqa: F401  # isort: skip  (loads MPI before dolfinx)
from palpate.solvers.inversion.doubts import doubts_of  # isort: skip
from palpate.solvers.inversion.noise import Noise  # isort: skip
from palpate.solvers.inversion.residuals import Residuals  # isort: skip
from palpate.solvers.inversion.slices import NO_TURNS, SliceTurns  # isort: skip

NOISE = Noise(1e-6, 1e-6, "stated")
CLEAN = Residuals(
    np.ones(1000), (0.1, 0.1, 0.0), (0.1, 0.12, 0.02), 1.0, 1.0, tuple(np.linspace(1.0, 1.15, 20)), NO_TURNS
)


def test_a_fit_to_the_noise_raises_none() -> None:
    """A flag that is always up is no flag."""
    assert doubts_of(NOISE, CLEAN, voxels=1000, outlying=1) == []


@pytest.mark.parametrize(
    ("residuals", "outlying", "word"),
    [
        (replace(CLEAN, inflations=(1.5,) * 20), 0, "1.22 times"),
        (replace(CLEAN, inflations=(1.0,) * 18 + (4.0, 4.0)), 0, "In some parts"),
        (replace(CLEAN, correlation=(0.1, 0.1, 0.4)), 0, "axis k"),
        (replace(CLEAN, turns=SliceTurns(0.01, 81.0)), 0, "by 0.57 degrees (root mean square), 9.0 times"),
        (CLEAN, 12, "12 voxels (1.2 %)"),
    ],
)
def test_each_contradiction_is_named(residuals: Residuals, outlying: int, word: str) -> None:
    """One fault, one sentence that says which and how large."""
    (sentence,) = doubts_of(NOISE, residuals, voxels=1000, outlying=outlying)
    assert word in sentence
