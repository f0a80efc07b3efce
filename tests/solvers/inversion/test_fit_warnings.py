"""Warnings of a fit are raised where the waves contradict the model or its noise, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.solvers.inversion.checks.residuals import Residuals
from palpate.solvers.inversion.checks.slice_timing import NO_PHASE_ERRORS, SlicePhaseErrors
from palpate.solvers.inversion.checks.warnings import fit_warnings
from palpate.solvers.inversion.zone.noise import NoiseModel

NOISE = NoiseModel(1e-6, 1e-6, "stated")
CLEAN = Residuals(
    np.ones(1000), (0.1, 0.1, 0.0), (0.1, 0.12, 0.02), 1.0, 1.0, tuple(np.linspace(1.0, 1.15, 20)), NO_PHASE_ERRORS
)


def _found(residuals: Residuals, *, outlying: int = 0, converged: bool = True) -> list[tuple[str, str]]:
    found = fit_warnings(NOISE, residuals, voxels=1000, outlying=outlying, converged=converged, steps=7)
    return [(one.code, str(one)) for one in found]


def test_a_fit_to_the_noise_raises_none() -> None:
    """A flag that is always up is no flag."""
    assert _found(CLEAN, outlying=1) == []


@pytest.mark.parametrize(
    ("residuals", "outlying", "code", "word"),
    [
        (replace(CLEAN, inflations=(1.5,) * 20), 0, "noise-too-small", "1.22 times"),
        (replace(CLEAN, inflations=(1.0,) * 18 + (4.0, 4.0)), 0, "noise-too-small-in-parts", "In some parts"),
        (replace(CLEAN, correlation=(0.1, 0.1, 0.4)), 0, "patterned-residual", "axis k"),
        (
            replace(CLEAN, phase_errors=SlicePhaseErrors(0.01, 81.0)),
            0,
            "slice-phase-errors",
            "by 0.57 degrees (root mean square), 9.0 times",
        ),
        (CLEAN, 12, "outlying-voxels", "12 voxels (1.2 %)"),
        (replace(CLEAN, misfit_ratio=0.25), 0, "noise-overstated", "4 times better than the stated noise"),
    ],
)
def test_each_contradiction_is_named(residuals: Residuals, outlying: int, code: str, word: str) -> None:
    """One fault, one warning that says which and how large."""
    ((found, text),) = _found(residuals, outlying=outlying)
    assert found == code
    assert word in text


def test_a_fit_that_did_not_end_says_so() -> None:
    """Maps of an unfinished fit look like any others."""
    ((code, text),) = _found(CLEAN, converged=False)
    assert code == "not-converged"
    assert "7 steps" in text
